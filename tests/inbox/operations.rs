//! What an operator does to an inbox by hand.

use std::time::Duration;

use ferro_idem::__inbox::{InboxDatabase, InboxStore, NewDelivery, Received};
use ferro_idem::EventRef;
use ferro_idem::inbox::operations::{Change, Cursor, InboxEvent, InboxFilter, InboxOperations, InboxState};

use crate::databases::{Database, LEASE, SENDER, delivery, ids, inbox, limits, take};

const KEY: &str = "github:evt_1";

async fn look(operations: &dyn InboxOperations, key: &str) -> InboxEvent {
    operations.look(key).await.unwrap().unwrap_or_else(|| panic!("there is no {key}"))
}

/// Receives an event, and parks it with this error.
async fn parked<D: InboxDatabase>(store: &InboxStore<D>, new: NewDelivery, error: &str) {
    assert_eq!(store.receive(new).await.unwrap(), Received::First);
    let taken = take(store, 1).await;
    assert!(store.park(&taken[0].held, error).await.unwrap());
}

async fn an_event_tells_its_whole_story<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    assert_eq!(operations.look(KEY).await.unwrap(), None);
    store.receive(delivery("evt_1", Some("repo:1"))).await.unwrap();
    store.receive(delivery("evt_2", Some("repo:1"))).await.unwrap();

    let waiting = look(&*operations, KEY).await;
    assert_eq!((waiting.sender(), waiting.id()), (SENDER, "evt_1"));
    assert_eq!((waiting.state(), waiting.event_type()), (InboxState::Waiting, Some("push")));
    assert_eq!((waiting.order_key(), waiting.stored_bytes()), (Some("repo:1"), Some(5)));
    assert_eq!((waiting.attempts(), waiting.fencing_token(), waiting.owner()), (0, 0, None));
    assert_eq!((waiting.next_attempt_in(), waiting.lease_left()), (Some(Duration::ZERO), None));
    let received_at = waiting.received_at().expect("the time is kept");
    assert!(received_at.elapsed().unwrap_or_default() < Duration::from_mins(5));
    let second = look(&*operations, "github:evt_2").await;
    assert!(second.waits_for_another() && second.next_attempt_in().is_none());

    let taken = take(&store, 1).await;
    let running = look(&*operations, KEY).await;
    assert_eq!((running.state(), running.attempts(), running.fencing_token()), (InboxState::Running, 1, 1));
    assert_eq!(running.owner(), Some(taken[0].held.ownership.owner));
    let left = running.lease_left().unwrap();
    assert!(left > LEASE / 2 && left <= LEASE, "{left:?}");

    assert!(store.back_off(&taken[0].held, LEASE, "SMTP 451").await.unwrap());
    let backing_off = look(&*operations, KEY).await;
    assert_eq!((backing_off.state(), backing_off.last_error()), (InboxState::BackingOff, Some("SMTP 451")));
    assert!(backing_off.next_attempt_in().unwrap() > LEASE / 2);

    store.receive(delivery("evt_3", None)).await.unwrap();
    let short = ferro_idem::__inbox::TakeLimits { lease: Duration::ZERO, ..limits(1) };
    let third = store.take(short).await.unwrap().taken;
    assert_eq!(look(&*operations, "github:evt_3").await.state(), InboxState::LeaseEnded);
    assert!(store.complete(&third[0].held).await.unwrap());
    let processed = look(&*operations, "github:evt_3").await;
    assert_eq!((processed.state(), processed.stored_bytes()), (InboxState::Processed, None));
    assert!(processed.received_at().is_some());
    for wrong in ["", "a\0b"] {
        assert!(operations.look(wrong).await.is_err());
    }
    assert_eq!(operations.look("evt_1").await.unwrap(), None);
    assert_eq!(operations.look(&"x".repeat(600)).await.unwrap(), None);
}

async fn a_replayed_event_has_all_its_attempts<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    store.receive(delivery("evt_1", None)).await.unwrap();
    for _ in 1..limits(1).max_attempts {
        let taken = take(&store, 1).await;
        assert!(store.back_off(&taken[0].held, Duration::ZERO, "no answer").await.unwrap());
    }
    let last = take(&store, 1).await;
    assert!(store.park(&last[0].held, "no answer").await.unwrap());

    let seen = look(&*operations, KEY).await;
    assert_eq!((seen.state(), seen.attempts(), seen.fencing_token()), (InboxState::Parked, 3, 3));
    assert!(take(&store, 1).await.is_empty());
    assert_eq!(operations.replay(&seen).await.unwrap(), Change::Done);
    let replayed = look(&*operations, KEY).await;
    assert_eq!((replayed.state(), replayed.attempts()), (InboxState::Waiting, 0));
    assert_eq!((replayed.fencing_token(), replayed.last_error()), (3, Some("no answer")));

    let again = take(&store, 1).await;
    assert_eq!((again[0].attempts, again[0].held.ownership.token), (1, 4), "the token fell");
    assert_eq!(again[0].stored, b"evt_1");
    assert!(!store.complete(&last[0].held).await.unwrap(), "the parked attempt had its event back");
    assert!(store.complete(&again[0].held).await.unwrap());
    assert_eq!(look(&*operations, KEY).await.state(), InboxState::Processed);
}

