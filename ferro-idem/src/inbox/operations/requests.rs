//! The requests of operations to the database.

use super::statements::Statement;
use crate::inbox::dialect::InboxDatabase;
use crate::inbox::step::{Step, StepOf};
use crate::retry::Attempt;
use crate::sql::{Cells, QueryFuture, Request};

/// Reads the rows of a query whose first columns, so many, are bytes.
pub(super) struct Read {
    pub(super) query: Statement,
    pub(super) bytes: usize,
}

impl<D: InboxDatabase> Request<D, D::InboxStatements> for Read {
    const NEEDS_NO_OWNER: bool = true;
    const ONLY_READS: bool = true;
    type Answer = Vec<Cells>;

    fn operation(&self) -> &'static str {
        "look at the inbox"
    }

    fn send(
        &self,
        connection: &mut D::Connection,
        _: &D::InboxStatements,
        _: Attempt,
    ) -> impl QueryFuture<Vec<Cells>> {
        let (statement, values) = self.query.clone();
        D::cells(connection, statement, values, self.bytes)
    }
}

/// Carries out the same step for several deliveries.
pub(super) struct StepAll {
    pub(super) step: Step,
    pub(super) of: Vec<StepOf>,
}

impl<D: InboxDatabase> Request<D, D::InboxStatements> for StepAll {
    const NEEDS_NO_OWNER: bool = true;
    type Answer = Vec<bool>;

    fn operation(&self) -> &'static str {
        self.step.operation()
    }

    fn events(&self) -> usize {
        self.of.len()
    }

    fn send(
        &self,
        connection: &mut D::Connection,
        statements: &D::InboxStatements,
        attempt: Attempt,
    ) -> impl QueryFuture<Vec<bool>> {
        async move {
            let of: Vec<&StepOf> = self.of.iter().collect();
            D::step(connection, statements, self.step, &of, attempt).await
        }
    }
}
