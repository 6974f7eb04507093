//! What the log says about a reply that is not a success: the text of its error, and its status.
//!
//! As in [`processed`](crate::processed), the compiler finds out what the type of the reply offers. The text
//! comes from `Display`, and never from `Debug` or a body, which may hold the payload.

use std::error::Error as StdError;
use std::fmt::{self, Display, Write};

use super::Settle;
use crate::processed::Probe;

/// Why an event is released, rolled back or not run again.
pub(crate) const NO_SUCCESS: &str = "the handler's reply was not a success";

/// An error may quote what it could not read.
const MAX_ERROR_BYTES: usize = 1_024;

/// What a reply tells of its failure.
#[cfg_attr(not(feature = "tracing"), expect(dead_code, reason = "nothing is told"))]
#[derive(Debug, Default)]
pub struct Failure {
    pub(crate) error: Option<String>,
    pub(crate) status: Option<u16>,
}

impl Failure {
    #[inline]
    pub fn new(error: Option<String>, status: Option<u16>) -> Self {
        Self { error, status }
    }
}

/// Without the feature `tracing`, nothing is told.
#[inline]
pub fn untold<R>(_: &R) -> Failure {
    Failure::default()
}

/// A text that ends after [`MAX_ERROR_BYTES`].
struct Capped(String);

impl Write for Capped {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = MAX_ERROR_BYTES - self.0.len();
        if text.len() <= left {
            self.0.push_str(text);
            return Ok(());
        }
        self.0.extend(
            text.char_indices().take_while(|(at, char)| at + char.len_utf8() <= left).map(|(_, char)| char),
        );
        self.0.push('…');
        Err(fmt::Error)
    }
}

fn text(write: impl FnOnce(&mut Capped) -> fmt::Result) -> Option<String> {
    let mut text = Capped(String::new());
    // It fails if the text is too long. What was written until then is enough.
    let _ = write(&mut text);
    (!text.0.is_empty()).then_some(text.0)
}

/// The messages of an error and of its sources. Many errors repeat the message of their source.
pub(crate) fn with_sources(error: &dyn StdError) -> Option<String> {
    text(|text| {
        write!(text, "{error}")?;
        let mut source = error.source();
        while let Some(error) = source {
            let message = error.to_string();
            if !text.0.ends_with(&message) {
                write!(text, ": {message}")?;
            }
            source = error.source();
        }
        Ok(())
    })
}

/// A box of an error. It does not implement `Error` itself, so its sources are found here.
pub trait BoxedError {
    fn error(&self) -> &(dyn StdError + 'static);
}

macro_rules! boxed_errors {
    ($($boxed:ty),*) => {$(
        impl BoxedError for Box<$boxed> {
            fn error(&self) -> &(dyn StdError + 'static) {
                &**self
            }
        }
    )*};
}

boxed_errors!(dyn StdError, dyn StdError + Send, dyn StdError + Sync, dyn StdError + Send + Sync);

pub mod failures {
    //! The traits that the expansion imports.

    use super::{BoxedError, Display, Probe, Settle, StdError, Write, text, with_sources};

    macro_rules! texts {
        ($([$($generics:tt)*] $name:ident for $probe:ty, |$error:ident| $text:expr;)*) => {$(
            pub trait $name {
                fn __ferro_idem_error(&self) -> Option<String>;
            }

            impl<$($generics)*> $name for $probe {
                fn __ferro_idem_error(&self) -> Option<String> {
                    let $error = self.0.as_ref().err()?;
                    $text
                }
            }
        )*};
    }

    texts! {
        [T, E: BoxedError] OfBox for &&&Probe<'_, Result<T, E>>, |error| with_sources(error.error());
        [T, E: StdError] OfError for &&Probe<'_, Result<T, E>>, |error| with_sources(error);
        // `anyhow` and others write the sources too.
        [T, E: Display] OfDisplay for &Probe<'_, Result<T, E>>, |error| text(|text| write!(text, "{error:#}"));
    }

    pub trait OfNoText {
        fn __ferro_idem_error(&self) -> Option<String> {
            None
        }
    }

    impl<R> OfNoText for Probe<'_, R> {}

    pub trait OfTwoStatuses {
        fn __ferro_idem_status(&self) -> Option<u16>;
    }

