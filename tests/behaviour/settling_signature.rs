//! Where the attribute goes with `claim` and `transaction`: rows 1 to 9.

use std::borrow::Cow;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Json;
use axum::extract::State;
use ferro_idem::{
    ClaimLog, Error, MemoryProcessedLog, Outcome, SqliteLog, SqliteTransaction, TransactionalLog,
    WebhookEvent, idempotent_webhook,
};

use super::sqlite::{effects, sqlite, write_effect};

struct Shop {
    memory: MemoryProcessedLog,
    sqlite: SqliteLog,
    shipped: AtomicU32,
}

impl Shop {
    fn over(sqlite: SqliteLog) -> Self {
        Self { memory: MemoryProcessedLog::new(), sqlite, shipped: AtomicU32::new(0) }
    }

    fn ship(&self) {
        self.shipped.fetch_add(1, Ordering::SeqCst);
    }

    fn shipped(&self) -> u32 {
        self.shipped.load(Ordering::SeqCst)
    }

    #[idempotent_webhook(log = self.memory, claim(c))]
    async fn claim_by_reference(&self, event: &str) -> Result<(), Error> {
        assert_eq!(c.event_id(), event);
        self.ship();
        Ok(())
    }

    #[idempotent_webhook(log = self.memory, claim)]
    async fn claim_by_mutable_reference(&mut self, event: &str) -> Result<(), Error> {
        *self.shipped.get_mut() += 1;
        Ok(())
    }

    #[idempotent_webhook(log = self.memory, claim)]
    async fn claim_by_value(self, event: &str) -> Result<Outcome<u32>, Error> {
        self.ship();
        Ok(Outcome::Processed(self.shipped()))
    }

    #[idempotent_webhook(log = self.memory, claim)]
    async fn claim_by_arc(self: Arc<Self>, event: &str) -> Result<(), Error> {
        self.ship();
        Ok(())
    }

    #[idempotent_webhook(log = self.sqlite, transaction(tx))]
    async fn transact_by_reference(&self, event: &str) -> Result<(), Error> {
        self.ship();
        write_effect(tx, event).await
    }

    #[idempotent_webhook(log = self.sqlite, transaction(tx))]
    async fn transact_by_mutable_reference(&mut self, event: &str) -> Result<(), Error> {
        *self.shipped.get_mut() += 1;
        write_effect(tx, event).await
    }

    #[idempotent_webhook(log = self.sqlite, transaction(tx))]
    async fn transact_by_value(self, event: &str) -> Result<Outcome<u32>, Error> {
        write_effect(tx, event).await?;
        self.ship();
        Ok(Outcome::Processed(self.shipped()))
    }

    #[idempotent_webhook(log = self.sqlite, transaction(tx))]
    async fn transact_by_arc(self: Arc<Self>, event: &str) -> Result<(), Error> {
        self.ship();
        write_effect(tx, event).await
    }
}

#[tokio::test]
async fn row_01_every_kind_of_self_is_claimed() {
    let (sqlite, _folder) = sqlite().await;
    let mut shop = Shop::over(sqlite.clone());
    for _ in 0..2 {
        shop.claim_by_reference("evt_1").await.unwrap();
        shop.claim_by_mutable_reference("evt_2").await.unwrap();
    }
    assert_eq!(shop.shipped(), 2);
    let memory = shop.memory.clone();
    let shop = Arc::new(shop);
    for _ in 0..2 {
        Arc::clone(&shop).claim_by_arc("evt_3").await.unwrap();
    }
    assert_eq!(shop.shipped(), 3);
    let fresh = || Shop { memory: memory.clone(), ..Shop::over(sqlite.clone()) };
    assert_eq!(fresh().claim_by_value("evt_4").await.unwrap(), Outcome::Processed(1));
    assert_eq!(fresh().claim_by_value("evt_4").await.unwrap(), Outcome::Duplicate);
}

