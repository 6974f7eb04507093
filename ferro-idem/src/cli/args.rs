//! The arguments.

use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, Args as ClapArgs, Parser, Subcommand};
use clap_complete::Shell;

use super::exit::Failure;
use crate::operations::EventState;
use crate::operations::text::parse_duration;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the store cannot be reached or refused the request; `check` found a problem
  2  the arguments are wrong
  3  there is no such event
  4  the event has changed since it was looked at, and was left alone
  5  the change does not apply to an event of that state, or to that store
  6  not confirmed

Durations are written like 35d, 12h, 90m, 30s or 1h30m.
An event whose key begins with a dash comes after --: ferro-idem show -- -odd
The URL may hold a password: set FERRO_IDEM_URL instead of --url, which other users of the machine can read.";

/// Look at a log of processed webhook events or at an inbox, and change it by hand.
#[derive(Debug, Parser)]
#[command(name = "ferro-idem", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) store: StoreArgs,
    #[command(flatten)]
    pub(super) output: Output,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(ClapArgs, Debug)]
pub(super) struct StoreArgs {
    /// The store: postgres://, mysql://, sqlite:, redis:// or rediss://
    #[arg(long, env = "FERRO_IDEM_URL", hide_env_values = true, global = true)]
    pub(super) url: Option<String>,
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help = "The table, if it is not stripe_processed_events or, of an inbox, webhook_inbox"
    )]
    pub(super) table: Option<String>,
    /// The schema that the table is in
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) schema: Option<String>,
    /// The inbox instead of the log, for check, schema, stats, list, show, purge and top
    #[arg(long, global = true)]
    pub(super) inbox: bool,
    /// Redis: what the keys begin with
    #[arg(long, global = true, value_name = "PREFIX")]
    pub(super) key_prefix: Option<String>,
    /// Redis: how long the application keeps events, to tell how old they are
    #[arg(long, global = true, value_parser = parse_duration, value_name = "DURATION")]
    pub(super) retention: Option<Duration>,
    /// Redis: the URL is that of a node of a cluster
    #[arg(long, global = true)]
    pub(super) cluster: bool,
    #[arg(long, global = true, help = "PostgreSQL: a pooler in transaction mode stands between")]
    pub(super) behind_pooler: bool,
}

