//! Where the attribute goes: rows 1 to 9.

use std::borrow::Cow;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use axum::Json;
use axum::extract::State;
use ferro_idem::{Error, MemoryProcessedLog, Outcome, ProcessedEventLog, WebhookEvent, idempotent_webhook};

#[derive(Default)]
struct Shop {
    log: MemoryProcessedLog,
    shipped: AtomicU32,
}

impl Shop {
    fn ship(&self) {
        self.shipped.fetch_add(1, Ordering::SeqCst);
    }

    fn shipped(&self) -> u32 {
        self.shipped.load(Ordering::SeqCst)
    }

    #[idempotent_webhook(log = self.log)]
    async fn by_reference(&self, event: &str) -> Result<(), Error> {
        self.ship();
        Ok(())
    }

    #[idempotent_webhook(log = self.log)]
    async fn by_mutable_reference(&mut self, event: &str) -> Result<(), Error> {
        *self.shipped.get_mut() += 1;
        Ok(())
    }

    #[idempotent_webhook(log = self.log)]
    async fn by_value(self, event: &str) -> Result<Outcome<u32>, Error> {
        self.ship();
        Ok(Outcome::Processed(self.shipped()))
    }

    #[idempotent_webhook(log = self.log)]
    async fn by_arc(self: Arc<Self>, event: &str) -> Result<(), Error> {
        self.ship();
        Ok(())
    }
}

#[tokio::test]
async fn row_01_every_kind_of_self_is_fenced() {
    let mut shop = Shop::default();
    for _ in 0..2 {
        shop.by_reference("evt_1").await.unwrap();
        shop.by_mutable_reference("evt_2").await.unwrap();
    }
    assert_eq!(shop.shipped(), 2);

    let shop = Arc::new(shop);
    for _ in 0..2 {
        Arc::clone(&shop).by_arc("evt_3").await.unwrap();
    }
    assert_eq!(shop.shipped(), 3);

    let log = shop.log.clone();
    let fresh = || Shop { log: log.clone(), shipped: AtomicU32::new(0) };
    assert_eq!(fresh().by_value("evt_4").await.unwrap(), Outcome::Processed(1));
    assert_eq!(fresh().by_value("evt_4").await.unwrap(), Outcome::Duplicate);
}

#[idempotent_webhook]
async fn generic<L, E, const N: usize>(log: &L, event: E, shipped: &AtomicU32) -> Result<(), Error>
where
    L: ProcessedEventLog + Sync,
    E: WebhookEvent + Send,
{
    shipped.fetch_add(u32::try_from(N).unwrap(), Ordering::SeqCst);
    Ok(())
}

#[tokio::test]
async fn row_02_generics_and_where_clauses() {
    let (log, shipped) = (MemoryProcessedLog::new(), AtomicU32::new(0));
    for event in ["evt_1".to_owned(), "evt_1".to_owned(), "evt_2".to_owned()] {
        generic::<_, _, 3>(&log, event, &shipped).await.unwrap();
    }
    assert_eq!(shipped.into_inner(), 6);
}

#[idempotent_webhook(event = id, on_duplicate = Ok(Vec::new()))]
async fn named_lifetime<'a>(log: &impl ProcessedEventLog, id: &'a str) -> Result<Vec<&'a str>, Error> {
    Ok(vec![id])
}

#[idempotent_webhook(event = id, on_duplicate = Ok(Cow::Borrowed("")))]
async fn elided_lifetime(log: &MemoryProcessedLog, id: &str) -> Result<Cow<'static, str>, Error> {
    Ok(Cow::Owned(id.to_uppercase()))
}

#[tokio::test]
async fn row_03_named_and_elided_lifetimes() {
    let log = MemoryProcessedLog::new();
    let id = String::from("evt_1");
    assert_eq!(named_lifetime(&log, &id).await.unwrap(), ["evt_1"]);
    assert!(named_lifetime(&log, &id).await.unwrap().is_empty());
    assert_eq!(elided_lifetime(&log, "evt_2").await.unwrap(), "EVT_2");
    assert_eq!(elided_lifetime(&log, "evt_2").await.unwrap(), "");
}

#[idempotent_webhook]
async fn impl_trait_in_and_out(
    log: &impl ProcessedEventLog,
    event: impl WebhookEvent,
) -> Result<Outcome<impl Display>, Error> {
    Ok(Outcome::Processed(event.event_id().len()))
}

#[tokio::test]
async fn row_04_impl_trait_as_argument_and_inside_the_return_type() {
    let log = MemoryProcessedLog::new();
    let first = impl_trait_in_and_out(&log, "evt_1").await.unwrap();
    assert_eq!(first.processed().unwrap().to_string(), "5");
    assert!(impl_trait_in_and_out(&log, "evt_1").await.unwrap().processed().is_none());
}

#[derive(Clone, Default)]
struct App {
    log: MemoryProcessedLog,
    seen: Arc<std::sync::Mutex<Vec<String>>>,
}

struct Envelope {
    event: String,
    log: u8,
}

#[idempotent_webhook(log = app.log, event = ev)]
async fn patterns(State(app): State<App>, Json(ev): Json<String>, mut count: u8, _: u8) -> Result<(), Error> {
    count += 1;
    app.seen.lock().unwrap().push(format!("{ev} {count}"));
    Ok(())
}

