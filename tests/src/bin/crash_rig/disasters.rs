//! What happens to a store for longer than a log waits, or that it cannot tell from a loss for ever.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::args::{Guarantee, name_in, named};
use crate::logs::Log;

/// A kind of disaster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disaster {
    TableLock,
    RowLocks,
    Freeze,
    Failover,
    ReadOnly,
    /// Another server takes over.
    Promote,
    /// It takes over without what the lost one wrote while it was away.
    Absence,
    /// Links are cut, slowed or lossy.
    Partition,
    /// Another server takes over, and the lost one comes back and still takes writes.
    Comeback,
    /// The senders' part: see [`Sender`](crate::sender::Sender).
    Drops,
}

impl Disaster {
    pub(crate) const ALL: [(Self, &str); 10] = [
        (Self::TableLock, "table-lock"),
        (Self::RowLocks, "row-locks"),
        (Self::Freeze, "freeze"),
        (Self::Failover, "failover"),
        (Self::ReadOnly, "read-only"),
        (Self::Promote, "promote"),
        (Self::Absence, "absence"),
        (Self::Partition, "partition"),
        (Self::Comeback, "comeback"),
        (Self::Drops, "drops"),
    ];

    /// Those of a list, if the log can have them.
    pub(crate) fn parse_all(list: &str, log: &Log) -> Result<Vec<Self>, String> {
        if list == "all" {
            return Ok(log.disasters.to_vec());
        }
        let named = list.split(',').filter(|name| !name.is_empty()).map(|name| named(&Self::ALL, name));
        let disasters = named.collect::<Result<Vec<_>, _>>()?;
        match disasters.iter().find(|disaster| !log.disasters.contains(disaster)) {
            Some(disaster) => Err(format!("{} has no {}", log.name, disaster.name())),
            None => Ok(disasters),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        name_in(&Self::ALL, self)
    }

    /// The longest that it takes, with the pause before it and the calm after it.
    pub(crate) fn longest(self) -> Duration {
        CALM_AFTER
            + Duration::from_secs(match self {
                Self::TableLock | Self::RowLocks | Self::Freeze => 30,
                Self::ReadOnly | Self::Failover => 8,
                Self::Promote | Self::Absence | Self::Partition | Self::Comeback => 15,
                Self::Drops => 0,
            })
    }

    /// How long it lasts. Locks and freezes are longer than a log tries a call and, after that, takes a mark back.
    pub(crate) fn length(self, rng: &mut StdRng) -> Duration {
        Duration::from_millis(match self {
            Self::TableLock | Self::RowLocks | Self::Freeze => rng.random_range(22_000..25_000),
            Self::ReadOnly => rng.random_range(1_000..4_000),
            Self::Absence => rng.random_range(1_000..3_000),
            Self::Partition | Self::Comeback => rng.random_range(2_000..7_000),
            Self::Failover | Self::Promote | Self::Drops => 0,
        })
    }
}

/// How often each took place, and how long they took together.
#[derive(Debug, Default)]
pub(crate) struct Befallen {
    numbers: [AtomicU64; 10],
    milliseconds: AtomicU64,
}

impl Befallen {
    fn counter(&self, disaster: Disaster) -> &AtomicU64 {
        let index = Disaster::ALL.iter().position(|(known, _)| *known == disaster);
        &self.numbers[index.unwrap_or_default()]
    }

    pub(crate) fn count(&self, disaster: Disaster, took: Duration) {
        self.counter(disaster).fetch_add(1, Ordering::Relaxed);
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.milliseconds.fetch_add(took, Ordering::Relaxed);
    }

    /// The time in which nobody was killed, stopped or cut off.
    pub(crate) fn took(&self) -> Duration {
        Duration::from_millis(self.milliseconds.load(Ordering::Relaxed))
    }

    pub(crate) fn number(&self, disaster: Disaster) -> u64 {
        self.counter(disaster).load(Ordering::Relaxed)
    }
}

/// The disasters of a run, or their kinds, in random order, again and again.
pub(crate) struct Order<T> {
    all: Vec<T>,
    left: Vec<T>,
    has_drawn_all: bool,
}

impl<T: Copy> Order<T> {
    pub(crate) fn new(all: Vec<T>) -> Self {
        Self { all, left: Vec::new(), has_drawn_all: false }
    }

    /// Whether each has been drawn at least once.
    pub(crate) fn has_drawn_all(&self) -> bool {
        self.all.is_empty() || self.has_drawn_all
    }

    /// The next one, if it is needed.
    pub(crate) fn next_if(&mut self, is_needed: bool, rng: &mut StdRng) -> Option<T> {
        if is_needed { self.next(rng) } else { None }
    }

