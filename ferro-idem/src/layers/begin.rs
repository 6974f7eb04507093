//! Begins a transaction on a connection of the layer's pool.

use std::sync::Arc;
use std::time::Duration;

use super::layer::DatabaseLayer;
use super::table::EventTable;
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::event_table::fault::Fault;
use crate::event_table::in_transaction::BEGIN;
use crate::event_table::in_transaction::connection::RequestError;
use crate::retry::{ANSWER_WITHIN, Attempts, FaultKind};

/// How long an answer is waited for.
pub(super) const LIMIT: Option<Duration> = Some(ANSWER_WITHIN);

/// Takes a connection and begins a transaction, again after a passing error. A begin that takes too long is finished in
/// the background, and rolled back there.
pub(super) async fn begin_session<L: DatabaseLayer>(
    layer: &Arc<L>,
    table: &EventTable,
) -> Result<L::Session, Error> {
    let mut attempts = Attempts::new();
    loop {
        let beginning = DetachOnDrop::new(layer.begin(attempts.within(LIMIT).unwrap_or(ANSWER_WITHIN)));
        let (fault, source) = match attempts.attempt(LIMIT, beginning).await {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(error)) => {
                let mut fault = table.fault_of(&error);
                // Nothing of the delivery was sent.
                if fault.kind == FaultKind::Unanswered {
                    fault.kind = FaultKind::Passing;
                }
                (fault, error.into_source())
            }
            Err(late) => (Fault::no_connection(), late.into()),
        };
        if !attempts.again_after(fault.kind).await {
            return Err(fault.of(BEGIN, source));
        }
    }
}
