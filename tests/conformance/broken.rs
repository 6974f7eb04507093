//! For each case there is a log that breaks its promise. The case fails and names the promise.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ferro_idem::conformance::{self, __run};

use super::faulty::{Defect, Faulty};
use super::faulty_inbox::{FaultyInbox, InboxDefect};

/// Without a defect the log keeps every promise, so the failures below are caused by the defects.
mod sound {
    use super::*;

    ferro_idem::conformance::tests! {
        fence, claims, transactions, fence_with_claims, fence_with_transactions, claims_with_transactions,
        replay, replay_in_transactions;
        store = Faulty::new(None)
    }

    ferro_idem::conformance::tests! {
        inbox;
        store = FaultyInbox::new(None)
    }

    #[test]
    fn the_cases_of_a_suite_can_share_one_store() {
        __run(async {
            conformance::fence(&Faulty::new(None)).await;
            conformance::claims(&Faulty::new(None)).await;
            conformance::transactions(&Faulty::new(None)).await;
            conformance::fence_with_claims(&Faulty::new(None)).await;
            conformance::fence_with_transactions(&Faulty::new(None)).await;
            conformance::claims_with_transactions(&Faulty::new(None)).await;
            conformance::inbox(&FaultyInbox::new(None)).await;
        });
    }
}

/// The message of the case for a log that breaks its promise.
fn verdict(run: impl FnOnce()) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(run)) else { return "the promise was kept".into() };
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic without a message".into())
}

#[test]
fn a_failing_random_sequence_is_shortened() {
    let log = Faulty::new(Defect::NewFenceAfterRelease);
    let verdict = verdict(|| __run(conformance::claims::random_steps_follow_the_model(&log)));
    let steps: Vec<_> = verdict.lines().filter(|line| line.starts_with("Step ")).collect();
    let actions = ["Claim", "Release", "Claim"].map(|action| format!("action: {action} }}"));
    assert_eq!(steps.len(), actions.len(), "{verdict}");
    assert!(steps.iter().zip(&actions).all(|(step, action)| step.contains(action.as_str())), "{verdict}");
}

macro_rules! broken {
    ($faulty:ident, $defects:ident: $($suite:ident $cases:tt)+) => {
        $(broken! { @suite $faulty $defects $suite $cases })+
    };
    (@suite $faulty:ident $defects:ident $suite:ident { $($case:ident: $($defect:ident)|+,)+ }) => {
        mod $suite {
            use super::*;
            use ferro_idem::conformance::$suite;

            $(#[test]
            fn $case() {
                let (_, promise) = $suite::CASES.iter().find(|case| case.0 == stringify!($case)).unwrap();
                for defect in [$($defects::$defect),+] {
                    let log = $faulty::new(defect);
                    let verdict = verdict(|| __run($suite::$case(&log)));
                    let expected = format!("the log broke its promise: {promise}.\nWhat was seen: ");
                    assert!(verdict.starts_with(&expected), "{defect:?}: {verdict}");
                }
            })+

            #[test]
            fn every_case_has_a_log_that_breaks_it() {
                let cases: Vec<_> = $suite::CASES.iter().map(|case| case.0).collect();
                assert_eq!(cases, [$(stringify!($case)),+]);
            }
        }
    };
}

