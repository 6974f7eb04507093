//! Which guarantees a table can hold, by its columns.

use std::borrow::Cow;

use super::columns::{FoundColumn, SchemaLevel};
use super::fault::Fault;
use super::name::TableName;
use crate::error::Error;

/// How a database writes the table down.
#[derive(Debug)]
pub struct TableText {
    pub(crate) schema: &'static str,
    pub(crate) upgrade: &'static str,
    /// For a table without a column `event_type`.
    pub(crate) add_event_type: &'static str,
    /// The statements that fix a table whose `event_id` treats distinct ids as equal. They keep its rows.
    pub(crate) compare_bytes: fn(&[FoundColumn]) -> Cow<'static, str>,
}

/// The columns that a claim needs, beside the three of the recommended table.
const OF_CLAIMS: [&str; 5] = ["state", "owner", "fencing_token", "lease_until", "updated_at"];

/// The columns that a reply needs.
const OF_REPLIES: [&str; 2] = ["reply_until", "reply"];

/// Whether the table has columns for replies.
pub(crate) fn has_replies(found: &[FoundColumn]) -> bool {
    OF_REPLIES.iter().all(|name| has(found, name))
}

pub(crate) fn schema_level_of(
    text: &TableText,
    table: &TableName,
    found: &[FoundColumn],
) -> Result<SchemaLevel, Error> {
    let schema = || table.in_statement(text.schema);
    let advice = if found.is_empty() {
        format!("there is no table `{table}`, create it with\n{}", schema())
    } else if !has(found, "event_id") {
        format!("the table `{table}` has no column `event_id`: use another table, made with\n{}", schema())
    } else if found.iter().any(|column| is(column, "event_id") && !column.byte_exact) {
        format!(
            "the column `event_id` of `{table}` takes different ids for one (case, accents, trailing spaces, \
             numbers, or the end of a long id), so that an event would be lost: make it compare bytes with\n{}",
            table.in_statement(&(text.compare_bytes)(found))
        )
    } else if found.iter().any(|column| is(column, "event_id") && !column.unique) {
        Fault::of_table(table, text.schema).advice.into_owned()
    } else if found.iter().any(|column| !column.rolls_back) {
        format!(
            "the table `{table}` is kept by an engine without transactions, which would keep the mark of a \
             delivery that was rolled back: move it with\n{}",
            table.in_statement("ALTER TABLE stripe_processed_events ENGINE=InnoDB;")
        )
    } else if !has(found, "event_type") {
        format!(
            "the table `{table}` has no column `event_type`, add it with\n{}",
            table.in_statement(text.add_event_type)
        )
    } else if OF_CLAIMS.iter().all(|name| has(found, name)) {
        return Ok(SchemaLevel::Full);
    } else {
        return Ok(SchemaLevel::Plain);
    };
    Err(Error::Store {
        operation: "use the table of processed events".into(),
        advice: advice.into(),
        source: "the table lacks what a mark needs".into(),
    })
}

/// Refuses a table, or a session, that breaks a promise of the log.
pub(crate) fn refuse(problems: &[String]) -> Result<(), Error> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::Store {
        operation: "use the table of processed events".into(),
        advice: problems.join("; ").into(),
        source: "the table or the session breaks a promise of the log".into(),
    })
}

/// The statements that add the columns that this table lacks.
pub(crate) fn missing(text: &TableText, table: &TableName, found: &[FoundColumn]) -> String {
    let is_missing = |statement: &&str| {
        let after = statement.split_whitespace().skip_while(|&word| word != "COLUMN").skip(1);
        let column = after.into_iter().find(|word| !matches!(*word, "/*M!" | "IF" | "NOT" | "EXISTS" | "*/"));
        column.is_some_and(|column| !has(found, column))
    };
    let missing: Vec<&str> = text.upgrade.lines().filter(is_missing).collect();
    table.in_statement(&missing.join("\n"))
}

