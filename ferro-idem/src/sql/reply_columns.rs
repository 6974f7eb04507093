//! Whether a table has columns for replies. An upgrade may add them under a running application.

use std::sync::atomic::Ordering;

#[cfg(feature = "replay")]
use super::columns::SchemaLevel;
#[cfg(feature = "replay")]
use super::core::CompiledSql;
use super::core::Core;
use super::dialect::Dialect;
#[cfg(feature = "replay")]
use super::table_check;
use crate::error::Error;

impl<D: Dialect> Core<D> {
    /// Whether columns for replies were found.
    pub(super) fn has_replies(&self) -> bool {
        self.has_replies.load(Ordering::Relaxed)
    }

    /// Looks whether an upgrade has added columns for replies.
    pub(super) async fn look_for_replies(&self) -> Result<(), Error> {
        if !self.has_replies() {
            let (found, traps) = self.look_at_table().await?;
            self.compile(&found, &traps)?;
        }
        Ok(())
    }

    /// The statements for a table that keeps replies, which an upgrade may have made of another one. The operation is
    /// what cannot be done without.
    #[cfg(feature = "replay")]
    pub(super) async fn reply_sql(&self, operation: &'static str) -> Result<&CompiledSql<D>, Error> {
        let recent = self.recent_sql().await?;
        if recent.level == SchemaLevel::Full && self.has_replies() {
            return Ok(recent);
        }
        let (found, traps) = self.look_at_table().await?;
        let compiled = self.compile(&found, &traps)?;
        if self.has_replies() {
            return Ok(compiled);
        }
        Err(table_check::no_replies(D::TABLE, operation, self.table(), &found))
    }

    /// Whether this connection sees columns for replies, inside a transaction.
    #[cfg(feature = "replay")]
    pub(super) async fn replies_seen_by(
        &self,
        operation: &'static str,
        connection: &mut D::Connection,
    ) -> Result<(), Error> {
        if self.has_replies() {
            return Ok(());
        }
        let explained = |error| self.explained(operation, error);
        let found = D::look_at_table(connection, self.table()).await.map_err(explained)?;
        if !table_check::has_replies(&found) {
            return Err(table_check::no_replies(D::TABLE, operation, self.table(), &found));
        }
        Ok(())
    }
}
