//! `stats --inbox` and `top --inbox`.

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::shown::style_of;
use crate::cli::args::{Output, Top};
use crate::cli::exit::{Exit, Failure};
use crate::cli::show::{count_json, table_of_counts};
use crate::cli::shown::Shown;
use crate::cli::table::{Table, print_json};
use crate::cli::top::{looks, screen};
use crate::inbox::operations::{
    InboxCounts, InboxEvent, InboxFilter, InboxOperations, InboxState, StateCount,
};
use crate::operations::text::time;

/// How many events of each list are shown.
const SHOWN: usize = 5;

pub(super) async fn stats(operations: &dyn InboxOperations, output: Output) -> Result<Exit, Failure> {
    let counts = operations.counts().await?;
    let processed = operations.processed().await?;
    if output.json {
        let mut value = counts_json(&counts);
        value.insert("processed".to_owned(), json!({ "events": processed }));
        print_json(&value.into())?;
    } else {
        let processed = StateCount { events: processed, ..StateCount::default() };
        counts_table(&counts, Some(processed)).print(&console::Term::stdout())?;
    }
    Ok(Exit::Done)
}

pub(super) async fn top(
    operations: &dyn InboxOperations,
    top: &Top,
    output: Output,
) -> Result<Exit, Failure> {
    let mut before: Option<(u64, Instant)> = None;
    let list = async |state| {
        let filter = InboxFilter::new().with_state(state);
        Ok::<_, Failure>(operations.list(&filter, None, SHOWN).await?.events)
    };
    looks(top, async || {
        let started = Instant::now();
        let counts = operations.counts().await?;
        let stuck = list(InboxState::LeaseEnded).await?;
        let parked = list(InboxState::Parked).await?;
        let backlog = counts.total() - counts.of(InboxState::Parked).events;
        let rate = before.map(|(before, at)| rate(before, backlog, started - at));
        before = Some((backlog, started));
        print(&counts, &stuck, &parked, rate, output)
    })
    .await
}

/// How much the unfinished events have become more in a second.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn rate(before: u64, now: u64, elapsed: std::time::Duration) -> f64 {
    (now as f64 - before as f64) / elapsed.as_secs_f64().max(0.001)
}

fn print(
    counts: &InboxCounts,
    stuck: &[InboxEvent],
    parked: &[InboxEvent],
    rate: Option<f64>,
    output: Output,
) -> Result<(), Failure> {
    if output.json {
        let mut value = counts_json(counts);
        value.insert("at".to_owned(), time(std::time::SystemTime::now()).into());
        value.insert("backlog_per_second".to_owned(), json!(rate));
        value.insert("stuck".to_owned(), stuck.iter().map(Shown::json).collect());
        value.insert("parked_first".to_owned(), parked.iter().map(Shown::json).collect());
        return Ok(print_json(&value.into())?);
    }
    let rate = rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:+.1}"));
    let lists = [
        ("Their lease has ended, and no worker has taken them over yet:", stuck),
        ("Parked until they are replayed or discarded, the first ones:", parked),
    ];
    screen(&format!("{rate} unfinished events/s"), &counts_table(counts, None), &lists)
}

fn counts_table(counts: &InboxCounts, processed: Option<StateCount>) -> Table {
    let mut states: Vec<_> = InboxState::UNFINISHED
        .into_iter()
        .map(|state| (state.as_str(), counts.of(state), style_of(state)))
        .collect();
    let mut all = StateCount { events: counts.total(), oldest: None };
    if let Some(processed) = processed {
        all.events = all.events.saturating_add(processed.events);
        states.push((InboxState::Processed.as_str(), processed, style_of(InboxState::Processed)));
    }
    all.oldest = states.iter().filter_map(|(_, of, _)| of.oldest).min();
    table_of_counts(&states, all)
}

fn counts_json(counts: &InboxCounts) -> Map<String, Value> {
    let mut value = Map::new();
    value.insert("unfinished".to_owned(), counts.total().into());
    value.insert("oldest_unparked".to_owned(), json!(counts.oldest().map(time)));
    for state in InboxState::UNFINISHED {
        value.insert(state.to_string(), count_json(counts.of(state)));
    }
    value
}
