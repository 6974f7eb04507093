//! The rows of the table, the logs that each applies to, and its goal.

use std::time::Duration;

use crate::database::{Database, OnMariaDb, OnMemory, OnPostgres, OnRedis, OnSqlite};
use crate::figures::Figure;
use crate::lost::Fault;
use crate::{burst, dropped, failover, locked_row, lost, outage};

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    goal: &'static str,
}

/// All rows.
pub(crate) struct Rows(pub(crate) &'static [Row]);

pub(crate) const ROWS: Rows =
    Rows(&[DROPPED, TABLE_LOCK, ROW_LOCKS, STOP_6, STOP_13, BURST, LOCKED_ROW, FAILOVER, OUTAGE]);

const DROPPED: Row = Row {
    name: "dropped",
    what: "1,000 concurrent deliveries of one event, dropped after 0 to 6 ms, 300 rounds",
    goal: "no crash, no event lost",
};
const TABLE_LOCK: Row = Row {
    name: "table-lock",
    what: "300 events, the table locked for 25 s, pool of 16",
    goal: "0 lost after an error; at most 32 backends wait",
};
const ROW_LOCKS: Row = Row {
    name: "row-locks",
    what: "300 events, their rows locked for 25 s, pool of 16",
    goal: "0 lost after an error",
};
const STOP_6: Row =
    Row { name: "stop-6", what: "100 events, SIGSTOP for 6 s", goal: "0 lost after an error" };
const STOP_13: Row =
    Row { name: "stop-13", what: "100 events, SIGSTOP for 13 s", goal: "0 lost after an error" };
const BURST: Row = Row {
    name: "burst",
    what: "burst of 1,000 with one refused row, pool of 5, 20 ms round trip",
    goal: "0 others fail, at most 3 times as long",
};
const LOCKED_ROW: Row = Row {
    name: "locked-row",
    what: "one locked event redelivered each second, 100 others a second",
    goal: "p99 of the others at most 3 times",
};
const FAILOVER: Row =
    Row { name: "failover", what: "20 pooled connections stranded", goal: "first success within 3 s" };
const OUTAGE: Row = Row {
    name: "outage",
    what: "outage of 60 s, 437 claims a second, each hung up after 1 s",
    goal: "tasks and memory flat",
};

impl Rows {
    pub(crate) fn by_name(&self, name: &str) -> Result<Row, String> {
        self.0.iter().find(|row| row.name == name).copied().ok_or_else(|| format!("no row `{name}`"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    Memory,
    Sqlite,
    Postgres,
    MySql,
    Redis,
}

impl Log {
    const ALL: [Self; 5] = [Self::Memory, Self::Sqlite, Self::Postgres, Self::MySql, Self::Redis];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
            Self::Redis => "redis",
        }
    }

    pub(crate) fn by_name(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|log| log.name() == name).ok_or_else(|| format!("no log `{name}`"))
    }

    /// Only the logs over SQL batch calls.
    fn has_group_commit(self) -> bool {
        matches!(self, Self::Sqlite | Self::Postgres | Self::MySql)
    }
}

/// A row, with the logs that it applies to.
pub(crate) struct RowOf(Row, &'static [Log]);

pub(crate) const CELLS: &[RowOf] = &[
    RowOf(DROPPED, &[Log::Memory, Log::Sqlite, Log::Postgres, Log::MySql, Log::Redis]),
    RowOf(TABLE_LOCK, &[Log::Sqlite, Log::Postgres, Log::MySql]),
    RowOf(ROW_LOCKS, &[Log::Postgres, Log::MySql]),
    RowOf(STOP_6, &[Log::Postgres, Log::MySql, Log::Redis]),
    RowOf(STOP_13, &[Log::Postgres, Log::MySql, Log::Redis]),
    RowOf(BURST, &[Log::Postgres, Log::MySql]),
    RowOf(LOCKED_ROW, &[Log::Postgres, Log::MySql]),
    RowOf(FAILOVER, &[Log::Postgres, Log::MySql]),
    RowOf(OUTAGE, &[Log::Sqlite, Log::Postgres, Log::MySql, Log::Redis]),
];

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) row: Row,
    pub(crate) log: Log,
    pub(crate) group_commit: bool,
}

impl Cell {
    /// Every cell of a row: with group commit and without it, if the log has it.
    pub(crate) fn all_of(RowOf(row, logs): &RowOf) -> Vec<Self> {
        let modes = |log: Log| match (log.has_group_commit(), row.name == BURST.name) {
            (false, _) => &[false][..],
            (true, false) => &[true, false],
            // Alone, a burst takes longer than a call's deadline, with the refused row and without it.
            (true, true) => &[true],
        };
        let of_log =
            |&log: &Log| modes(log).iter().map(move |&group_commit| Self { row: *row, log, group_commit });
        logs.iter().flat_map(of_log).collect()
    }

    /// Measures it in this process.
    pub(crate) async fn measure(&self) -> Figure {
        match self.log {
            Log::Memory => self.measure_on(OnMemory::start().await).await,
            Log::Sqlite => self.measure_on(OnSqlite::start().await).await,
            Log::Postgres => self.measure_on(OnPostgres::start().await).await,
            Log::MySql => self.measure_on(OnMariaDb::start().await).await,
            Log::Redis => self.measure_on(OnRedis::start().await).await,
        }
    }

    async fn measure_on<D: Database>(&self, database: D) -> Figure {
        let stop = |seconds| Fault::Stop(Duration::from_secs(seconds));
        let batches = self.group_commit;
        match self.row.name {
            "dropped" => dropped::measure(&database, batches).await,
            "table-lock" => lost::measure(&database, batches, Fault::TableLock).await,
            "row-locks" => lost::measure(&database, batches, Fault::RowLocks).await,
            "stop-6" => lost::measure(&database, batches, stop(6)).await,
            "stop-13" => lost::measure(&database, batches, stop(13)).await,
            "burst" => burst::measure(&database, batches).await,
            "locked-row" => locked_row::measure(&database, batches).await,
            "failover" => failover::measure(&database, batches).await,
            _ => outage::measure(&database, batches).await,
        }
    }

    /// As a line of the table.
    pub(crate) fn line(&self, figure: &Figure) -> String {
        let Row { what, goal, .. } = self.row;
        let group_commit = match (self.log.has_group_commit(), self.group_commit) {
            (true, true) => "yes",
            (true, false) => "no",
            (false, _) => "–",
        };
        let reached = if figure.is_reached { "reached" } else { "missed" };
        format!("| {what} | {} | {group_commit} | {} | {goal} | {reached} |", self.log.name(), figure.text)
    }
}
