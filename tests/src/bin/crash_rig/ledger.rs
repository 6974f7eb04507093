//! What came of it, and whether the guarantee was kept.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::args::{Args, Guarantee};
use crate::effects::Effect;
use crate::executioner::Executed;
use crate::sender::{Acknowledged, Tally};

/// So many of each breach are shown.
const SHOWN: usize = 5;

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
    lost: Vec<String>,
    /// A second effect, under claim with a fence that was seen before.
    doubled: Vec<String>,
    /// A second effect under a higher fence.
    again: Vec<String>,
    /// Under a lower fence than one before: by who stood still in the body, and is refused by a system that
    /// compares fences.
    late: Vec<String>,
    /// Under a higher fence, when the sender had heard that the event was processed.
    after_acknowledgement: Vec<String>,
}

impl Findings {
    pub(crate) fn of(guarantee: Guarantee, acknowledged: &Acknowledged, effects: &[Effect]) -> Self {
        let mut of_event: HashMap<&str, Vec<&Effect>> = HashMap::new();
        for effect in effects {
            of_event.entry(&effect.event).or_default().push(effect);
        }
        let mut findings = Self::default();
        for (event, heard) in acknowledged.iter().collect::<BTreeMap<_, _>>() {
            let effects = of_event.get(event.as_str()).map_or(&[][..], Vec::as_slice);
            match heard {
                None => findings.unacknowledged.push(event.clone()),
                Some(_) if effects.is_empty() => findings.lost.push(event.clone()),
                Some(_) => {}
            }
            for (nth, effect) in effects.iter().enumerate() {
                let before = effects.get(..nth).unwrap_or_default();
                // Only under a claim does a duplicate's 2xx say that the event is processed, and effects know
                // their time.
                let settled = heard.filter(|_| guarantee == Guarantee::Claim);
                if let Some(list) = findings.list_for(effect, before, settled) {
                    list.push(format!("{event}: {}", told(effects, *heard)));
                }
            }
        }
        findings
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
        let forbidden: &[(&str, &[String])] = &[
            ("never acknowledged", &self.unacknowledged),
            ("lost", if guarantee == Guarantee::Fence { &[] } else { &self.lost }),
            ("doubled", &self.doubled),
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
        if guarantee == Guarantee::Fence && self.lost.is_empty() {
            breaches.push("nothing was lost under the fence: the rig does not bite".to_owned());
        }
        breaches
    }
}

/// One event's effects, for who looks into it.
fn told(effects: &[&Effect], heard: Option<u64>) -> String {
    let told = effects.iter().map(|effect| format!("fence {} at {:?}", effect.fence, effect.at));
    format!("{}, acknowledged at {heard:?}", told.collect::<Vec<_>>().join(", "))
}

impl Ledger {
    pub(crate) fn new(
        args: Args,
        tally: &Tally,
        executed: &Executed,
        acknowledged: &Acknowledged,
        effects: &[Effect],
    ) -> Self {
        let findings = Findings::of(args.guarantee, acknowledged, effects);
        let mut breaches = findings.breaches(args.guarantee);
        if effects.is_empty() || number(&executed.worker_kills) == 0 {
            breaches.push("nothing happened".to_owned());
        }
        let events = acknowledged.len();
        let counts = vec![
            ("events", "events sent", length(events)),
            ("deliveries", "deliveries", number(&tally.deliveries)),
            ("processed", "  answered 201, processed", number(&tally.processed)),
            ("duplicates", "  answered 200, a duplicate", number(&tally.duplicates)),
            ("in_progress", "  answered 409, in progress or lease lost", number(&tally.in_progress)),
            ("unavailable", "  answered 503, store unavailable", number(&tally.unavailable)),
            ("other", "  answered otherwise, the handler failed", number(&tally.other)),
            ("unanswered", "  not answered", number(&tally.unanswered)),
            ("hung_up", "  hung up early", number(&tally.hung_up)),
            ("acknowledged", "events acknowledged", length(events - findings.unacknowledged.len())),
            ("effects", "effects", length(effects.len())),
            ("lost", "lost: acknowledged, no effect", length(findings.lost.len())),
            ("doubled", "doubled, under the same fence", length(findings.doubled.len())),
            ("again", "again, under a higher fence", length(findings.again.len())),
            ("late", "late, under a lower fence", length(findings.late.len())),
            ("after", "after the acknowledgement", length(findings.after_acknowledgement.len())),
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

    fn findings(guarantee: Guarantee, heard: Option<u64>, effects: &[(u64, u64)]) -> Findings {
        let effect = |&(fence, at)| Effect { event: "evt".to_owned(), fence, at: Some(at) };
        let effects: Vec<_> = effects.iter().map(effect).collect();
        Findings::of(guarantee, &[("evt".to_owned(), heard)].into(), &effects)
    }

    #[test]
    fn each_breach_is_found() {
        use Guarantee::{Claim, Fence, Transaction};
        let names = |findings: &Findings| -> Vec<&str> {
            let Findings { unacknowledged, lost, doubled, again, late, after_acknowledgement } = findings;
            [("unacknowledged", unacknowledged), ("lost", lost), ("doubled", doubled), ("again", again)]
                .into_iter()
                .chain([("late", late), ("after", after_acknowledgement)])
                .filter_map(|(name, list)| (!list.is_empty()).then_some(name))
                .collect()
        };
        for (guarantee, heard, effects, found, is_kept) in [
            (Fence, Some(9), &[(0, 20)][..], &[][..], false),
            (Fence, Some(9), &[], &["lost"], true),
            (Fence, Some(9), &[(0, 1), (0, 2)], &["doubled"], false),
            (Claim, Some(9), &[(1, 1)], &[], true),
            (Claim, None, &[(1, 1)], &["unacknowledged"], false),
            (Claim, Some(9), &[], &["lost"], false),
            (Claim, Some(9), &[(1, 1), (2, 2)], &["again"], true),
            (Claim, Some(9), &[(2, 1), (1, 20)], &["late"], true),
            (Claim, Some(9), &[(1, 1), (1, 2)], &["doubled"], false),
            (Claim, Some(9), &[(1, 1), (2, 20)], &["after"], false),
            (Transaction, Some(9), &[(0, 20)], &[], true),
            (Transaction, Some(9), &[], &["lost"], false),
            (Transaction, Some(9), &[(0, 1), (0, 2)], &["doubled"], false),
        ] {
            let findings = findings(guarantee, heard, effects);
            assert_eq!(names(&findings), found, "{guarantee:?} {effects:?}");
            assert_eq!(findings.breaches(guarantee).is_empty(), is_kept, "{guarantee:?} {effects:?}");
        }
    }
}
