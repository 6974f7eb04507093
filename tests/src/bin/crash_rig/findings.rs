//! What happened to the events, and which of it the guarantee forbids.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::args::Guarantee;
use crate::effects::Effect;
use crate::sender::{ErrorReply, Events, HELD, Known};

/// How many events of each breach are shown.
const SHOWN: usize = 5;

/// Stores round to milliseconds, on their own clocks.
const CLOCKS_DIFFER_BY: Duration = Duration::from_millis(5);

/// Events by what happened to them, if a guarantee may forbid it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) unacknowledged: Vec<String>,
    /// The event whose loss was arranged.
    pub(crate) arranged: Vec<String>,
    pub(crate) lost: Vec<String>,
    /// Of the lost, those without an interruption that explains it, or whose handler answered.
    pub(crate) unexplained: Vec<String>,
    /// Of the lost, those without an interruption, a delivery of which was answered with an error.
    pub(crate) lost_after_error: Vec<String>,
    /// Of the lost, those without an interruption but that of a worker after it answered with an error.
    pub(crate) lost_by_kill_after_error: Vec<String>,
    /// A second effect, under claim with a token that was seen before.
    pub(crate) doubled: Vec<String>,
    /// A second effect under a higher fencing token.
    pub(crate) again: Vec<String>,
    /// An effect under a lower fencing token than an earlier one: its worker stood still in the body. A system that
    /// compares fencing tokens refuses it.
    pub(crate) late: Vec<String>,
    /// Of the late ones, those whose delivery surely held the event at the effect under the higher fencing token.
    pub(crate) overlapping: Vec<String>,
    /// An effect under a higher fencing token, after the sender heard that the event was processed.
    pub(crate) after_acknowledgement: Vec<String>,
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
                findings.lose(event, known);
            }
            for (nth, effect) in effects.iter().enumerate() {
                let before = effects.get(..nth).unwrap_or_default();
                // Only under a claim does the 2xx of a duplicate mean that the event is processed, and only there do
                // effects have a time.
                let settled = known.acknowledged.filter(|_| guarantee == Guarantee::Claim);
                let told = || format!("{event}: {}", told(effects, known));
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

    /// An interruption (a client that hung up, a worker that was killed or stopped) may have ended a body in its
    /// middle, which loses the event under the fence. An error reply explains nothing: the body did not run, so its
    /// mark has to go. It does if its worker was killed or stopped before it took the mark back, and before the sender
    /// that heard the error came back: marks that are to be taken back are in the worker's memory.
    fn lose(&mut self, event: &str, known: &Known) {
        if event == HELD {
            self.arranged.push(event.to_owned());
            return;
        }
        self.lost.push(event.to_owned());
        let list = match (known.interrupted, known.errors_of_interrupted(), known.errors.is_empty()) {
            _ if known.ran => &mut self.unexplained,
            (0, 0, true) => &mut self.unexplained,
            (0, 0, false) => &mut self.lost_after_error,
            (0, 1.., _) => {
                self.lost_by_kill_after_error.push(format!("{event}: {}", steps(known)));
                return;
            }
            (1.., ..) => return,
        };
        list.push(format!("{event}: {known:?}"));
    }

    /// `before`: the event's earlier effects.
    fn list_for(
        &mut self,
        effect: &Effect,
        before: &[&Effect],
        settled: Option<u64>,
    ) -> Option<&mut Vec<String>> {
        let highest = before.iter().map(|earlier| earlier.token).max();
        if before.iter().any(|earlier| earlier.token == effect.token) {
            Some(&mut self.doubled)
        } else if highest.is_some_and(|highest| effect.token < highest) {
            Some(&mut self.late)
        } else if effect.at.zip(settled).is_some_and(|(at, settled)| at > settled) {
            Some(&mut self.after_acknowledgement)
        } else {
            highest.map(|_| &mut self.again)
        }
    }

    /// Losses that are explained by a kill after an error reply, for people.
    pub(crate) fn killed_after_error(&self) -> &[String] {
        self.lost_by_kill_after_error.get(..SHOWN).unwrap_or(&self.lost_by_kill_after_error)
    }

    pub(crate) fn breaches(&self, guarantee: Guarantee) -> Vec<String> {
        let is_fence = guarantee == Guarantee::Fence;
        let lost = if is_fence { &self.unexplained } else { &self.lost };
        let after_error = if is_fence { &self.lost_after_error[..] } else { &[] };
        // A sender that tries once knows that it was not heard.
        let unacknowledged = if guarantee.has_inbox() { &[] } else { self.unacknowledged.as_slice() };
        let forbidden: &[(&str, &[String])] = &[
            ("never acknowledged", unacknowledged),
            ("lost", lost),
            ("lost after an error reply", after_error),
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
        if is_fence && self.arranged.is_empty() {
            breaches.push("the loss that was arranged was not found: the rig is blind".to_owned());
        }
        breaches
    }
}

/// Whether this effect is late, and its delivery surely held the event at an effect under a higher fencing token: its
/// lease had not ended when another delivery got the next one.
///
/// A delivery that releases its event does so after its own effect, which is then not late.
fn overlaps(effect: &Effect, before: &[&Effect]) -> bool {
    let held_until = u128::from(effect.held_until).saturating_sub(CLOCKS_DIFFER_BY.as_nanos());
    let had = |other: &&&Effect| other.at.is_some_and(|at| u128::from(at) < held_until);
    before.iter().filter(|other| other.token > effect.token).any(|other| had(&other))
}

/// The errors of an event, in milliseconds after its first 2xx.
fn steps(known: &Known) -> String {
    let after = |at: u64| {
        let nanoseconds = i128::from(at) - i128::from(known.acknowledged.unwrap_or_default());
        format!("{:+} ms", nanoseconds / 1_000_000)
    };
    let told = |error: &ErrorReply| {
        let ErrorReply { begun, answered, life, interrupted_before, .. } = error;
        let came_back = interrupted_before.map_or("undisturbed".to_owned(), |at| {
            format!("{life:?} ended before its sender's 2xx at {}", after(at))
        });
        format!("an attempt from {} to its error at {}, {came_back}", after(*begun), after(*answered))
    };
    known.errors.iter().map(told).collect::<Vec<_>>().join("; ")
}

/// One event's effects, for people.
fn told(effects: &[&Effect], known: &Known) -> String {
    let told = |effect: &&Effect| {
        let Effect { token, held_until, at, .. } = effect;
        format!("token {token} at {at:?}, held until {held_until}")
    };
    format!("{}, {known:?}", effects.iter().map(told).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    fn known(acknowledged: Option<u64>) -> Known {
        Known { acknowledged, ..Known::default() }
    }

    fn findings(guarantee: Guarantee, known: Known, effects: &[(u64, u64)]) -> Findings {
        let effect = |&(token, at)| Effect { event: "evt".to_owned(), token, held_until: 0, at: Some(at) };
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
                ("lost after error", &self.lost_after_error),
                ("lost by kill after error", &self.lost_by_kill_after_error),
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
    fn only_an_interruption_explains_a_loss_under_the_fence() {
        let lost = |known| {
            let mut findings = findings(Guarantee::Fence, known, &[]);
            let names = findings.names();
            findings.arranged.push(HELD.to_owned());
            (names, findings.breaches(Guarantee::Fence).is_empty())
        };
        let errors = || vec![ErrorReply::default()];
        let interrupted = Known { interrupted: 1, ..known(Some(9)) };
        assert_eq!(lost(interrupted.clone()), (vec!["lost"], true));
        assert_eq!(lost(Known { errors: errors(), ..interrupted.clone() }), (vec!["lost"], true));
        assert_eq!(lost(Known { ran: true, ..interrupted }), (vec!["lost", "unexplained"], false));
        assert_eq!(lost(known(Some(9))), (vec!["lost", "unexplained"], false));
        let error = Known { errors: errors(), ..known(Some(9)) };
        assert_eq!(lost(error.clone()), (vec!["lost", "lost after error"], false));
        let interrupted = ErrorReply { interrupted_before: Some(8), ..ErrorReply::default() };
        let killed = Known { errors: vec![interrupted], ..error };
        assert_eq!(lost(killed), (vec!["lost", "lost by kill after error"], true));
    }

    #[test]
    fn the_arranged_loss_has_to_be_found() {
        let events: Events = [(HELD.to_owned(), known(Some(9)))].into();
        let lost = Findings::of(Guarantee::Fence, &events, &[]);
        assert_eq!(lost.names(), ["arranged"]);
        assert!(lost.breaches(Guarantee::Fence).is_empty());
        let effect = Effect { event: HELD.to_owned(), token: 0, held_until: 0, at: Some(1) };
        assert!(!Findings::of(Guarantee::Fence, &events, &[effect]).breaches(Guarantee::Fence).is_empty());
    }

    #[test]
    fn a_late_effect_within_its_lease_is_a_breach() {
        let effect = |token, at, held_until| Effect {
            event: "evt".to_owned(),
            token,
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
