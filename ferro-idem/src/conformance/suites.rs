//! The list of cases. The functions, the tests and the documentation are generated from it.

#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
use super::TestedInbox;
use super::{Store, breach, cases};
use crate::claim::ClaimLog;
use crate::log::ProcessedEventLog;
#[cfg(feature = "replay")]
use crate::replay::{ReplayLog, TransactionalReplayLog};
use crate::transaction::TransactionalLog;

/// Calls `$then! { $passed SUITE [bounds] case "promise", ... }`.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    (fence $then:path, $passed:tt) => { $then! { $passed fence [ProcessedEventLog]
        of_many_racers_one_is_first
            "of all concurrent deliveries of an event, exactly one is first",
        near_equal_ids_are_different_events
            "ids are compared byte for byte",
        ids_at_the_limits_are_kept
            "an id of 1 to 255 bytes is kept whole",
        bad_ids_are_refused
            "an id that is empty, holds NUL or is over 255 bytes long is refused as invalid",
        hostile_ids_are_only_text
            "an id or a type is only text, whatever characters it holds",
        a_type_makes_no_other_event
            "an event with its type is the same event as without it",
        a_mark_dropped_at_any_await_harms_nobody
            "a mark that is dropped at any await was made or not made, and affects no other call",
        marks_survive_a_restart
            "a mark survives a restart of the store",
        random_steps_follow_the_model
            "in any order of marks, exactly the first mark of each event is first",
    } };
    (claims $then:path, $passed:tt) => { $then! { $passed claims [ClaimLog]
        of_many_racers_one_acquires
            "of all concurrent claims of an event, exactly one is acquired",
        near_equal_ids_are_different_events
            "ids are compared byte for byte",
        ids_at_the_limits_are_kept
            "an id of 1 to 255 bytes is kept whole",
        hostile_ids_are_only_text
            "an id or a type is only text, whatever characters it holds",
        a_live_claim_is_in_progress
            "while one delivery holds an event, every other gets the time that is left of its lease",
        the_same_owner_again_is_the_same_claim
            "a claim that is repeated by its owner is the same claim with the same fencing token",
        owner_and_fence_together_are_the_claim
            "a claim is renewed, completed or released only by the pair of owner and fencing token",
        a_renewed_claim_lasts_for_the_new_lease
            "renewing makes a claim last for the new lease",
        a_lease_that_ran_out_is_taken_over_under_a_higher_fence
            "after a lease has ended, the next delivery gets the event with a higher fencing token",
        racers_for_a_lease_that_ran_out_have_one_winner
            "after a lease has ended, exactly one of all concurrent claims is acquired",
        a_zombie_completes_nothing
            "a delivery that lost its lease completes nothing",
        a_zombie_releases_nothing
            "a delivery that lost its lease releases nothing",
        a_zombie_renews_nothing
            "a delivery that lost its lease renews nothing",
        a_released_event_is_claimed_at_once
            "after a release, the next delivery gets the event at once with a higher fencing token, and can \
             complete it",
        what_is_released_cannot_be_renewed_or_completed
            "a claim that was released is neither renewed nor completed",
        to_release_again_is_no_failure
            "a second release of the same claim is true, until another delivery has the event",
        a_withdrawn_claim_is_over
            "after a withdrawal, the claim can settle nothing, and the next delivery gets the event at once with \
             a fencing token above every one that a body has seen",
        to_complete_again_is_no_failure
            "a second completion of the same claim is true",
        what_is_processed_stays_processed
            "a processed event is never claimed, renewed or released again",
        an_unknown_event_is_nobodys
            "an event that was never claimed can be neither renewed nor completed nor released",
        a_handle_is_the_same_store
            "`handle` returns a handle to the same store",
        a_call_dropped_at_any_await_harms_nobody
            "a call that is dropped at any await was carried out or not, and can be repeated",
        a_purge_spares_live_claims
            "a purge never touches a live claim",
        claims_survive_a_restart
            "a claim, a completion and a fencing token survive a restart of the store",
        random_steps_follow_the_model
            "in any order of calls by several owners, each answer is the one of the contract",
    } };
    (transactions $then:path, $passed:tt) => { $then! { $passed transactions [TransactionalLog]
        of_many_racers_one_is_first
            "of all concurrent deliveries of an event, exactly one commits",
        near_equal_ids_are_different_events
            "ids are compared byte for byte",
        ids_at_the_limits_are_kept
            "an id of 1 to 255 bytes is kept whole",
        hostile_ids_are_only_text
            "an id or a type is only text, whatever characters it holds",
        a_commit_keeps_the_event
            "a committed event is processed for every handle",
        a_rollback_frees_the_event
            "after a rollback, the next delivery gets the event",
        a_dropped_transaction_frees_the_event
            "a transaction that is dropped is rolled back",
        effects_are_there_where_the_event_was_committed
            "what a body writes through its transaction is visible after the commit, and not before",
        a_commit_without_its_mark_is_an_error
            "if the store has rolled a transaction back by itself, its commit is an error, and the next delivery \
             gets the event",
        a_second_delivery_meanwhile_is_in_progress
            "while a transaction is open, another delivery of its event is in progress",
        another_event_is_not_disturbed
            "an open transaction never blocks the transaction of another event",
        a_delivery_dropped_at_any_await_harms_nobody
            "a delivery that is dropped at any await was committed or rolled back, and affects no other",
        commits_survive_a_restart
            "after a restart of the store, exactly the committed events are processed",
        random_steps_follow_the_model
            "in any order of commits, rollbacks and drops, each event is first until it is committed",
    } };
    (fence_with_claims $then:path, $passed:tt) => { $then! { $passed fence_with_claims
        [ProcessedEventLog + ClaimLog]
        a_mark_is_processed_for_a_claim
            "an event that a plain fence has marked is processed for a claim",
        a_claimed_event_is_seen_by_a_fence
            "a claimed event counts as seen under a plain fence, and the claim can still complete it",
        a_released_event_is_seen_by_a_fence
            "a released event counts as seen under a plain fence, and the next claim still gets it",
        a_completed_event_is_seen_by_a_fence
            "a completed event counts as seen under a plain fence",
        of_marks_and_claims_at_once_one_has_the_event
            "of all concurrent marks and claims of an event, exactly one gets it",
        random_steps_follow_the_model
            "in any order of marks and claims, each answer is the one of the contract",
    } };
    (fence_with_transactions $then:path, $passed:tt) => { $then! { $passed fence_with_transactions
        [ProcessedEventLog + TransactionalLog]
        a_mark_is_processed_for_a_transaction
            "an event that a plain fence has marked is processed for a transaction",
        a_commit_is_seen_by_a_fence
            "an event that a transaction has committed counts as seen under a plain fence",
        a_rollback_leaves_the_event_to_a_fence
            "after a transaction was rolled back, the event is first under a plain fence",
    } };
    (claims_with_transactions $then:path, $passed:tt) => { $then! { $passed claims_with_transactions
        [ClaimLog + TransactionalLog]
        a_live_claim_is_in_progress_for_a_transaction
            "a claimed event is in progress for a transaction, and the claim can still complete it",
        a_released_event_is_taken_over_by_a_transaction
            "a transaction gets a released event, and after its commit the old claim can settle nothing",
        a_lease_that_ran_out_is_taken_over_by_a_transaction
            "after a lease has ended, a transaction gets the event, and the old claim can settle nothing",
        a_rollback_leaves_a_released_event_to_the_next_claim
            "after a takeover was rolled back, the next claim gets the event",
        a_commit_is_processed_for_a_claim
            "an event that a transaction has committed is processed for a claim",
        a_completed_event_is_processed_for_a_transaction
            "an event that a claim has completed is processed for a transaction",
        random_steps_follow_the_model
            "in any order of claims and transactions, each answer is the one of the contract",
    } };
    (replay $then:path, $passed:tt) => { $then! { $passed replay [ClaimLog + ReplayLog]
        a_reply_is_kept_with_its_completion
            "a reply is kept if and only if its event was completed by the same call",
        a_reply_comes_back_byte_for_byte
            "a reply comes back byte for byte, of any length, empty ones included",
        an_event_without_a_reply_has_none
            "an event that is unknown, claimed, released or completed without a reply has none",
        replies_are_those_of_their_own_events
            "each event has its own reply, however many are read and kept at once",
        a_late_delivery_keeps_nothing
            "a delivery that lost its lease keeps no reply",
        a_released_claim_keeps_nothing
            "a claim that was released keeps no reply",
        to_complete_again_is_no_failure
            "a second completion of the same claim is true, and the reply of one of the two is kept",
        of_completions_at_once_one_reply_is_kept
            "of the replies of all concurrent completions of one claim, exactly one is kept, whole",
        a_reply_expires_and_its_event_stays_processed
            "a reply that has expired is not returned, and its event is still processed",
        every_handle_has_the_reply
            "a reply is returned over every handle, and `replay_handle` returns a handle to the same store",
        other_guarantees_see_a_processed_event
            "an event that was completed with a reply is never claimed, renewed or released again",
        a_completion_dropped_at_any_await_keeps_both_or_nothing
            "a completion with a reply that is dropped at any await has kept both or neither, and can be repeated",
        a_read_dropped_at_any_await_harms_nobody
            "reading a reply can be dropped at any await",
        a_purged_event_has_no_reply
            "an event that was purged has no reply, and a later completion without one shows no old one",
        a_forgotten_event_has_no_reply
            "an event that was forgotten has no reply, and a later completion without one shows no old one",
        replies_survive_a_restart
            "a reply survives a restart of the store",
    } };
    (replay_in_transactions $then:path, $passed:tt) => { $then! { $passed replay_in_transactions
        [ClaimLog + TransactionalReplayLog]
        a_reply_is_committed_with_its_event
            "a reply is there after the commit of its event, together with the effects, and not before",
        a_reply_comes_back_byte_for_byte
            "a reply comes back byte for byte, of any length, empty ones included",
        a_reply_that_was_rolled_back_does_not_exist
            "the reply of a transaction that was rolled back or dropped does not exist",
        a_reply_without_its_mark_is_an_error
            "if the store has rolled a transaction back by itself, before or after its reply, the commit is no success",
        a_reply_of_another_event_is_an_error
            "a reply of an event that the transaction has not marked is an error",
        a_reply_expires_and_its_event_stays_processed
            "a reply that has expired is not returned, and its event is still processed",
        a_takeover_keeps_its_own_reply
            "a transaction that took an event over keeps its reply, and the old claim replaces nothing",
        a_delivery_dropped_at_any_await_keeps_nothing
            "a delivery that is dropped while it keeps its reply leaves the event and nothing else to the next one",
    } };
    (inbox $then:path, $passed:tt) => { $then! { $passed inbox [TestedInbox]
        of_many_racers_one_is_stored
            "of all concurrent deliveries of an event, exactly one is stored",
        an_event_stays_a_duplicate
            "an event that was received is a duplicate, also after it was processed or parked",
        near_equal_ids_are_different_events
            "ids and order keys are compared byte for byte",
        ids_at_the_limits_are_kept
            "an id of 1 to 255 bytes is kept whole",
        hostile_ids_are_only_text
            "an id or an order key is only text, whatever characters it holds",
        what_is_received_is_taken_as_it_came
            "an acknowledged event is taken with its own body, type and order key, as its first attempt",
        what_is_put_comes_with_its_transaction
            "an event that was put into a transaction is there after the commit, and never after a rollback",
        of_many_workers_one_takes_an_event
            "of all concurrent workers, at most one takes an event",
        a_take_gets_no_more_than_it_wants
            "a worker takes no more events than it asks for",
        an_event_is_taken_until_it_is_completed
            "an event that fails is taken again, with the next attempt and a higher fencing token",
        a_backoff_is_respected
            "an event that was backed off is taken after its pause, and not before",
        a_released_event_is_taken_at_once
            "a released event is taken at once, and its attempt does not count",
        what_uses_up_its_attempts_is_parked
            "an event whose every attempt ends without an answer is parked after its last one",
        a_parked_event_is_taken_no_more
            "a parked event is counted, never taken, and changed by no worker",
        a_processed_event_leaves_no_body
            "the body of an event is deleted when it is processed, and does not come back",
        a_lease_that_ended_is_taken_over_under_a_higher_token
            "after a lease has ended, another worker takes the event under a higher fencing token",
        a_late_worker_completes_nothing
            "a worker that lost its lease completes nothing",
        a_late_worker_parks_nothing
            "a worker that lost its lease parks nothing",
        a_late_worker_gives_nothing_back
            "a worker that lost its lease backs nothing off and releases nothing",
        a_late_worker_renews_nothing
            "a worker that lost its lease renews nothing",
        owner_and_token_together_are_the_proof
            "an event is renewed, backed off, released, parked or completed only by the pair of owner and fencing \
             token",
        a_renewed_lease_is_not_taken_over
            "renewing makes a lease last for the new time",
        events_of_a_key_run_in_the_order_of_their_arrival
            "events of one order key run one at a time, in the order of their arrival, over all workers and attempts",
        a_takeover_keeps_the_order_of_a_key
            "after a takeover, the later events of the order key still wait",
        a_failing_event_holds_up_no_other_key
            "an event that fails holds up no event of another order key",
        a_parked_event_does_not_block_its_key
            "a parked event does not hold up the later ones of its order key",
        a_receive_dropped_at_any_await_loses_nothing
            "a receive that is dropped at any await was carried out or not, and an acknowledged event is there",
        a_take_dropped_at_any_await_loses_nothing
            "a take that is dropped at any await gives back what it took, and its attempts do not count",
        a_step_dropped_at_any_await_harms_nobody
            "a step of a worker that is dropped at any await was carried out or not, and the event still ends once",
        a_purge_leaves_what_is_not_processed
            "a purge forgets processed events, and none that waits, runs or is parked",
        an_inbox_survives_a_restart
            "events, leases and what was processed survive a restart of the store",
        a_parked_event_blocks_its_key_in_a_strict_inbox
            "in a strict inbox, a parked event holds up the later ones of its order key",
    } };
}

