//! How the command ends.

use std::process::ExitCode;

use crate::error::Error;

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    Done = 0,
    Store = 1,
    Usage = 2,
    NotFound = 3,
    TooLate = 4,
    NotPossible = 5,
    NotConfirmed = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the command did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{}", with_causes(.0))]
    Store(#[from] Error),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotPossible(&'static str),
    #[error("{0}")]
    NotConfirmed(&'static str),
    /// The output, or the runtime.
    #[error("{0}")]
    Output(#[from] std::io::Error),
}

impl Failure {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Store(Error::InvalidEventId { .. }) | Self::Usage(_) => Exit::Usage,
            Self::Store(_) | Self::Output(_) => Exit::Store,
            Self::NotPossible(_) => Exit::NotPossible,
            Self::NotConfirmed(_) => Exit::NotConfirmed,
        }
    }
}

fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        let said = source.to_string();
        if !text.contains(&said) {
            text.push_str("\ncause: ");
            text.push_str(&said);
        }
        cause = source.source();
    }
    text
}
