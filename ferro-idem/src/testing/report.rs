//! What failed, in words.

use std::fmt;

use super::case::{Case, Kind};
use super::run::{Course, Guarantee, Outcome};
use crate::steps::Refusal;
use crate::steps::failing::Fails;
use crate::steps::told::{End, Seen};

/// More steps than these say nothing new: deliveries that are refused repeat them.
const MAX_STEPS: usize = 24;

/// What [`check`](super::check) found. Its text is a report for people.
#[derive(Clone, Debug)]
pub struct Report {
    handler: &'static str,
    cases: usize,
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(handler: &'static str) -> Self {
        Self { handler, cases: 0, findings: Vec::new() }
    }

    pub(super) fn record(&mut self, case: Case, guarantee: Option<Guarantee>, outcome: &Outcome) {
        self.cases += 1;
        if let Some(problem) = problem(case, guarantee, outcome) {
            let text = text(case, problem, guarantee, outcome);
            self.findings.push(Finding { case: case.name(), problem, text });
        }
    }

    /// How many cases ran.
    pub fn cases(&self) -> usize {
        self.cases
    }

    /// The cases that failed.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Fails the test if a case failed.
    ///
    /// # Panics
    ///
    /// With the report, if a case failed.
    #[track_caller]
    pub fn assert_passed(&self) {
        assert!(self.findings.is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, cases) = (self.findings.len(), self.cases);
        writeln!(formatter, "{}: {failed} of {cases} cases failed", self.handler)?;
        self.findings.iter().try_for_each(|finding| write!(formatter, "\n{finding}"))
    }
}

/// A case that failed. Its text says what was done, what was seen and what the usual reason is.
#[derive(Clone, Debug)]
pub struct Finding {
    case: String,
    problem: Problem,
    text: String,
}

impl Finding {
    /// The name for `FERRO_IDEM_CASE`.
    pub fn case(&self) -> &str {
        &self.case
    }

    /// What was wrong.
    pub fn problem(&self) -> Problem {
        self.problem
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// What was wrong after a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The handler called no log.
    NoLog,
    /// The event was accepted, and its effect has not happened.
    Lost,
    /// The effect happened this often.
    Doubled(usize),
    /// The effect happened after the reply.
    Late,
    /// The event was delivered again until the test gave up, and was never accepted.
    NeverAccepted,
    /// A delivery did not end within 30 seconds, or 10 seconds and an hour of the paused clock.
    TooLong,
}

fn problem(case: Case, guarantee: Option<Guarantee>, outcome: &Outcome) -> Option<Problem> {
    let may_be_missing = guarantee == Some(Guarantee::Fence) && case.disturbs();
    if outcome.course != Course::Ended {
        return Some(Problem::TooLong);
    }
    if guarantee.is_none() {
        return Some(Problem::NoLog);
    }
    if !outcome.accepted {
        return Some(Problem::NeverAccepted);
    }
    match outcome.effects {
        0 => (!may_be_missing).then_some(Problem::Lost),
        1 => (case.kind == Kind::Once && outcome.effects_at_reply == Some(0)).then_some(Problem::Late),
        more => Some(Problem::Doubled(more)),
    }
}

fn text(case: Case, problem: Problem, guarantee: Option<Guarantee>, outcome: &Outcome) -> String {
    let name = case.name();
    let failed = case.fault().and_then(|(position, _)| outcome.seen.get(position));
    let place = match (case.wait(), failed) {
        (Some(_), _) => format!(" at a wait of the first delivery: {}", outcome.place),
        (None, Some(seen)) => format!(": `{}`", seen.step),
        (None, None) => String::new(),
    };
    let advice = match problem {
        Problem::Lost if case.fault().is_some() => {
            "Does `on_error` or `deliver` turn an error of the log into a success?"
        }
        Problem::Lost if guarantee != Some(Guarantee::Fence) && outcome.has_fence() => {
            "A fence inside of the body lets its own body run at most once: use a claim there too."
        }
        _ => advice(problem, guarantee),
    };
    let panic = outcome.panic.as_ref();
    let panic = panic.map(|panic| format!("  The handler panicked: {panic}\n")).unwrap_or_default();
    let (problem, steps) = (problem_text(problem), steps(&outcome.seen));
    format!(
        "[{name}] {case}{place}.\n  {problem}\n{panic}  {advice}\n  Calls of the log: {steps}.\n  \
         To run only this case: FERRO_IDEM_CASE={name} cargo test\n"
    )
}

fn problem_text(problem: Problem) -> String {
    match problem {
        Problem::NoLog => "The handler called no log.".into(),
        Problem::Lost => "The event was accepted, but its effect is LOST.".into(),
        Problem::Doubled(effects) => format!("The effect is DOUBLED: it happened {effects} times."),
        Problem::Late => {
            "The effect happened only after the reply. If the process stops in between, it is LOST.".into()
        }
        Problem::NeverAccepted => {
            "The event was never accepted, although it was delivered again and again.".into()
        }
        Problem::TooLong => "A delivery did not end.".into(),
    }
}

/// The usual reason, and what to do.
fn advice(problem: Problem, guarantee: Option<Guarantee>) -> &'static str {
    match (problem, guarantee) {
        (Problem::NoLog, _) | (_, None) => {
            "Is `#[idempotent_webhook]` on the function that `deliver` calls, and does its `only_if` hold?"
        }
        (Problem::Lost, Some(Guarantee::Fence)) => {
            "Does the body run, and do `effects` look at what it changes?"
        }
        (Problem::Lost, _) => "The body replied with a success without its effect: return an error instead.",
        (Problem::Late, _) => {
            "A task that the body started was not awaited: await its handle before the reply."
        }
        (Problem::Doubled(_), Some(Guarantee::Fence)) => {
            "The effect happens outside of the function with the attribute, or in a loop: move it into the body."
        }
        (Problem::Doubled(_), Some(Guarantee::Claim)) => {
            "A claim may run the body again: pass `c.idempotency_key(..)` to the other system, or use \
             `transaction(tx)` for effects in the log's database. A task that was spawned is not stopped."
        }
        (Problem::Doubled(_), Some(Guarantee::Transaction)) => {
            "The effect is not part of the transaction: write it through `tx`, not through the pool or in a \
             task that was spawned."
        }
        (Problem::NeverAccepted | Problem::TooLong, Some(Guarantee::Transaction)) => {
            "Does the body succeed? A statement that it sends through the pool waits for what `tx` has locked."
        }
        (Problem::NeverAccepted, _) => {
            "Does `deliver` tell a success from a failure, and does the body succeed?"
        }
        (Problem::TooLong, _) => {
            "Does the handler wait for something that never comes, or for the real clock?"
        }
    }
}

