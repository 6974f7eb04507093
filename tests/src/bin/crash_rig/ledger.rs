//! The counts of a run, and whether the guarantee was kept.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::args::{Args, Guarantee};
use crate::disasters::{Disaster, stretched};
use crate::effects::Effect;
use crate::executioner::Executed;
use crate::findings::Findings;
use crate::sender::{Events, Tally};
use crate::workers::Workers;

/// A run of this length loses something by chance under the fence.
const LONG: Duration = Duration::from_mins(1);

/// A count: its name in the line for machines, its words in the table, and its value.
type Count = (&'static str, &'static str, u64);

/// What is there at the end of a run.
pub(crate) struct Left {
    pub(crate) effects: Vec<Effect>,
    /// How many events were acknowledged after their effect, and are not marked.
    pub(crate) forgotten: u64,
}

pub(crate) struct Ledger {
    args: Args,
    counts: Vec<Count>,
    /// What was broken, in words. Empty if the guarantee was kept.
    breaches: Vec<String>,
    /// Events that were lost because a worker was killed after it answered with an error.
    explained: Vec<String>,
}

impl Ledger {
    pub(crate) fn new(
        args: Args,
        tally: &Tally,
        executed: &Executed,
        workers: &Workers,
        events: &Events,
        Left { effects, forgotten }: &Left,
        back_after: &[Duration],
    ) -> Self {
        let findings = Findings::of(args.guarantee, events, effects);
        let mut breaches = findings.breaches(args.guarantee);
        breaches.extend(
            workers.ended_by_themselves().iter().map(|status| format!("a worker ended by itself: {status}")),
        );
        breaches.extend(too_little(
            &args,
            executed,
            &findings,
            stretched(Duration::from_secs(1)).as_secs_f64(),
        ));
        if effects.is_empty() {
            breaches.push("nothing happened".to_owned());
        }
        if args.disasters.contains(&Disaster::Drops) && number(&tally.dropped_at_once) == 0 {
            breaches.push("no deliveries were dropped at once".to_owned());
        }
        let of = |list: &[String]| length(list.len());
        let befallen = |disaster| executed.befallen.number(disaster);
        let mut counts = vec![
            ("events", "events sent", length(events.len())),
            ("deliveries", "deliveries", number(&tally.deliveries)),
            ("processed", "  answered 201 or 202", number(&tally.processed)),
            ("duplicates", "  answered 200, a duplicate", number(&tally.duplicates)),
            ("in_progress", "  answered 409, in progress or lease lost", number(&tally.in_progress)),
            ("unavailable", "  answered 503, store unavailable", number(&tally.unavailable)),
            ("other", "  answered otherwise, the handler failed", number(&tally.other)),
            ("unanswered", "  not answered", number(&tally.unanswered)),
            ("hung_up", "  hung up early", number(&tally.hung_up)),
            ("acknowledged", "events acknowledged", length(events.len() - findings.unacknowledged.len())),
            ("effects", "effects", length(effects.len())),
            ("arranged", "lost as arranged", of(&findings.arranged)),
            ("lost", "lost: acknowledged, no effect", of(&findings.lost)),
            ("unexplained", "  that no interruption explains", of(&findings.unexplained)),
            ("lost_after_error", "  after an error reply, uninterrupted", of(&findings.lost_after_error)),
            (
                "killed_after_error",
                "  its worker killed after an error reply",
                of(&findings.lost_by_kill_after_error),
            ),
            ("doubled", "doubled, under the same fencing token", of(&findings.doubled)),
            ("again", "again, under a higher fencing token", of(&findings.again)),
            ("late", "late, under a lower fencing token", of(&findings.late)),
            ("overlapping", "  while the event was surely its own", of(&findings.overlapping)),
            ("after", "after the acknowledgement", of(&findings.after_acknowledgement)),
            ("forgotten", "acknowledged after its effect, and not marked at the end", *forgotten),
            ("worker_kills", "worker kills", number(&executed.worker_kills)),
            ("worker_stops", "worker stops, longer than a lease", number(&executed.worker_stops)),
            ("database_kills", database_kills(&args), number(&executed.database_kills)),
            ("cuts", "cuts of all connections", number(&executed.cuts)),
            ("stalls", "stalls of all connections", number(&executed.stalls)),
            ("table_locks", "table locks, longer than every deadline", befallen(Disaster::TableLock)),
            ("row_locks", "locks of 200 rows, as long", befallen(Disaster::RowLocks)),
            ("freezes", "stops of the server, as long", befallen(Disaster::Freeze)),
            ("failovers", "failovers", befallen(Disaster::Failover)),
            ("promotions", "promotions", befallen(Disaster::Promote)),
            ("absences", "promotions after an absence", befallen(Disaster::Absence)),
            ("partitions", "partitions of the network", befallen(Disaster::Partition)),
            ("comebacks", "promotions whose old primary came back", befallen(Disaster::Comeback)),
            ("read_only", "times that the server was read-only", befallen(Disaster::ReadOnly)),
            ("drops", "hundreds of deliveries dropped at once", number(&tally.dropped_at_once)),
        ];
        // Other runs have no time without disturbances to compare with.
        if args.picture.is_some() {
            counts.push((
                "back_median_ms",
                "ms from a promotion to full speed, median",
                milliseconds(back_after, 2),
            ));
            counts.push(("back_max_ms", "  the longest", milliseconds(back_after, 1)));
        }
        let explained = findings.killed_after_error().to_vec();
        Self { args, counts, breaches, explained }
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.breaches.is_empty()
    }