broken! {
    Faulty, Defect:
    fence {
        of_many_racers_one_is_first: LooksThenWrites,
        near_equal_ids_are_different_events:
            FoldsCase | IgnoresAccents | IgnoresTrailingSpaces | Normalizes | ReadsNumbers,
        ids_at_the_limits_are_kept: CutsIds,
        bad_ids_are_refused: TakesAnyId,
        hostile_ids_are_only_text: BindsByHand,
        a_type_makes_no_other_event: KeysByType,
        a_mark_dropped_at_any_await_harms_nobody: LeaksALockOnDrop,
        marks_survive_a_restart: ForgetsOnRestart,
        random_steps_follow_the_model: DuplicatesDelete,
    }
    claims {
        of_many_racers_one_acquires: LooksThenWrites,
        near_equal_ids_are_different_events:
            FoldsCase | IgnoresAccents | IgnoresTrailingSpaces | Normalizes | ReadsNumbers,
        ids_at_the_limits_are_kept: CutsIds,
        hostile_ids_are_only_text: BindsByHand,
        a_live_claim_is_in_progress: NoTimeLeft,
        the_same_owner_again_is_the_same_claim: StrangerToItself,
        owner_and_fence_together_are_the_claim: FenceAlone | OwnerAlone,
        a_renewed_claim_lasts_for_the_new_lease: RenewsNothing,
        a_lease_that_ran_out_is_taken_over_under_a_higher_fence: FenceStays,
        racers_for_a_lease_that_ran_out_have_one_winner: LooksThenWrites,
        a_zombie_completes_nothing: CompletesForAnyone,
        a_zombie_releases_nothing: ReleasesForAnyone,
        a_zombie_renews_nothing: RenewsForAnyone,
        a_released_event_is_claimed_at_once: ReleaseKeepsTheLease | FenceStays,
        what_is_released_cannot_be_renewed_or_completed: CompletesReleased,
        to_release_again_is_no_failure: SecondReleaseFails,
        a_withdrawn_claim_is_over: ReleaseKeepsTheLease | CompletesReleased,
        to_complete_again_is_no_failure: SecondCompleteFails,
        what_is_processed_stays_processed: ReleasesProcessed,
        an_unknown_event_is_nobodys: CompletesUnknown,
        a_handle_is_the_same_store: HandleIsAnotherStore,
        a_call_dropped_at_any_await_harms_nobody: LeaksALockOnDrop,
        a_purge_spares_live_claims: PurgesLiveClaims,
        claims_survive_a_restart: ForgetsOnRestart,
        random_steps_follow_the_model: NewFenceAfterRelease | FenceStays | SecondReleaseFails,
    }
    transactions {
        of_many_racers_one_is_first: LooksThenWrites,
        near_equal_ids_are_different_events:
            FoldsCase | IgnoresAccents | IgnoresTrailingSpaces | Normalizes | ReadsNumbers,
        ids_at_the_limits_are_kept: CutsIds,
        hostile_ids_are_only_text: BindsByHand,
        a_commit_keeps_the_event: CommitLosesTheMark,
        a_rollback_frees_the_event: RollbackKeepsTheMark,
        a_dropped_transaction_frees_the_event: DropCommits,
        effects_are_there_where_the_event_was_committed: LendsAnotherConnection | CommitLosesEffects,
        a_commit_without_its_mark_is_an_error: CommitsWithoutLooking,
        a_second_delivery_meanwhile_is_in_progress: IgnoresOpenTransactions,
        another_event_is_not_disturbed: OneTransactionForAll,
        a_delivery_dropped_at_any_await_harms_nobody: LeaksALockOnDrop,
        commits_survive_a_restart: ForgetsOnRestart | DropCommits,
        random_steps_follow_the_model: RollbackDeletes,
    }
    fence_with_claims {
        a_mark_is_processed_for_a_claim: ClaimsIgnoreMarks,
        a_claimed_event_is_seen_by_a_fence: MarksIgnoreClaims,
        a_released_event_is_seen_by_a_fence: MarksIgnoreReleases,
        a_completed_event_is_seen_by_a_fence: MarksIgnoreCompletions,
        of_marks_and_claims_at_once_one_has_the_event: LooksThenWrites,
        random_steps_follow_the_model: MarksIgnoreReleases,
    }
    fence_with_transactions {
        a_mark_is_processed_for_a_transaction: TransactionsIgnoreProcessed,
        a_commit_is_seen_by_a_fence: CommitLosesTheMark,
        a_rollback_leaves_the_event_to_a_fence: RollbackKeepsTheMark,
    }
    claims_with_transactions {
        a_live_claim_is_in_progress_for_a_transaction: TransactionsIgnoreClaims,
        a_released_event_is_taken_over_by_a_transaction: TransactionsIgnoreReleases | TakeoverKeepsTheClaim,
        a_lease_that_ran_out_is_taken_over_by_a_transaction: TakeoverKeepsTheClaim,
        a_rollback_leaves_a_released_event_to_the_next_claim: RollbackKeepsTheMark,
        a_commit_is_processed_for_a_claim: CommitLosesTheMark,
        a_completed_event_is_processed_for_a_transaction: TransactionsIgnoreProcessed,
        random_steps_follow_the_model: RollbackDeletes,
    }
    replay {
        a_reply_is_kept_with_its_completion: LosesReplies | ReplyLeavesTheClaim | ClaimReturnsNoReply,
        a_reply_comes_back_byte_for_byte: CutsRepliesAtNul | TakesEmptyForNone | DecodesReplies,
        an_event_without_a_reply_has_none: InventsReplies,
        replies_are_those_of_their_own_events: OneReplyForAll,
        a_late_delivery_keeps_nothing: KeepsForAnyone,
        a_released_claim_keeps_nothing: KeepsForAnyone,
        to_complete_again_is_no_failure: SecondCompleteFails,
        of_completions_at_once_one_reply_is_kept: MixesReplies,
        a_reply_expires_and_its_event_stays_processed: NeverExpires | ExpiryForgetsTheEvent | ClaimReturnsExpiredReplies,
        every_handle_has_the_reply: HandleIsAnotherStore,
        other_guarantees_see_a_processed_event: ReplyLeavesTheClaim,
        a_completion_dropped_at_any_await_keeps_both_or_nothing: CompletesThenKeeps,
        a_read_dropped_at_any_await_harms_nobody: ReadsUnderALeakedLock,
        a_purged_event_has_no_reply: PurgeKeepsReplies,
        a_forgotten_event_has_no_reply: ForgetKeepsReplies,
        replies_survive_a_restart: ForgetsOnRestart,
    }
    replay_in_transactions {
        a_reply_is_committed_with_its_event: LosesReplies | CommitLosesTheMark,
        a_reply_comes_back_byte_for_byte: CutsRepliesAtNul | TakesEmptyForNone | DecodesReplies,
        a_reply_that_was_rolled_back_does_not_exist: KeepsAtOnce,
        a_reply_without_its_mark_is_an_error: CommitsWithoutLooking,
        a_reply_of_another_event_is_an_error: KeepsForAnyEvent,
        a_reply_expires_and_its_event_stays_processed: NeverExpires,
        a_takeover_keeps_its_own_reply: TakeoverKeepsTheClaim,
        a_delivery_dropped_at_any_await_keeps_nothing: DropCommits,
    }
}

