//! One delivery from its arrival to its end.

use std::time::Duration;

use ferro_idem::__inbox::{Counts, InboxStore, Received, TakeLimits};
use ferro_idem::{Owner, Ownership};

use crate::databases::{Database, LEASE, delivery, ids, inbox, limits, take};

on_every_database!(
    a_delivery_is_stored_once_and_taken_once,
    a_processed_event_stays_a_duplicate_and_its_body_is_gone,
    a_failed_delivery_comes_again_after_its_backoff,
    a_released_delivery_gets_its_attempt_back,
    what_kills_its_worker_every_time_is_parked,
    a_lost_lease_can_do_nothing_any_more,
    each_part_of_the_proof_is_compared,
    a_renewed_lease_is_not_stolen,
    senders_do_not_take_each_other_s_deliveries,
    a_number_is_never_given_again,
    a_purge_keeps_what_is_in_the_inbox,
    deliveries_that_arrive_together_are_each_stored_once,
    batches_that_overlap_in_part_store_all_their_events,
    check_says_everything_that_is_wrong_at_once,
    tables_of_a_newer_version_are_refused,
);

async fn a_delivery_is_stored_once_and_taken_once<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    assert_eq!(store.receive(delivery("evt_1", None)).await.unwrap(), Received::First);
    assert_eq!(store.receive(delivery("evt_1", None)).await.unwrap(), Received::Duplicate);
    let taken = take(&store, 10).await;
    assert_eq!(ids(&taken), ["evt_1"]);
    assert_eq!((&*taken[0].stored, &*taken[0].event_type, taken[0].attempts), (&b"evt_1"[..], "push", 1));
    assert!(take(&inbox(&database).await, 10).await.is_empty(), "another worker has it");
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.running, counts.parked), (0, 1, 0));
}

async fn a_processed_event_stays_a_duplicate_and_its_body_is_gone<T: Database>() {
    let database = T::fresh().await;
    let log = database.open().await;
    let store = inbox(&database).await;
    store.receive(delivery("evt_1", Some("key"))).await.unwrap();
    let taken = take(&store, 1).await;
    assert!(store.complete(&taken[0].held).await.unwrap());
    assert!(!store.complete(&taken[0].held).await.unwrap());
    assert_eq!(store.receive(delivery("evt_1", None)).await.unwrap(), Received::Duplicate);
    assert_eq!(store.counts().await.unwrap(), Counts::default());
    for table in ["webhook_inbox", "webhook_inbox_body"] {
        assert_eq!(T::number(&log, &format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}

async fn a_failed_delivery_comes_again_after_its_backoff<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    store.receive(delivery("evt_1", None)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None);
    let taken = take(&store, 1).await;
    assert!(store.back_off(&taken[0].held, Duration::from_secs(100), "a reason").await.unwrap());
    assert!(take(&store, 1).await.is_empty());
    let due = store.next_due().await.unwrap().unwrap();
    assert!(due <= Duration::from_secs(100) && due > Duration::from_secs(50), "{due:?}");
    let log = database.open().await;
    let kept = "SELECT count(*) FROM webhook_inbox WHERE last_error = 'a reason' AND attempts = 1";
    assert_eq!(T::number(&log, kept).await, 1);

    store.receive(delivery("evt_2", None)).await.unwrap();
    let taken = take(&store, 1).await;
    assert!(store.back_off(&taken[0].held, Duration::ZERO, "").await.unwrap());
    let again = take(&store, 1).await;
    assert_eq!((ids(&again), again[0].attempts), (vec!["evt_2"], 2));
    assert!(again[0].held.ownership.token > taken[0].held.ownership.token);
}

async fn a_released_delivery_gets_its_attempt_back<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    store.receive(delivery("evt_1", None)).await.unwrap();
    let mut tokens = Vec::new();
    for _ in 0..5 {
        let taken = take(&store, 1).await;
        assert_eq!(taken[0].attempts, 1);
        tokens.push(taken[0].held.ownership.token);
        assert!(store.release(&taken[0].held).await.unwrap());
        assert!(!store.release(&taken[0].held).await.unwrap());
    }
    assert!(tokens.is_sorted_by(|a, b| a < b), "the token grows all the same: {tokens:?}");
}

async fn what_kills_its_worker_every_time_is_parked<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let abandoned = TakeLimits { events: 10, lease: Duration::ZERO, max_attempts: 2 };
    for id in ["evt_1", "evt_2"] {
        store.receive(delivery(id, Some("key"))).await.unwrap();
    }
    for attempt in 1..=2 {
        let taken = store.take(abandoned).await.unwrap().taken;
        assert_eq!((ids(&taken), taken[0].attempts), (vec!["evt_1"], attempt));
    }
    let batch = store.take(abandoned).await.unwrap();
    assert!(batch.taken.is_empty(), "{batch:?}");
    assert_eq!((&*batch.parked[0].event_id, batch.parked[0].attempts), ("evt_1", 2));
    assert_eq!(store.counts().await.unwrap().parked, 1);
    store.free_heads().await.unwrap();
    assert_eq!(ids(&take(&store, 10).await), ["evt_2"], "it blocks its key no longer");
}

