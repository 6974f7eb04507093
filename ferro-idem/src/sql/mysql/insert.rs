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
    deadline: i64,
    mark: &Mark,
) -> Result<(), sqlx::Error> {
    let insert = sqlx::query(AssertSqlSafe(statements.insert.clone())).bind(deadline);
    let insert = insert.bind(mark.id.as_bytes()).bind(&*mark.event_type);
    let insert = match statements.level {
        SchemaLevel::Full => insert.bind(bytes(mark.owner)),
        SchemaLevel::Plain => insert,
    };
    insert.execute(connection).await.map(drop)
}