    impl<T: Settle, E: Settle> OfTwoStatuses for &&&Probe<'_, Result<T, E>> {
        fn __ferro_idem_status(&self) -> Option<u16> {
            let failure = match self.0 {
                Ok(reply) => reply.http_failure(),
                Err(error) => error.http_failure(),
            };
            failure.map(|failure| failure.status)
        }
    }

    pub trait OfErrorStatus {
        fn __ferro_idem_status(&self) -> Option<u16>;
    }

    impl<T, E: Settle> OfErrorStatus for &&Probe<'_, Result<T, E>> {
        fn __ferro_idem_status(&self) -> Option<u16> {
            Some(self.0.as_ref().err()?.http_failure()?.status)
        }
    }

    pub trait OfStatus {
        fn __ferro_idem_status(&self) -> Option<u16>;
    }

    impl<R: Settle> OfStatus for &Probe<'_, R> {
        fn __ferro_idem_status(&self) -> Option<u16> {
            self.0.http_failure().map(|failure| failure.status)
        }
    }

    pub trait OfNoStatus {
        fn __ferro_idem_status(&self) -> Option<u16> {
            None
        }
    }

    impl<R> OfNoStatus for Probe<'_, R> {}

    pub trait OfSettle {
        fn __ferro_idem_is_success(&self) -> bool;
    }

    impl<R: Settle> OfSettle for &&Probe<'_, R> {
        fn __ferro_idem_is_success(&self) -> bool {
            self.0.is_processed()
        }
    }

    pub trait OfResult {
        fn __ferro_idem_is_success(&self) -> bool;
    }

    impl<T, E> OfResult for &Probe<'_, Result<T, E>> {
        fn __ferro_idem_is_success(&self) -> bool {
            self.0.is_ok()
        }
    }

    pub trait OfAny {
        fn __ferro_idem_is_success(&self) -> bool {
            true
        }
    }

    impl<R> OfAny for Probe<'_, R> {}
}

#[cfg(test)]
mod tests {
    use super::failures::*;
    use super::*;
    use crate::Error;

    macro_rules! told {
        ($reply:expr) => {{
            let reply = $reply;
            let error = (&&&&&Probe(&reply)).__ferro_idem_error();
            (error, (&&&&Probe(&reply)).__ferro_idem_status(), (&&&Probe(&reply)).__ferro_idem_is_success())
        }};
    }

    struct Silent;

    struct Shown;

    impl Display for Shown {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(if formatter.alternate() { "shown: because" } else { "shown" })
        }
    }

    #[test]
    fn an_error_is_told_as_it_shows_itself() {
        let said = |text: &str| Some(text.to_owned());
        let lost = || std::io::Error::other("connection reset");
        let store = "could not pay: the store failed, answer with an error so that the sender delivers again: \
                     connection reset";
        assert_eq!(told!(Err::<(), _>(Error::store("pay", lost()))).0, said(store));
        let paid = || Box::new(Error::store("pay", lost()));
        assert_eq!(told!(Err::<u8, Box<dyn StdError>>(paid())).0, said(store));
        assert_eq!(told!(Err::<u8, Box<dyn StdError + Send>>(paid())).0, said(store));
        assert_eq!(told!(Err::<u8, Box<dyn StdError + Sync>>(paid())).0, said(store));
        assert_eq!(told!(Err::<u8, Box<dyn StdError + Send + Sync>>(paid())).0, said(store));
        assert_eq!(told!(Err::<u8, _>("no account")), (said("no account"), None, false));
        assert_eq!(told!(Err::<(), _>(Shown)), (said("shown: because"), None, false));
        assert_eq!(told!(Err::<(), _>(Silent)), (None, None, false));
        assert_eq!(told!(Ok::<(), &str>(())), (None, None, true));
        assert_eq!(told!(Ok::<&str, Silent>("a value")), (None, None, true));
        assert_eq!(told!(7), (None, None, true));
    }

    #[test]
    fn a_long_error_is_cut() {
        let long = "ä".repeat(MAX_ERROR_BYTES);
        let told = told!(Err::<(), _>(long)).0.unwrap();
        assert_eq!(told.len(), MAX_ERROR_BYTES + "…".len());
        assert!(told.ends_with("ä…"));
    }
}