async fn a_lost_lease_can_do_nothing_any_more<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    store.receive(delivery("evt_1", Some("key"))).await.unwrap();
    let expired = TakeLimits { lease: Duration::ZERO, ..limits(1) };
    let lost = store.take(expired).await.unwrap().taken.remove(0).held;
    let held = take(&store, 1).await.remove(0).held;
    assert!(held.ownership.token > lost.ownership.token);
    assert!(!store.renew(&lost, LEASE).await.unwrap());
    assert!(!store.complete(&lost).await.unwrap());
    assert!(!store.back_off(&lost, Duration::ZERO, "").await.unwrap());
    assert!(!store.park(&lost, "").await.unwrap());
    assert!(!store.release(&lost).await.unwrap());
    assert_eq!(store.counts().await.unwrap().running, 1);
    assert!(store.renew(&held, LEASE).await.unwrap());
    assert!(store.park(&held, "").await.unwrap());
    for step in [store.complete(&held).await, store.release(&held).await, store.renew(&held, LEASE).await] {
        assert!(!step.unwrap(), "it is parked");
    }
}

async fn each_part_of_the_proof_is_compared<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    store.receive(delivery("evt_1", None)).await.unwrap();
    store.receive(delivery("evt_2", None)).await.unwrap();
    let taken = take(&store, 2).await;
    let (held, other) = (&taken[0].held, &taken[1].held);
    let Ownership { owner, token } = held.ownership;
    let mut wrong = [held.clone(), held.clone(), held.clone()];
    wrong[0].ownership = Ownership { owner: Owner::random().unwrap(), token };
    wrong[1].ownership = Ownership { owner, token: token + 1 };
    wrong[2].seq = other.seq + 1;
    for wrong in &wrong {
        assert!(!store.complete(wrong).await.unwrap(), "{wrong:?}");
        assert!(!store.renew(wrong, LEASE).await.unwrap(), "{wrong:?}");
        assert!(!store.back_off(wrong, LEASE, "").await.unwrap(), "{wrong:?}");
        assert!(!store.park(wrong, "").await.unwrap(), "{wrong:?}");
        assert!(!store.release(wrong).await.unwrap(), "{wrong:?}");
    }
    assert!(store.complete(held).await.unwrap() && store.complete(other).await.unwrap());
}

async fn a_renewed_lease_is_not_stolen<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    store.receive(delivery("evt_1", None)).await.unwrap();
    let expired = TakeLimits { lease: Duration::ZERO, ..limits(1) };
    let taken = store.take(expired).await.unwrap().taken;
    assert!(store.renew(&taken[0].held, LEASE).await.unwrap());
    assert!(take(&store, 1).await.is_empty());
    assert!(store.complete(&taken[0].held).await.unwrap());
}

async fn senders_do_not_take_each_other_s_deliveries<T: Database>() {
    let database = T::fresh().await;
    let github = inbox(&database).await;
    let stripe = InboxStore::new(&database.open().await, "stripe");
    assert_eq!(github.receive(delivery("evt_1", Some("key"))).await.unwrap(), Received::First);
    assert_eq!(stripe.receive(delivery("evt_1", Some("key"))).await.unwrap(), Received::First);
    assert_eq!(ids(&take(&stripe, 10).await), ["evt_1"]);
    assert!(take(&stripe, 10).await.is_empty());
    let taken = take(&github, 10).await;
    assert_eq!((ids(&taken), taken[0].order_key.as_deref()), (vec!["evt_1"], Some("key")));
}

async fn a_number_is_never_given_again<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let mut last = 0;
    for n in 0..3 {
        store.receive(delivery(&format!("evt_{n}"), None)).await.unwrap();
        let held = take(&store, 1).await.remove(0).held;
        assert!(held.seq > last, "{} after {last}", held.seq);
        last = held.seq;
        assert!(store.complete(&held).await.unwrap());
    }
}

