//! Each message of a delivery gets lost in turn, the connection closed or hanging, and the sender delivers
//! again until it succeeds.

use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ferro_idem::Outcome;
use ferro_idem_tests::proxy::{From, Proxy, Then};
use ferro_idem_tests::redeliver;
use ferro_idem_tests::servers::until;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::naive::OnPostgresNaively;
use super::rig::{Body, OnMariaDb, OnPostgres, OnRedis, Operation, Rig, TOGETHER, deliver};

/// Longer than a begin and a commit ask their server.
const BOUND: Duration = Duration::from_secs(25);

#[derive(Clone, Copy, Debug)]
struct Loss {
    operation: Operation,
    /// Whether the log was used before, so that it has connections and knows its table.
    warm: bool,
    from: From,
    then: Then,
}

/// The outcome of a loss.
struct Seen {
    lost: bool,
    /// What is wrong.
    wrong: Option<String>,
    /// The first delivery was answered with an error, and nothing else is wrong.
    was_refused: bool,
}

/// How often a loss is repeated. On a machine that is busy for seconds, a delivery is refused in time although it could
/// go on: that says nothing about the message.
const RUNS: usize = 3;

impl Loss {
    /// Leases that outlive a loss. A renewal waits for a third of its lease, so cases that need not outlive a
    /// hanging connection use the shorter lease.
    fn lease(self) -> Duration {
        match (self.operation, self.then) {
            (Operation::Renew, Then::Close) => Duration::from_secs(4),
            _ => Duration::from_secs(8),
        }
    }

    async fn of_message<R: Rig>(self, rig: &R, nth: usize) -> Seen {
        let mut seen = self.run(rig, nth, 0).await;
        for run in 1..RUNS {
            if !seen.was_refused {
                break;
            }
            seen = self.run(rig, nth, run).await;
        }
        seen
    }

    async fn run<R: Rig>(self, rig: &R, nth: usize, run: usize) -> Seen {
        let Self { operation, from, then, .. } = self;
        let proxy = Proxy::before(R::PROTOCOL, rig.server_port()).await;
        let log = rig.open(Some(&proxy)).await;
        if self.warm {
            let warm = format!("warm {self:?} {nth} {run}");
            let body = Body::new(Duration::from_millis(600));
            drop(deliver::<R>(&log, operation, &warm, &body).await);
            until("its connections are at rest", || async { R::is_at_rest(&log) }).await;
        }
        let event = format!("evt {self:?} {nth} {run}");
        let body = Body::new(self.lease());
        proxy.lose(nth, from, then);
        let first = timeout(BOUND, deliver::<R>(&log, operation, &event, &body)).await.expect("a bound");
        let lost = proxy.has_lost();
        let retried = redeliver(|| deliver::<R>(&log, operation, &event, &body)).await;
        let again = redeliver(|| deliver::<R>(&log, operation, &event, &body)).await;
        let runs = body.runs.load(Ordering::SeqCst);
        let processed =
            matches!(first, Ok(Outcome::Processed(()))) && matches!(retried, Ok(Outcome::Duplicate));
        let expected = if operation.is_of_many() { TOGETHER } else { 1 };
        let is_duplicate = matches!(again, Ok(Outcome::Duplicate));
        let was_refused = first.is_err()
            && matches!(retried, Ok(Outcome::Processed(())))
            && is_duplicate
            && runs == expected;
        let is_right = match operation {
            Operation::Fence
            | Operation::Complete
            | Operation::CompleteWithReply
            | Operation::Renew
            | Operation::FenceTogether
            | Operation::CompleteTogether => processed && runs == expected,
            // The release arrived, so the next delivery did not wait for the lease.
            Operation::Release => {
                first.is_err() && matches!(retried, Ok(Outcome::Processed(()))) && runs == 2
            }
            // An applied commit whose reply is lost is an error, and then a duplicate.
            Operation::Transaction | Operation::TransactionWithReply => {
                let log = rig.open(None).await;
                (first.is_err() || processed) && retried.is_ok() && R::effects(&log, &event).await == 1
            }
        } && is_duplicate;
        let wrong = || format!("{self:?}, message {nth}: {first:?}, {retried:?}, {again:?}, {runs} runs");
        Seen { lost, wrong: (!is_right).then(wrong), was_refused: was_refused && !is_right }
    }

    /// Loses each of these messages, at the same time, each on its way to a log of its own.
    async fn of_messages<R: Rig>(self, rig: &Arc<R>, messages: Range<usize>) -> Vec<Seen> {
        let cases = messages.map(|nth| {
            let rig = Arc::clone(rig);
            tokio::spawn(async move { self.of_message(&*rig, nth).await })
        });
        join_all(cases.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap).collect()
    }

    /// Loses one message after the other, some at a time, until none is left. Returns how many there were and what
    /// went wrong.
    async fn of_each<R: Rig>(self, rig: &Arc<R>) -> (usize, Vec<String>) {
        let (mut lost, mut wrong) = (0, Vec::new());
        for nth in (0..).step_by(AT_A_TIME) {
            let seen = self.of_messages(rig, nth..nth + AT_A_TIME).await;
            let is_over = seen.iter().any(|seen| !seen.lost);
            lost += seen.iter().filter(|seen| seen.lost).count();
            wrong.extend(seen.into_iter().filter_map(|seen| seen.wrong));
            if is_over {
                assert!(lost > 0, "{self:?}: nothing was lost");
                return (lost, wrong);
            }
        }
        unreachable!()
    }

