//! `release`, `complete` and `forget`.

use serde_json::json;

use super::args::{Events, Output};
use super::ask::confirm;
use super::exit::{Exit, Failure};
use super::show::print_event;
use super::table::{event_json, print_json};
use crate::error::Error;
use crate::operations::text::escaped;
use crate::operations::{Change, EventState, LoggedEvent, Operations};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Release,
    Complete,
    Forget,
}

impl Kind {
    fn question(self, event: &LoggedEvent) -> &'static str {
        match self {
            Self::Release if event.state() == EventState::Claimed => {
                "Release it? Its lease is running: if its process is alive, the body may run twice at the same time."
            }
            Self::Release => "Release it? Its next delivery runs.",
            Self::Complete => "Complete it? It never runs again.",
            Self::Forget => "Forget it? Its body runs again at the next delivery, from its beginning.",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Release => "released",
            Self::Complete => "completed",
            Self::Forget => "forgotten",
        }
    }

    async fn carry_out(self, operations: &dyn Operations, seen: &LoggedEvent) -> Result<Change, Error> {
        match self {
            Self::Release => operations.release(seen).await,
            Self::Complete => operations.complete(seen).await,
            Self::Forget => operations.forget(seen).await,
        }
    }
}

/// What one event came to.
struct Outcome {
    exit: Exit,
    text: String,
    now: Option<LoggedEvent>,
}

impl Outcome {
    fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), now: None }
    }
}

/// Changes each event, goes on after one that could not be changed, and ends with the highest exit code.
pub(super) async fn change(
    operations: &dyn Operations,
    kind: Kind,
    events: &Events,
    output: Output,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for id in &events.ids {
        let outcome = change_one(operations, kind, id, events, output).await?;
        exit = exit.max(outcome.exit);
        if output.json {
            print_json(&json!({
                "id": id,
                "outcome": name_of(outcome.exit, kind),
                "message": outcome.text,
                "now": outcome.now.as_ref().map(event_json),
            }))?;
        } else {
            super::say(&format!("{}: {}\n", escaped(id), outcome.text));
            if let Some(now) = &outcome.now {
                print_event(now)?;
            }
        }
    }
    Ok(exit)
}

async fn change_one(
    operations: &dyn Operations,
    kind: Kind,
    id: &str,
    events: &Events,
    output: Output,
) -> Result<Outcome, Failure> {
    let Some(seen) = operations.look(id).await? else {
        return Ok(Outcome::new(Exit::NotFound, "There is no such event."));
    };
    if events.token.is_some_and(|token| token != seen.fencing_token()) {
        let text = "The event has another fencing token, and was left alone.";
        return Ok(Outcome { now: Some(seen), ..Outcome::new(Exit::TooLate, text) });
    }
    if !events.yes {
        if !output.json {
            print_event(&seen)?;
        }
        confirm(kind.question(&seen), false)?;
    }
    Ok(match kind.carry_out(operations, &seen).await? {
        Change::Done => Outcome::new(Exit::Done, format!("The event is {}.", kind.done())),
        Change::NotPossible(why) => Outcome::new(Exit::NotPossible, why),
        Change::TooLate(Some(now)) => {
            let text =
                "The event has changed since it was looked at, and was left alone. This is how it is now.";
            Outcome { now: Some(now), ..Outcome::new(Exit::TooLate, text) }
        }
        Change::TooLate(None) => Outcome::new(Exit::TooLate, "The event is not there any more."),
    })
}

fn name_of(exit: Exit, kind: Kind) -> &'static str {
    match exit {
        Exit::NotFound => "not-found",
        Exit::TooLate => "too-late",
        Exit::NotPossible => "not-possible",
        _ => kind.done(),
    }
}
