//! Bodies that block their thread for longer than their lease.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, MemoryProcessedLog, Outcome, Owner, Ownership,
    idempotent_webhook,
};

/// Renewed after a third of it, which leaves a busy machine more than a second.
const LEASE: Duration = Duration::from_secs(2);

/// A memory log that counts the renewals it carried out.
#[derive(Clone, Default)]
struct Counting {
    log: MemoryProcessedLog,
    renewals: Arc<AtomicUsize>,
}

#[async_trait]
impl ClaimLog for Counting {
    async fn claim(&self, event: EventRef<'_>, owner: Owner, lease: Duration) -> Result<ClaimOutcome, Error> {
        self.log.claim(event, owner, lease).await
    }

    async fn renew(&self, id: &str, held: Ownership, lease: Duration) -> Result<bool, Error> {
        let renewed = self.log.renew(id, held, lease).await;
        self.renewals.fetch_add(1, Ordering::SeqCst);
        renewed
    }

    async fn complete(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.log.complete(event_id, held).await
    }

    async fn release(&self, event_id: &str, held: Ownership) -> Result<bool, Error> {
        self.log.release(event_id, held).await
    }

    fn handle(&self) -> Arc<dyn ClaimLog> {
        Arc::new(self.clone())
    }
}

impl Counting {
    async fn wait_for_renewals(&self, number: usize) {
        let renewals = Arc::clone(&self.renewals);
        let there = move || renewals.load(Ordering::SeqCst) >= number;
        let blocked = move || block_until("no renewal while the body blocks", there);
        tokio::task::spawn_blocking(blocked).await.unwrap();
    }
}

/// Blocks the calling thread until the condition holds.
fn block_until(what: &str, holds: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < patience, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Blocks its thread for longer than the lease, from its first poll on or after an await.
#[idempotent_webhook(claim(c, lease = LEASE))]
async fn block<L: ClaimLog>(
    log: &L,
    event: &str,
    yields: bool,
    until: impl Fn() -> bool,
) -> Result<Outcome<u64>, Error> {
    if yields {
        tokio::task::yield_now().await;
    }
    block_until("the body was never let go", until);
    Ok(Outcome::Processed(c.attempt()))
}

/// Awaited by a worker, not by the thread that runs the test.
async fn on_a_worker<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(future).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_blocks_its_thread_keeps_its_lease() {
    for yields in [false, true] {
        let log = Counting::default();
        let (blocking, let_go) = (log.clone(), Arc::new(AtomicBool::new(false)));
        let may_go = Arc::clone(&let_go);
        let first =
            on_a_worker(
                async move { block(&blocking, "evt_1", yields, || may_go.load(Ordering::SeqCst)).await },
            );
        let meanwhile = async {
            // Each renewal comes a third of the lease after the last.
            log.wait_for_renewals(4).await;
            let second = block(&log, "evt_1", false, || true).await;
            let_go.store(true, Ordering::SeqCst);
            second
        };
        let (first, meanwhile) = tokio::join!(first, meanwhile);
        assert!(matches!(meanwhile, Err(Error::InProgress { .. })), "{meanwhile:?}");
        assert_eq!(first.unwrap(), Outcome::Processed(1), "yields first: {yields}");
    }
}

/// The worker that drives the sockets and timers is the one that the request wakes, and that blocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocking_body_behind_a_server_keeps_its_lease() {
    let (log, let_go) = (Counting::default(), Arc::new(AtomicBool::new(false)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (blocking, may_go) = (log.clone(), Arc::clone(&let_go));
    let handler = move || {
        let (log, may_go) = (blocking.clone(), Arc::clone(&may_go));
        async move {
            match block(&log, "evt_1", false, || may_go.load(Ordering::SeqCst)).await {
                Ok(_) => StatusCode::OK,
                Err(error) => StatusCode::from(&error),
            }
        }
    };
    let server = tokio::spawn(async move {
        axum::serve(listener, Router::new().route("/", post(handler))).await.unwrap();
    });
    let client = thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream
            .write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    });
    log.wait_for_renewals(4).await;
    let_go.store(true, Ordering::SeqCst);
    let reply = tokio::task::spawn_blocking(|| client.join().unwrap()).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    server.abort();
}

#[tokio::test]
async fn on_one_thread_a_body_that_blocks_too_long_loses_its_claim() {
    let log = MemoryProcessedLog::new();
    let owner = Owner::random().unwrap();
    let taken = Arc::new(std::sync::Mutex::new(None));
    let take_over = {
        let (log, taken) = (log.clone(), Arc::clone(&taken));
        move || {
            // A delivery in another process while this thread is blocked.
            let event = EventRef::new("evt_1").unwrap();
            let claim =
                futures_util::FutureExt::now_or_never(log.claim(event, owner, Duration::from_mins(1)));
            match claim.unwrap().unwrap() {
                ClaimOutcome::Acquired { token } => {
                    *taken.lock().unwrap() = Some(Ownership { owner, token });
                    true
                }
                _ => false,
            }
        }
    };
    let late = block(&log, "evt_1", false, take_over).await;
    assert!(matches!(late, Err(Error::LeaseLost { .. })), "{late:?}");
    let held = taken.lock().unwrap().expect("taken over after the lease ran out");
    assert_eq!(held.token, 2);
    assert!(log.complete("evt_1", held).await.unwrap(), "the late body has changed nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_ends_with_its_body() {
    let log = Counting::default();
    let renewals = Arc::clone(&log.renewals);
    let blocking = log.clone();
    let first = on_a_worker(async move {
        block(&blocking, "evt_1", false, move || renewals.load(Ordering::SeqCst) >= 1).await
    });
    assert_eq!(first.await.unwrap(), Outcome::Processed(1));
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    tokio::task::spawn_blocking(|| ()).await.unwrap();
    let patience = Instant::now() + Duration::from_mins(1);
    while tasks() > 0 {
        assert!(Instant::now() < patience, "{} tasks are left", tasks());
        tokio::task::yield_now().await;
    }
}
