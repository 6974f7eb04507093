//! `list` and `parked`.

use console::Term;

use super::args::{FilterArgs, List, Output, PageArgs};
use super::exit::{Exit, Failure};
use super::shown::Shown;
use super::table::{Table, print_json};
use crate::error::Error;
use crate::operations::{Cursor, EventState, Filter, InvalidCursor, MAX_PAGE, Operations, Page};

pub(super) async fn list(operations: &dyn Operations, list: &List, output: Output) -> Result<Exit, Failure> {
    let state: Option<EventState> = list.state_of_kind()?;
    let FilterArgs { event_type, min_age, max_age, .. } = &list.filter;
    if list.filter.is_of_an_inbox() {
        return Err(Failure::Usage("--sender, --min-attempts and --error need --inbox".to_owned()));
    }
    let filter = Filter::new()
        .with_state(state)
        .with_min_age(*min_age)
        .with_max_age(*max_age)
        .with_min_token(list.min_token);
    let filter = match event_type {
        Some(event_type) => filter.with_type(event_type),
        None => filter,
    };
    let page = async |after: Option<&Cursor>, limit| operations.list(&filter, after, limit).await;
    pages(&list.page, output, page).await
}

/// Prints the pages of a list until there are as many events as were asked for.
pub(super) async fn pages<E: Shown>(
    list: &PageArgs,
    output: Output,
    page: impl AsyncFn(Option<&Cursor>, usize) -> Result<Page<E>, Error>,
) -> Result<Exit, Failure> {
    let usage = |error: InvalidCursor| Failure::Usage(format!("--after: {error}"));
    let mut after: Option<Cursor> = list.after.as_deref().map(str::parse).transpose().map_err(usage)?;
    let limit = if list.all { u64::MAX } else { list.limit };
    let mut listed = 0;
    loop {
        let wanted = usize::try_from(limit - listed).unwrap_or(MAX_PAGE).min(MAX_PAGE);
        let page = page(after.as_ref(), wanted).await?;
        // A table is printed a page at a time: a list may be longer than the memory.
        let mut table = Table::new(E::HEADER);
        for event in &page.events {
            if output.json {
                print_json(&event.json())?;
            } else {
                table.row(event.row());
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
