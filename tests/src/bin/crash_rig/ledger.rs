//! What came of it, and whether the guarantee was kept.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::args::{Args, Guarantee};
use crate::effects::Effect;
use crate::executioner::Executed;
use crate::sender::{Events, HELD, Known, Tally};
use crate::workers::Workers;

/// So many of each breach are shown.
const SHOWN: usize = 5;

/// From here on a run under the fence loses something by chance.
const LONG: Duration = Duration::from_mins(1);

/// Stores count whole milliseconds, on clocks of their own.
const CLOCKS_DIFFER_BY: Duration = Duration::from_millis(5);

/// A column of the machine's line, its words in the table, and its number.
type Count = (&'static str, &'static str, u64);

pub(crate) struct Ledger {
    args: Args,
    counts: Vec<Count>,
    /// What was broken, in words; empty where the guarantee was kept.
    breaches: Vec<String>,
}

/// Events by what happened to them. Each list is of what the guarantee may forbid.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    unacknowledged: Vec<String>,
    /// The loss that was arranged.
    arranged: Vec<String>,
    lost: Vec<String>,
    /// Of the lost, those that no attempt was interrupted of, or whose handler answered.
    unexplained: Vec<String>,
    /// A second effect, under claim with a fence that was seen before.
    doubled: Vec<String>,
    /// A second effect under a higher fence.
    again: Vec<String>,
    /// Under a lower fence than one before: by who stood still in the body, and is refused by a system that
    /// compares fences.
    late: Vec<String>,
    /// Of the late, those who surely had the event when the one under the higher fence had its effect.
    overlapping: Vec<String>,
    /// Under a higher fence, when the sender had heard that the event was processed.
    after_acknowledgement: Vec<String>,
}

impl Findings {
    pub(crate) fn of(guarantee: Guarantee, events: &Events, effects: &[Effect]) -> Self {
        let mut of_event: HashMap<&str, Vec<&Effect>> = HashMap::new();
        for effect in effects {
            of_event.entry(&effect.event).or_default().push(effect);
        }
        let mut findings = Self::default();
        for (event, known) in events.iter().collect::<BTreeMap<_, _>>() {
            let effects = of_event.get(event.as_str()).map_or(&[][..], Vec::as_slice);
            if known.acknowledged.is_none() {
                findings.unacknowledged.push(event.clone());
            } else if effects.is_empty() {
                findings.lose(event, *known);
            }
            for (nth, effect) in effects.iter().enumerate() {
                let before = effects.get(..nth).unwrap_or_default();
                // Only under a claim does a duplicate's 2xx say that the event is processed, and effects know
                // their time.
                let settled = known.acknowledged.filter(|_| guarantee == Guarantee::Claim);
                let told = || format!("{event}: {}", told(effects, *known));
                if let Some(list) = findings.list_for(effect, before, settled) {
                    list.push(told());
                }
                if overlaps(effect, before) {
                    findings.overlapping.push(told());
                }
            }
        }
        findings
    }

    fn lose(&mut self, event: &str, known: Known) {
        if event == HELD {
            self.arranged.push(event.to_owned());
            return;
        }
        self.lost.push(event.to_owned());
        if known.interrupted == 0 || known.ran {
            self.unexplained.push(format!("{event}: {known:?}"));
        }
    }

    /// `before`: the event's earlier effects.
    fn list_for(
        &mut self,
        effect: &Effect,
        before: &[&Effect],
        settled: Option<u64>,
    ) -> Option<&mut Vec<String>> {
        let highest = before.iter().map(|earlier| earlier.fence).max();
        if before.iter().any(|earlier| earlier.fence == effect.fence) {
            Some(&mut self.doubled)
        } else if highest.is_some_and(|highest| effect.fence < highest) {
            Some(&mut self.late)
        } else if effect.at.zip(settled).is_some_and(|(at, settled)| at > settled) {
            Some(&mut self.after_acknowledgement)
        } else {
            highest.map(|_| &mut self.again)
        }
    }

    fn breaches(&self, guarantee: Guarantee) -> Vec<String> {
        let lost = if guarantee == Guarantee::Fence { &self.unexplained } else { &self.lost };
        let forbidden: &[(&str, &[String])] = &[
            ("never acknowledged", &self.unacknowledged),
            ("lost", lost),
            ("doubled", &self.doubled),
            ("had their effect while another delivery had the event", &self.overlapping),
            ("had their effect after they were acknowledged", &self.after_acknowledgement),
        ];
        let mut breaches: Vec<String> = forbidden
            .iter()
            .filter(|(_, events)| !events.is_empty())
            .map(|(what, events)| {
                let shown = events.get(..SHOWN).unwrap_or(events).join("\n    ");
                format!("{} {what}:\n    {shown}", events.len())
            })
            .collect();
        if guarantee == Guarantee::Fence && self.arranged.is_empty() {
            breaches.push("the loss that was arranged was not found: the rig is blind".to_owned());
        }
        breaches
    }
}

