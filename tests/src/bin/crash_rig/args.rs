//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::disasters::Disaster;
use crate::logs::Log;

pub(crate) const USAGE: &str = "\
usage: crash_rig --log LOG --guarantee GUARANTEE [--seconds N] [--seed N] [--with DISASTERS]
                 [--picture FILE]

  --log LOG               sqlite, postgres, mysql, redis or valkey; clusters: postgres-cluster (a synchronous standby),
                          postgres-quorum and postgres-quorum-of-2 (commits wait for one of two standbys, or for both),
                          galera (three nodes), mariadb-semi-sync (AFTER_SYNC, without a timeout), mariadb-after-commit
                          (the default); some that lose what was acknowledged: postgres-async, mariadb-async (commits
                          do not wait), mariadb-timeout (they wait for 100 ms), redis-sentinel (and the same with
                          -min-replicas, -wait), valkey-sentinel, redis-cluster (and with -min-replicas); and naive, a
                          log written in a hurry over SQLite, which has to be found BROKEN
  --guarantee GUARANTEE   fence, claim, transaction (not redis); inbox or inbox-claim (neither redis nor naive): senders
                          try once, and the inbox delivers to a handler with a transaction, or under a claim
  --seconds N             how long the storm lasts [60]
  --seed N                the seed of every random choice [from the clock]
  --with DISASTERS        what happens to the store beside kills, cuts and short stalls: `all` that the log can
                          have, or names with commas between them [none]
  --picture FILE          draws the first disaster as SVG; nothing else happens to workers and server then

disasters, one after the other, in random order, each at least once, for which the run is prolonged:

  table-lock   the table is locked for 22 to 25 s, longer than every deadline (not redis)
  row-locks    the rows of the next 200 events are locked for 22 to 25 s, and given up (postgres, mysql)
  freeze       the server is stopped (SIGSTOP) for 22 to 25 s (servers)
  failover     the server is killed and started again, and nothing comes on old connections any more (servers)
  read-only    the server refuses to write for 1 to 4 s (servers)
  promote      the server is killed, and another one takes over (clusters)
  absence      the standby is away, the primary crashes meanwhile, and then the standby takes over (postgres-cluster)
  partition    the link between clients and server, or between servers, is cut both ways or one way, slowed or lossy for
               2 to 7 s, in a network of namespaces: this needs root (clusters)
  comeback     another server takes over; clients reach the old one for 2 to 7 s, before and after its crash
               (postgres-cluster)
  drops        a hundred deliveries of one event are dropped within 6 ms, for one event in two hundred (all)

Ends with 0 if the guarantee was kept, and with 1 if it was broken.";

/// Runs of this length have pauses between disasters.
const LONG: Duration = Duration::from_mins(4);

/// The guarantee under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarantee {
    Fence,
    Claim,
    Transaction,
    /// Senders try once, and the inbox delivers to a handler under a transaction.
    Inbox,
    /// The same with a handler under a claim, and effects outside of the database.
    InboxClaim,
}

/// What a run is to do.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) log: &'static Log,
    pub(crate) guarantee: Guarantee,
    pub(crate) length: Duration,
    pub(crate) seed: u64,
    pub(crate) disasters: Vec<Disaster>,
    /// Where the picture goes.
    pub(crate) picture: Option<PathBuf>,
}

impl Guarantee {
    const ALL: [(Self, &str); 5] = [
        (Self::Fence, "fence"),
        (Self::Claim, "claim"),
        (Self::Transaction, "transaction"),
        (Self::Inbox, "inbox"),
        (Self::InboxClaim, "inbox-claim"),
    ];

    /// Whether senders try once.
    pub(crate) fn has_inbox(self) -> bool {
        matches!(self, Self::Inbox | Self::InboxClaim)
    }

    /// Whether effects are written in the transaction of their mark.
    pub(crate) fn is_in_database(self) -> bool {
        matches!(self, Self::Transaction | Self::Inbox)
    }

    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        named(&Self::ALL, name)
    }

    pub(crate) fn name(self) -> &'static str {
        name_in(&Self::ALL, self)
    }
}

pub(crate) fn named<T: Copy>(all: &[(T, &str)], name: &str) -> Result<T, String> {
    let found = all.iter().find(|(_, known)| *known == name);
    found.map(|(value, _)| *value).ok_or_else(|| format!("`{name}` is not known"))
}

pub(crate) fn name_in<T: Copy + PartialEq>(all: &[(T, &'static str)], value: T) -> &'static str {
    all.iter().find(|(known, _)| *known == value).map_or("", |(_, name)| name)
}

impl Args {
    /// The run that the arguments ask for, or what is wrong with them.
    pub(crate) fn parse(args: impl IntoIterator<Item = String>, clock: u64) -> Result<Self, String> {
        let (mut log, mut guarantee, mut with, mut picture) = (None, None, String::new(), None);
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
                "--with" => with = value,
                "--picture" => picture = Some(value.into()),
                _ => return Err(format!("unknown argument `{arg}`")),
            }
        }
        let log = log.ok_or("--log is missing")?;
        let guarantee = guarantee.ok_or("--guarantee is missing")?;
        if guarantee.is_in_database() && !log.kind.has_transactions() {
            return Err(format!("{} has no transactions", log.name));
        }
        if guarantee.has_inbox() && !log.kind.has_inbox() {
            return Err(format!("{} has no inbox", log.name));
        }
        let disasters = Disaster::parse_all(&with, log)?;
        // Long enough for each of them.
        let longest = disasters.iter().map(|disaster| disaster.longest()).sum();
        let length = Duration::from_secs(seconds).max(longest);
        Ok(Self { log, guarantee, length, seed, disasters, picture })
    }

    /// Whether the run has time for more than one round of its disasters.
    pub(crate) fn is_long(&self) -> bool {
        self.length >= LONG
    }

    /// Whether a handler keeps all others from writing while it runs.
    pub(crate) fn has_one_writer(&self) -> bool {
        !self.log.has_server() && self.guarantee.is_in_database()
    }
}
