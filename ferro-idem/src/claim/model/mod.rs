//! Checks the claim protocol exhaustively: every order of actions, for a given number of deliveries.
//!
//! The steps at the store are those of [`Row`](super::row::Row), which the memory log runs. The model adds
//! deliveries that crash or pause, answers that are late or lost, retries as the same owner, leases that end
//! at any moment, requests that arrive after their delivery has given them up, purges, and group commit,
//! which claims for one delivery of a batch and reads the event's state for the others.

mod happenings;
mod inbox;
mod store;
mod world;

use stateright::{Checker, Model};

use self::happenings::Claims;
use self::store::Rules;
use self::world::representative;

/// Checks all properties in every state.
fn holds_everywhere(claims: Claims) {
    let checked = claims.checker().symmetry_fn(representative).threads(2).spawn_dfs().join();
    println!("{claims:?}: {} states, depth {}", checked.unique_state_count(), checked.max_depth());
    checked.assert_properties();
}

const SMALL: Claims = Claims { rules: Rules::All, workers: 2, deliveries: 2, late: true };

#[test]
fn every_promise_holds_for_two_deliveries_with_late_requests() {
    holds_everywhere(SMALL);
}

#[test]
fn every_promise_holds_for_three_deliveries() {
    holds_everywhere(Claims { workers: 3, deliveries: 3, late: false, ..SMALL });
}

#[test]
#[ignore = "half a minute optimized, see tests/run"]
fn every_promise_holds_for_three_deliveries_with_late_requests() {
    holds_everywhere(Claims { workers: 3, deliveries: 3, ..SMALL });
}

#[test]
#[ignore = "half a minute optimized, see tests/run"]
fn every_promise_holds_for_three_workers_and_four_deliveries() {
    holds_everywhere(Claims { workers: 3, deliveries: 4, late: false, ..SMALL });
}

/// Checks that the protocol breaks these promises if one of its rules is left out.
fn breaks(rules: Rules, promises: &[&'static str]) {
    breaks_where(Claims { rules, deliveries: 3, late: false, ..SMALL }, promises);
}

/// Prints a shortest sequence of actions that breaks each promise.
fn breaks_where(claims: Claims, promises: &[&'static str]) {
    let rules = claims.rules;
    for promise in promises {
        let broken = (1..20).find_map(|depth| {
            let checked = claims.checker().target_max_depth(depth).spawn_bfs().join();
            checked.discovery(promise).map(|path| (checked.unique_state_count(), path.into_actions()))
        });
        match broken {
            Some((states, path)) => println!("{rules:?} breaks \"{promise}\" ({states} states): {path:?}"),
            None => panic!("{rules:?} keeps \"{promise}\""),
        }
    }
}

#[test]
fn a_release_that_deletes_the_row_gives_its_fence_away_again() {
    breaks(
        Rules::ReleaseDeletesTheRow,
        &["a fencing token only grows", "every second effect is under a fencing token of its own"],
    );
}

#[test]
fn a_release_of_what_is_processed_runs_it_again() {
    breaks(Rules::ReleaseTakesProcessed, &["what is processed stays processed"]);
}

#[test]
fn a_token_without_its_owner_settles_a_claim_after_a_purge() {
    breaks(
        Rules::TokenAloneIsProof,
        &["what a zombie settles changes nothing", "at most one delivery may act on the store"],
    );
}

/// A late request of the same delivery has claimed the event again, and its answer was never read.
#[test]
fn an_owner_without_its_token_settles_a_late_claim() {
    breaks_where(
        Claims { rules: Rules::OwnerAloneIsProof, ..SMALL },
        &["what a zombie settles changes nothing"],
    );
}

#[test]
fn a_takeover_with_the_same_token_hides_a_second_effect() {
    breaks(
        Rules::TakeoverKeepsTheToken,
        &["a fencing token only grows", "every second effect is under a fencing token of its own"],
    );
}

#[test]
fn a_retry_with_a_new_owner_meets_its_own_claim() {
    breaks(Rules::RetryHasANewOwner, &["no delivery is in its own way"]);
}

#[test]
fn a_purge_of_a_live_claim_lets_a_second_delivery_in() {
    breaks(
        Rules::PurgeTakesLiveClaims,
        &[
            "a delivery that believes that it holds the event holds it",
            "at most one delivery believes that it holds the event",
        ],
    );
}

#[test]
fn a_lease_on_the_holder_s_clock_lets_two_deliveries_hold_it() {
    breaks(
        Rules::LeaseIsOnTheWorkersClock,
        &[
            "a delivery that believes that it holds the event holds it",
            "at most one delivery believes that it holds the event",
        ],
    );
}

#[test]
fn a_complete_of_what_was_released_loses_the_event() {
    breaks(
        Rules::CompleteTakesReleased,
        &["what is acknowledged has had its effect", "no event is lost: it can always be finished"],
    );
}