/// `log` is a field's name here, not a binding: the log is the parameter.
#[idempotent_webhook]
async fn fields(
    log: &MemoryProcessedLog,
    Envelope { event, log: _ }: Envelope,
) -> Result<Outcome<()>, Error> {
    drop(event);
    Ok(Outcome::Processed(()))
}

#[idempotent_webhook]
async fn mutable(State(log): State<MemoryProcessedLog>, mut event: String) -> Result<Outcome<String>, Error> {
    event.push('!');
    Ok(Outcome::Processed(event))
}

#[tokio::test]
async fn row_05_patterns() {
    let app = App::default();
    for _ in 0..2 {
        patterns(State(app.clone()), Json("evt_1".into()), 1, 0).await.unwrap();
    }
    assert_eq!(*app.seen.lock().unwrap(), ["evt_1 2"]);

    let envelope = || Envelope { event: "evt_2".into(), log: 0 };
    assert_eq!(envelope().log, 0);
    assert_eq!(fields(&app.log, envelope()).await.unwrap(), Outcome::Processed(()));
    assert_eq!(fields(&app.log, envelope()).await.unwrap(), Outcome::Duplicate);

    let state = State(app.log);
    assert_eq!(mutable(state.clone(), "evt_3".into()).await.unwrap(), Outcome::Processed("evt_3!".into()));
    assert_eq!(mutable(state, "evt_3".into()).await.unwrap(), Outcome::Duplicate);
}

trait NativeHandler {
    fn handle(&self, event: Json<String>) -> impl Future<Output = Result<(), Error>> + Send;
}

impl NativeHandler for Shop {
    #[idempotent_webhook(log = self.log)]
    async fn handle(&self, Json(event): Json<String>) -> Result<(), Error> {
        self.ship();
        drop(event);
        Ok(())
    }
}

#[async_trait]
trait BoxedHandler: Sync {
    async fn handle(&self, event: Json<String>) -> Result<(), Error>;
    async fn silent(&self, event: &str);

    #[idempotent_webhook(on_duplicate = None, on_error = |_| None)]
    async fn provided(&self, log: &MemoryProcessedLog, event: &str) -> Option<u8> {
        Some(1)
    }
}

#[async_trait]
impl BoxedHandler for Shop {
    #[idempotent_webhook(log = self.log, scope = "boxed")]
    async fn handle(&self, Json(event): Json<String>) -> Result<(), Error> {
        drop(event);
        self.ship();
        Ok(())
    }

    #[idempotent_webhook(log = self.log, on_error = |_| ())]
    async fn silent(&self, event: &str) {
        self.ship();
    }
}

#[tokio::test]
async fn row_06_trait_methods_native_and_async_trait() {
    let shop = Shop::default();
    for _ in 0..2 {
        NativeHandler::handle(&shop, Json("evt_1".into())).await.unwrap();
    }
    assert_eq!(shop.shipped(), 1);
    for _ in 0..2 {
        BoxedHandler::handle(&shop, Json("evt_1".into())).await.unwrap();
    }
    assert_eq!(shop.shipped(), 2, "its scope gives it a fence of its own");
    for _ in 0..2 {
        shop.silent("evt_2").await;
    }
    assert_eq!(shop.shipped(), 3);
    assert_eq!(shop.provided(&shop.log, "evt_3").await, Some(1));
    assert_eq!(shop.provided(&shop.log, "evt_3").await, None);
}

mod attributes {
    //! Row 8, under the strictest lints.
    #![deny(missing_docs, warnings)]

    use super::{Error, MemoryProcessedLog, idempotent_webhook};

    /// Documented, must be used, and half of it configured away.
    #[must_use = "or the error is lost"]
    #[idempotent_webhook]
    #[cfg(not(any()))]
    pub(crate) async fn attributed(
        log: &MemoryProcessedLog,
        event: &str,
        #[cfg(any())] gone: u8,
    ) -> Result<(), Error> {
        #![allow(unused_variables)]
        let unused = 1;
        Ok(())
    }
}

#[tokio::test]
async fn row_08_attributes_and_documentation_survive() {
    attributes::attributed(&MemoryProcessedLog::new(), "evt_1").await.unwrap();
}

macro_rules! handler {
    ($name:ident, $log:expr, $event:expr, $scope:literal) => {
        #[idempotent_webhook(log = $log, event = $event, scope = $scope)]
        pub(crate) async fn $name(app: App, id: &str) -> Result<Outcome<u8>, Error> {
            let _ = (&app, id);
            Ok(Outcome::Processed(1))
        }
    };
}

/// Everything is written by the macro, so the names have its hygiene.
macro_rules! whole_handler {
    ($name:ident) => {
        #[idempotent_webhook]
        pub(crate) async fn $name(log: &MemoryProcessedLog, event: &str) -> Result<Outcome<u8>, Error> {
            Ok(Outcome::Processed(1))
        }
    };
}

mod from_macro {
    use super::{App, Error, MemoryProcessedLog, Outcome, idempotent_webhook};

    handler!(with_arguments, MemoryProcessedLog::clone(&App::default().log), String::from("evt_1"), "macro");
    whole_handler!(hygienic);
}

#[tokio::test]
async fn row_09_inside_macro_rules() {
    let log = MemoryProcessedLog::new();
    assert_eq!(from_macro::hygienic(&log, "evt_1").await.unwrap(), Outcome::Processed(1));
    assert_eq!(from_macro::hygienic(&log, "evt_1").await.unwrap(), Outcome::Duplicate);
    assert_eq!(from_macro::with_arguments(App::default(), "").await.unwrap(), Outcome::Processed(1));
}
