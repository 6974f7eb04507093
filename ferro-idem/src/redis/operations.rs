//! Operations on the log in Redis. They read with SCAN, a part of the keys at a time, and never with KEYS.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use redis::aio::ConnectionLike;
use redis::{Cmd, FromRedisValue, RedisResult, Value};

use super::position::Position;
use super::request::{Request, When};
use super::{RedisLog, fault, millis, script};
use crate::detach_on_drop::DetachOnDrop;
use crate::error::Error;
use crate::event::EventRef;
use crate::operations::{
    Change, CountPage, Counts, Cursor, EventState, Filter, Lack, LoggedEvent, MAX_PAGE, Operations, Page,
    PurgePage, RowChange,
};
use crate::owner::Owner;
use crate::retry::Attempts;

/// How many times one page asks for more keys at most. Another page goes on.
const MAX_SCANS: u32 = 200;

/// How many keys one SCAN looks at, about.
const MAX_SCANNED: usize = 500;

/// The new state, as `change.lua` takes it.
fn state_after(change: RowChange) -> i8 {
    match change {
        RowChange::Complete => 1,
        RowChange::Release => 2,
        RowChange::Delete => -1,
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisLog<C> {
    /// Looks at the log's events and changes them by hand: see [`operations`](crate::operations).
    ///
    /// Redis keeps no time of arrival: the age of an event is counted from its last change, by what is left of
    /// [`with_retention`](Self::with_retention), which therefore has to be the same as that of the writers. Listing and
    /// counting go through all keys of the database with `SCAN`. On a cluster they are refused, because `SCAN` reads one
    /// node: list each node over a connection of its own.
    pub fn operations(&self) -> Arc<dyn Operations> {
        Arc::new(RedisOperations { log: self.clone(), is_cluster: OnceLock::new() })
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisLog<C> {
    /// Checks that the server answers, that its `maxmemory-policy` keeps marks, and that the user may read events. Writes
    /// nothing. Run it when the application starts.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] with what is wrong and what fixes it.
    pub async fn check(&self) -> Result<(), Error> {
        self.refuse_eviction(&Attempts::until_deadline()).await?;
        self.operations().look("ferro-idem-check").await.map(drop)
    }
}

struct RedisOperations<C> {
    log: RedisLog<C>,
    /// Whether the connection is one to a cluster.
    is_cluster: OnceLock<bool>,
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisOperations<C> {
    /// Sends a command that only reads, until it is answered or ten seconds have passed.
    async fn read<T, F: Future<Output = RedisResult<T>> + Send>(
        &self,
        operation: &'static str,
        send: impl Fn(C) -> F + Send,
    ) -> Result<T, Error> {
        let answer = self.log.read(&mut Attempts::until_deadline(), send).await;
        answer.map_err(|error| fault::explain(operation, error))
    }

    async fn command<T: FromRedisValue + Send>(
        &self,
        operation: &'static str,
        command: Cmd,
    ) -> Result<T, Error> {
        let command = Arc::new(command);
        let send = |mut connection: C| {
            let command = Arc::clone(&command);
            async move { command.query_async(&mut connection).await }
        };
        self.read(operation, send).await
    }

    /// The next keys of the log, without their prefix.
    async fn scan(&self, position: &mut Position, count: usize) -> Result<Vec<Vec<u8>>, Error> {
        const OPERATION: &str = "list events";
        if self.is_cluster.get().is_none() {
            let mut info = redis::cmd("INFO");
            info.arg("server");
            let info: Value = self.command(OPERATION, info).await?;
            let _is_known = self.is_cluster.set(matches!(info, Value::Map(_)));
        }
        if self.is_cluster.get() == Some(&true) {
            return Err(Error::Store {
                operation: OPERATION.into(),
                advice: "`SCAN` reads one node of a cluster: list each node over a connection of its own"
                    .into(),
                source: "the connection is one to a cluster".into(),
            });
        }
        let prefix = &self.log.key_prefix;
        let cursor = if position.is_begun { position.cursor } else { 0 };
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern(prefix)).arg("COUNT").arg(count);
        let (next, keys): (u64, Vec<Vec<u8>>) = self.command(OPERATION, scan).await?;
        position.cursor = next;
        position.is_begun = true;
        let ids = keys.iter().filter_map(|key| key.strip_prefix(&**prefix));
        // Replies have a NUL in their keys.
        Ok(ids.filter(|id| !id.contains(&0)).map(<[u8]>::to_vec).collect())
    }

    /// The keys that an earlier page left, and the next ones of the server.
    async fn part(&self, position: &mut Position) -> Result<Vec<Vec<u8>>, Error> {
        let mut ids = std::mem::take(&mut position.pending);
        if !position.is_over() {
            ids.extend(self.scan(position, MAX_SCANNED).await?);
        }
        Ok(ids)
    }

    /// The events with these ids. Those that are gone, and keys that are no hashes, are left out.
    async fn look_at(&self, ids: &[Vec<u8>]) -> Result<Vec<LoggedEvent>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut looks = redis::pipe();
        for id in ids {
            let id = String::from_utf8_lossy(id);
            looks.cmd("EVAL").arg(script::LOOK).arg(2).arg(self.log.key(&id)).arg(self.log.reply_key(&id));
        }
        let looks = Arc::new(looks);
        let send = |mut connection: C| {
            let looks = Arc::clone(&looks);
            async move { looks.query_async(&mut connection).await }
        };
        let rows: Vec<Value> = self.read("look at the event", send).await?;
        let mut events = Vec::with_capacity(ids.len());
        for (id, row) in ids.iter().zip(rows) {
            let row = Row::from_redis_value(row)
                .map_err(|error| fault::explain("look at the event", error.into()))?;
            if let Row::Event(row) = row {
                events.push(self.event(&String::from_utf8_lossy(id), row));
            }
        }
        Ok(events)
    }

    fn event(&self, id: &str, row: StoredHash) -> LoggedEvent {
        let (stored, owner, token, left, event_type, time_to_live, of_reply) = row;
        let left = u64::try_from(left).ok().map(Duration::from_millis);
        let state = EventState::of(stored, left);
        let owner = <[u8; 16]>::try_from(owner).ok().map(Owner::from_bytes);
        let unchanged_for = u64::try_from(time_to_live)
            .ok()
            .and_then(|left| millis(self.log.retention).checked_sub(left))
            .map(Duration::from_millis);
        let of_reply = u64::try_from(of_reply).ok().map(Duration::from_millis);
        let reply_until = of_reply.filter(|_| state == EventState::Processed);
        LoggedEvent::new(id, state)
            .with_reply_until(reply_until.and_then(|left| SystemTime::now().checked_add(left)))
            .with_type(String::from_utf8_lossy(&event_type).into_owned())
            .with_fencing_token(token)
            .with_owner(owner)
            .with_lease_left(left.filter(|_| state == EventState::Claimed))
            .with_updated_at(unchanged_for.and_then(|unchanged| SystemTime::now().checked_sub(unchanged)))
    }

    async fn change(
        &self,
        operation: &'static str,
        seen: &LoggedEvent,
        change: RowChange,
    ) -> Result<Change, Error> {
        EventRef::new(seen.id())?;
        let (log, seen, owner) = (self.log.clone(), seen.clone(), Owner::random()?);
        let id = seen.id().to_owned();
        let changing = async move {
            let seen_owner = seen.owner().map(|owner| owner.as_bytes().to_vec()).unwrap_or_default();
            let was = (seen.state().stored(), seen.fencing_token(), &*seen_owner);
            let arguments = (was, owner.as_bytes().as_slice(), state_after(change), millis(log.retention));
            let request = Request {
                operation,
                script: &script::CHANGE,
                event_id: seen.id(),
                when: When::BeforeDeadline,
            };
            log.send(Attempts::until_deadline(), request, arguments).await
        };
        let (outcome, _) = DetachOnDrop::new(changing).await?;
        Ok(if outcome == 1 { Change::Done } else { Change::TooLate(self.look(&id).await?) })
    }
}

/// State, owner, fencing token, milliseconds that the lease has left, type, time to live in milliseconds, and that of
/// the reply.
type StoredHash = (i64, Vec<u8>, u64, i64, Vec<u8>, i64, i64);

/// The answer of `look.lua`.
enum Row {
    Missing,
    NoHash,
    Event(StoredHash),
}

impl FromRedisValue for Row {
    fn from_redis_value(value: Value) -> Result<Self, redis::ParsingError> {
        let Value::Array(fields) = &value else { return Err("the script answers with a list".into()) };
        match fields.first() {
            Some(Value::Int(0)) => Ok(Self::Missing),
            Some(Value::Int(2)) => Ok(Self::NoHash),
            _ => {
                let (_, state, owner, token, left, event_type, time_to_live, of_reply): (
                    i64,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                ) = FromRedisValue::from_redis_value(value)?;
                Ok(Self::Event((state, owner, token, left, event_type, time_to_live, of_reply)))
            }
        }
    }
}

/// The keys that begin with these bytes (<https://redis.io/docs/latest/commands/keys/>).
fn pattern(prefix: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(prefix.len() + 1);
    for byte in prefix {
        if b"*?[]^-\\".contains(byte) {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    pattern.push(b'*');
    pattern
}

#[async_trait]
impl<C: ConnectionLike + Clone + Send + Sync + 'static> Operations for RedisOperations<C> {
    async fn look(&self, event_id: &str) -> Result<Option<LoggedEvent>, Error> {
        let key = self.log.key(EventRef::new(event_id)?.id());
        let mut look = redis::cmd("EVAL");
        look.arg(script::LOOK).arg(2).arg(key).arg(self.log.reply_key(event_id));
        match self.command("look at the event", look).await? {
            Row::Missing => Ok(None),
            Row::Event(row) => Ok(Some(self.event(event_id, row))),
            Row::NoHash => Err(Error::Store {
                operation: "look at the event".into(),
                advice: "its key holds a value of another type: give the log a key prefix of its own \
                         (`with_key_prefix`)"
                    .into(),
                source: "the key is not a hash".into(),
            }),
        }
    }

    async fn list(&self, filter: &Filter, after: Option<&Cursor>, limit: usize) -> Result<Page, Error> {
        let mut position = Position::of(after)?;
        let limit = limit.clamp(1, MAX_PAGE);
        let mut events = Vec::new();
        let mut scans = 0;
        while events.len() < limit {
            if position.pending.is_empty() {
                if position.is_over() || scans == MAX_SCANS {
                    break;
                }
                // Less than what is missing, so that a page rarely gets keys that it cannot hold.
                let count = ((limit - events.len()) * 2 / 3).clamp(1, MAX_SCANNED);
                let mut keys = self.scan(&mut position, count).await?;
                scans += 1;
                keys.sort();
                keys.dedup();
                position.pending = keys;
            }
            let held = position.pending.len().min(limit - events.len());
            let ids: Vec<Vec<u8>> = position.pending.drain(..held).collect();
            let found = self.look_at(&ids).await?;
            events.extend(found.into_iter().filter(|event| filter.matches(event)));
        }
        Ok(Page::new(events, position.next()))
    }

    async fn count_page(&self, after: Option<&Cursor>) -> Result<CountPage, Error> {
        let mut position = Position::of(after)?;
        let mut ids = self.part(&mut position).await?;
        ids.sort();
        ids.dedup();
        let mut counts = Counts::default();
        for event in self.look_at(&ids).await? {
            counts.count(event.state(), 1, event.updated_at());
        }
        Ok(CountPage::new(counts, position.next()))
    }

    async fn release(&self, seen: &LoggedEvent) -> Result<Change, Error> {
        match RowChange::of_release(seen) {
            Ok(change) => self.change("release the event", seen, change).await,
            Err(why) => Ok(Change::NotPossible(why)),
        }
    }

    async fn complete(&self, seen: &LoggedEvent) -> Result<Change, Error> {
        match RowChange::of_complete(seen) {
            Ok(change) => self.change("complete the event", seen, change).await,
            Err(why) => Ok(Change::NotPossible(why)),
        }
    }

    async fn forget(&self, seen: &LoggedEvent) -> Result<Change, Error> {
        match RowChange::of_forget(seen) {
            Ok(change) => self.change("forget the event", seen, change).await,
            Err(why) => Ok(Change::NotPossible(why)),
        }
    }

    async fn forget_reply(&self, seen: &LoggedEvent) -> Result<Change, Error> {
        if let Err(why) = RowChange::of_reply(seen) {
            return Ok(Change::NotPossible(why));
        }
        EventRef::new(seen.id())?;
        let (log, seen) = (self.log.clone(), seen.clone());
        let id = seen.id().to_owned();
        let forgetting = async move {
            let seen_owner = seen.owner().map(|owner| owner.as_bytes().to_vec()).unwrap_or_default();
            let was = (seen.state().stored(), seen.fencing_token(), &*seen_owner);
            let request = Request {
                operation: "forget the reply",
                script: &script::FORGET_REPLY,
                event_id: seen.id(),
                when: When::BeforeDeadline,
            };
            log.send(Attempts::until_deadline(), request, was).await
        };
        let (outcome, _) = DetachOnDrop::new(forgetting).await?;
        Ok(if outcome == 1 { Change::Done } else { Change::TooLate(self.look(&id).await?) })
    }

    async fn purge_page(&self, older_than: Duration, after: Option<&Cursor>) -> Result<PurgePage, Error> {
        let mut position = Position::of(after)?;
        let ids = self.part(&mut position).await?;
        let read = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        let mut deleted = 0;
        for event in self.look_at(&ids).await? {
            let is_old =
                event.state() != EventState::Claimed && event.age().is_some_and(|age| age >= older_than);
            if is_old && self.change("purge old events", &event, RowChange::Delete).await?.is_done() {
                deleted += 1;
            }
        }
        Ok(PurgePage::new(deleted, read, position.next()))
    }

    async fn lacks(&self) -> Result<Vec<Lack>, Error> {
        Ok(vec![Lack::ReceivedAt])
    }
}
