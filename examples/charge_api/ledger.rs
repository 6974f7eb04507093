//! The verdict, from the client's answers and the server's accounts.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::Path;

use sqlx::SqlitePool;

use crate::client::{Answers, order};
use crate::server::OPENING_BALANCE;

#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) answers: Answers,
    pub(crate) kills: usize,
    pub(crate) charged: usize,
    /// Requests with more than one charge.
    pub(crate) doubled: usize,
    /// Answered charges that are not in the accounts, and charges that no order asked for.
    pub(crate) lost: usize,
    /// What is missing in the accounts, and what should be.
    pub(crate) taken: i64,
    pub(crate) expected: i64,
}

impl Ledger {
    pub(crate) async fn read(
        database: &Path,
        answers: Answers,
        kills: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let pool = SqlitePool::connect(&format!("sqlite://{}", database.display())).await?;
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as("SELECT customer, request, amount FROM charges").fetch_all(&pool).await?;
        let taken = sqlx::query_scalar("SELECT coalesce(sum(? - balance), 0) FROM accounts")
            .bind(OPENING_BALANCE)
            .fetch_one(&pool)
            .await?;
        pool.close().await;

        let charged = rows.len();
        let mut found: BTreeMap<_, usize> = BTreeMap::new();
        for row in rows {
            *found.entry(row).or_default() += 1;
        }
        let doubled = found.values().filter(|times| **times > 1).count();
        let orders: Vec<_> = (0..answers.charges + answers.given_up).map(order).collect();
        let expected = orders.iter().map(|order| order.amount).sum();
        let is_missing = |order: &&crate::client::Order| {
            !found.contains_key(&(order.customer.clone(), order.request.clone(), order.amount))
        };
        let missing = orders.iter().filter(is_missing).count();
        let unordered = found.len().saturating_sub(orders.len() - missing);
        Ok(Self { answers, kills, charged, doubled, lost: missing + unordered, taken, expected })
    }

    /// Whether nothing was charged twice or lost, and every retry got the same bytes.
    pub(crate) fn balances(&self) -> bool {
        let Answers { differing, not_refused, given_up, .. } = self.answers;
        self.taken == self.expected && [self.doubled, self.lost, differing, not_refused, given_up] == [0; 5]
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answers {
            charges,
            replays,
            differing,
            mismatches,
            not_refused,
            unanswered,
            turned_away,
            given_up,
        } = self.answers;
        writeln!(
            formatter,
            "{charges} charges answered, {given_up} given up, through {} kills of the server",
            self.kills
        )?;
        writeln!(formatter, "{replays} retries replayed, {differing} with another status or other bytes")?;
        writeln!(
            formatter,
            "{mismatches} other requests under a used key refused, {not_refused} not refused"
        )?;
        writeln!(
            formatter,
            "{unanswered} requests without an answer, {turned_away} turned away for the moment"
        )?;
        let Self { charged, doubled, lost, taken, expected, .. } = self;
        writeln!(
            formatter,
            "{charged} charges in the accounts, {doubled} doubled, {lost} lost or not ordered"
        )?;
        write!(formatter, "taken from the accounts: {taken}, ordered: {expected}: ")?;
        formatter.write_str(if self.balances() {
            "the accounts balance"
        } else {
            "THE ACCOUNTS DO NOT BALANCE"
        })
    }
}
