//! Each message between an inbox and its server is lost in turn: nothing is lost or doubled in the tables, and no call
//! waits for ever.

use std::time::{Duration, Instant};

use ferro_idem::__inbox::{Counts, Held, InboxStore, Received, TakeLimits, Taken};
use ferro_idem::SqlLog;
use ferro_idem_tests::proxy::{From, Protocol, Proxy, Then};
use ferro_idem_tests::redeliver;
use ferro_idem_tests::servers::until;
use futures_util::future::{join, join_all};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use tokio::time::timeout;

use crate::databases::{Database, LEASE, OnMySql, OnPostgres, delivery, ids, take};

/// Longer than a call asks its server.
const BOUND: Duration = Duration::from_secs(25);

/// How many messages are lost at the same time, each on its way to another pool.
const AT_A_TIME: usize = 4;

/// How many pools of one call have a connection that hangs at the same time. With hundreds of them, a busy machine looks
/// like a server that does not answer.
const MAX_HANGING: usize = 16;

/// A database behind a proxy.
trait Proxied: Database {
    const PROTOCOL: Protocol;
    fn url(&self) -> &str;
    fn open_at(url: &str) -> SqlLog<Self::D>;
}

impl Proxied for OnPostgres {
    const PROTOCOL: Protocol = Protocol::Postgres;

    fn url(&self) -> &str {
        &self.0
    }

    fn open_at(url: &str) -> SqlLog<sqlx::Postgres> {
        SqlLog::new(PgPoolOptions::new().max_connections(2).connect_lazy(url).unwrap())
    }
}

impl Proxied for OnMySql {
    const PROTOCOL: Protocol = Protocol::MySql;

    fn url(&self) -> &str {
        &self.0
    }

    fn open_at(url: &str) -> SqlLog<sqlx::MySql> {
        SqlLog::new(MySqlPoolOptions::new().max_connections(2).connect_lazy(url).unwrap())
    }
}

/// What is sent while a message gets lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Receive,
    Take,
    Renew,
    Complete,
    BackOff,
    Park,
    Release,
}

#[derive(Clone, Copy, Debug)]
struct Loss {
    call: Call,
    from: From,
    then: Then,
    nth: usize,
}

impl Loss {
    /// Returns whether the message was lost.
    async fn check<T: Proxied>(self, database: &T, direct: &SqlLog<T::D>) -> bool {
        // The inboxes of several senders share the tables, so each loss has a sender of its own.
        let sender = format!("{self:?}");
        let direct = InboxStore::new(direct, &sender);
        let port = database.url().rsplit(':').next().unwrap().split('/').next().unwrap();
        let proxy = Proxy::before(T::PROTOCOL, port.parse().unwrap()).await;
        let lossy = InboxStore::new(&T::open_at(&proxy.url(database.url())), &sender);
        // It has a connection, and has looked at the tables and prepared its statements.
        lossy.receive(delivery("warm", None)).await.unwrap();
        let warm = taken_soon(&lossy).await.remove(0).held;
        self.change(&lossy, &warm).await.unwrap();
        // Released, held, or on its way to the next attempt: it must not be due.
        direct.complete(&warm).await.unwrap();
        for taken in take(&direct, 1).await {
            assert!(direct.complete(&taken.held).await.unwrap());
        }
        let before = direct.counts().await.unwrap();
        let held = if self.call == Call::Receive {
            None
        } else {
            direct.receive(delivery("evt_1", Some("key"))).await.unwrap();
            let is_taken = self.call != Call::Take;
            if is_taken { take(&direct, 1).await.pop().map(|taken| taken.held) } else { None }
        };
        proxy.lose(self.nth, self.from, self.then);
        let wrong =
            timeout(BOUND, self.call(&lossy, &direct, held, before)).await.unwrap_or(Err("no answer".into()));
        assert_eq!(wrong, Ok(()), "{self:?}");
        proxy.has_lost()
    }

    async fn change<D: ferro_idem::__inbox::InboxDatabase>(
        self,
        store: &InboxStore<D>,
        held: &Held,
    ) -> Result<bool, ferro_idem::Error> {
        match self.call {
            Call::Receive | Call::Take => Ok(true),
            Call::Renew => store.renew(held, LEASE).await,
            Call::Complete => store.complete(held).await,
            Call::BackOff => store.back_off(held, LEASE, "a reason").await,
            Call::Park => store.park(held, "a reason").await,
            Call::Release => store.release(held).await,
        }
    }