    /// The same for many of them at once, because each loss hangs until the log stops waiting.
    async fn of_each_at_once<R: Rig>(self, rig: &Arc<R>, messages: usize) -> Vec<String> {
        let mut seen = Vec::new();
        for first in (0..messages).step_by(MAX_HANGING) {
            seen.extend(self.of_messages(rig, first..messages.min(first + MAX_HANGING)).await);
        }
        // Messages of the pool are counted too, so the last ones may not be reached.
        assert!(2 * seen.iter().filter(|seen| seen.lost).count() > messages, "{self:?}: too few were lost");
        seen.into_iter().filter_map(|seen| seen.wrong).collect()
    }
}

/// How many messages a test loses at the same time, each on its way to another log.
const AT_A_TIME: usize = 4;

/// How many logs have a connection that hangs at the same time. With hundreds of them, a busy machine looks like a server
/// that does not answer.
const MAX_HANGING: usize = 32;

/// The tests that lose messages at the same time: each has dozens of logs with connections that hang.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Loses messages of both sides, with closed and with hanging connections, with a used and with a new log.
async fn each_message_of<R: Rig>(operation: Operation) {
    let _at_once = AT_ONCE.acquire().await.unwrap();
    let rig = Arc::new(R::fresh().await);
    let (mut wrong, mut summary) = (Vec::new(), String::new());
    for warm in [true, false] {
        for from in [From::Server, From::Client] {
            let loss = Loss { operation, warm, from, then: Then::Close };
            let (messages, closed) = loss.of_each(&rig).await;
            // Many events have hundreds of messages. If each hung at the same time, the server would be
            // overloaded.
            let hanging = if R::CAN_LEAVE_A_CONNECTION && !operation.is_of_many() {
                Loss { then: Then::Hang, ..loss }.of_each_at_once(&rig, messages).await
            } else {
                Vec::new()
            };
            let side = if warm { "warm" } else { "new" };
            write!(summary, ", {messages} {side} from the {from:?}").unwrap();
            wrong.extend(closed.into_iter().chain(hanging));
        }
    }
    println!("{}, {operation:?}: each message lost in turn{summary}", R::NAME);
    assert!(wrong.is_empty(), "{} losses went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

macro_rules! on_every_server {
    ($($test:ident: $operation:ident),* $(,)?) => {
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs PostgreSQL: run tests/run"]
            async fn $test() {
                super::each_message_of::<super::OnPostgres>(super::Operation::$operation).await;
            })*
        }

        mod on_mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs MariaDB: run tests/run"]
            async fn $test() {
                super::each_message_of::<super::OnMariaDb>(super::Operation::$operation).await;
            })*
        }
    };
}

on_every_server! {
    a_fenced_event_runs_once: Fence,
    a_claimed_event_is_completed_once: Complete,
    a_lease_is_renewed: Renew,
    a_released_event_runs_at_once: Release,
    an_effect_in_a_transaction_is_there_once: Transaction,
    a_reply_is_kept_with_its_completion: CompleteWithReply,
    a_reply_is_committed_with_its_effect: TransactionWithReply,
    of_events_that_come_at_once_each_runs_once: FenceTogether,
    of_claims_that_come_at_once_each_is_completed_once: CompleteTogether,
}

mod on_redis {
    use super::{OnRedis, Operation, each_message_of};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs Redis: run tests/run"]
    async fn a_fenced_event_runs_once() {
        each_message_of::<OnRedis>(Operation::Fence).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs Redis: run tests/run"]
    async fn a_claimed_event_is_completed_once() {
        each_message_of::<OnRedis>(Operation::Complete).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs Redis: run tests/run"]
    async fn a_reply_is_kept_with_its_completion() {
        each_message_of::<OnRedis>(Operation::CompleteWithReply).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs Redis: run tests/run"]
    async fn a_lease_is_renewed() {
        each_message_of::<OnRedis>(Operation::Renew).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs Redis: run tests/run"]
    async fn a_released_event_runs_at_once() {
        each_message_of::<OnRedis>(Operation::Release).await;
    }
}

/// The negative control: the statement that is usually written by hand, repeated after an error, loses the
/// event here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run tests/run"]
async fn without_a_nonce_a_lost_reply_loses_the_event() {
    let rig = Arc::new(OnPostgresNaively::fresh().await);
    let loss = Loss { operation: Operation::Fence, warm: true, from: From::Server, then: Then::Close };
    let (messages, wrong) = loss.of_each(&rig).await;
    println!("by hand: {} of {messages} lost replies lost the event", wrong.len());
    let is_lost = |wrong: &String| wrong.contains("Ok(Duplicate), Ok(Duplicate), Ok(Duplicate), 0 runs");
    assert!(!wrong.is_empty() && wrong.iter().all(is_lost), "{wrong:?}");
}
