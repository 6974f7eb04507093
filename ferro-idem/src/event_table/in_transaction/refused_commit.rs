//! What the caller of a refused commit is told.

use super::connection::RequestError;
use crate::error::Error;
use crate::event_table::fault::Fault;
use crate::retry::FaultKind;

impl Fault {
    /// The error that the caller of a refused commit gets.
    ///
    /// The database may quote values that the body wrote, for example a key that exists already. So the source
    /// holds the code and the schema's names, and nothing else.
    pub(crate) fn of_commit(self, operation: &'static str, error: impl RequestError) -> Error {
        let is_of_values = self.is_about_one_event && self.kind == FaultKind::Permanent;
        let fault = if is_of_values { Self::refused_effects() } else { self };
        match error.refused_commit() {
            Some(refused) => fault.of(operation, refused),
            None => fault.of(operation, error.into_source()),
        }
    }
}
