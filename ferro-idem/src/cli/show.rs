//! `show` and `stats`.

use console::{Style, Term};
use serde_json::{Map, Value, json};

use super::args::Output;
use super::exit::{Exit, Failure};
use super::table::{Table, event_json, oldest, print_json, style_of};
use crate::operations::text::{ago, duration, escaped, next_delivery, time};
use crate::operations::{Counts, EventState, LoggedEvent, Operations};

pub(super) async fn show(operations: &dyn Operations, id: &str, output: Output) -> Result<Exit, Failure> {
    let Some(event) = operations.look(id).await? else {
        super::say(&format!("There is no event {}\n", escaped(id)));
        return Ok(Exit::NotFound);
    };
    if output.json {
        print_json(&event_json(&event))?;
    } else {
        print_event(&event)?;
    }
    Ok(Exit::Done)
}

pub(super) fn print_event(event: &LoggedEvent) -> std::io::Result<()> {
    let mut table = Table::new(&["EVENT", &escaped(event.id())]);
    let mut row = |name: &str, value: Option<String>, style: Style| {
        if let Some(value) = value {
            table.row(vec![(name.to_owned(), Style::new()), (value, style)]);
        }
    };
    let plain = Style::new;
    let at = |at: std::time::SystemTime| format!("{} ({} ago)", time(at), ago(at));
    row("type", event.event_type().map(escaped), plain());
    row("state", Some(event.state().to_string()), style_of(event.state()));
    row("fencing token", Some(event.fencing_token().to_string()), plain());
    row("received", event.received_at().map(at), plain());
    row("last change", event.updated_at().map(at), plain());
    row("lease left", event.lease_left().map(duration), plain());
    row("next delivery", Some(next_delivery(event.state()).to_owned()), plain());
    table.print(&Term::stdout())
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
    let mut table = Table::new(&["STATE", "EVENTS", "OLDEST"]);
    for state in EventState::ALL {
        let of = counts.of(state);
        table.row(vec![
            (state.to_string(), style_of(state)),
            (of.events.to_string(), Style::new()),
            (oldest(of.oldest), Style::new()),
        ]);
    }
    table.row(vec![
        ("all".to_owned(), Style::new().bold()),
        (counts.total().to_string(), Style::new().bold()),
        (oldest(counts.oldest()), Style::new()),
    ]);
    table
}

pub(super) fn counts_json(counts: &Counts) -> Map<String, Value> {
    let mut value = Map::new();
    value.insert("total".to_owned(), counts.total().into());
    for state in EventState::ALL {
        let of = counts.of(state);
        let counted = json!({ "events": of.events, "oldest": of.oldest.map(time) });
        value.insert(state.to_string(), counted);
    }
    value
}