/// Whether this effect is late, and its delivery surely had the event when one under a higher fence had its
/// effect: the lease was still to run when somebody else got the next one.
///
/// Who gives an event back does so behind its own effect, which is then not late.
fn overlaps(effect: &Effect, before: &[&Effect]) -> bool {
    let held_until = u128::from(effect.held_until).saturating_sub(CLOCKS_DIFFER_BY.as_nanos());
    let had = |other: &&&Effect| other.at.is_some_and(|at| u128::from(at) < held_until);
    before.iter().filter(|other| other.fence > effect.fence).any(|other| had(&other))
}

/// One event's effects, for who looks into it.
fn told(effects: &[&Effect], known: Known) -> String {
    let told = |effect: &&Effect| {
        let Effect { fence, held_until, at, .. } = effect;
        format!("fence {fence} at {at:?}, held until {held_until}")
    };
    format!("{}, {known:?}", effects.iter().map(told).collect::<Vec<_>>().join("; "))
}

impl Ledger {
    pub(crate) fn new(
        args: Args,
        tally: &Tally,
        executed: &Executed,
        workers: &Workers,
        events: &Events,
        effects: &[Effect],
    ) -> Self {
        let findings = Findings::of(args.guarantee, events, effects);
        let mut breaches = findings.breaches(args.guarantee);
        breaches.extend(
            workers.ended_by_themselves().iter().map(|status| format!("a worker ended by itself: {status}")),
        );
        breaches.extend(too_little(&args, executed, &findings));
        if effects.is_empty() {
            breaches.push("nothing happened".to_owned());
        }
        let of = |list: &[String]| length(list.len());
        let counts = vec![
            ("events", "events sent", length(events.len())),
            ("deliveries", "deliveries", number(&tally.deliveries)),
            ("processed", "  answered 201, processed", number(&tally.processed)),
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
            ("doubled", "doubled, under the same fence", of(&findings.doubled)),
            ("again", "again, under a higher fence", of(&findings.again)),
            ("late", "late, under a lower fence", of(&findings.late)),
            ("overlapping", "  while the event was surely its own", of(&findings.overlapping)),
            ("after", "after the acknowledgement", of(&findings.after_acknowledgement)),
            ("worker_kills", "worker kills", number(&executed.worker_kills)),
            ("worker_stops", "worker stops, longer than a lease", number(&executed.worker_stops)),
            ("database_kills", database_kills(&args), number(&executed.database_kills)),
            ("cuts", "cuts of all connections", number(&executed.cuts)),
            ("stalls", "stalls of all connections", number(&executed.stalls)),
        ];
        Self { args, counts, breaches }
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.breaches.is_empty()
    }

    fn verdict(&self) -> &'static str {
        if self.is_kept() { "kept" } else { "BROKEN" }
    }

    /// One line, for a machine.
    pub(crate) fn line(&self) -> String {
        let Args { log, guarantee, length, seed } = self.args;
        let words = [
            format!("crash_rig log={} guarantee={}", log.name(), guarantee.name()),
            format!("seconds={} seed={seed}", length.as_secs()),
        ];
        let counts = self.counts.iter().map(|(name, _, count)| format!("{name}={count}"));
        let verdict = format!("verdict={}", self.verdict());
        words.into_iter().chain(counts).chain([verdict]).collect::<Vec<_>>().join(" ")
    }
}

/// What a run of this length has to see, so that "kept" says something.
fn too_little(args: &Args, executed: &Executed, findings: &Findings) -> Vec<String> {
    let of_a_server = if args.has_server() { 30 } else { 0 };
    let in_three_minutes = [
        ("worker kills", &executed.worker_kills, 100),
        ("worker stops", &executed.worker_stops, 10),
        (database_kills(args), &executed.database_kills, 30),
        ("cuts", &executed.cuts, of_a_server),
        ("stalls", &executed.stalls, of_a_server),
    ];
    let mut too_little: Vec<String> = in_three_minutes
        .into_iter()
        .map(|(what, done, least)| (what, number(done), least * args.length.as_secs() / 180))
        .filter(|(_, done, least)| done < least)
        .map(|(what, done, least)| format!("{what}: {done}, and {least} would be the least"))
        .collect();
    if args.guarantee == Guarantee::Fence && args.length >= LONG && findings.lost.is_empty() {
        too_little.push("nothing was lost by chance under the fence: the rig does not bite".to_owned());
    }
    if length(findings.late.len()) > number(&executed.worker_stops) {
        too_little.push("more effects are late than workers were stopped".to_owned());
    }
    too_little
}

fn database_kills(args: &Args) -> &'static str {
    if args.has_server() { "database kills" } else { "kills of all workers at once: there is no server" }
}

