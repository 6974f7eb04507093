//! The command line.

use std::time::Duration;

pub(crate) const USAGE: &str = "\
usage: crash_rig --log LOG --guarantee GUARANTEE [--seconds N] [--seed N]

  --log LOG               sqlite, postgres, mysql or redis; or naive: a log as one writes it in a hurry, over
                          SQLite, for which every verdict has to be BROKEN
  --guarantee GUARANTEE   fence, claim or transaction (redis has none)
  --seconds N             how long the storm lasts [60]
  --seed N                what every choice is drawn from [of the clock]

Ends with 0 where the guarantee was kept, and with 1 where it was not.";

/// What keeps the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    Sqlite,
    Postgres,
    MySql,
    Redis,
    Naive,
}

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarantee {
    Fence,
    Claim,
    Transaction,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) log: Log,
    pub(crate) guarantee: Guarantee,
    pub(crate) length: Duration,
    pub(crate) seed: u64,
}

impl Log {
    const ALL: [(Self, &str); 5] = [
        (Self::Sqlite, "sqlite"),
        (Self::Postgres, "postgres"),
        (Self::MySql, "mysql"),
        (Self::Redis, "redis"),
        (Self::Naive, "naive"),
    ];

    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        named(&Self::ALL, name)
    }

    pub(crate) fn name(self) -> &'static str {
        name_in(&Self::ALL, self)
    }
}

impl Guarantee {
    const ALL: [(Self, &str); 3] =
        [(Self::Fence, "fence"), (Self::Claim, "claim"), (Self::Transaction, "transaction")];

    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        named(&Self::ALL, name)
    }

    pub(crate) fn name(self) -> &'static str {
        name_in(&Self::ALL, self)
    }
}

fn named<T: Copy>(all: &[(T, &str)], name: &str) -> Result<T, String> {
    let found = all.iter().find(|(_, known)| *known == name);
    found.map(|(value, _)| *value).ok_or_else(|| format!("`{name}` is not known"))
}

fn name_in<T: Copy + PartialEq>(all: &[(T, &'static str)], value: T) -> &'static str {
    all.iter().find(|(known, _)| *known == value).map_or("", |(_, name)| name)
}

impl Args {
    /// What was asked for, or what is wrong with the question.
    pub(crate) fn parse(args: impl IntoIterator<Item = String>, clock: u64) -> Result<Self, String> {
        let (mut log, mut guarantee) = (None, None);
        let (mut seconds, mut seed) = (60, clock);
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let value = args.next().ok_or_else(|| format!("`{arg}` needs a value"))?;
            let number = || value.parse().map_err(|_| format!("`{value}` is not a number"));
            match arg.as_str() {
                "--log" => log = Some(Log::parse(&value)?),
                "--guarantee" => guarantee = Some(Guarantee::parse(&value)?),
                "--seconds" => seconds = number()?,
                "--seed" => seed = number()?,
                _ => return Err(format!("unknown argument `{arg}`")),
            }
        }
        let log = log.ok_or("--log is missing")?;
        let guarantee = guarantee.ok_or("--guarantee is missing")?;
        if (log, guarantee) == (Log::Redis, Guarantee::Transaction) {
            return Err("redis has no transactions".to_owned());
        }
        Ok(Self { log, guarantee, length: Duration::from_secs(seconds), seed })
    }

    /// SQLite has none.
    pub(crate) fn has_server(&self) -> bool {
        !matches!(self.log, Log::Sqlite | Log::Naive)
    }

    /// Whether a handler keeps all others from writing while it runs.
    pub(crate) fn has_one_writer(&self) -> bool {
        !self.has_server() && self.guarantee == Guarantee::Transaction
    }
}
