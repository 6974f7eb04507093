//! `top`.

use std::io::Write as _;
use std::time::Duration;

use console::{Style, Term};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::args::{Output, Top};
use super::exit::{Exit, Failure};
use super::show::{counts_json, counts_table};
use super::shown::Shown;
use super::table::{Table, print_json};
use crate::operations::text::time;
use crate::operations::{Counts, EventState, Filter, LoggedEvent, Operations};

/// Counting reads the whole log, so it must not be all that the store does.
const MAX_SHARE: u32 = 10;

/// How many stuck events are shown.
const STUCK: usize = 10;

const MIN_PAUSE: Duration = Duration::from_millis(200);

pub(super) async fn top(operations: &dyn Operations, top: &Top, output: Output) -> Result<Exit, Failure> {
    let mut before: Option<(Counts, Instant)> = None;
    looks(top, async || {
        let started = Instant::now();
        let counts = operations.counts().await?;
        let stuck =
            operations.list(&Filter::new().with_state(EventState::LeaseEnded), None, STUCK).await?.events;
        let rate = before.as_ref().map(|(before, at)| rate(before, &counts, started - *at));
        print(&counts, &stuck, rate, output)?;
        before = Some((counts, started));
        Ok(())
    })
    .await
}

/// Looks again and again, with pauses in between.
pub(super) async fn looks(
    top: &Top,
    mut look: impl AsyncFnMut() -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let mut looks = 0;
    loop {
        let started = Instant::now();
        look().await?;
        looks += 1;
        if top.looks.is_some_and(|max| looks >= max) {
            return Ok(Exit::Done);
        }
        sleep(top.every.max(started.elapsed() * MAX_SHARE).max(MIN_PAUSE)).await;
    }
}

/// Events that are new since the last look, a second. A purge makes it less.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn rate(before: &Counts, now: &Counts, elapsed: Duration) -> f64 {
    let new = now.total().saturating_sub(before.total());
    new as f64 / elapsed.as_secs_f64().max(0.001)
}

fn print(counts: &Counts, stuck: &[LoggedEvent], rate: Option<f64>, output: Output) -> Result<(), Failure> {
    if output.json {
        let mut value = counts_json(counts);
        value.insert("at".to_owned(), time(std::time::SystemTime::now()).into());
        value.insert("new_per_second".to_owned(), json!(rate));
        value.insert("stuck".to_owned(), stuck.iter().map(Shown::json).collect());
        return Ok(print_json(&value.into())?);
    }
    let rate = rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
    let stuck_ones = ("Their lease has ended, and no delivery has taken them over:", stuck);
    screen(&format!("{rate} new events/s"), &counts_table(counts), &[stuck_ones])
}

/// One look, on a screen of its own if there is one.
pub(super) fn screen<E: Shown>(head: &str, counts: &Table, lists: &[(&str, &[E])]) -> Result<(), Failure> {
    let term = Term::stdout();
    if term.is_term() {
        term.clear_screen()?;
    }
    let mut out = std::io::stdout();
    let now = time(std::time::SystemTime::now());
    writeln!(out, "{}  {now}  {head}\n", Style::new().bold().apply_to("ferro-idem"))?;
    counts.print(&term)?;
    for (title, events) in lists.iter().filter(|(_, events)| !events.is_empty()) {
        writeln!(out, "\n{title}")?;
        let mut table = Table::new(E::HEADER);
        for event in *events {
            table.row(event.row());
        }
        table.print(&term)?;
    }
    writeln!(out)?;
    Ok(())
}