#[tokio::test]
async fn row_01_every_kind_of_self_runs_in_a_transaction() {
    let (sqlite, _folder) = sqlite().await;
    let mut shop = Shop::over(sqlite.clone());
    for _ in 0..2 {
        shop.transact_by_reference("evt_1").await.unwrap();
        shop.transact_by_mutable_reference("evt_2").await.unwrap();
    }
    let shop = Arc::new(shop);
    for _ in 0..2 {
        Arc::clone(&shop).transact_by_arc("evt_3").await.unwrap();
    }
    assert_eq!(shop.shipped(), 3);
    let fresh = || Shop::over(sqlite.clone());
    assert_eq!(fresh().transact_by_value("evt_4").await.unwrap(), Outcome::Processed(1));
    assert_eq!(fresh().transact_by_value("evt_4").await.unwrap(), Outcome::Duplicate);
    assert_eq!(effects(&sqlite).await, 4);
}

#[idempotent_webhook(claim)]
async fn generic_claim<L, E, const N: usize>(log: &L, event: E, shipped: &AtomicU32) -> Result<(), Error>
where
    L: ClaimLog + Sync,
    E: WebhookEvent + Send,
{
    shipped.fetch_add(u32::try_from(N).unwrap(), Ordering::SeqCst);
    Ok(())
}

#[idempotent_webhook(transaction(tx))]
async fn generic_transaction<L, E, const N: usize>(
    log: &L,
    event: E,
    shipped: &AtomicU32,
) -> Result<(), Error>
where
    L: TransactionalLog<Transaction = SqliteTransaction>,
    E: WebhookEvent + Send + Sync,
{
    shipped.fetch_add(u32::try_from(N).unwrap(), Ordering::SeqCst);
    write_effect(tx, event.event_id()).await
}

#[tokio::test]
async fn row_02_generics_and_where_clauses() {
    let (memory, shipped) = (MemoryProcessedLog::new(), AtomicU32::new(0));
    let (sqlite, _folder) = sqlite().await;
    for event in ["evt_1", "evt_1", "evt_2"] {
        generic_claim::<_, _, 3>(&memory, event.to_owned(), &shipped).await.unwrap();
        generic_transaction::<_, _, 4>(&sqlite, event.to_owned(), &shipped).await.unwrap();
    }
    assert_eq!(shipped.into_inner(), 14);
    assert_eq!(effects(&sqlite).await, 2);
}

#[idempotent_webhook(event = id, on_duplicate = Ok(Vec::new()), claim)]
async fn named_lifetime<'a>(log: &impl ClaimLog, id: &'a str) -> Result<Vec<&'a str>, Error> {
    Ok(vec![id])
}

#[idempotent_webhook(event = id, on_duplicate = Ok(""), transaction(tx))]
async fn elided_lifetime(log: SqliteLog, id: &str) -> Result<&str, Error> {
    write_effect(tx, id).await?;
    Ok(id)
}

#[idempotent_webhook(event = id, on_duplicate = Ok(Cow::Borrowed("")), claim)]
async fn static_lifetime(log: &MemoryProcessedLog, id: &str) -> Result<Cow<'static, str>, Error> {
    Ok(Cow::Owned(id.to_uppercase()))
}

#[tokio::test]
async fn row_03_named_and_elided_lifetimes() {
    let memory = MemoryProcessedLog::new();
    let (sqlite, _folder) = sqlite().await;
    let id = String::from("evt_1");
    assert_eq!(named_lifetime(&memory, &id).await.unwrap(), ["evt_1"]);
    assert!(named_lifetime(&memory, &id).await.unwrap().is_empty());
    assert_eq!(elided_lifetime(sqlite.clone(), &id).await.unwrap(), "evt_1");
    assert_eq!(elided_lifetime(sqlite, &id).await.unwrap(), "");
    assert_eq!(static_lifetime(&memory, "evt_2").await.unwrap(), "EVT_2");
    assert_eq!(static_lifetime(&memory, "evt_2").await.unwrap(), "");
}

#[idempotent_webhook(claim)]
async fn impl_trait_under_a_claim(
    log: &impl ClaimLog,
    event: impl WebhookEvent,
) -> Result<Outcome<impl Display>, Error> {
    Ok(Outcome::Processed(event.event_id().len()))
}