    pub(crate) fn next(&mut self, rng: &mut StdRng) -> Option<T> {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
            self.left.shuffle(rng);
        }
        let next = self.left.pop();
        self.has_drawn_all |= self.left.is_empty();
        next
    }
}

/// Whether a disaster is under way, for the senders.
#[derive(Debug)]
pub(crate) struct Weather {
    is_disaster: watch::Sender<bool>,
    calm: Duration,
    /// Whether senders stay away after an error, and until a disaster is over: under the fence, marks are taken back
    /// until then, and behind the inbox, an outage would use up all events.
    keeps_away: bool,
}

/// A sender that was answered with an error comes back so long after it and after the disaster: until then, the log
/// may be taking the mark back. Real senders wait for a minute and more. On a busy machine, it is [longer](stretched).
const COMES_BACK_AFTER: Duration = Duration::from_millis(1_500);

/// Workers live for so long after a disaster, so that a kill explains no loss after an error: the sender has come
/// back before. On a busy machine, it is [longer](stretched).
const CALM_AFTER: Duration = Duration::from_secs(4);

/// What takes so long on a quiet machine, and longer if more than two processes want to run for each of its cores.
pub(crate) fn stretched(quiet: Duration) -> Duration {
    let load = std::fs::read_to_string("/proc/loadavg").ok().and_then(|said| runnable(&said));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = u32::try_from(cores).unwrap_or(1);
    quiet.mul_f64((load.unwrap_or(0.0) / f64::from(2 * cores)).clamp(1.0, MAX_STRETCH))
}

const MAX_STRETCH: f64 = 10.0;

/// The mean of the last minute.
fn runnable(loadavg: &str) -> Option<f64> {
    loadavg.split(' ').next()?.parse().ok()
}

/// The same in a run in which no kill has to explain a loss.
const SHORT_CALM: Duration = Duration::from_millis(500);

impl Weather {
    pub(crate) fn new(log: &Log, guarantee: Guarantee) -> Self {
        let is_short = log.is_cluster() && guarantee != Guarantee::Fence;
        let calm = if is_short { SHORT_CALM } else { CALM_AFTER };
        let keeps_away = !log.is_cluster() || guarantee == Guarantee::Fence || guarantee.has_inbox();
        Self { is_disaster: watch::channel(false).0, calm, keeps_away }
    }

    /// While this runs, senders that were answered with an error wait.
    pub(crate) async fn disaster(&self, disaster: impl Future<Output = ()>) {
        self.is_disaster.send_replace(true);
        disaster.await;
        self.is_disaster.send_replace(false);
        sleep(stretched(self.calm)).await;
    }

    /// Waits until a sender comes back after an error.
    pub(crate) async fn to_come_back(&self) {
        if !self.keeps_away {
            return;
        }
        // It cannot fail: the sender of the channel is here.
        drop(self.is_disaster.subscribe().wait_for(|is_disaster| !is_disaster).await);
        sleep(stretched(COMES_BACK_AFTER)).await;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn log(name: &str) -> &'static Log {
        Log::parse(name).unwrap()
    }

    #[test]
    fn a_log_has_the_disasters_of_its_store() {
        let names = |name| {
            let all = Disaster::parse_all("all", log(name)).unwrap();
            all.into_iter().map(Disaster::name).collect::<Vec<_>>().join(",")
        };
        assert_eq!(names("postgres"), "table-lock,row-locks,freeze,failover,read-only,drops");
        assert_eq!(names("sqlite"), "table-lock,drops");
        assert_eq!(names("redis"), "freeze,failover,read-only,drops");
        assert_eq!(names("postgres-cluster"), "promote,absence,partition,comeback,drops");
        assert_eq!(names("galera"), "promote,partition,drops");
        assert!(Disaster::parse_all("row-locks", log("redis")).is_err());
        assert!(Disaster::parse_all("rain", log("postgres")).is_err());
        assert!(Disaster::parse_all("", log("postgres")).unwrap().is_empty());
    }

    #[test]
    fn a_busy_machine_has_more_time() {
        assert_eq!(runnable("21.16 19.42 14.27 5/1072 31882"), Some(21.16));
        let quiet = Duration::from_secs(1);
        assert!((quiet..=quiet * 10).contains(&stretched(quiet)));
    }

    #[test]
    fn each_disaster_comes_before_one_comes_again() {
        let mut rng = StdRng::seed_from_u64(1);
        let befalling = Disaster::parse_all("all", log("postgres")).unwrap().into_iter();
        let mut order = Order::new(befalling.filter(|&disaster| disaster != Disaster::Drops).collect());
        assert!(!order.has_drawn_all());
        for _ in 0..3 {
            let mut drawn: Vec<_> = (0..5).filter_map(|_| order.next(&mut rng)).map(Disaster::name).collect();
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), 5);
            assert!(order.has_drawn_all());
        }
    }
}
