//! Handlers that sleep, fail at first, hold locks or panic.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ferro_idem::testing::{HandlerTest, Problem, check};
use ferro_idem::{Error, MemoryProcessedLog, idempotent_webhook};
use tokio::time::sleep;

use super::{findings, report};

#[derive(Default)]
struct World {
    log: MemoryProcessedLog,
    /// The idempotency keys that the other system has seen.
    paid: Arc<Mutex<HashSet<String>>>,
    runs: AtomicUsize,
    held: Mutex<()>,
    queue: tokio::sync::Mutex<()>,
}

impl World {
    async fn pay(&self, key: String) {
        tokio::task::yield_now().await;
        self.paid.lock().unwrap().insert(key);
    }
}

#[idempotent_webhook(log = world.log, claim(c))]
async fn sleeps(world: &World, event: &str) -> Result<(), Error> {
    sleep(Duration::from_secs(5)).await;
    world.pay(c.idempotency_key("refund")).await;
    Ok(())
}

#[idempotent_webhook(log = world.log, claim(c))]
async fn fails_at_first(world: &World, event: &str) -> Result<(), Error> {
    if world.runs.fetch_add(1, Ordering::SeqCst) == 0 {
        return Err(Error::store("pay", "the bank is closed"));
    }
    world.pay(c.idempotency_key("refund")).await;
    Ok(())
}

#[idempotent_webhook(log = world.log, claim(c))]
async fn waits_for_its_turn(world: &World, event: &str) -> Result<(), Error> {
    let _turn = world.queue.lock().await;
    world.pay(c.idempotency_key("refund")).await;
    Ok(())
}

#[idempotent_webhook(log = world.log, claim(c))]
#[expect(clippy::await_holding_lock, reason = "users do")]
async fn poisons_its_lock(world: &World, event: &str) -> Result<(), Error> {
    let _held = world.held.try_lock().expect("not poisoned");
    world.pay(c.idempotency_key("refund")).await;
    Ok(())
}

#[idempotent_webhook(log = world.log, claim)]
async fn panics(world: &World, event: &str) -> Result<(), Error> {
    panic!("no account")
}

#[idempotent_webhook(log = world.log)]
async fn pays_after_a_minute(world: &World, event: &str) -> Result<(), Error> {
    let paid = Arc::clone(&world.paid);
    tokio::spawn(async move {
        sleep(Duration::from_mins(1)).await;
        paid.lock().unwrap().insert("refund".into());
    });
    Ok(())
}

#[idempotent_webhook(log = world.log, only_if = event.starts_with("invoice"))]
async fn ignores(world: &World, event: &str) -> Result<(), Error> {
    world.pay("refund".into()).await;
    Ok(())
}

#[idempotent_webhook(log = world.log, scope = "mail")]
async fn fenced_mail(world: &World, event: &str) -> Result<(), Error> {
    world.pay("mail".into()).await;
    Ok(())
}

#[idempotent_webhook(log = world.log, claim)]
async fn calls_a_fence(world: &World, event: &str) -> Result<(), Error> {
    fenced_mail(world, event).await
}

macro_rules! tested {
    ($($name:ident, $handler:ident;)*) => {$(
        struct $name(World);

        impl HandlerTest for $name {
            async fn new() -> Self {
                Self(World::default())
            }

            async fn deliver(&self) -> bool {
                $handler(&self.0, "evt_1").await.is_ok()
            }

            async fn effects(&self) -> usize {
                self.0.paid.lock().unwrap().len()
            }
        }
    )*};
}

tested! {
    Sleeps, sleeps;
    FailsAtFirst, fails_at_first;
    WaitsForItsTurn, waits_for_its_turn;
    PoisonsItsLock, poisons_its_lock;
    Panics, panics;
    PaysAfterAMinute, pays_after_a_minute;
    Ignores, ignores;
    CallsAFence, calls_a_fence;
}

#[test]
fn a_body_that_takes_many_leases_passes() {
    let report = check::<Sleeps>();
    report.assert_passed();
    assert!(report.cases() < 60, "not a case for each renewal: {}", report.cases());
}

#[test]
fn a_handler_that_fails_at_first_passes() {
    check::<FailsAtFirst>().assert_passed();
}

#[test]
fn a_lock_of_a_delivery_that_stands_still_is_no_mistake() {
    check::<WaitsForItsTurn>().assert_passed();
}

#[test]
fn a_lock_that_a_panic_poisons_is_found() {
    let report = report::<PoisonsItsLock>();
    assert!(report.contains("[panicked-"), "{report}");
    assert!(report.contains("The handler panicked: not poisoned: "), "{report}");
    assert!(!report.contains("[dropped-"), "{report}");
}

#[test]
fn a_handler_that_panics_is_a_finding() {
    assert_eq!(findings::<Panics>(), [("once".to_owned(), Problem::NeverAccepted)]);
    let report = report::<Panics>();
    assert!(report.contains("The handler panicked: no account"), "{report}");
    assert!(report.contains("Calls of the log: deliveries 1 to 5: claim ok, release ok."), "{report}");
}

#[test]
fn an_effect_long_after_the_reply_is_found() {
    assert_eq!(findings::<PaysAfterAMinute>(), [("once".to_owned(), Problem::Late)]);
}

#[test]
fn an_ignored_event_is_explained() {
    let report = report::<Ignores>();
    assert!(report.contains("does its `only_if` hold?"), "{report}");
}

#[test]
fn a_fence_inside_of_a_claim_is_explained() {
    let report = report::<CallsAFence>();
    assert!(report.contains("A fence inside of the body"), "{report}");
    assert!(report.contains("try_mark_event duplicate"), "{report}");
}