/// `delivery 1: claim ok, complete failed as told; deliveries 2 to 9: claim in progress`.
fn steps(seen: &[Seen]) -> String {
    let of_one_delivery = |steps: &[Seen]| {
        let number = steps.first().map_or(0, |seen| seen.delivery);
        (number, steps_of_one_delivery(steps))
    };
    let deliveries: Vec<_> =
        seen.chunk_by(|one, next| one.delivery == next.delivery).map(of_one_delivery).collect();
    let mut alike: Vec<_> = deliveries.chunk_by(|one, next| one.1 == next.1).filter_map(together).collect();
    if alike.len() > MAX_STEPS {
        alike.truncate(MAX_STEPS);
        alike.push("and so on".into());
    }
    if alike.is_empty() { "none".into() } else { alike.join("; ") }
}

fn steps_of_one_delivery(steps: &[Seen]) -> String {
    let alike = steps.chunk_by(|one, next| (one.step, one.end) == (next.step, next.end));
    let steps = alike.filter_map(|alike| {
        let Seen { step, end, .. } = alike.first()?;
        let end = self::end(*end);
        Some(if alike.len() > 1 {
            format!("{step} {end} ({} times)", alike.len())
        } else {
            format!("{step} {end}")
        })
    });
    steps.collect::<Vec<_>>().join(", ")
}

fn together(alike: &[(usize, String)]) -> Option<String> {
    let ((first, steps), (last, _)) = (alike.first()?, alike.last()?);
    Some(if first == last {
        format!("delivery {first}: {steps}")
    } else {
        format!("deliveries {first} to {last}: {steps}")
    })
}

fn end(end: End) -> &'static str {
    match end {
        End::Open => "unanswered",
        End::Ok => "ok",
        End::Failed => "failed",
        End::Refused(Refusal::Duplicate) => "duplicate",
        End::Refused(Refusal::InProgress) => "in progress",
        End::Told(Fails::BeforeEffect) => "failed as told before it took effect",
        End::Told(Fails::AfterEffect) => "failed as told after it took effect",
        End::Dropped => "dropped",
    }
}
