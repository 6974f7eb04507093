//! `list`.

use console::Term;

use super::args::{List, Output};
use super::exit::{Exit, Failure};
use super::table::{EVENT_HEADER, Table, event_json, event_row, print_json};
use crate::operations::{Cursor, Filter, InvalidCursor, MAX_PAGE, Operations};

pub(super) async fn list(operations: &dyn Operations, list: &List, output: Output) -> Result<Exit, Failure> {
    let usage = |error: InvalidCursor| Failure::Usage(format!("--after: {error}"));
    let mut after: Option<Cursor> = list.after.as_deref().map(str::parse).transpose().map_err(usage)?;
    let filter = Filter::new()
        .with_state(list.state)
        .with_min_age(list.min_age)
        .with_max_age(list.max_age)
        .with_min_token(list.min_token);
    let filter = match &list.event_type {
        Some(event_type) => filter.with_type(event_type),
        None => filter,
    };
    let limit = if list.all { u64::MAX } else { list.limit };
    let mut listed = 0;
    loop {
        let wanted = usize::try_from(limit - listed).unwrap_or(MAX_PAGE).min(MAX_PAGE);
        let page = operations.list(&filter, after.as_ref(), wanted).await?;
        // A table is printed a page at a time: a list may be longer than the memory.
        let mut table = Table::new(&EVENT_HEADER);
        for event in &page.events {
            if output.json {
                print_json(&event_json(event))?;
            } else {
                table.row(event_row(event));
            }
        }
        if !output.json && !page.events.is_empty() {
            table.print(&Term::stdout())?;
        }
        listed += u64::try_from(page.events.len()).unwrap_or(u64::MAX);
        match page.next {
            None => break,
            Some(next) if listed >= limit => {
                super::say(&format!("There may be more: go on with --after {next}\n"));
                break;
            }
            next => after = next,
        }
    }
    if listed == 0 {
        super::say("No event matches.\n");
    }
    Ok(Exit::Done)
}
