//! What a client of the API is promised, whatever log and guarantee are behind it.

use std::time::Duration;

use ferro_idem::operations::Change;
use ferro_idem_tests::drop_after_polls;
use futures_util::future::join_all;
use tokio::runtime::Builder;

use super::api::{Api, Clerk};
use super::{By, Store};

/// Two handles on the store.
async fn apis(store: &Store, by: By, clerk: &Clerk) -> [Api; 2] {
    [store.api(by, clerk).await, store.api(by, clerk).await]
}

pub(super) async fn every_retry_gets_the_first_reply_again(store: &Store, by: By) {
    let [api, other] = apis(store, by, &Clerk::default()).await;
    let first = api.post("shop", "\"key_1\"", "pay").await;
    assert!(first.is_first(), "{first:?}");
    assert_eq!((&first.body[..], first.header("location")), (&b"run 1: pay"[..], Some("/charges/1")));
    for (api, key) in [(&api, "key_1"), (&other, "\"key_1\""), (&other, "key_1")] {
        let again = api.post("shop", key, "pay").await;
        assert!(again.is_replay_of(&first), "{again:?}");
    }
    assert!(other.post("shop", "key_2", "pay").await.is_first());
    assert_eq!((api.clerk.runs(), api.charges().await), (2, 2));
}

pub(super) async fn another_request_under_the_key_is_422(store: &Store, by: By) {
    let [api, other] = apis(store, by, &Clerk::default()).await;
    let first = api.post("shop", "key_1", "pay").await;
    for body in ["pay more", "", "pay "] {
        let refused = other.post("shop", "key_1", body).await;
        assert_eq!((refused.status, refused.header("idempotent-replayed")), (422, None), "{body:?}");
    }
    assert!(other.post("shop", "key_1", "pay").await.is_replay_of(&first));
    assert_eq!((api.clerk.runs(), api.charges().await), (1, 1));
}

pub(super) async fn a_retry_of_a_running_request_is_409(store: &Store, by: By) {
    let clerk = Clerk::default();
    let [api, other] = apis(store, by, &clerk).await;
    let running = tokio::spawn(async move { api.post("shop", "key_1", "waits").await });
    clerk.began.acquire().await.unwrap().forget();
    for body in ["waits", "pay"] {
        let refused = other.post("shop", "key_1", body).await;
        assert_eq!(refused.status, 409, "{refused:?}");
        let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{refused:?}");
    }
    clerk.may_end.add_permits(1);
    let first = running.await.unwrap();
    assert!(first.is_first(), "{first:?}");
    assert!(other.post("shop", "key_1", "waits").await.is_replay_of(&first));
    assert_eq!((clerk.runs(), other.charges().await), (1, 1));
}

pub(super) async fn keys_of_two_tenants_never_meet(store: &Store, by: By) {
    let [api, other] = apis(store, by, &Clerk::default()).await;
    // Escaped, so that none of these is another one's key.
    let keys = [("a", "key"), ("b", "key"), ("a:b", "c"), ("a", "b:c"), ("a%3Ab", "c")];
    let mut firsts = Vec::new();
    for (tenant, key) in keys {
        let first = api.post(tenant, key, &format!("pay {tenant}")).await;
        assert!(first.is_first(), "{tenant} {key}: {first:?}");
        firsts.push(first);
    }
    for ((tenant, key), first) in keys.into_iter().zip(&firsts) {
        let again = other.post(tenant, key, &format!("pay {tenant}")).await;
        assert!(again.is_replay_of(first), "{tenant} {key}: {again:?}");
    }
    assert_eq!((api.clerk.runs(), api.charges().await), (5, 5));
}

pub(super) async fn a_failure_is_not_kept_and_the_retry_runs(store: &Store, by: By) {
    let [api, other] = apis(store, by, &Clerk::default()).await;
    for api in [&api, &other] {
        assert_eq!(api.post("shop", "key_1", "fails").await.status, 503);
    }
    // No reply is kept, and no fingerprint.
    let first = api.post("shop", "key_1", "pay").await;
    assert!(first.is_first(), "{first:?}");
    assert!(other.post("shop", "key_1", "pay").await.is_replay_of(&first));
    assert_eq!((api.clerk.runs(), api.charges().await), (3, 1));
}

