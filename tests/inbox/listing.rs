//! Lists and counts of an inbox.

use std::collections::BTreeSet;
use std::time::Duration;

use ferro_idem::__inbox::{InboxStore, NewDelivery};
use ferro_idem::EventRef;
use ferro_idem::inbox::operations::{Cursor, InboxEvent, InboxFilter, InboxOperations, InboxState};
use ferro_idem::operations::MAX_PAGE;

use crate::databases::{Database, LEASE, OnSqlite, SENDER, delivery, inbox, take};

/// All pages. Cursors pass through text, as in a URL.
async fn all(operations: &dyn InboxOperations, filter: &InboxFilter, limit: usize) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = operations.list(filter, after.as_ref(), limit).await.unwrap();
        assert!(page.events.len() <= limit, "{} of {limit}", page.events.len());
        keys.extend(page.events.iter().map(|event| event.id().to_owned()));
        match page.next {
            Some(next) => after = Some(next.to_string().parse::<Cursor>().unwrap()),
            None => return keys,
        }
    }
}

async fn filters_narrow_a_list<T: Database>() {
    let database = T::fresh().await;
    let log = database.open().await;
    let store = inbox(&database).await;
    let other = InboxStore::new(&log, "slack");
    let operations = store.operations();
    for id in ["processed", "parked", "backing_off", "running", "waiting"] {
        store.receive(delivery(id, None)).await.unwrap();
    }
    let taken = take(&store, 4).await;
    assert!(store.complete(&taken[0].held).await.unwrap());
    assert!(store.park(&taken[1].held, "the bank's answer: 503").await.unwrap());
    assert!(store.back_off(&taken[2].held, LEASE, "SMTP 451").await.unwrap());
    let invoice = EventRef::new("waiting").unwrap().with_type("invoice.paid");
    other.receive(NewDelivery::new(invoice, None, Vec::new())).await.unwrap();

    let list = async |filter: InboxFilter| all(&*operations, &filter, 2).await;
    assert_eq!(list(InboxFilter::new()).await, ["parked", "backing_off", "running", "waiting", "waiting"]);
    for (state, expected) in [
        (InboxState::Waiting, &["waiting", "waiting"][..]),
        (InboxState::BackingOff, &["backing_off"]),
        (InboxState::Running, &["running"]),
        (InboxState::LeaseEnded, &[]),
        (InboxState::Parked, &["parked"]),
        (InboxState::Processed, &["processed"]),
    ] {
        assert_eq!(list(InboxFilter::new().with_state(state)).await, expected, "{state}");
        let none = InboxFilter::new().with_state(state).with_sender("stripe");
        assert!(list(none).await.is_empty(), "{state}");
    }
    assert_eq!(list(InboxFilter::new().with_sender("slack")).await, ["waiting"]);
    assert_eq!(list(InboxFilter::new().with_type("invoice.paid")).await, ["waiting"]);
    assert_eq!(list(InboxFilter::new().with_error("bank's answer")).await, ["parked"]);
    assert_eq!(list(InboxFilter::new().with_error("")).await, ["parked", "backing_off"]);
    assert_eq!(list(InboxFilter::new().with_min_attempts(1)).await, ["parked", "backing_off", "running"]);
    let hour = Duration::from_hours(1);
    assert!(list(InboxFilter::new().with_min_age(hour)).await.is_empty());
    assert_eq!(list(InboxFilter::new().with_max_age(hour)).await.len(), 5);
    assert!(list(InboxFilter::new().with_min_age(Duration::MAX)).await.is_empty());
    for wrong in ["Invoice.paid", "invoice.paid' OR '1'='1", "invoice%", ""] {
        assert!(list(InboxFilter::new().with_type(wrong).with_sender("slack")).await.is_empty(), "{wrong}");
    }
    let processed = InboxFilter::new().with_state(InboxState::Processed);
    assert_eq!(list(processed.clone().with_sender(SENDER).with_max_age(hour)).await, ["processed"]);
    for none in [
        processed.clone().with_min_age(hour),
        processed.clone().with_type("push"),
        processed.clone().with_error("SMTP"),
        processed.with_min_attempts(1),
    ] {
        assert!(list(none).await.is_empty());
    }
}