async fn a_discarded_event_has_no_body_and_stays_a_duplicate<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    parked(&store, delivery("evt_1", None), "unreadable").await;
    let seen = look(&*operations, KEY).await;
    assert_eq!(operations.discard(&seen).await.unwrap(), Change::Done);
    let log = database.open().await;
    for table in ["webhook_inbox", "webhook_inbox_body"] {
        assert_eq!(T::number(&log, &format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    assert_eq!(look(&*operations, KEY).await.state(), InboxState::Processed);
    assert_eq!(store.receive(delivery("evt_1", None)).await.unwrap(), Received::Duplicate);
    assert!(take(&store, 1).await.is_empty());
}

async fn the_second_of_two_operators_comes_too_late<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    parked(&store, delivery("evt_1", Some("repo:1")), "no answer").await;
    let seen = look(&*operations, KEY).await;
    let (one, other) = tokio::join!(operations.replay(&seen), operations.replay(&seen));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(one.is_done() != other.is_done(), "{one:?} and {other:?}");
    for late in [operations.replay(&seen).await.unwrap(), operations.discard(&seen).await.unwrap()] {
        let Change::TooLate(Some(now)) = late else { panic!("{late:?}") };
        assert_eq!((now.key(), now.state()), (KEY, InboxState::Waiting));
        assert_ne!(now.version(), seen.version());
    }

    // A worker was faster.
    let held = take(&store, 1).await;
    let late = operations.replay(&seen).await.unwrap();
    let Change::TooLate(Some(now)) = late else { panic!("{late:?}") };
    assert_eq!((now.state(), now.fencing_token()), (InboxState::Running, 2));
    // The event is parked again, which is not what was seen.
    assert!(store.park(&held[0].held, "no answer").await.unwrap());
    assert!(matches!(operations.discard(&seen).await.unwrap(), Change::TooLate(Some(_))));

    let seen = look(&*operations, KEY).await;
    assert_eq!(operations.discard(&seen).await.unwrap(), Change::Done);
    for late in [operations.replay(&seen).await.unwrap(), operations.discard(&seen).await.unwrap()] {
        let Change::TooLate(Some(now)) = late else { panic!("{late:?}") };
        assert_eq!(now.state(), InboxState::Processed);
    }
}

async fn only_parked_events_are_replayed_or_discarded<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    for id in ["processed", "running", "waiting"] {
        store.receive(delivery(id, None)).await.unwrap();
    }
    let taken = take(&store, 2).await;
    assert!(store.complete(&taken[0].held).await.unwrap());
    for id in ["processed", "running", "waiting"] {
        let seen = look(&*operations, &format!("github:{id}")).await;
        assert_eq!(seen.state().to_string(), id);
        for refused in [operations.replay(&seen).await, operations.discard(&seen).await] {
            let refused = refused.unwrap();
            assert!(matches!(refused, Change::NotPossible(why) if why.ends_with('.')), "{refused:?}");
        }
    }
    let all = InboxFilter::new();
    assert_eq!(operations.replay_all(&all, &mut |_| ()).await.unwrap(), 0);
    assert_eq!(operations.discard_all(&all, &mut |_| ()).await.unwrap(), 0);
    assert_eq!(operations.counts().await.unwrap().total(), 2);
    assert!(store.complete(&taken[1].held).await.unwrap());
}

async fn a_replayed_event_runs_in_its_place<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    parked(&store, delivery("evt_1", Some("repo:1")), "no answer").await;
    for id in ["evt_2", "evt_3"] {
        store.receive(delivery(id, Some("repo:1"))).await.unwrap();
    }
    let second = take(&store, 9).await;
    assert_eq!(ids(&second), ["evt_2"]);
    assert!(operations.replay(&look(&*operations, KEY).await).await.unwrap().is_done());
    assert!(take(&store, 9).await.is_empty(), "two of one key ran at once");
    assert!(store.complete(&second[0].held).await.unwrap());
    for id in ["evt_1", "evt_3"] {
        let next = take(&store, 9).await;
        assert_eq!(ids(&next), [id]);
        assert!(store.complete(&next[0].held).await.unwrap());
    }
}

async fn many_are_replayed_in_batches_and_in_order<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    let log = database.open().await;
    // Parked by hand: they have no owner.
    T::run(&log, &T::fill(600, "'github:hot'", 2)).await;
    parked(&store, delivery("other", None), "another error").await;
    let bank = InboxFilter::new().with_sender("github").with_max_age(Duration::from_hours(1));
    let none = InboxFilter::new().with_error("no such error");
    assert_eq!(operations.replay_all(&none, &mut |_| ()).await.unwrap(), 0);

    let (mut pages, mut changed) = (0, 0);
    let replayed = operations
        .replay_all(&bank, &mut |page| {
            assert!(page.changed <= 256 && page.too_late == 0, "{page:?}");
            pages += 1;
            changed += page.changed;
        })
        .await
        .unwrap();
    assert_eq!((replayed, changed), (601, 601));
    assert!(pages >= 3, "{pages}");
    assert_eq!(operations.counts().await.unwrap().of(InboxState::Parked).events, 0);
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let batch = take(&store, 4).await;
        for taken in &batch {
            if &*taken.held.event_id != "other" {
                seen.push(taken.held.event_id.to_string());
            }
            assert!(store.complete(&taken.held).await.unwrap());
        }
        assert!(batch.len() <= 2, "two of one key ran at once");
    }
    assert_eq!(seen, ["fill_1", "fill_2", "fill_3", "fill_4", "fill_5"]);
}

