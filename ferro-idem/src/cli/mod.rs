//! The command `ferro-idem`. It has no logic of its own: all it does is `operations()` and `check()`.

mod args;
mod ask;
mod change;
mod check;
mod exit;
mod list;
mod purge;
mod redact;
mod show;
mod store;
mod table;
mod top;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use self::args::{Args, Command};
use self::exit::{Exit, Failure};
use self::redact::Secrets;

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
        let store = &*store::open(&args.store).await?;
        let (output, operations) = (args.output, store.operations());
        let operations = &*operations;
        match args.command {
            Command::Check => check::check(store).await,
            Command::Schema => check::schema(store),
            Command::Upgrade { run, yes } => check::upgrade(store, run, yes).await,
            Command::Stats => show::stats(operations, output).await,
            Command::List(list) => list::list(operations, &list, output).await,
            Command::Show { id } => show::show(operations, &id, output).await,
            Command::Release(events) => {
                change::change(operations, change::Kind::Release, &events, output).await
            }
            Command::Complete(events) => {
                change::change(operations, change::Kind::Complete, &events, output).await
            }
            Command::Forget(events) => {
                change::change(operations, change::Kind::Forget, &events, output).await
            }
            Command::Purge(purge) => purge::purge(operations, &purge, output).await,
            Command::Top(top) => top::top(operations, &top, output).await,
            Command::Completions { .. } => Ok(Exit::Done),
        }
    })
}
