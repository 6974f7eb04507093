//! Changes of one event after another: `release`, `complete`, `forget`, `forget-reply`, `replay` and `discard`.

use serde_json::json;

use super::args::{Events, Output};
use super::ask::confirm;
use super::exit::{Exit, Failure};
use super::shown::Shown;
use super::table::print_json;
use crate::error::Error;
use crate::operations::text::escaped;
use crate::operations::{Change, EventState, LoggedEvent, Operations};

/// A change that events of a log or of an inbox can go through.
pub(super) trait Changes {
    type Event: Shown;

    async fn look(&self, key: &str) -> Result<Option<Self::Event>, Error>;

    async fn carry_out(&self, seen: &Self::Event) -> Result<Change<Self::Event>, Error>;

    fn question(&self, event: &Self::Event) -> &'static str;

    /// What the event is afterwards.
    fn done(&self) -> &'static str;
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Release,
    Complete,
    Forget,
    ForgetReply,
}

/// A change of a log.
pub(super) struct LogChange<'a> {
    pub(super) operations: &'a dyn Operations,
    pub(super) kind: Kind,
}

impl Changes for LogChange<'_> {
    type Event = LoggedEvent;

    async fn look(&self, key: &str) -> Result<Option<LoggedEvent>, Error> {
        self.operations.look(key).await
    }

    async fn carry_out(&self, seen: &LoggedEvent) -> Result<Change, Error> {
        match self.kind {
            Kind::Release => self.operations.release(seen).await,
            Kind::Complete => self.operations.complete(seen).await,
            Kind::Forget => self.operations.forget(seen).await,
            Kind::ForgetReply => self.operations.forget_reply(seen).await,
        }
    }

    fn question(&self, event: &LoggedEvent) -> &'static str {
        match self.kind {
            Kind::Release if event.state() == EventState::Claimed => {
                "Release it? Its lease is running: if its process is alive, the body may run twice at the same time."
            }
            Kind::Release => "Release it? Its next delivery runs.",
            Kind::Complete => "Complete it? It never runs again.",
            Kind::Forget => "Forget it? Its body runs again at the next delivery, from its beginning.",
            Kind::ForgetReply => "Delete its reply? Its duplicates have no reply to replay from then on.",
        }
    }

    fn done(&self) -> &'static str {
        match self.kind {
            Kind::Release => "released",
            Kind::Complete => "completed",
            Kind::Forget => "forgotten",
            Kind::ForgetReply => "without a reply",
        }
    }
}

/// What one event came to.
struct Outcome<E> {
    exit: Exit,
    text: String,
    now: Option<E>,
}

impl<E> Outcome<E> {
    fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), now: None }
    }
}

/// Changes each event, goes on after one that could not be changed, and ends with the highest exit code.
pub(super) async fn change<C: Changes>(
    changes: &C,
    events: &Events,
    output: Output,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for id in &events.ids {
        let outcome = change_one(changes, id, events, output).await?;
        exit = exit.max(outcome.exit);
        if output.json {
            print_json(&json!({
                (C::Event::KEY_NAME): id,
                "outcome": name_of(outcome.exit, changes.done()),
                "message": outcome.text,
                "now": outcome.now.as_ref().map(Shown::json),
            }))?;
        } else {
            super::say(&format!("{}: {}\n", escaped(id), outcome.text));
            if let Some(now) = &outcome.now {
                now.print()?;
            }
        }
    }
    Ok(exit)
}

async fn change_one<C: Changes>(
    changes: &C,
    id: &str,
    events: &Events,
    output: Output,
) -> Result<Outcome<C::Event>, Failure> {
    let Some(seen) = changes.look(id).await? else {
        return Ok(Outcome::new(Exit::NotFound, "There is no such event."));
    };
    if events.token.is_some_and(|token| token != seen.fencing_token()) {
        let text = "The event has another fencing token, and was left alone.";
        return Ok(Outcome { now: Some(seen), ..Outcome::new(Exit::TooLate, text) });
    }
    if !events.yes {
        if !output.json {
            seen.print()?;
        }
        confirm(changes.question(&seen), false)?;
    }
    Ok(match changes.carry_out(&seen).await? {
        Change::Done => Outcome::new(Exit::Done, format!("The event is {}.", changes.done())),
        Change::NotPossible(why) => Outcome::new(Exit::NotPossible, why),
        Change::TooLate(Some(now)) => {
            let text =
                "The event has changed since it was looked at, and was left alone. This is how it is now.";
            Outcome { now: Some(now), ..Outcome::new(Exit::TooLate, text) }
        }
        Change::TooLate(None) => Outcome::new(Exit::TooLate, "The event is not there any more."),
    })
}

fn name_of(exit: Exit, done: &'static str) -> &'static str {
    match exit {
        Exit::NotFound => "not-found",
        Exit::TooLate => "too-late",
        Exit::NotPossible => "not-possible",
        _ => done,
    }
}