pub(super) async fn an_expired_reply_is_410_and_runs_nothing(store: &Store, by: By) {
    let clerk = Clerk::default().with_keep(Duration::from_millis(30));
    let [api, other] = apis(store, by, &clerk).await;
    let first = api.post("shop", "key_1", "pay").await;
    assert!(first.is_first(), "{first:?}");
    let mut answer = other.post("shop", "key_1", "pay").await;
    let start = std::time::Instant::now();
    while answer.status != 410 {
        assert!(answer.is_replay_of(&first), "until it expires: {answer:?}");
        assert!(start.elapsed() < Duration::from_mins(1), "it never expires");
        tokio::time::sleep(Duration::from_millis(5)).await;
        answer = other.post("shop", "key_1", "pay").await;
    }
    // Its fingerprint has expired as well.
    for body in ["pay", "pay more"] {
        let gone = api.post("shop", "key_1", body).await;
        assert_eq!((gone.status, gone.header("idempotent-replayed")), (410, None), "{gone:?}");
        assert!(!gone.body.is_empty(), "it says why");
    }
    assert_eq!((api.clerk.runs(), api.charges().await), (1, 1));
}

pub(super) async fn a_forgotten_reply_is_410_and_a_forgotten_event_runs(store: &Store, by: By) {
    let [api, other] = apis(store, by, &Clerk::default()).await;
    assert!(api.post("shop", "key_1", "pay").await.is_first());
    let seen = other.operations.look("~shop:key_1").await.unwrap().unwrap();
    assert_eq!(other.operations.forget_reply(&seen).await.unwrap(), Change::Done);
    for api in [&api, &other] {
        assert_eq!(api.post("shop", "key_1", "pay").await.status, 410);
    }
    assert_eq!((api.clerk.runs(), api.charges().await), (1, 1));
    let seen = api.operations.look("~shop:key_1").await.unwrap().unwrap();
    assert_eq!(api.operations.forget(&seen).await.unwrap(), Change::Done);
    let first = other.post("shop", "key_1", "pay").await;
    assert!(first.is_first(), "{first:?}");
    assert!(api.post("shop", "key_1", "pay").await.is_replay_of(&first));
    assert_eq!(api.clerk.runs(), 2);
}

pub(super) async fn of_retries_at_once_one_runs_and_all_get_its_reply(store: &Store, by: By) {
    let [api, other] = apis(store, by, &Clerk::default()).await;
    for round in 0..10 {
        let key = format!("key_{round}");
        let retries =
            (0..8).map(|racer| if racer % 2 == 0 { &api } else { &other }.retry("shop", &key, "pay"));
        let answers = join_all(retries).await;
        let firsts: Vec<_> = answers.iter().filter(|answer| answer.is_first()).collect();
        let [first] = firsts[..] else { panic!("round {round}: {answers:?}") };
        let others = answers.iter().filter(|answer| !answer.is_first());
        assert!(others.into_iter().all(|answer| answer.is_replay_of(first)), "round {round}: {answers:?}");
    }
    assert_eq!((api.clerk.runs(), api.charges().await), (10, 10));
}

pub(super) async fn a_hang_up_at_any_await_leaves_one_charge_and_one_reply(store: &Store, by: By) {
    let [api, other] = apis(store, by, &Clerk::default()).await;
    for polls in 0..100 {
        let key = format!("key_{polls}");
        let answered = drop_after_polls(api.post("shop", &key, "pay"), polls).await;
        let first = other.retry("shop", &key, "pay").await;
        let again = api.post("shop", &key, "pay").await;
        assert_eq!((first.status, again.status), (201, 201), "{polls} polls: {first:?}");
        assert_eq!(first.body, again.body, "{polls} polls");
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{polls} polls");
        if let Some(answered) = answered {
            assert!(again.is_replay_of(&answered), "{polls} polls");
            assert_eq!(api.charges().await, polls + 1);
            return;
        }
    }
    panic!("after 100 polls it is not answered");
}

/// All that this process has begun ends with it: nothing is finished in the background.
async fn crash_in_the_body(store: &Store, by: By, clerk: &Clerk) {
    let (store, clerk) = (store.clone(), clerk.clone());
    let crash = move || {
        let process = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let begin = async move {
            let began = clerk.began.clone();
            tokio::spawn(async move { store.api(by, &clerk).await.post("shop", "key_1", "waits").await });
            began.acquire().await.unwrap().forget();
        };
        process.block_on(begin);
        process.shutdown_timeout(Duration::from_mins(1));
    };
    tokio::task::spawn_blocking(crash).await.unwrap();
}

pub(super) async fn a_crash_in_the_body_leaves_one_charge_and_one_reply(store: &Store, by: By) {
    let clerk = Clerk::default().with_lease(Duration::from_millis(600));
    crash_in_the_body(store, by, &clerk).await;
    let [api, other] = apis(store, by, &clerk).await;
    clerk.may_end.add_permits(1);
    let first = api.retry("shop", "key_1", "waits").await;
    assert!(first.is_first(), "{first:?}");
    assert_eq!(first.body, "run 2: waits");
    assert!(other.post("shop", "key_1", "waits").await.is_replay_of(&first));
    assert_eq!((clerk.runs(), api.charges().await), (2, 1));
}
