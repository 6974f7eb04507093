//! The command `ferro-idem`. It has no logic of its own: all it does is `operations()` and `check()`.

mod args;
mod ask;
mod change;
mod check;
mod exit;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod inbox;
mod list;
mod progress;
mod purge;
mod redact;
mod show;
mod shown;
mod store;
mod table;
mod top;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use self::args::{Args, Command, Events, Output};
use self::change::{Kind, LogChange};
use self::exit::{Exit, Failure};
use self::redact::Secrets;
use self::store::Store;

/// The whole command.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return refused(&error),
    };
    let secrets = Secrets::of(args.store.url.as_deref());
    match run(args) {
        Ok(exit) => exit.into(),
        // The reader of a pipe has enough.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Done.into(),
        Err(failure) => {
            say(&format!("ferro-idem: {}\n", secrets.hidden(&failure.to_string())));
            failure.exit().into()
        }
    }
}

/// Help, the version, or a mistake in the arguments. What was typed may be a URL with a password.
fn refused(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        say(&Secrets::of(None).hidden(&error.render().to_string()));
        return Exit::Usage.into();
    }
    drop(error.print());
    Exit::Done.into()
}

/// To stderr, which may be closed.
fn say(text: &str) {
    drop(std::io::stderr().write_all(text.as_bytes()));
}

fn run(args: Args) -> Result<Exit, Failure> {
    if let Command::Completions { shell } = args.command {
        clap_complete::generate(shell, &mut Args::command(), "ferro-idem", &mut std::io::stdout());
        return Ok(Exit::Done);
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Output)?;
    runtime.block_on(async {
        let is_of_inbox =
            matches!(args.command, Command::Parked { .. } | Command::Replay(_) | Command::Discard(_));
        if args.store.inbox || is_of_inbox {
            return of_inbox(args).await;
        }
        let store = &*store::open(&args.store).await?;
        of_log(store, args.command, args.output).await
    })
}

async fn of_log(store: &dyn Store, command: Command, output: Output) -> Result<Exit, Failure> {
    let operations = &*store.operations();
    let changed =
        async |kind, events: &Events| change::change(&LogChange { operations, kind }, events, output).await;
    match command {
        Command::Check => check::check(store).await,
        Command::Schema => check::schema(store.schema()),
        Command::Upgrade { run, yes } => check::upgrade(store, run, yes).await,
        Command::Stats => show::stats(operations, output).await,
        Command::List(list) => list::list(operations, &list, output).await,
        Command::Show { id } => show::show(operations.look(&id).await?, &id, output),
        Command::Release(events) => changed(Kind::Release, &events).await,
        Command::Complete(events) => changed(Kind::Complete, &events).await,
        Command::Forget(events) => changed(Kind::Forget, &events).await,
        Command::ForgetReply(events) => changed(Kind::ForgetReply, &events).await,
        Command::Purge(args) => {
            let count = async || Ok(operations.counts().await?.total());
            purge::purge(&args, output, count, async |progress| {
                operations.purge(args.older_than, progress).await
            })
            .await
        }
        Command::Top(top) => top::top(operations, &top, output).await,
        // They are carried out before.
        Command::Completions { .. } | Command::Parked { .. } | Command::Replay(_) | Command::Discard(_) => {
            Ok(Exit::Done)
        }
    }
}

#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
async fn of_inbox(args: Args) -> Result<Exit, Failure> {
    inbox::run(args).await
}

#[cfg(not(any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
async fn of_inbox(args: Args) -> Result<Exit, Failure> {
    drop(store::open(&args.store).await?);
    Err(store::NO_INBOX)
}