broken! {
    FaultyInbox, InboxDefect:
    inbox {
        of_many_racers_one_is_stored: LooksThenStores,
        an_event_stays_a_duplicate: ForgetsProcessed | ForgetsParked,
        near_equal_ids_are_different_events: FoldsCase,
        ids_at_the_limits_are_kept: CutsIds,
        hostile_ids_are_only_text: BindsByHand,
        what_is_received_is_taken_as_it_came: MixesBodiesUp,
        what_is_put_comes_with_its_transaction: IgnoresRollback,
        of_many_workers_one_takes_an_event: LooksThenTakes,
        a_take_gets_no_more_than_it_wants: TakesAll,
        an_event_is_taken_until_it_is_completed: NeverTakesAgain | TokenStays,
        a_backoff_is_respected: IgnoresBackoff,
        a_released_event_is_taken_at_once: CountsReleases | TokenStays,
        what_uses_up_its_attempts_is_parked: NeverParks,
        a_parked_event_is_taken_no_more: TakesParked,
        a_processed_event_leaves_no_body: KeepsBodies,
        a_lease_that_ended_is_taken_over_under_a_higher_token: TokenStays,
        a_late_worker_completes_nothing: CompletesForAnyone,
        a_late_worker_parks_nothing: ParksForAnyone,
        a_late_worker_gives_nothing_back: BacksOffForAnyone,
        a_late_worker_renews_nothing: RenewsForAnyone,
        owner_and_token_together_are_the_proof: OwnerAlone | TokenAlone,
        a_renewed_lease_is_not_taken_over: RenewsNothing,
        events_of_a_key_run_in_the_order_of_their_arrival: IgnoresOrder,
        a_takeover_keeps_the_order_of_a_key: OrderEndsWithALease,
        a_failing_event_holds_up_no_other_key: OneKeyForAll,
        a_parked_event_does_not_block_its_key: ParkedBlocks,
        a_receive_dropped_at_any_await_loses_nothing: StoresInTwoSteps,
        a_take_dropped_at_any_await_loses_nothing: CountsADroppedTake,
        a_step_dropped_at_any_await_harms_nobody: LosesADroppedStep,
        a_purge_leaves_what_is_not_processed: PurgesAll,
        an_inbox_survives_a_restart: ForgetsOnRestart,
        a_parked_event_blocks_its_key_in_a_strict_inbox: StrictIsIgnored,
    }
}
