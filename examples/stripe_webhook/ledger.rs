//! The verdict: the answers compared with the rows in the database.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use sqlx::SqlitePool;

use crate::deliveries::FORGER;
use crate::events::Event;
use crate::mishaps::Struck;
use crate::storm::Answers;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ledger {
    pub(crate) answers: Answers,
    pub(crate) struck: Struck,
    /// The rows of earlier runs on the file.
    pub(crate) before: Effects,
    pub(crate) effects: Effects,
    pub(crate) elapsed: Duration,
}

/// The rows in `payments`, counted without the log of processed events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// Rows of these events.
    pub(crate) found: usize,
    /// Events without a row.
    pub(crate) lost: usize,
    /// Rows beyond an event's first.
    pub(crate) doubled: usize,
    /// Rows that come from a forgery.
    pub(crate) forged: usize,
}

impl Effects {
    /// Counts the rows of `events` only. The file may hold others, delivered by the real Stripe.
    pub(crate) async fn of(events: &[Event], pool: &SqlitePool) -> Result<Self, sqlx::Error> {
        let rows: Vec<(String, Option<String>)> =
            sqlx::query_as("SELECT event_id, customer FROM payments").fetch_all(pool).await?;
        let mut rows_of: HashMap<&str, usize> = events.iter().map(|event| (event.id.as_str(), 0)).collect();
        let mut effects = Self::default();
        for (event_id, customer) in &rows {
            let Some(rows) = rows_of.get_mut(event_id.as_str()) else { continue };
            *rows += 1;
            effects.found += 1;
            effects.forged += usize::from(customer.as_deref() == Some(FORGER));
        }
        for rows in rows_of.into_values() {
            effects.lost += usize::from(rows == 0);
            effects.doubled += rows.saturating_sub(1);
        }
        Ok(effects)
    }
}

impl Ledger {
    pub(crate) fn balances(&self) -> bool {
        let Self { answers, effects, .. } = self;
        effects.lost == 0
            && effects.doubled == 0
            && effects.forged == 0
            && answers.not_refused == 0
            && answers.undelivered == 0
            && self.unanswered().is_some_and(|unanswered| unanswered <= self.struck.hang_ups)
    }

    /// Events that took effect in this run while their sender hung up, so that no 201 arrived.
    pub(crate) fn unanswered(&self) -> Option<usize> {
        self.effects.found.checked_sub(self.before.found + self.answers.first)
    }

    fn forged(&self) -> usize {
        self.answers.refused + self.answers.not_refused
    }

    fn deliveries(&self) -> usize {
        let Answers { first, duplicates, undelivered, .. } = self.answers;
        first + duplicates + undelivered + self.forged()
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    fn deliveries_per_second(&self) -> f64 {
        self.deliveries() as f64 / self.elapsed.as_secs_f64()
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answers, struck, effects, .. } = self;
        let mut row =
            |name: &str, count: usize, note: &str| writeln!(formatter, "{name:<22}{count:>7}{note}");
        row("deliveries", self.deliveries(), "")?;
        row("first", answers.first, "")?;
        row("first, unanswered", self.unanswered().unwrap_or(0), " committed while the sender hung up")?;
        row("duplicates", answers.duplicates, "")?;
        row("refused", answers.refused, &format!(" of {} forged or stale", self.forged()))?;
        let Struck { errors, panics, hang_ups } = struck;
        let kinds = format!(" handlers: {errors} errors, {panics} panics, {hang_ups} hang-ups");
        row("failed on purpose", struck.total(), &kinds)?;
        let in_progress = format!(" {} of them because another delivery was running", answers.in_progress);
        row("redeliveries", answers.redeliveries, &in_progress)?;
        row("never answered 2xx", answers.undelivered, "")?;
        row("side effects found", effects.found, "")?;
        row("effects lost", effects.lost, "")?;
        row("effects doubled", effects.doubled, "")?;
        row("effects of forgeries", effects.forged, "")?;
        writeln!(formatter, "{:<22}{:>7.0}", "deliveries per second", self.deliveries_per_second())?;
        let verdict = if self.balances() {
            "every event took effect exactly once, every forgery was refused"
        } else {
            "answers and effects do not agree: see the counts above"
        };
        write!(formatter, "\n{verdict}")
    }
}
