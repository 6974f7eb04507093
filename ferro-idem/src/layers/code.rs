//! The numbers of MySQL's errors, for layers that do not tell them.

use super::error::{LayerError, Meaning};
use crate::event_table::in_transaction::connection::{Connection, RequestError};
use crate::event_table::in_transaction::value::{Kind, first};

/// The same error with the number that the server tells for the last statement.
pub(super) async fn with_number<C: Connection<Error = LayerError>>(
    connection: &mut C,
    error: LayerError,
) -> LayerError {
    if error.code().as_deref() != Some("") {
        return error;
    }
    let number = async {
        connection.run("GET DIAGNOSTICS CONDITION 1 @ferro_idem_number = MYSQL_ERRNO").await?;
        let number = "SELECT CAST(@ferro_idem_number AS SIGNED)";
        let rows = connection.rows(number.into(), &[], &[Kind::Int]).await?;
        Ok::<_, LayerError>(first(rows)?.int()?)
    };
    match number.await {
        Ok(number) => error.with_code(number.to_string()),
        // The connection was lost.
        Err(_) => LayerError { meaning: Meaning::Lost, ..error },
    }
}
