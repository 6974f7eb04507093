//! The inbox's tables: created, checked, and looked at once before the first statement.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::dialect::{InboxDatabase, LAYOUT, Rules, TABLES};
use super::names::Names;
use crate::error::Error;
use crate::retry::Attempt;
use crate::sql::{Beside, Compiled, InvalidTableName, QueryFuture, Request, SqlLog};

/// One statement for each right that an inbox needs. They change nothing.
const RIGHTS: [(&str, &[&str]); 3] = [
    (
        "",
        &[
            "SELECT event_id FROM webhook_inbox WHERE 1 = 0",
            "UPDATE webhook_inbox SET state = state WHERE 1 = 0",
            "DELETE FROM webhook_inbox WHERE 1 = 0",
            "INSERT INTO webhook_inbox (sender, event_id, event_type)
             SELECT sender, event_id, event_type FROM webhook_inbox WHERE 1 = 0",
        ],
    ),
    (
        "_seen",
        &[
            "SELECT event_id FROM webhook_inbox_seen WHERE 1 = 0",
            "DELETE FROM webhook_inbox_seen WHERE 1 = 0",
            "INSERT INTO webhook_inbox_seen (event_id) SELECT event_id FROM webhook_inbox_seen WHERE 1 = 0",
        ],
    ),
    (
        "_body",
        &[
            "SELECT seq FROM webhook_inbox_body WHERE 1 = 0",
            "DELETE FROM webhook_inbox_body WHERE 1 = 0",
            "INSERT INTO webhook_inbox_body (seq, body) SELECT seq, body FROM webhook_inbox_body WHERE 1 = 0",
        ],
    ),
];

/// The tables of an inbox, in the pool of a log.
pub(super) struct Tables<D: InboxDatabase> {
    names: Names,
    is_strict: bool,
    beside: Beside<D>,
    /// Set by the first call that finds tables that fit.
    sql: OnceLock<Arc<Compiled<D::InboxStatements>>>,
    /// Locked during a look, so that calls share it.
    looking: Mutex<()>,
}

/// How long a call waits for another one's look, before it looks by itself.
const MAX_SHARED_LOOK: Duration = Duration::from_secs(5);

impl<D: InboxDatabase> Tables<D> {
    pub(super) fn beside(log: &SqlLog<D>) -> Self {
        Self::over(log, Names::beside(log.table_name()), false)
    }

    fn over(log: &SqlLog<D>, names: Names, is_strict: bool) -> Self {
        let of_missing = format!(
            "the inbox's tables do not fit, the source says why: they have to be there, with all columns and keys of\n{}",
            names.in_statement(D::INBOX_SCHEMA)
        );
        let beside = log.beside(names.table(""), of_missing);
        Self { names, is_strict, beside, sql: OnceLock::new(), looking: Mutex::new(()) }
    }

    pub(super) fn with_name(&self, log: &SqlLog<D>, name: &str) -> Result<Self, InvalidTableName> {
        Ok(Self::over(log, self.names.with_name(name)?, self.is_strict))
    }