async fn a_list_goes_on_while_events_come_and_go<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    let stays: Vec<String> = (0..20).map(|number| format!("evt_{number:03}")).collect();
    for id in &stays {
        store.receive(delivery(&format!("{id}_goes"), None)).await.unwrap();
    }
    let mut goes = take(&store, 20).await;
    for id in &stays {
        store.receive(delivery(id, None)).await.unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = operations.list(&InboxFilter::new(), after.as_ref(), 7).await.unwrap();
        seen.extend(page.events.iter().map(|event| event.id().to_owned()));
        store.receive(delivery(&format!("new_{}", seen.len()), None)).await.unwrap();
        for _ in 0..6 {
            if let Some(going) = goes.pop() {
                assert!(store.complete(&going.held).await.unwrap());
            }
        }
        let Some(next) = page.next else { break };
        after = Some(next);
        if seen.len() > 100 {
            break;
        }
    }
    let of_stays: Vec<&String> = seen.iter().filter(|id| stays.contains(id)).collect();
    assert_eq!(of_stays, stays.iter().collect::<Vec<_>>(), "in the order of arrival, and each once");
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "an event was listed twice");
}

async fn processed_events_are_listed_without_the_others<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    for number in 0..30 {
        store.receive(delivery(&format!("evt_{number:02}"), None)).await.unwrap();
    }
    let taken = take(&store, 20).await;
    for (number, taken) in taken.iter().enumerate() {
        if number % 2 == 0 {
            assert!(store.complete(&taken.held).await.unwrap());
        }
    }
    let processed = InboxFilter::new().with_state(InboxState::Processed);
    let expected: Vec<String> = (0..20).step_by(2).map(|number| format!("evt_{number:02}")).collect();
    for limit in [1, 3, 100] {
        assert_eq!(all(&*operations, &processed, limit).await, expected, "{limit}");
    }
    assert_eq!(operations.processed().await.unwrap(), 10);
    let counts = operations.counts().await.unwrap();
    assert_eq!((counts.total(), counts.of(InboxState::Running).events), (20, 10));
    assert_eq!((counts.of(InboxState::Waiting).events, counts.of(InboxState::Parked).events), (10, 0));
    assert!(counts.oldest().unwrap().elapsed().unwrap_or_default() < Duration::from_mins(5));
}

async fn the_oldest_is_not_one_that_is_parked<T: Database>() {
    let database = T::fresh().await;
    let log = database.open().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    assert_eq!(operations.counts().await.unwrap().oldest(), None);
    store.receive(delivery("parked", None)).await.unwrap();
    let taken = take(&store, 1).await;
    assert!(store.park(&taken[0].held, "no answer").await.unwrap());
    T::run(&log, &T::aged("webhook_inbox")).await;
    let counts = operations.counts().await.unwrap();
    assert_eq!(counts.oldest(), None);
    let hours = Duration::from_hours(9);
    assert!(counts.of(InboxState::Parked).oldest.unwrap().elapsed().unwrap() > hours);
    store.receive(delivery("waiting", None)).await.unwrap();
    assert!(operations.counts().await.unwrap().oldest().unwrap().elapsed().unwrap_or_default() < hours);
    let old = InboxFilter::new().with_min_age(hours);
    assert_eq!(all(&*operations, &old, 5).await, ["parked"]);
}

async fn a_purge_reports_progress_and_keeps_what_is_unfinished<T: Database>() {
    let database = T::fresh().await;
    let log = database.open().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    for number in 0..20 {
        store.receive(delivery(&format!("evt_{number}"), None)).await.unwrap();
    }
    for taken in take(&store, 15).await {
        assert!(store.complete(&taken.held).await.unwrap());
    }
    T::run(&log, &T::aged("webhook_inbox_seen")).await;
    T::run(&log, &T::aged("webhook_inbox")).await;
    let mut deleted = 0;
    let mut read = 0;
    let purged = operations
        .purge(Duration::from_hours(5), &mut |page| {
            deleted += page.deleted;
            read += page.read;
        })
        .await
        .unwrap();
    assert_eq!((purged, deleted), (15, 15));
    assert!(read >= 20, "{read}");
    assert_eq!((operations.processed().await.unwrap(), operations.counts().await.unwrap().total()), (0, 5));
}

