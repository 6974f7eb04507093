//! The list of cases, written once: the functions, the tests and the documentation are made of it.

use super::{Store, breach, cases};
use crate::claim::ClaimLog;
use crate::log::ProcessedEventLog;
use crate::transaction::TransactionalLog;

/// Calls `$then! { $passed SUITE [bounds] case "promise", ... }`.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    (fence $then:path, $passed:tt) => { $then! { $passed fence [ProcessedEventLog]
        of_many_racers_one_is_first
            "of all deliveries of an event at once, exactly one is first",
        near_equal_ids_are_different_events
            "ids are compared byte for byte",
        ids_at_the_limits_are_kept
            "an id of 1 to 255 bytes is kept whole",
        bad_ids_are_refused
            "an id that is empty, holds NUL or is over 255 bytes long is refused as invalid",
        hostile_ids_are_only_text
            "whatever an id or a type holds, it is only text",
        a_type_makes_no_other_event
            "an event is the same with its type and without",
        a_mark_dropped_at_any_await_harms_nobody
            "a mark that is dropped at any await was made or was not, and harms no other call",
        marks_survive_a_restart
            "a mark survives a restart of the store",
        random_steps_follow_the_model
            "whatever is marked in whatever order, the first mark of each event is first, and no other",
    } };
    (claims $then:path, $passed:tt) => { $then! { $passed claims [ClaimLog]
        of_many_racers_one_acquires
            "of all claims of an event at once, exactly one is acquired",
        near_equal_ids_are_different_events
            "ids are compared byte for byte",
        ids_at_the_limits_are_kept
            "an id of 1 to 255 bytes is kept whole",
        hostile_ids_are_only_text
            "whatever an id or a type holds, it is only text",
        a_live_claim_is_in_progress
            "while one delivery has an event, every other is told for how long",
        the_same_owner_again_is_the_same_claim
            "a claim that is repeated with its owner is the same claim under the same fencing token",
        owner_and_fence_together_are_the_claim
            "only the pair of owner and fencing token renews, completes or releases",
        a_renewed_claim_lasts_for_the_new_lease
            "renewing makes a claim last for the new lease",
        a_lease_that_ran_out_is_taken_over_under_a_higher_fence
            "an event whose lease ran out is the next delivery's, under a higher fencing token",
        racers_for_a_lease_that_ran_out_have_one_winner
            "of all claims of an event whose lease ran out, exactly one is acquired",
        a_zombie_completes_nothing
            "a delivery that lost its lease completes nothing",
        a_zombie_releases_nothing
            "a delivery that lost its lease releases nothing",
        a_zombie_renews_nothing
            "a delivery that lost its lease renews nothing",
        a_released_event_is_claimed_at_once
            "a released event is the next delivery's at once, under a higher fencing token, and can be completed",
        what_is_released_cannot_be_renewed_or_completed
            "a claim that was released is neither renewed nor completed",
        to_release_again_is_no_failure
            "to release again what this claim released is true, until another delivery has the event",
        a_withdrawn_claim_is_over
            "a claim that was withdrawn settles nothing, and the event is the next delivery's at once, above \
             every fencing token before it",
        to_complete_again_is_no_failure
            "to complete again what this claim completed is true",
        what_is_processed_stays_processed
            "what is processed is never claimed, renewed or released again",
        an_unknown_event_is_nobodys
            "an event that was never claimed can be neither renewed nor completed nor released",
        a_handle_is_the_same_store
            "what `handle` gives is the same store",
        a_call_dropped_at_any_await_harms_nobody
            "a call that is dropped at any await was made or was not, and can be repeated",
        a_purge_spares_live_claims
            "a purge never touches a live claim",
        claims_survive_a_restart
            "a claim, a completion and a fencing token survive a restart of the store",
        random_steps_follow_the_model
            "whatever several owners do in whatever order, each answer is what the contract says",
    } };
    (transactions $then:path, $passed:tt) => { $then! { $passed transactions [TransactionalLog]
        of_many_racers_one_is_first
            "of all deliveries of an event at once, exactly one commits",
        near_equal_ids_are_different_events
            "ids are compared byte for byte",
        ids_at_the_limits_are_kept
            "an id of 1 to 255 bytes is kept whole",
        hostile_ids_are_only_text
            "whatever an id or a type holds, it is only text",
        a_commit_keeps_the_event
            "what was committed is processed, for every handle",
        a_rollback_frees_the_event
            "what was rolled back is the next delivery's",
        a_dropped_transaction_frees_the_event
            "a transaction that is dropped is rolled back",
        effects_are_there_where_the_event_was_committed
            "what a body wrote through its transaction is there once it was committed, and only then",
        a_commit_without_its_mark_is_an_error
            "where the store rolled a transaction back by itself, its commit is an error and the event the \
             next delivery's",
        a_second_delivery_meanwhile_is_in_progress
            "while a transaction is open, another delivery of its event is told to come again",
        another_event_is_not_disturbed
            "an open transaction never stands in for another event's",
        a_delivery_dropped_at_any_await_harms_nobody
            "a delivery that is dropped at any await was committed or rolled back, and harms no other",
        commits_survive_a_restart
            "what was committed survives a restart of the store, and what was not does not",
        random_steps_follow_the_model
            "whatever is committed, rolled back or dropped in whatever order, each event is first until \
             it is committed",
    } };
    (fence_with_claims $then:path, $passed:tt) => { $then! { $passed fence_with_claims
        [ProcessedEventLog + ClaimLog]
        a_mark_is_processed_for_a_claim
            "what a plain fence marked is processed for a claim",
        a_claimed_event_is_seen_by_a_fence
            "a claimed event counts as seen under a plain fence, and is still the claim's to complete",
        a_released_event_is_seen_by_a_fence
            "a released event counts as seen under a plain fence, and is still the next claim's",
        a_completed_event_is_seen_by_a_fence
            "a completed event counts as seen under a plain fence",
        of_marks_and_claims_at_once_one_has_the_event
            "of all marks and claims of an event at once, exactly one has it",
        random_steps_follow_the_model
            "whatever fences and claims do in whatever order, each answer is what the contract says",
    } };
    (fence_with_transactions $then:path, $passed:tt) => { $then! { $passed fence_with_transactions
        [ProcessedEventLog + TransactionalLog]
        a_mark_is_processed_for_a_transaction
            "what a plain fence marked is processed for a transaction",
        a_commit_is_seen_by_a_fence
            "what a transaction committed counts as seen under a plain fence",
        a_rollback_leaves_the_event_to_a_fence
            "what a transaction rolled back is first under a plain fence",
    } };
    (claims_with_transactions $then:path, $passed:tt) => { $then! { $passed claims_with_transactions
        [ClaimLog + TransactionalLog]
        a_live_claim_is_in_progress_for_a_transaction
            "a claimed event is in progress for a transaction, and is still the claim's to complete",
        a_released_event_is_taken_over_by_a_transaction
            "a released event is a transaction's, and its commit leaves the old claim nothing to settle",
        a_lease_that_ran_out_is_taken_over_by_a_transaction
            "an event whose lease ran out is a transaction's, and the old claim can settle nothing",
        a_rollback_leaves_a_released_event_to_the_next_claim
            "a takeover that is rolled back leaves the event to the next claim",
        a_commit_is_processed_for_a_claim
            "what a transaction committed is processed for a claim",
        a_completed_event_is_processed_for_a_transaction
            "what a claim completed is processed for a transaction",
        random_steps_follow_the_model
            "whatever claims and transactions do in whatever order, each answer is what the contract says",
    } };
}

/// The functions of a suite, from its list.
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
        #[doc = "\n# Panics\n\nWhere a promise is broken."]
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
