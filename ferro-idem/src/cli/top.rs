//! `top`.

use std::io::Write as _;
use std::time::Duration;

use console::{Style, Term};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::args::{Output, Top};
use super::exit::{Exit, Failure};
use super::show::{counts_json, counts_table};
use super::table::{EVENT_HEADER, Table, event_json, event_row, print_json};
use crate::operations::text::time;
use crate::operations::{Counts, EventState, Filter, LoggedEvent, Operations};

/// Counting reads the whole log, so it must not be all that the store does.
const MAX_SHARE: u32 = 10;

/// How many stuck events are shown.
const STUCK: usize = 10;

const MIN_PAUSE: Duration = Duration::from_millis(200);

pub(super) async fn top(operations: &dyn Operations, top: &Top, output: Output) -> Result<Exit, Failure> {
    let term = Term::stdout();
    let mut before: Option<(Counts, Instant)> = None;
    let mut looks = 0;
    loop {
        let started = Instant::now();
        let counts = operations.counts().await?;
        let stuck =
            operations.list(&Filter::new().with_state(EventState::LeaseEnded), None, STUCK).await?.events;
        let took = started.elapsed();
        let rate = before.as_ref().map(|(before, at)| rate(before, &counts, started - *at));
        print(&term, &counts, &stuck, rate, output)?;
        looks += 1;
        if top.looks.is_some_and(|max| looks >= max) {
            return Ok(Exit::Done);
        }
        before = Some((counts, started));
        sleep(top.every.max(took * MAX_SHARE).max(MIN_PAUSE)).await;
    }
}

/// Events that are new since the last look, a second. A purge makes it less.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn rate(before: &Counts, now: &Counts, elapsed: Duration) -> f64 {
    let new = now.total().saturating_sub(before.total());
    new as f64 / elapsed.as_secs_f64().max(0.001)
}

fn print(
    term: &Term,
    counts: &Counts,
    stuck: &[LoggedEvent],
    rate: Option<f64>,
    output: Output,
) -> Result<(), Failure> {
    let now = time(std::time::SystemTime::now());
    if output.json {
        let mut value = counts_json(counts);
        value.insert("at".to_owned(), now.into());
        value.insert("new_per_second".to_owned(), json!(rate));
        value.insert("stuck".to_owned(), stuck.iter().map(event_json).collect());
        return Ok(print_json(&value.into())?);
    }
    if term.is_term() {
        term.clear_screen()?;
    }
    let rate = rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
    let mut out = std::io::stdout();
    writeln!(out, "{}  {now}  {rate} new events/s\n", Style::new().bold().apply_to("ferro-idem"))?;
    counts_table(counts).print(term)?;
    if !stuck.is_empty() {
        writeln!(out, "\nTheir lease has ended, and no delivery has taken them over:")?;
        let mut table = Table::new(&EVENT_HEADER);
        for event in stuck {
            table.row(event_row(event));
        }
        table.print(term)?;
    }
    writeln!(out)?;
    Ok(())
}