async fn a_purge_keeps_what_is_in_the_inbox<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    for n in 0..600 {
        store.receive(delivery(&format!("evt_{n:03}"), None)).await.unwrap();
        if n < 598 {
            let held = take(&store, 1).await.remove(0).held;
            assert!(store.complete(&held).await.unwrap());
        }
    }
    assert_eq!(store.purge(Duration::from_hours(1)).await.unwrap(), 0);
    let log = database.open().await;
    T::run(&log, "DELETE FROM webhook_inbox_seen WHERE event_id = 'github:evt_000'").await;
    for table in ["webhook_inbox_seen", "webhook_inbox"] {
        T::run(&log, &T::aged(table)).await;
    }
    assert_eq!(store.purge(Duration::from_hours(1)).await.unwrap(), 597);
    for (id, received) in
        [("evt_001", Received::First), ("evt_598", Received::Duplicate), ("evt_599", Received::Duplicate)]
    {
        assert_eq!(store.receive(delivery(id, None)).await.unwrap(), received, "{id}");
    }
}

async fn deliveries_that_arrive_together_are_each_stored_once<T: Database>() {
    let database = T::fresh().await;
    let (one, other) = (inbox(&database).await, inbox(&database).await);
    let mut all = tokio::task::JoinSet::new();
    for n in 0..400 {
        let store = if n % 2 == 0 { one.clone() } else { other.clone() };
        // Each event twice, and keys that repeat within a batch.
        let key = format!("key_{}", n % 7);
        all.spawn(
            async move { store.receive(delivery(&format!("evt_{}", n / 2), Some(&key))).await.unwrap() },
        );
    }
    let received = all.join_all().await;
    assert_eq!(received.iter().filter(|received| **received == Received::First).count(), 200);
    assert_eq!(one.counts().await.unwrap().waiting, 200);
    let log = database.open().await;
    assert_eq!(T::number(&log, "SELECT count(*) FROM webhook_inbox_seen").await, 200);
}

async fn batches_that_overlap_in_part_store_all_their_events<T: Database>() {
    let database = T::fresh().await;
    let (one, other) = (inbox(&database).await, inbox(&database).await);
    let mut all = tokio::task::JoinSet::new();
    for n in 0..300 {
        // Both get the events whose keys are the last of a batch.
        for store in [one.clone(), other.clone()].into_iter().take(if n % 10 < 7 { 1 } else { 2 }) {
            let event = format!("evt_{}_{n}", n % 10);
            all.spawn(async move { store.receive(delivery(&event, None)).await.unwrap() });
        }
    }
    let received = all.join_all().await;
    assert_eq!(received.iter().filter(|received| **received == Received::First).count(), 300);
    assert_eq!(one.counts().await.unwrap().waiting, 300, "what is answered is stored");
}

async fn check_says_everything_that_is_wrong_at_once<T: Database>() {
    let database = T::fresh().await;
    let store = InboxStore::new(&database.open().await, "github");
    let error = store.check().await.unwrap_err();
    assert!(InboxStore::<T::D>::needs_help(&error), "{error:?}");
    let error = error.to_string();
    for words in ["no table `webhook_inbox`", "no table `webhook_inbox_seen`", "CREATE TABLE"] {
        assert!(error.contains(words), "{words}: {error}");
    }
    let error = store.receive(delivery("evt_1", None)).await.unwrap_err();
    assert!(InboxStore::<T::D>::needs_help(&error) && error.to_string().contains("CREATE TABLE"), "{error}");
    store.create_tables().await.unwrap();
    store.create_tables().await.unwrap();
    let lacks =
        |error: &ferro_idem::Error, column: &str| error.to_string().contains(&format!("lacks {column}"));
    let checked = store.check().await;
    assert!(
        checked.as_ref().err().is_none_or(|error| error.to_string().contains("synchronous")),
        "{checked:?}"
    );
    T::run(&database.open().await, "ALTER TABLE webhook_inbox DROP COLUMN last_error").await;
    let error = store.check().await.unwrap_err();
    assert!(lacks(&error, "last_error"), "{error}");
    assert_eq!(store.receive(delivery("evt_1", None)).await.ok(), None);
}

async fn tables_of_a_newer_version_are_refused<T: Database>() {
    let database = T::fresh().await;
    let store = InboxStore::new(&database.open().await, "github");
    let newer = store.schema().replace("DEFAULT 1", "DEFAULT 7");
    T::run(&database.open().await, &newer).await;
    let error = store.check().await.unwrap_err().to_string();
    assert!(error.contains("layout 7") && error.contains("update this process"), "{error}");
    assert!(store.receive(delivery("evt_1", None)).await.is_err());
}
