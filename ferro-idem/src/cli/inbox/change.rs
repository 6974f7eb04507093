//! `replay` and `discard`.

use serde_json::json;

use super::list::filter_of;
use crate::cli::args::{Events, Output, Parked};
use crate::cli::ask::confirm;
use crate::cli::change::Changes;
use crate::cli::exit::{Exit, Failure};
use crate::cli::progress::Progress;
use crate::cli::table::print_json;
use crate::error::Error;
use crate::inbox::operations::{ChangePage, InboxEvent, InboxOperations, InboxState};
use crate::operations::Change;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Replay,
    Discard,
}

/// A change of an inbox.
struct InboxChange<'a> {
    operations: &'a dyn InboxOperations,
    kind: Kind,
}

impl Changes for InboxChange<'_> {
    type Event = InboxEvent;

    async fn look(&self, key: &str) -> Result<Option<InboxEvent>, Error> {
        self.operations.look(key).await
    }

    async fn carry_out(&self, seen: &InboxEvent) -> Result<Change<InboxEvent>, Error> {
        match self.kind {
            Kind::Replay => self.operations.replay(seen).await,
            Kind::Discard => self.operations.discard(seen).await,
        }
    }

    fn question(&self, _: &InboxEvent) -> &'static str {
        match self.kind {
            Kind::Replay => "Replay it? Its handler runs again, with all of its attempts.",
            Kind::Discard => "Discard it? Its body is deleted, and it never runs again.",
        }
    }

    fn done(&self) -> &'static str {
        match self.kind {
            Kind::Replay => "replayed",
            Kind::Discard => "discarded",
        }
    }
}

pub(super) async fn change(
    operations: &dyn InboxOperations,
    kind: Kind,
    parked: Parked,
    output: Output,
) -> Result<Exit, Failure> {
    let changes = InboxChange { operations, kind };
    if parked.all {
        return change_all(&changes, &parked, output).await;
    }
    if !parked.filter.is_empty() {
        return Err(Failure::Usage("a filter needs --all, and not the keys of events".to_owned()));
    }
    let events = Events { ids: parked.ids, token: parked.token, yes: parked.yes };
    crate::cli::change::change(&changes, &events, output).await
}

/// Changes all that match, a batch at a time.
async fn change_all(changes: &InboxChange<'_>, args: &Parked, output: Output) -> Result<Exit, Failure> {
    let InboxChange { operations, kind } = *changes;
    let done = changes.done();
    let filter = filter_of(&args.filter);
    let all = operations.counts().await?.of(InboxState::Parked).events;
    if all > 0 && !args.yes {
        let which = if args.filter.is_empty() { "all" } else { "those that match" };
        let then = match kind {
            Kind::Replay => "Replay them? Their handlers run again.",
            Kind::Discard => "Discard them? Their bodies are deleted, and they never run again.",
        };
        confirm(&format!("{all} events are parked; {which} are {done}. {then}"), false)?;
    }
    let progress = Progress::new(Some(all).filter(|_| args.filter.is_empty()), "changed or too late", done);
    let (mut affected, mut too_late) = (0_u64, 0_u64);
    let mut show = |page: &ChangePage| {
        affected += page.changed;
        too_late += page.too_late;
        progress.show(affected + too_late, affected);
    };
    let result = match kind {
        Kind::Replay => operations.replay_all(&filter, &mut show).await,
        Kind::Discard => operations.discard_all(&filter, &mut show).await,
    };
    progress.end();
    if let Err(error) = result {
        crate::cli::say(&format!("Events {done} before the error: {affected}\n"));
        return Err(error.into());
    }
    if output.json {
        print_json(&json!({ done: affected, "too_late": too_late }))?;
    } else {
        crate::cli::say(&format!("Events {done}: {affected}\n"));
        if too_late > 0 {
            crate::cli::say(&format!("Events that had changed, and were left alone: {too_late}\n"));
        }
    }
    Ok(if too_late > 0 { Exit::TooLate } else { Exit::Done })
}