#[derive(ClapArgs, Clone, Copy, Debug)]
pub(super) struct Output {
    /// One JSON object a line, for scripts
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check the table, the rights and the settings, and write nothing
    Check,
    /// Print the statements that create the table
    Schema,
    /// Print the statements that add the columns a plain table lacks
    Upgrade {
        /// Run them, one at a time, without keeping marks waiting
        #[arg(long)]
        run: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Count the events of each state, and show the oldest
    Stats,
    /// List events
    List(List),
    /// Show one event
    Show {
        /// The event's key, its scope included. In an inbox: SENDER:ID
        id: String,
    },
    /// Free a claimed event, so that its next delivery runs
    Release(Events),
    /// Make an event processed, so that it never runs again
    Complete(Events),
    /// Let a processed event run again at its next delivery
    Forget(Events),
    /// Delete the reply that is kept for a processed event, and leave the event processed
    ForgetReply(Events),
    /// Delete old events, and replies that have expired
    Purge(Purge),
    /// List the parked events of an inbox
    Parked {
        #[command(flatten)]
        filter: FilterArgs,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Let parked events of an inbox run again
    Replay(Parked),
    /// Give parked events of an inbox up, and delete their bodies
    Discard(Parked),
    /// Watch counts, rates and stuck events
    Top(Top),
    /// Print a shell's completions
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(ClapArgs, Debug)]
pub(super) struct List {
    /// claimed, lease-ended, released or processed; of an inbox: waiting, backing-off, running, lease-ended, parked or
    /// processed
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub(super) state: Option<String>,
    /// A fencing token of at least this: the body was begun so often
    #[arg(long, value_name = "TOKEN")]
    pub(super) min_token: Option<u64>,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    #[command(flatten)]
    pub(super) page: PageArgs,
}

impl List {
    /// The state, of a log or of an inbox.
    pub(super) fn state_of_kind<S: FromStr<Err: ToString>>(&self) -> Result<Option<S>, Failure> {
        let read = |state: &String| state.parse().map_err(|error: S::Err| Failure::Usage(error.to_string()));
        self.state.as_ref().map(read).transpose()
    }
}

/// The name of a state of a log or of an inbox.
fn state(name: &str) -> Result<String, String> {
    let is_of_log = name.parse::<EventState>();
    let is_of_inbox = INBOX_STATES.contains(&name);
    match is_of_log {
        Err(error) if !is_of_inbox => {
            Err(format!("{error}; of an inbox, one of {}", INBOX_STATES.join(", ")))
        }
        _ => Ok(name.to_owned()),
    }
}

/// The states of an inbox, without the type that needs a database.
pub(super) const INBOX_STATES: [&str; 6] =
    ["waiting", "backing-off", "running", "lease-ended", "parked", "processed"];

#[derive(ClapArgs, Debug)]
pub(super) struct FilterArgs {
    /// Exactly this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) event_type: Option<String>,
    /// Received at least so long ago
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub(super) min_age: Option<Duration>,
    /// Received at most so long ago
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub(super) max_age: Option<Duration>,
    /// Of an inbox: exactly this sender
    #[arg(long, value_name = "NAME")]
    pub(super) sender: Option<String>,
    /// Of an inbox: at least so many attempts
    #[arg(long, value_name = "ATTEMPTS")]
    pub(super) min_attempts: Option<u32>,
    /// Of an inbox: a last error with this text in it
    #[arg(long, value_name = "TEXT")]
    pub(super) error: Option<String>,
}

impl FilterArgs {
    pub(super) fn is_of_an_inbox(&self) -> bool {
        self.sender.is_some() || self.min_attempts.is_some() || self.error.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.is_of_an_inbox()
            && self.event_type.is_none()
            && self.min_age.is_none()
            && self.max_age.is_none()
    }
}

#[derive(ClapArgs, Debug)]
pub(super) struct PageArgs {
    /// How many events to list
    #[arg(long, default_value_t = 50, value_name = "EVENTS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit: u64,
    /// List all events
    #[arg(long, conflicts_with = "limit")]
    pub(super) all: bool,
    /// Go on where the last list ended
    #[arg(long, value_name = "CURSOR")]
    pub(super) after: Option<String>,
}

/// Parked events: these, or all that match.
#[derive(ClapArgs, Debug)]
pub(super) struct Parked {
    /// The events' keys: SENDER:ID
    #[arg(required_unless_present = "all", action = ArgAction::Append)]
    pub(super) ids: Vec<String>,
    /// All parked events, or those that match the filter
    #[arg(long, conflicts_with_all = ["ids", "token"])]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// Only if the fencing token is this
    #[arg(long, value_name = "TOKEN")]
    pub(super) token: Option<u64>,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(ClapArgs, Debug)]
pub(super) struct Events {
    /// The events' keys, their scopes included
    #[arg(required = true, action = ArgAction::Append)]
    pub(super) ids: Vec<String>,
    /// Only if the fencing token is this
    #[arg(long, value_name = "TOKEN")]
    pub(super) token: Option<u64>,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(ClapArgs, Debug)]
pub(super) struct Purge {
    /// How old the events are at least. A sender may deliver again for 30 days
    #[arg(long, default_value = "35d", value_parser = parse_duration, value_name = "DURATION")]
    pub(super) older_than: Duration,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(ClapArgs, Debug)]
pub(super) struct Top {
    /// How long to wait between two looks
    #[arg(long, default_value = "2s", value_parser = parse_duration, value_name = "DURATION")]
    pub(super) every: Duration,
    /// End after so many looks
    #[arg(long, value_name = "LOOKS")]
    pub(super) looks: Option<u64>,
}
