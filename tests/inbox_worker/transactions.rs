//! Events of one's own, stored in a transaction.

use ferro_idem::WebhookEvent;
use ferro_idem::inbox::Receipt;
use ferro_idem::sender::{Delivery, IdCoverage, PayloadError, SignatureError};
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
struct OrderPaid {
    id: String,
    customer: String,
}

impl WebhookEvent for OrderPaid {
    fn event_id(&self) -> &str {
        &self.id
    }
}

/// Events of the application's own: no delivery from outside is one.
struct Own;

impl Sender for Own {
    type Event = OrderPaid;
    const NAME: &'static str = "own";
    const ID: IdCoverage = IdCoverage::Signed;

    fn verify(&self, _: &Delivery<'_>) -> Result<OrderPaid, SignatureError> {
        Err(SignatureError::NoSecret)
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<OrderPaid, PayloadError> {
        delivery.json()
    }
}

fn paid(id: u32, customer: &str) -> Vec<u8> {
    serde_json::json!({"id": format!("ord_{id}"), "customer": customer}).to_string().into_bytes()
}

fn outbox(app: &App) -> Inbox<Sqlite, Own> {
    Inbox::new(app.log.clone(), Own).with_backoff(quick()).with_order(|event| event.customer.clone())
}

#[tokio::test]
async fn an_event_that_is_put_is_delivered_if_and_only_if_its_transaction_commits() {
    let app = App::new().await;
    let outbox = outbox(&app);
    let mut tx = app.log.pool().begin().await.unwrap();
    let receipt = outbox.put(&mut *tx, &Delivery::new(&paid(1, "ann"))).await.unwrap();
    assert_eq!(receipt, Receipt::Stored);
    assert_eq!(outbox.put(&mut *tx, &Delivery::new(&paid(1, "ann"))).await.unwrap(), Receipt::Duplicate);
    tx.rollback().await.unwrap();
    let mut tx = app.log.pool().begin().await.unwrap();
    outbox.put(&mut tx, &Delivery::new(&paid(2, "ann"))).await.unwrap();
    tx.commit().await.unwrap();
    outbox.wake();
    let (seen, mut saw) = tokio::sync::mpsc::unbounded_channel();
    let run = run(outbox.worker(move |event: OrderPaid| {
        seen.send(event.id).unwrap();
        async {}
    }));
    assert_eq!(saw.recv().await.unwrap(), "ord_2");
    app.until_empty().await;
    run.stop().await;
    assert!(saw.recv().await.is_none(), "the first one was rolled back");
}

#[tokio::test]
async fn what_is_no_event_is_not_put() {
    let app = App::new().await;
    let outbox = outbox(&app);
    let mut tx = app.log.pool().begin().await.unwrap();
    for body in ["", "{}", "[]", "not json", r#"{"id": 7, "customer": ""}"#, r#"{"id": "", "customer": ""}"#]
    {
        let error = outbox.put(&mut *tx, &Delivery::new(body.as_bytes())).await.unwrap_err();
        assert_eq!(error.status(), 400, "{body}: {error}");
    }
    tx.commit().await.unwrap();
    assert_eq!(app.in_inbox().await, 0);
}

#[tokio::test]
async fn events_of_one_key_run_in_order_through_failures_and_takeovers() {
    let app = App::new().await;
    let outbox = outbox(&app);
    for id in 0..60 {
        outbox.add(&Delivery::new(&paid(id, ["ann", "bob", "cy"][id as usize % 3]))).await.unwrap();
    }
    let history: Arc<std::sync::Mutex<Vec<(String, String)>>> = Arc::default();
    let running: Arc<std::sync::Mutex<std::collections::HashSet<String>>> = Arc::default();
    let tries = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let handler = {
        let history = Arc::clone(&history);
        move |event: OrderPaid| {
            let (history, running, tries) = (Arc::clone(&history), Arc::clone(&running), Arc::clone(&tries));
            async move {
                assert!(running.lock().unwrap().insert(event.customer.clone()), "two of one key run at once");
                tokio::task::yield_now().await;
                running.lock().unwrap().remove(&event.customer);
                if tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 7 == 3 {
                    return Err("not yet");
                }
                history.lock().unwrap().push((event.customer, event.id));
                Ok(())
            }
        }
    };
    let other = app.another().await;
    let other =
        Inbox::new(other.log.clone(), Own).with_backoff(quick()).with_order(|event| event.customer.clone());
    let runs = [run(outbox.worker(handler.clone())), run(other.worker(handler))];
    app.until_empty().await;
    for run in runs {
        run.stop().await;
    }
    let history = history.lock().unwrap();
    for (place, customer) in ["ann", "bob", "cy"].iter().enumerate() {
        let of_key: Vec<&str> =
            history.iter().filter(|(of, _)| of == customer).map(|(_, id)| id.as_str()).collect();
        let expected: Vec<String> = (place..60).step_by(3).map(|id| format!("ord_{id}")).collect();
        assert_eq!(of_key, expected, "{customer}");
    }
}

#[tokio::test]
async fn a_parked_event_holds_its_key_up_only_if_the_order_is_strict() {
    for is_strict in [false, true] {
        let app = App::new().await;
        let mut outbox = outbox(&app).with_max_attempts(1);
        if is_strict {
            outbox = outbox.strict();
        }
        for id in 1..=2 {
            outbox.add(&Delivery::new(&paid(id, "ann"))).await.unwrap();
        }
        outbox.add(&Delivery::new(&paid(3, "bob"))).await.unwrap();
        let run = run(outbox.worker(|event: OrderPaid| async move {
            if event.id == "ord_1" { Err("it never works") } else { Ok(()) }
        }));
        let left = if is_strict { 2 } else { 1 };
        until(async || app.parked().await == 1 && app.in_inbox().await == left).await;
        run.stop().await;
        assert_eq!(app.in_inbox().await, left);
    }
}