    pub(super) fn with_strict_order(&self, log: &SqlLog<D>) -> Self {
        Self::over(log, self.names.clone(), true)
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn connection(&self) -> &Beside<D> {
        &self.beside
    }

    pub(super) fn schema(&self) -> String {
        self.names.in_statement(D::INBOX_SCHEMA)
    }

    /// The statements. Only the first call looks at the tables: calls that arrive meanwhile wait for it, because each
    /// look takes connections that the others need.
    pub(super) async fn sql(&self) -> Result<&Arc<Compiled<D::InboxStatements>>, Error> {
        if let Some(sql) = self.sql.get() {
            return Ok(sql);
        }
        // One whose caller is not polled must not keep the others waiting for ever.
        let _looking = timeout(MAX_SHARED_LOOK, self.looking.lock()).await;
        if let Some(sql) = self.sql.get() {
            return Ok(sql);
        }
        let problems = self.problems().await?;
        Beside::<D>::refuse(&problems.refusals)?;
        let rules = Rules { is_strict: self.is_strict, has_pooler: self.beside.has_pooler() };
        Ok(self.sql.get_or_init(|| Beside::<D>::compiled(D::inbox_statements(&self.names, rules))))
    }

    pub(super) async fn create(&self) -> Result<(), Error> {
        const OPERATION: &str = "create the inbox's tables";
        let mut created = Ok(());
        // PostgreSQL refuses one of two processes that create a table at once, although each statement says IF NOT
        // EXISTS.
        for _ in 0..3 {
            created = self.beside.run(OPERATION, self.schema()).await;
            if created.is_ok() {
                break;
            }
        }
        created
    }

    /// Finds everything that is wrong at once.
    pub(super) async fn check(&self) -> Result<(), Error> {
        let Found { mut refusals, weaknesses, missing } = self.problems().await?;
        refusals.extend(weaknesses);
        for (table, statements) in RIGHTS.iter().filter(|(table, _)| !missing.contains(table)) {
            for statement in *statements {
                let statement = self.names.in_statement(statement);
                let Err(error) = self.beside.run("use the inbox's tables", statement).await else { continue };
                let Error::Store { advice, .. } = &error else { return Err(error) };
                let advice = format!("`{}`: {advice}", self.names.table(table));
                if !refusals.contains(&advice) {
                    refusals.push(advice);
                }
            }
        }
        Beside::<D>::refuse(&refusals)
    }

    async fn problems(&self) -> Result<Found, Error> {
        let mut found = Found::default();
        let mut is_incomplete = false;
        for (suffix, columns) in TABLES {
            let table = self.names.table(suffix);
            let (present, problems) = self.beside.look_at(&table).await?;
            if present.is_empty() {
                is_incomplete = true;
                found.missing.push(suffix);
                found.refusals.push(format!("there is no table `{table}`"));
            } else {
                let is_missing =
                    |column: &&&str| !present.iter().any(|found| found.eq_ignore_ascii_case(column));
                let missing: Vec<&str> = columns.iter().filter(is_missing).copied().collect();
                if !missing.is_empty() {
                    is_incomplete = true;
                    found.refusals.push(format!("the table `{table}` lacks {}", missing.join(", ")));
                }
            }
            if problems.has_triggers && D::KEEPS_ROWS_OUT {
                found.refusals.push(format!(
                    "the table `{table}` has a trigger, row-level security or another UNIQUE key, which may keep a \
                     delivery out: take that off"
                ));
            }
            extend_with_new(&mut found.refusals, problems.refusals);
            extend_with_new(&mut found.weaknesses, problems.weaknesses);
        }
        if is_incomplete {
            found.refusals.push(format!("the inbox needs the tables of\n{}", self.schema()));
        } else if let Some(layout) = self.layout().await?
            && layout > LAYOUT
        {
            found.refusals.push(format!(
                "the inbox's tables have layout {layout}, of a newer version of this library, and this one knows \
                 {LAYOUT}: update this process"
            ));
        }
        Ok(found)
    }

    async fn layout(&self) -> Result<Option<i64>, Error> {
        self.beside.send(&Beside::<D>::compiled(()), &Layout { names: &self.names }).await
    }
}

fn extend_with_new(all: &mut Vec<String>, more: Vec<String>) {
    for one in more {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}

/// What is wrong with the tables.
#[derive(Debug, Default)]
struct Found {
    refusals: Vec<String>,
    weaknesses: Vec<String>,
    /// The suffixes of tables that are not there.
    missing: Vec<&'static str>,
}

/// Reads the layout of the tables.
struct Layout<'a> {
    names: &'a Names,
}

impl<D: InboxDatabase> Request<D, ()> for Layout<'_> {
    const NEEDS_NO_OWNER: bool = true;
    type Answer = Option<i64>;

    fn operation(&self) -> &'static str {
        "look at the inbox's tables"
    }

    fn is_sent_without_callers(&self) -> bool {
        true
    }

    fn send(&self, connection: &mut D::Connection, (): &(), _: Attempt) -> impl QueryFuture<Option<i64>> {
        D::layout(connection, self.names)
    }
}
