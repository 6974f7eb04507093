//! Proves that a mark or a claim belongs to this call.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Row};

use crate::event_table::mysql::statements::Statements;
use crate::owner::Owner;
use crate::sql::event_state::FoundReply;
use crate::sql::fault::NotRead;

/// The reply is the last column, if a statement asks for it.
const REPLY: usize = 4;

/// A row with its owner.
pub(super) struct Owned {
    pub(super) owner: Option<Vec<u8>>,
    pub(super) token: i64,
    pub(super) state: i64,
    pub(super) reply: FoundReply,
}

impl Owned {
    pub(super) fn is_of(&self, owner: Owner) -> bool {
        self.owner.as_deref() == Some(owner.as_bytes().as_slice())
    }
}

/// The owners after an insert, by the rows that it returned. MySQL returns none, and a trigger may change a row after it
/// was returned: then they are read.
///
/// All rows have to have arrived, together with the end of the answer: the server commits before that.
pub(super) async fn owners_after<'a>(
    connection: &mut MySqlConnection,
    statements: &Statements,
    returned: &[MySqlRow],
    ids: impl Iterator<Item = &'a str>,
) -> Result<HashMap<String, Owned>, sqlx::Error> {
    if returned.is_empty() || statements.verifies {
        return owners_of(connection, statements, ids).await;
    }
    returned.iter().map(owned).collect()
}

/// The owners after another statement has written.
pub(super) async fn owners_of<'a>(
    connection: &mut MySqlConnection,
    statements: &Statements,
    ids: impl Iterator<Item = &'a str>,
) -> Result<HashMap<String, Owned>, sqlx::Error> {
    let ids: Vec<&str> = ids.collect();
    let (text, rows) = statements.owners.with(&ids);
    let mut select = sqlx::query(AssertSqlSafe(text));
    for id in rows {
        select = select.bind(id.as_bytes());
    }
    let rows = select.fetch_all(connection).await.map_err(NotRead::of)?;
    rows.iter().map(owned).collect()
}

fn owned(row: &MySqlRow) -> Result<(String, Owned), sqlx::Error> {
    let id: Vec<u8> = row.try_get(0)?;
    let reply = match row.len() {
        REPLY => FoundReply::Unread,
        _ => FoundReply::Read(row.try_get::<Option<Vec<u8>>, _>(REPLY)?.map(Arc::new)),
    };
    let owned = Owned { owner: row.try_get(1)?, token: row.try_get(2)?, state: row.try_get(3)?, reply };
    Ok((String::from_utf8_lossy(&id).into_owned(), owned))
}
