//! The same of an inbox: `--inbox`, `parked`, `replay` and `discard`.

mod change;
mod list;
mod shown;
mod stats;

use super::args::{Args, Command, StoreArgs};
use super::exit::{Exit, Failure};
use super::store::{self, NO_INBOX};
use super::{check, purge, say, show};

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let Args { store: store_args, output, command } = args;
    // The table is that of the inbox.
    let (table, log_args) = (store_args.table.clone(), StoreArgs { table: None, ..store_args });
    let log = store::open(&log_args).await?;
    let inbox = log.inbox(table.as_deref()).map_err(|error| Failure::Usage(error.to_string()))?;
    let inbox = inbox.ok_or(NO_INBOX)?;
    let operations = &*inbox.operations();
    match command {
        Command::Check => {
            inbox.check().await?;
            say("No problem was found.\n");
            Ok(Exit::Done)
        }
        Command::Schema => check::schema(Some(inbox.schema())),
        Command::Stats => stats::stats(operations, output).await,
        Command::List(list) => list::list(operations, &list, output).await,
        Command::Parked { filter, page } => list::parked(operations, &filter, &page, output).await,
        Command::Show { id } => {
            let event = operations.look(&id).await?;
            if event.is_none() && !id.contains(':') {
                say("The keys of an inbox are SENDER:ID.\n");
            }
            show::show(event, &id, output)
        }
        Command::Replay(parked) => change::change(operations, change::Kind::Replay, parked, output).await,
        Command::Discard(parked) => change::change(operations, change::Kind::Discard, parked, output).await,
        Command::Purge(args) => {
            let count = async || operations.processed().await;
            purge::purge(&args, output, count, async |progress| {
                operations.purge(args.older_than, progress).await
            })
            .await
        }
        Command::Top(top) => stats::top(operations, &top, output).await,
        Command::Completions { .. } => Ok(Exit::Done),
        Command::Release(_)
        | Command::Complete(_)
        | Command::Forget(_)
        | Command::ForgetReply(_)
        | Command::Upgrade { .. } => Err(Failure::Usage(
            "release, complete, forget, forget-reply and upgrade are for a log: use replay or discard"
                .to_owned(),
        )),
    }
}