    fn verdict(&self) -> &'static str {
        if self.is_kept() { "kept" } else { "BROKEN" }
    }

    /// One line for machines.
    pub(crate) fn line(&self) -> String {
        let Args { log, guarantee, length, seed, .. } = self.args;
        let words = [
            format!("crash_rig log={} guarantee={}", log.name, guarantee.name()),
            format!("seconds={} seed={seed}", length.as_secs()),
        ];
        let counts = self.counts.iter().map(|(name, _, count)| format!("{name}={count}"));
        let verdict = format!("verdict={}", self.verdict());
        words.into_iter().chain(counts).chain([verdict]).collect::<Vec<_>>().join(" ")
    }
}

/// What a run of this length should have seen and has not: "kept" would prove too little. On a machine that stretches
/// every pause, it sees less.
fn too_little(args: &Args, executed: &Executed, findings: &Findings, stretch: f64) -> Vec<String> {
    let of_a_server = if args.log.kind.protocol().is_some() { 30 } else { 0 };
    // Nothing else happens during a disaster.
    let seconds = args.length.saturating_sub(executed.befallen.took()).div_f64(stretch).as_secs();
    let in_three_minutes = [
        ("worker kills", &executed.worker_kills, 100),
        ("worker stops", &executed.worker_stops, 10),
        (database_kills(args), &executed.database_kills, 30),
        ("cuts", &executed.cuts, of_a_server),
        ("stalls", &executed.stalls, of_a_server),
    ];
    let in_three_minutes = if args.picture.is_some() { &[] } else { &in_three_minutes[..] };
    let mut too_little: Vec<String> = in_three_minutes
        .iter()
        .map(|&(what, done, least)| (what, number(done), least * seconds / 180))
        .filter(|(_, done, least)| done < least)
        .map(|(what, done, least)| format!("{what}: {done}, and {least} would be the least"))
        .collect();
    let disasters = args.disasters.iter().filter(|disaster| **disaster != Disaster::Drops);
    let missing = disasters.filter(|disaster| executed.befallen.number(**disaster) == 0);
    too_little.extend(missing.map(|disaster| format!("{} never took place", disaster.name())));
    if args.guarantee == Guarantee::Fence && args.length >= LONG && findings.lost.is_empty() {
        too_little.push("nothing was lost by chance under the fence: the rig does not bite".to_owned());
    }
    if length(findings.late.len()) > number(&executed.worker_stops) {
        too_little.push("more effects are late than workers were stopped".to_owned());
    }
    too_little
}

fn database_kills(args: &Args) -> &'static str {
    if args.log.has_server() { "database kills" } else { "kills of all workers at once: there is no server" }
}

