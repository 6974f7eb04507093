//! `show` and `stats`.

use console::{Style, Term};
use serde_json::{Map, Value, json};

use super::args::Output;
use super::exit::{Exit, Failure};
use super::shown::{Shown, style_of};
use super::table::{Table, oldest, print_json};
use crate::operations::text::{escaped, time};
use crate::operations::{Counts, EventState, Operations, StateCount};

pub(super) fn show<E: Shown>(event: Option<E>, key: &str, output: Output) -> Result<Exit, Failure> {
    let Some(event) = event else {
        super::say(&format!("There is no event {}\n", escaped(key)));
        return Ok(Exit::NotFound);
    };
    if output.json {
        print_json(&event.json())?;
    } else {
        event.print()?;
    }
    Ok(Exit::Done)
}

pub(super) async fn stats(operations: &dyn Operations, output: Output) -> Result<Exit, Failure> {
    let counts = operations.counts().await?;
    let lacks = operations.lacks().await?;
    if output.json {
        let mut value = counts_json(&counts);
        value.insert("lacks".to_owned(), lacks.iter().map(ToString::to_string).collect());
        print_json(&value.into())?;
    } else {
        counts_table(&counts).print(&Term::stdout())?;
        for lack in lacks {
            super::say(&format!("{lack}\n"));
        }
    }
    Ok(Exit::Done)
}

pub(super) fn counts_table(counts: &Counts) -> Table {
    let states = EventState::ALL.map(|state| (state.as_str(), counts.of(state), style_of(state)));
    let all = StateCount { events: counts.total(), oldest: counts.oldest() };
    table_of_counts(&states, all)
}

/// A row for each state, and one for all.
pub(super) fn table_of_counts(states: &[(&str, StateCount, Style)], all: StateCount) -> Table {
    let mut table = Table::new(&["STATE", "EVENTS", "OLDEST"]);
    let plain = Style::new;
    for (name, of, style) in states {
        let (events, oldest) = (of.events.to_string(), oldest(of.oldest));
        table.row(vec![((*name).to_owned(), style.clone()), (events, plain()), (oldest, plain())]);
    }
    let (events, oldest) = (all.events.to_string(), oldest(all.oldest));
    table.row(vec![("all".to_owned(), plain().bold()), (events, plain().bold()), (oldest, plain())]);
    table
}

pub(super) fn counts_json(counts: &Counts) -> Map<String, Value> {
    let mut value = Map::new();
    value.insert("total".to_owned(), counts.total().into());
    for state in EventState::ALL {
        value.insert(state.to_string(), count_json(counts.of(state)));
    }
    value
}

pub(super) fn count_json(count: StateCount) -> Value {
    json!({ "events": count.events, "oldest": count.oldest.map(time) })
}
