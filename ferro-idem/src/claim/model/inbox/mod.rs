//! Checks the protocol of the inbox exhaustively. Its leases, owners and fencing tokens are those of claims.
//!
//! Events have order keys. They are received, in two steps at the store, or put into a transaction that stays open, so
//! that a lower number may be committed after a higher one. Workers choose and take in two steps. Receivers, workers and
//! the database crash at any moment, answers are lost, requests arrive after their worker has given them up, leases end
//! at any moment, and a sender may try again.

mod happenings;
mod tables;
mod world;

use stateright::{Checker, Model};

use self::happenings::Inbox;
use self::tables::Rules;
use self::world::How;

/// Checks all properties in every state.
fn holds_everywhere(inbox: &Inbox) {
    let checked = inbox.clone().checker().threads(2).spawn_dfs().join();
    println!("{inbox:?}: {} states, depth {}", checked.unique_state_count(), checked.max_depth());
    checked.assert_properties();
}

/// Two events of one key. The first has the lower number, and may be committed later.
fn small() -> Inbox {
    Inbox {
        rules: Rules::All,
        events: vec![(How::Put, 0), (How::Receive, 0)],
        workers: 2,
        takes: 2,
        max_attempts: 2,
        deliveries: 1,
        late: false,
    }
}

/// One event, which its sender delivers twice.
fn repeated() -> Inbox {
    Inbox { events: vec![(How::Receive, 0)], deliveries: 2, late: true, ..small() }
}

#[test]
fn every_promise_holds_for_an_event_that_comes_twice() {
    holds_everywhere(&repeated());
}

#[test]
fn every_promise_holds_for_two_events_of_a_key() {
    holds_everywhere(&Inbox { takes: 1, ..small() });
}

#[test]
#[ignore = "half a minute optimized, see tests/run"]
fn every_promise_holds_for_two_events_of_a_key_with_late_requests() {
    holds_everywhere(&Inbox { late: true, ..small() });
}

#[test]
#[ignore = "half a minute optimized, see tests/run"]
fn every_promise_holds_for_three_events_of_two_keys() {
    let events = vec![(How::Put, 0), (How::Receive, 0), (How::Receive, 1)];
    holds_everywhere(&Inbox { events, takes: 1, ..small() });
}

/// Checks that the protocol breaks this promise if a rule is left out, and prints a shortest way to it.
fn breaks(inbox: &Inbox, rules: Rules, promise: &'static str) {
    let inbox = Inbox { rules, ..inbox.clone() };
    let broken = (1..20).find_map(|depth| {
        let checked = inbox.clone().checker().target_max_depth(depth).spawn_bfs().join();
        checked.discovery(promise).map(|path| (checked.unique_state_count(), path.into_actions()))
    });
    match broken {
        Some((states, path)) => println!("{rules:?} breaks \"{promise}\" ({states} states): {path:?}"),
        None => panic!("{rules:?} keeps \"{promise}\""),
    }
}

const ONE_OF_A_KEY: &str = "at most one worker believes that it holds an event of a key";
const NOT_LOST: &str = "no event is lost: it can always be taken";
const ACKNOWLEDGED: &str = "an acknowledged event is in the inbox, or has had its effect";
const STORED_ONCE: &str = "an event is stored once";
const LATE: &str = "what a late worker does changes nothing";
const IN_ORDER: &str = "no event is taken before an earlier one of its key";
const ATTEMPTS: &str = "an event is attempted no more often than it may be";
const TOKEN_GROWS: &str = "a fencing token only grows";

#[test]
fn without_a_unique_index_two_events_of_a_key_run_at_once() {
    breaks(&small(), Rules::NoUniqueIndex, ONE_OF_A_KEY);
}

#[test]
fn a_take_that_does_not_look_for_running_ones_is_stopped_by_the_index() {
    holds_everywhere(&Inbox { rules: Rules::TakeIgnoresRunning, takes: 1, ..small() });
}

#[test]
fn an_expired_event_that_waits_for_a_lower_one_blocks_its_key_for_ever() {
    breaks(&small(), Rules::ExpiredWaitsForLower, NOT_LOST);
}

#[test]
fn without_a_sweep_an_event_waits_for_one_that_is_gone() {
    breaks(&small(), Rules::NoSweep, NOT_LOST);
}

#[test]
fn a_backoff_that_frees_its_key_breaks_the_order() {
    breaks(&small(), Rules::BackoffFreesTheKey, IN_ORDER);
}

#[test]
fn a_backoff_that_deletes_the_event_loses_it() {
    breaks(&repeated(), Rules::BackoffDeletes, ACKNOWLEDGED);
}

#[test]
fn a_completion_that_forgets_the_key_lets_the_event_in_again() {
    breaks(&repeated(), Rules::CompleteForgetsTheKey, STORED_ONCE);
}

#[test]
fn a_purge_of_what_waits_lets_the_event_in_again() {
    breaks(&repeated(), Rules::PurgeTakesWaiting, STORED_ONCE);
}

#[test]
fn a_receive_in_two_transactions_loses_what_its_sender_repeats() {
    breaks(&repeated(), Rules::ReceiveInTwoTransactions, ACKNOWLEDGED);
}

#[test]
fn an_acknowledgement_before_the_commit_loses_the_event() {
    breaks(&repeated(), Rules::AcknowledgesFirst, ACKNOWLEDGED);
}

#[test]
fn an_owner_without_its_token_settles_a_later_hold() {
    breaks(&repeated(), Rules::OwnerAloneIsProof, LATE);
}

#[test]
fn a_token_that_a_takeover_keeps_is_no_proof() {
    breaks(&repeated(), Rules::TakeoverKeepsTheToken, TOKEN_GROWS);
    breaks(&repeated(), Rules::TakeoverKeepsTheToken, LATE);
}

#[test]
fn anybody_s_step_settles_another_worker_s_event() {
    breaks(&repeated(), Rules::NoProof, LATE);
}

#[test]
fn attempts_that_are_counted_at_their_end_never_end() {
    breaks(&Inbox { takes: 3, ..repeated() }, Rules::CountsAtTheEnd, ATTEMPTS);
}