/// The median (2) or the last (1) of durations in ascending order.
fn milliseconds(sorted: &[Duration], divisor: usize) -> u64 {
    let at = (sorted.len() / divisor).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0, |duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn number(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A table for people.
impl fmt::Display for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Args { log, guarantee, length, seed, .. } = self.args;
        let title = format!("{} of {}, {} s, seed {seed}", guarantee.name(), log.name, length.as_secs());
        writeln!(formatter, "\n{title}\n{}", "-".repeat(58))?;
        for (_, words, count) in &self.counts {
            writeln!(formatter, "{words:<48}{count:>10}")?;
        }
        writeln!(formatter, "{}\nguarantee {}", "-".repeat(58), self.verdict())?;
        self.breaches.iter().try_for_each(|breach| writeln!(formatter, "  {breach}"))?;
        self.explained.iter().try_for_each(|event| writeln!(formatter, "  explained: {event}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Log;

    fn run(log: &str, guarantee: Guarantee, seconds: u64) -> Args {
        let log = Log::parse(log).unwrap();
        Args {
            log,
            guarantee,
            length: Duration::from_secs(seconds),
            seed: 1,
            disasters: Vec::new(),
            picture: None,
        }
    }

    /// The least that a run of three minutes has to see.
    fn executed() -> Executed {
        let [worker_kills, worker_stops, database_kills, cuts, stalls] =
            [100, 10, 30, 30, 30].map(AtomicU64::new);
        Executed { worker_kills, worker_stops, database_kills, cuts, stalls, ..Executed::default() }
    }

    fn lost(events: usize) -> Findings {
        Findings { lost: vec![String::new(); events], ..Findings::default() }
    }

    #[test]
    fn a_run_has_to_see_each_disturbance_often_enough() {
        let claim = run("postgres", Guarantee::Claim, 180);
        assert!(too_little(&claim, &executed(), &Findings::default(), 1.0).is_empty());
        for kind in 0..5 {
            let one_less = executed();
            let Executed { worker_kills, worker_stops, database_kills, cuts, stalls, .. } = &one_less;
            [worker_kills, worker_stops, database_kills, cuts, stalls][kind].fetch_sub(1, Ordering::Relaxed);
            assert_eq!(too_little(&claim, &one_less, &Findings::default(), 1.0).len(), 1, "{kind}");
            let shorter = run("postgres", Guarantee::Claim, 120);
            assert!(too_little(&shorter, &one_less, &Findings::default(), 1.0).is_empty(), "{kind}");
        }
    }

    #[test]
    fn a_log_without_a_server_has_no_connections_to_cut() {
        let uncut = Executed { cuts: AtomicU64::new(0), stalls: AtomicU64::new(0), ..executed() };
        assert!(
            too_little(&run("sqlite", Guarantee::Claim, 180), &uncut, &Findings::default(), 1.0).is_empty()
        );
        assert_eq!(
            too_little(&run("redis", Guarantee::Claim, 180), &uncut, &Findings::default(), 1.0).len(),
            2
        );
    }

    #[test]
    fn each_disaster_has_to_take_place() {
        let disasters = vec![Disaster::Freeze, Disaster::Drops];
        let args = Args { disasters, ..run("postgres", Guarantee::Claim, 3) };
        let executed = executed();
        assert_eq!(too_little(&args, &executed, &Findings::default(), 1.0), ["freeze never took place"]);
        executed.befallen.count(Disaster::Freeze, Duration::from_secs(3));
        assert!(too_little(&args, &executed, &Findings::default(), 1.0).is_empty());
    }

    #[test]
    fn a_long_run_under_the_fence_has_to_lose_something() {
        let fence = |seconds| run("sqlite", Guarantee::Fence, seconds);
        assert_eq!(too_little(&fence(180), &executed(), &lost(0), 1.0).len(), 1);
        assert!(too_little(&fence(180), &executed(), &lost(1), 1.0).is_empty());
        assert!(too_little(&fence(3), &executed(), &lost(0), 1.0).is_empty(), "by chance, in a short one");
    }

    #[test]
    fn only_a_worker_that_stood_still_explains_a_late_effect() {
        let late = |events| Findings { late: vec![String::new(); events], ..Findings::default() };
        let claim = run("sqlite", Guarantee::Claim, 180);
        assert!(too_little(&claim, &executed(), &late(10), 1.0).is_empty());
        assert_eq!(too_little(&claim, &executed(), &late(11), 1.0).len(), 1);
    }
}