    /// Makes the call, and looks at what it has left in the tables.
    async fn call<D: ferro_idem::__inbox::InboxDatabase>(
        self,
        lossy: &InboxStore<D>,
        direct: &InboxStore<D>,
        held: Option<Held>,
        before: Counts,
    ) -> Result<(), String> {
        let state = async || {
            let counts = direct.counts().await.unwrap();
            (counts.waiting - before.waiting, counts.running - before.running, counts.parked - before.parked)
        };
        match (self.call, held) {
            (Call::Receive, _) => {
                let first = lossy.receive(delivery("evt_1", Some("key"))).await;
                let again = redeliver(|| lossy.receive(delivery("evt_1", Some("key")))).await.unwrap();
                if first.is_ok() && again != Received::Duplicate || state().await != (1, 0, 0) {
                    return Err(format!("{first:?}, {again:?}, {:?}", state().await));
                }
                let taken = taken_soon(direct).await;
                if ids(&taken) != ["evt_1"] || *taken[0].stored != *b"evt_1" {
                    return Err(format!("{taken:?}"));
                }
            }
            (Call::Take, _) => {
                let short = TakeLimits { events: 10, lease: Duration::from_secs(6), max_attempts: 9 };
                let first = lossy.take(short).await;
                let got = first.as_ref().ok().and_then(|batch| batch.taken.first());
                if let Some(taken) = got {
                    if taken.attempts != 1 || *taken.stored != *b"evt_1" {
                        return Err(format!("{first:?}"));
                    }
                    if !direct.complete(&taken.held).await.unwrap() {
                        return Err(format!("it was taken, and not held: {first:?}"));
                    }
                } else {
                    // What was taken unheard is taken again after its lease.
                    until("the lease ends", async || {
                        let taken = take(direct, 10).await;
                        let is_there = ids(&taken) == ["evt_1"];
                        if is_there {
                            assert!(direct.complete(&taken[0].held).await.unwrap());
                        }
                        is_there
                    })
                    .await;
                }
                if state().await != (0, 0, 0) {
                    return Err(format!("{:?}", state().await));
                }
            }
            (_, Some(held)) => {
                let first = self.change(lossy, &held).await;
                if let Ok(false) = first {
                    return Err("its own step was refused".into());
                }
                if first.is_err() {
                    // Carried out or not: the worker tries again, and may hear that it no longer holds the event.
                    let _held = redeliver(|| self.change(lossy, &held)).await.unwrap();
                }
                let expected = match self.call {
                    Call::Renew => (0, 1, 0),
                    Call::BackOff | Call::Release => (1, 0, 0),
                    Call::Park => (0, 0, 1),
                    _ => (0, 0, 0),
                };
                if state().await != expected {
                    return Err(format!("{first:?}, {:?}", state().await));
                }
                let received = direct.receive(delivery("evt_1", None)).await.unwrap();
                let is_due = self.call == Call::Release;
                let taken = if is_due { taken_soon(direct).await } else { take(direct, 10).await };
                let attempts: Vec<u32> = taken.iter().map(|taken| taken.attempts).collect();
                let expected = if is_due { vec![1] } else { vec![] };
                if received != Received::Duplicate || attempts != expected {
                    return Err(format!("{first:?}, {received:?}, {taken:?}"));
                }
            }
            (_, None) => return Err("the event was not taken".into()),
        }
        Ok(())
    }
}

/// Takes what is due. The connection that was lost may hold a lock until its server notices.
async fn taken_soon<D: ferro_idem::__inbox::InboxDatabase>(store: &InboxStore<D>) -> Vec<Taken> {
    let start = Instant::now();
    loop {
        let taken = take(store, 10).await;
        if !taken.is_empty() || start.elapsed() > BOUND / 2 {
            return taken;
        }
        store.free_heads().await.unwrap();
    }
}

async fn each_message_of<T: Proxied>(call: Call) {
    let database = T::fresh().await;
    let direct = T::open_at(database.url());
    InboxStore::new(&direct, "tables").create_tables().await.unwrap();
    let (database, direct) = (&database, &direct);
    let check = |loss: Loss| async move { loss.check(database, direct).await };
    let closed = async |from| {
        let mut messages = 0;
        loop {
            let nths = messages..messages + AT_A_TIME;
            let lost = join_all(nths.map(|nth| check(Loss { call, from, then: Then::Close, nth }))).await;
            messages += lost.iter().filter(|lost| **lost).count();
            if lost.contains(&false) {
                return messages;
            }
        }
    };
    let (server, client) = join(closed(From::Server), closed(From::Client)).await;
    assert!(server > 0 && client > 0, "{call:?}: nothing was lost");
    // Many at once, because each hangs until its call stops waiting.
    let hanging = |from, messages| (0..messages).map(move |nth| Loss { call, from, then: Then::Hang, nth });
    let losses: Vec<Loss> = hanging(From::Server, server).chain(hanging(From::Client, client)).collect();
    let mut hung = 0;
    for losses in losses.chunks(MAX_HANGING) {
        let lost = join_all(losses.iter().map(|loss| check(*loss))).await;
        hung += lost.into_iter().filter(|lost| *lost).count();
    }
    println!(
        "{call:?}: {server} messages of the server and {client} of the client lost in turn, {hung} hanging"
    );
}

/// Several calls at the same time, because each waits for seconds where a connection hangs.
async fn each_message_of_all<T: Proxied>(calls: &[Call]) {
    join_all(calls.iter().map(|call| each_message_of::<T>(*call))).await;
}

macro_rules! on_every_server {
    ($($test:ident: $($call:ident)|+),* $(,)?) => {
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs PostgreSQL: run tests/run"]
            async fn $test() {
                super::each_message_of_all::<super::OnPostgres>(&[$(super::Call::$call),+]).await;
            })*
        }

        mod on_mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs MariaDB: run tests/run"]
            async fn $test() {
                super::each_message_of_all::<super::OnMySql>(&[$(super::Call::$call),+]).await;
            })*
        }
    };
}

on_every_server! {
    a_lost_reply_of_a_receive_stores_the_event_once: Receive,
    a_lost_reply_of_a_take_keeps_no_event: Take,
    a_lost_reply_of_a_completion_or_parking_ends_the_event: Complete | Park,
    a_lost_reply_of_what_goes_on_changes_the_event_once: Renew | BackOff | Release,
}
