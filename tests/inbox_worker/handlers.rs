//! The state of annotated handlers: the log, and a body that fails at first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::StatusCode;
use ferro_idem::{Error, SqliteLog};

use super::App;

#[derive(Debug, thiserror::Error)]
pub(super) enum AppError {
    #[error(transparent)]
    Fence(#[from] Error),
    #[error("the bank is closed")]
    Closed,
}

/// What the annotated handlers use.
#[derive(Clone)]
pub(super) struct Handlers {
    pub(super) log: SqliteLog,
    runs: Arc<AtomicU32>,
    /// So many runs fail.
    failures: u32,
}

impl Handlers {
    pub(super) fn new(app: &App, failures: u32) -> Self {
        Self { log: app.log.clone(), runs: Arc::default(), failures }
    }

    pub(super) fn try_it(&self) -> Result<StatusCode, AppError> {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        if run <= self.failures { Err(AppError::Closed) } else { Ok(StatusCode::OK) }
    }

    pub(super) fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }
}