#[idempotent_webhook(transaction(tx))]
async fn impl_trait_in_a_transaction(
    log: &impl TransactionalLog<Transaction = SqliteTransaction>,
    event: impl WebhookEvent,
) -> Result<Outcome<impl Display>, Error> {
    write_effect(tx, event.event_id()).await?;
    Ok(Outcome::Processed(event.event_id().len()))
}

#[tokio::test]
async fn row_04_impl_trait_as_argument_and_inside_the_return_type() {
    let memory = MemoryProcessedLog::new();
    let first = impl_trait_under_a_claim(&memory, "evt_1").await.unwrap();
    assert_eq!(first.processed().unwrap().to_string(), "5");
    assert!(impl_trait_under_a_claim(&memory, "evt_1").await.unwrap().processed().is_none());
    let (sqlite, _folder) = sqlite().await;
    let first = impl_trait_in_a_transaction(&sqlite, "evt_10").await.unwrap();
    assert_eq!(first.processed().unwrap().to_string(), "6");
    assert!(impl_trait_in_a_transaction(&sqlite, "evt_10").await.unwrap().processed().is_none());
}

#[derive(Clone)]
struct App {
    memory: MemoryProcessedLog,
    sqlite: SqliteLog,
    seen: Arc<std::sync::Mutex<Vec<String>>>,
}

#[idempotent_webhook(log = app.memory, event = ev, claim)]
async fn claim_patterns(
    State(app): State<App>,
    Json(ev): Json<String>,
    mut count: u8,
    _: u8,
) -> Result<(), Error> {
    count += 1;
    app.seen.lock().unwrap().push(format!("{ev} {count}"));
    Ok(())
}

#[idempotent_webhook(log = app.sqlite, event = ev, transaction(tx))]
async fn transaction_patterns(
    State(app): State<App>,
    Json(mut ev): Json<String>,
    mut count: u8,
    _: u8,
) -> Result<(), Error> {
    count += 1;
    ev.push('!');
    write_effect(tx, &ev).await?;
    app.seen.lock().unwrap().push(format!("{ev} {count}"));
    Ok(())
}

#[tokio::test]
async fn row_05_patterns() {
    let (sqlite, _folder) = sqlite().await;
    let app = App { memory: MemoryProcessedLog::new(), sqlite, seen: Arc::default() };
    for _ in 0..2 {
        claim_patterns(State(app.clone()), Json("evt_1".into()), 1, 0).await.unwrap();
        transaction_patterns(State(app.clone()), Json("evt_2".into()), 2, 0).await.unwrap();
    }
    assert_eq!(*app.seen.lock().unwrap(), ["evt_1 2", "evt_2! 3"]);
}

trait NativeHandler {
    fn claim(&self, event: Json<String>) -> impl Future<Output = Result<(), Error>> + Send;
    fn transact(&self, event: Json<String>) -> impl Future<Output = Result<(), Error>> + Send;
}

impl NativeHandler for Shop {
    #[idempotent_webhook(log = self.memory, claim(c))]
    async fn claim(&self, Json(event): Json<String>) -> Result<(), Error> {
        assert_eq!(c.event_id(), event);
        self.ship();
        Ok(())
    }

    #[idempotent_webhook(log = self.sqlite, transaction(tx))]
    async fn transact(&self, Json(event): Json<String>) -> Result<(), Error> {
        self.ship();
        write_effect(tx, &event).await
    }
}

#[tokio::test]
async fn row_06_native_trait_methods() {
    let (sqlite, _folder) = sqlite().await;
    let shop = Shop::over(sqlite);
    for _ in 0..2 {
        NativeHandler::claim(&shop, Json("evt_1".into())).await.unwrap();
        NativeHandler::transact(&shop, Json("evt_2".into())).await.unwrap();
    }
    assert_eq!(shop.shipped(), 2);
    assert_eq!(effects(&shop.sqlite).await, 1);
}