async fn a_cursor_of_another_list_is_refused<T: Database>() {
    let database = T::fresh().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    let (any, processed) = (InboxFilter::new(), InboxFilter::new().with_state(InboxState::Processed));
    for cursor in ["zzz", "k", "kxx", "r", "rx", "r1.2", "r1.2.3", "r99999999999999999999999", "k61"] {
        let cursor = cursor.parse::<Cursor>().unwrap();
        let refused = operations.list(&any, Some(&cursor), 10).await.unwrap_err();
        assert!(refused.to_string().contains("begin the list again"), "{refused}");
        assert!(operations.count_page(Some(&cursor)).await.is_err());
    }
    for cursor in ["zzz", "k", "r1", "r1.2"] {
        let cursor = cursor.parse::<Cursor>().unwrap();
        assert!(operations.list(&processed, Some(&cursor), 10).await.is_err());
        assert!(operations.count_keys_page(Some(&cursor)).await.is_err());
        assert!(operations.purge_page(Duration::MAX, Some(&cursor)).await.is_err());
    }
    for cursor in ["r1", "k61", "r1.2.3"] {
        let cursor = cursor.parse::<Cursor>().unwrap();
        assert!(operations.replay_page(&any, Some(&cursor)).await.is_err());
        assert!(operations.discard_page(&any, Some(&cursor)).await.is_err());
    }
}

async fn a_table_that_is_missing_is_an_error_that_says_so<T: Database>() {
    let database = T::fresh().await;
    let store = InboxStore::new(&database.open().await, SENDER);
    let error = store.operations().counts().await.unwrap_err().to_string();
    assert!(error.contains("webhook_inbox"), "{error}");
}

on_every_database!(
    filters_narrow_a_list,
    a_list_goes_on_while_events_come_and_go,
    processed_events_are_listed_without_the_others,
    the_oldest_is_not_one_that_is_parked,
    a_purge_reports_progress_and_keeps_what_is_unfinished,
    a_cursor_of_another_list_is_refused,
    a_table_that_is_missing_is_an_error_that_says_so,
);

#[tokio::test]
async fn a_filter_that_matches_little_returns_short_pages() {
    let database = OnSqlite::fresh().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    OnSqlite::run(&database.open().await, &OnSqlite::fill(120_000, "NULL", 0)).await;
    let parked = InboxFilter::new().with_state(InboxState::Parked);
    let first = operations.list(&parked, None, 10).await.unwrap();
    assert!(first.events.is_empty() && first.next.is_some());
    let second = operations.list(&parked, first.next.as_ref(), 10).await.unwrap();
    assert_eq!((second.events, second.next), (Vec::new(), None));
    assert_eq!(operations.counts().await.unwrap().of(InboxState::BackingOff).events, 120_000);
    for (limit, expected) in [(0, 1), (1, 1), (7, 7), (MAX_PAGE, MAX_PAGE), (usize::MAX, MAX_PAGE)] {
        let page = operations.list(&InboxFilter::new(), None, limit).await.unwrap();
        assert_eq!(page.events.len(), expected, "{limit}");
    }
}

#[tokio::test]
async fn a_dropped_call_leaves_the_pool_usable() {
    use futures_util::FutureExt;
    let database = OnSqlite::fresh().await;
    let store = inbox(&database).await;
    let operations = store.operations();
    store.receive(delivery("evt_1", None)).await.unwrap();
    let taken = take(&store, 1).await;
    assert!(store.park(&taken[0].held, "no answer").await.unwrap());
    let seen: InboxEvent = operations.look("github:evt_1").await.unwrap().unwrap();
    for _ in 0..50 {
        drop(operations.list(&InboxFilter::new(), None, 10).now_or_never());
        drop(operations.counts().now_or_never());
        drop(operations.replay(&seen).now_or_never());
        drop(operations.replay_page(&InboxFilter::new(), None).now_or_never());
    }
    assert_eq!(operations.counts().await.unwrap().total(), 1);
}
