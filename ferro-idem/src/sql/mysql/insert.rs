//! The insert of one mark.

use sqlx::AssertSqlSafe;
use sqlx::mysql::MySqlConnection;

use super::bytes;
use crate::event_table::mysql::statements::Statements;
use crate::sql::columns::SchemaLevel;
use crate::sql::event_state::Mark;

pub(super) async fn insert(
    connection: &mut MySqlConnection,
    statements: &Statements,
    text: &std::sync::Arc<str>,
    deadline: Option<i64>,
    mark: &Mark,
) -> Result<(), sqlx::Error> {
    let insert = sqlx::query(AssertSqlSafe(text.clone()));
    let insert = match deadline {
        Some(deadline) => insert.bind(deadline),
        None => insert,
    };
    let insert = insert.bind(mark.id.as_bytes()).bind(&*mark.event_type);
    let insert = match statements.level {
        SchemaLevel::Full => insert.bind(bytes(mark.owner)),
        SchemaLevel::Plain => insert,
    };
    insert.execute(connection).await.map(drop)
}
