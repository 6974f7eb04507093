//! The kit for handlers: a right handler passes, and each kind of mistake is found.

mod as_users_have_them;
mod claim;
mod failing_log;
mod fence;
mod replay;
mod transaction;

use ferro_idem::testing::{Finding, HandlerTest, Problem, check};

/// The names of the failed cases, and what was wrong.
fn findings<T: HandlerTest>() -> Vec<(String, Problem)> {
    let of = |finding: &Finding| (finding.case().to_owned(), finding.problem());
    check::<T>().findings().iter().map(of).collect()
}

fn report<T: HandlerTest>() -> String {
    check::<T>().to_string()
}