/// Generates the function of a suite from its list.
macro_rules! suite {
    ({} $suite:ident $bounds:tt $($case:ident $promise:literal,)+) => {
        suite! { @run $suite $bounds $($case $promise)+ }

        #[doc(hidden)]
        #[allow(missing_docs, clippy::missing_panics_doc)]
        pub mod $suite {
            use super::*;

            pub const CASES: &[(&str, &str)] = &[$((stringify!($case), $promise)),+];

            $(suite! { @case $suite $bounds $case $promise })+
        }
    };
    (@run $suite:ident [$($bound:tt)*] $($case:ident $promise:literal)+) => {
        #[doc = concat!("Runs every case of the suite `", stringify!($suite), "`, one after another.\n")]
        #[doc = "The store has to be empty.\n"]
        #[doc = "| case | the promise |\n|---|---|"]
        $(#[doc = concat!("| `", stringify!($case), "` | ", $promise, " |")])+
        #[doc = "\n# Panics\n\nIf a promise is broken."]
        pub async fn $suite<S: Store>(store: &S)
        where
            S::Log: $($bound)*,
        {
            $($suite::$case(store).await;)+
        }
    };
    (@case $suite:ident [$($bound:tt)*] $case:ident $promise:literal) => {
        pub async fn $case<S: Store>(store: &S)
        where
            S::Log: $($bound)*,
        {
            breach::hold($promise, cases::$suite::$case(store)).await;
        }
    };
}

crate::__conformance_cases! { fence suite, {} }
crate::__conformance_cases! { claims suite, {} }
crate::__conformance_cases! { transactions suite, {} }
crate::__conformance_cases! { fence_with_claims suite, {} }
crate::__conformance_cases! { fence_with_transactions suite, {} }
crate::__conformance_cases! { claims_with_transactions suite, {} }
#[cfg(feature = "replay")]
crate::__conformance_cases! { replay suite, {} }
#[cfg(feature = "replay")]
crate::__conformance_cases! { replay_in_transactions suite, {} }
#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
crate::__conformance_cases! { inbox suite, {} }