fn number(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A table, for a reader.
impl fmt::Display for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Args { log, guarantee, length, seed } = self.args;
        let title = format!("{} of {}, {} s, seed {seed}", guarantee.name(), log.name(), length.as_secs());
        writeln!(formatter, "\n{title}\n{}", "-".repeat(58))?;
        for (_, words, count) in &self.counts {
            writeln!(formatter, "{words:<48}{count:>10}")?;
        }
        writeln!(formatter, "{}\nguarantee {}", "-".repeat(58), self.verdict())?;
        self.breaches.iter().try_for_each(|breach| writeln!(formatter, "  {breach}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    fn known(acknowledged: Option<u64>) -> Known {
        Known { acknowledged, ..Known::default() }
    }

    fn findings(guarantee: Guarantee, known: Known, effects: &[(u64, u64)]) -> Findings {
        let effect = |&(fence, at)| Effect { event: "evt".to_owned(), fence, held_until: 0, at: Some(at) };
        let effects: Vec<_> = effects.iter().map(effect).collect();
        Findings::of(guarantee, &[("evt".to_owned(), known)].into(), &effects)
    }

    impl Findings {
        fn names(&self) -> Vec<&'static str> {
            [
                ("unacknowledged", &self.unacknowledged),
                ("arranged", &self.arranged),
                ("lost", &self.lost),
                ("unexplained", &self.unexplained),
                ("doubled", &self.doubled),
                ("again", &self.again),
                ("late", &self.late),
                ("overlapping", &self.overlapping),
                ("after", &self.after_acknowledgement),
            ]
            .into_iter()
            .filter_map(|(name, list)| (!list.is_empty()).then_some(name))
            .collect()
        }
    }

    #[test]
    fn each_breach_is_found() {
        use Guarantee::{Claim, Fence, Transaction};
        for (guarantee, acknowledged, effects, found, is_kept) in [
            (Fence, Some(9), &[(0, 20)][..], &[][..], true),
            (Fence, Some(9), &[(0, 1), (0, 2)], &["doubled"], false),
            (Claim, Some(9), &[(1, 1)], &[], true),
            (Claim, None, &[(1, 1)], &["unacknowledged"], false),
            (Claim, Some(9), &[], &["lost", "unexplained"], false),
            (Claim, Some(9), &[(1, 1), (2, 2)], &["again"], true),
            (Claim, Some(9), &[(2, 1), (1, 20)], &["late"], true),
            (Claim, Some(9), &[(1, 1), (1, 2)], &["doubled"], false),
            (Claim, Some(9), &[(1, 1), (2, 20)], &["after"], false),
            (Transaction, Some(9), &[(0, 20)], &[], true),
            (Transaction, Some(9), &[], &["lost", "unexplained"], false),
            (Transaction, Some(9), &[(0, 1), (0, 2)], &["doubled"], false),
        ] {
            let mut findings = findings(guarantee, known(acknowledged), effects);
            assert_eq!(findings.names(), found, "{guarantee:?} {effects:?}");
            findings.arranged.push(HELD.to_owned());
            assert_eq!(findings.breaches(guarantee).is_empty(), is_kept, "{guarantee:?} {effects:?}");
        }
    }

    #[test]
    fn under_the_fence_an_interruption_explains_a_loss_unless_the_handler_answered() {
        let lost = |interrupted, ran| {
            let mut findings = findings(Guarantee::Fence, Known { ran, interrupted, ..known(Some(9)) }, &[]);
            findings.arranged.push(HELD.to_owned());
            (findings.names().contains(&"unexplained"), findings.breaches(Guarantee::Fence).is_empty())
        };
        assert_eq!(lost(1, false), (false, true));
        assert_eq!(lost(0, false), (true, false));
        assert_eq!(lost(1, true), (true, false));
    }

    #[test]
    fn the_loss_that_is_arranged_has_to_be_found() {
        let events: Events = [(HELD.to_owned(), known(Some(9)))].into();
        let lost = Findings::of(Guarantee::Fence, &events, &[]);
        assert_eq!(lost.names(), ["arranged"]);
        assert!(lost.breaches(Guarantee::Fence).is_empty());
        let effect = Effect { event: HELD.to_owned(), fence: 0, held_until: 0, at: Some(1) };
        assert!(!Findings::of(Guarantee::Fence, &events, &[effect]).breaches(Guarantee::Fence).is_empty());
    }

    #[test]
    fn a_late_effect_overlaps_where_the_lease_of_its_delivery_was_still_to_run() {
        let effect = |fence, at, held_until| Effect {
            event: "evt".to_owned(),
            fence,
            held_until: held_until * MILLISECOND,
            at: Some(at * MILLISECOND),
        };
        let overlaps = |effects: &[Effect]| {
            let findings =
                Findings::of(Guarantee::Claim, &[("evt".to_owned(), known(Some(u64::MAX)))].into(), effects);
            assert_eq!(findings.overlapping.is_empty(), findings.breaches(Guarantee::Claim).is_empty());
            !findings.overlapping.is_empty()
        };
        assert!(overlaps(&[effect(2, 100, 600), effect(1, 90, 200)]));
        assert!(!overlaps(&[effect(2, 300, 800), effect(1, 90, 200)]), "it stood still past its lease");
        assert!(!overlaps(&[effect(2, 300, 800), effect(1, 900, 0)]), "it knew that it had lost the lease");
        assert!(!overlaps(&[effect(1, 90, 600), effect(2, 100, 600)]), "it failed, and gave the event back");
    }
}