async fn an_event_that_fails_again_is_replayed_once<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    for number in 0..3 {
        parked(&store, delivery(&format!("evt_{number}"), None), "no answer").await;
    }
    let filter = InboxFilter::new();
    let first = operations.replay_page(&filter, None).await.unwrap();
    assert_eq!((first.changed, first.next), (3, None));

    // What is parked while a long replay goes on is not a part of it.
    let later = delivery("later", None);
    for taken in take(&store, 3).await {
        assert!(store.park(&taken.held, "again").await.unwrap());
    }
    let cursor: Cursor = "r0.2".parse().unwrap();
    parked(&store, later, "no answer").await;
    let rest = operations.replay_page(&filter, Some(&cursor)).await.unwrap();
    assert_eq!((rest.changed, rest.next), (2, None));
}

async fn discarding_in_a_strict_inbox_lets_its_key_go_on<T: Database>() {
    let database = T::fresh().await;
    let store = InboxStore::new(&database.open().await, SENDER).with_strict_order();
    store.create_tables().await.unwrap();
    let operations = store.operations();
    parked(&store, delivery("evt_1", Some("repo:1")), "no answer").await;
    for id in ["evt_2", "evt_3"] {
        store.receive(delivery(id, Some("repo:1"))).await.unwrap();
    }
    assert!(take(&store, 9).await.is_empty());
    assert!(operations.replay(&look(&*operations, KEY).await).await.unwrap().is_done());
    let first = take(&store, 9).await;
    assert_eq!(ids(&first), ["evt_1"]);
    assert!(store.park(&first[0].held, "no answer").await.unwrap());
    assert!(take(&store, 9).await.is_empty());
    assert!(operations.discard(&look(&*operations, KEY).await).await.unwrap().is_done());
    assert_eq!(ids(&take(&store, 9).await), ["evt_2"]);
}

async fn an_operator_can_discard_all_that_match<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    for (id, error) in [("a", "50% of '\"_\\ failed"), ("b", "50% of '\"_\\ failed again"), ("c", "50x")] {
        parked(&store, delivery(id, None), error).await;
    }
    let filter = InboxFilter::new().with_error("50% of '\"_\\");
    assert_eq!(operations.discard_all(&filter, &mut |_| ()).await.unwrap(), 2);
    let log = database.open().await;
    assert_eq!(T::number(&log, "SELECT count(*) FROM webhook_inbox_body").await, 1);
    assert_eq!(operations.counts().await.unwrap().of(InboxState::Parked).events, 1);
}

async fn hostile_ids_come_back_byte_for_byte<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    let odd = [
        "<script>alert(1)</script>",
        "'; DROP TABLE webhook_inbox; --",
        "\"a\"\n\r\tb",
        "\u{1b}[31mred\u{7}",
        "evt_a",
        "EVT_A",
        "evt_a ",
        "a:b:c",
        "e\u{301}",
        "a\\b%_?$1{}",
        "\u{202e}gpj.exe",
        "🦀",
    ];
    for id in odd {
        parked(&store, delivery(id, Some(id)), id).await;
    }
    let listed = operations.list(&InboxFilter::new(), None, 100).await.unwrap().events;
    assert_eq!(listed.iter().map(InboxEvent::id).collect::<Vec<_>>(), odd);
    for id in odd {
        let event = look(&*operations, &format!("github:{id}")).await;
        assert_eq!((event.id(), event.order_key(), event.last_error()), (id, Some(id), Some(id)));
        assert!(operations.replay(&event).await.unwrap().is_done(), "{id:?}");
    }
    let odd_type = EventRef::new("typed").unwrap().with_type("a'\"\u{1b}");
    store.receive(NewDelivery::new(odd_type, None, Vec::new())).await.unwrap();
    let typed = InboxFilter::new().with_type("a'\"\u{1b}");
    assert_eq!(operations.list(&typed, None, 9).await.unwrap().events.len(), 1);
}

on_every_database!(
    an_event_tells_its_whole_story,
    a_replayed_event_has_all_its_attempts,
    a_discarded_event_has_no_body_and_stays_a_duplicate,
    the_second_of_two_operators_comes_too_late,
    only_parked_events_are_replayed_or_discarded,
    a_replayed_event_runs_in_its_place,
    many_are_replayed_in_batches_and_in_order,
    an_event_that_fails_again_is_replayed_once,
    discarding_in_a_strict_inbox_lets_its_key_go_on,
    an_operator_can_discard_all_that_match,
    hostile_ids_come_back_byte_for_byte,
);