/// The error for a claim over a table that lacks columns, with the statements that add them.
pub(crate) fn no_claims(text: &TableText, table: &TableName, found: &[FoundColumn]) -> Error {
    Error::Store {
        operation: "claim the event".into(),
        advice: format!(
            "the table `{table}` lacks columns that a claim needs, add them with\n{}",
            missing(text, table, found)
        )
        .into(),
        source: format!("a claim needs the columns {}", OF_CLAIMS.join(", ")).into(),
    }
}

/// The error for a reply over a table that lacks columns, with the statements that add them.
#[cfg_attr(not(feature = "replay"), allow(dead_code, reason = "only replies need it"))]
pub(crate) fn no_replies(
    text: &TableText,
    operation: &'static str,
    table: &TableName,
    found: &[FoundColumn],
) -> Error {
    Error::Store {
        operation: operation.into(),
        advice: format!(
            "the table `{table}` lacks columns that `replay` needs, run the statements of UPGRADE that are missing:\n{}",
            missing(text, table, found)
        )
        .into(),
        source: format!("a reply needs the columns {}", OF_REPLIES.join(", ")).into(),
    }
}

fn has(found: &[FoundColumn], name: &str) -> bool {
    found.iter().any(|column| is(column, name))
}

fn is(column: &FoundColumn, name: &str) -> bool {
    column.name.eq_ignore_ascii_case(name)
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> Vec<FoundColumn> {
        names
            .iter()
            .map(|&name| FoundColumn {
                name: name.to_owned(),
                byte_exact: true,
                unique: true,
                rolls_back: true,
            })
            .collect()
    }

    fn columns(names: &[&str]) -> Result<SchemaLevel, String> {
        schema_level_of(&crate::event_table::sqlite::TEXT, &TableName::recommended('"'), &found(names))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_plain_table_and_the_full_one_are_told_apart() {
        assert_eq!(columns(&["event_id", "event_type", "received_at"]), Ok(SchemaLevel::Plain));
        let half_way = ["event_id", "event_type", "state", "owner"];
        assert_eq!(columns(&half_way), Ok(SchemaLevel::Plain), "no claim can have been made yet");
        let full = ["EVENT_ID", "Event_Type", "state", "OWNER", "fencing_token", "lease_until", "updated_at"];
        assert_eq!(columns(&full), Ok(SchemaLevel::Full));
    }

    #[test]
    fn only_the_missing_columns_are_added() {
        let present = found(&["event_id", "event_type", "state", "owner", "fencing_token"]);
        let error =
            no_claims(&crate::event_table::sqlite::TEXT, &TableName::recommended('"'), &present).to_string();
        assert!(
            error.ends_with(
                "add them with\n\
                 ALTER TABLE \"stripe_processed_events\" ADD COLUMN lease_until INTEGER;\n\
                 ALTER TABLE \"stripe_processed_events\" ADD COLUMN updated_at TEXT;\n\
                 ALTER TABLE \"stripe_processed_events\" ADD COLUMN reply_until INTEGER;\n\
                 ALTER TABLE \"stripe_processed_events\" ADD COLUMN reply BLOB;"
            ),
            "{error}"
        );
    }

    #[test]
    fn a_missing_column_is_refused_with_the_fixing_statement() {
        let error = columns(&["event_id", "received_at"]).unwrap_err();
        assert!(
            error.ends_with(
                "ALTER TABLE \"stripe_processed_events\" ADD COLUMN event_type TEXT NOT NULL DEFAULT '';"
            ),
            "{error}"
        );
    }

    #[test]
    fn the_fix_for_a_lossy_column_keeps_the_table_s_rows() {
        let mut columns = found(&["EVENT_ID", "event_type", "fencing_token", "tenant"]);
        columns[0].byte_exact = false;
        let error =
            schema_level_of(&crate::event_table::sqlite::TEXT, &TableName::recommended('"'), &columns)
                .unwrap_err()
                .to_string();
        assert!(error.contains("takes different ids for one"), "{error}");
        let of_schema =
            "(event_id, event_type, fencing_token) SELECT event_id, event_type, fencing_token FROM";
        assert!(error.contains(of_schema), "{error}");
    }
}
