//! `list --inbox` and `parked`.

use crate::cli::args::{FilterArgs, List, Output, PageArgs};
use crate::cli::exit::{Exit, Failure};
use crate::cli::list::pages;
use crate::inbox::operations::{InboxFilter, InboxOperations, InboxState};
use crate::operations::Cursor;

pub(super) fn filter_of(args: &FilterArgs) -> InboxFilter {
    let mut filter = InboxFilter::new()
        .with_min_age(args.min_age)
        .with_max_age(args.max_age)
        .with_min_attempts(args.min_attempts);
    if let Some(event_type) = &args.event_type {
        filter = filter.with_type(event_type);
    }
    if let Some(sender) = &args.sender {
        filter = filter.with_sender(sender);
    }
    if let Some(error) = &args.error {
        filter = filter.with_error(error);
    }
    filter
}

pub(super) async fn list(
    operations: &dyn InboxOperations,
    list: &List,
    output: Output,
) -> Result<Exit, Failure> {
    if list.min_token.is_some() {
        return Err(Failure::Usage("--min-token is for a log: use --min-attempts".to_owned()));
    }
    let state: Option<InboxState> = list.state_of_kind()?;
    listed(operations, &filter_of(&list.filter).with_state(state), &list.page, output).await
}

pub(super) async fn parked(
    operations: &dyn InboxOperations,
    filter: &FilterArgs,
    page: &PageArgs,
    output: Output,
) -> Result<Exit, Failure> {
    listed(operations, &filter_of(filter).with_state(InboxState::Parked), page, output).await
}

async fn listed(
    operations: &dyn InboxOperations,
    filter: &InboxFilter,
    page: &PageArgs,
    output: Output,
) -> Result<Exit, Failure> {
    let list = async |after: Option<&Cursor>, limit| operations.list(filter, after, limit).await;
    pages(page, output, list).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::INBOX_STATES;

    #[test]
    fn the_arguments_know_every_state() {
        assert_eq!(INBOX_STATES, InboxState::ALL.map(InboxState::as_str));
    }
}
