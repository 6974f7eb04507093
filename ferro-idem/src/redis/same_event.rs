//! Deliveries of one event to one log at the same time: one of them sends its mark, and the others wait for its answer.
//!
//! If the caller of the first one goes, the mark goes to the next of them. Otherwise the server would answer the others
//! "duplicate" about a mark that is then taken back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::undelivered::TakeBack;
use super::{Connection, RedisLog};
use crate::retry::Attempts;

/// A leader that has not answered for so long may have a runtime that is not driven. Its followers then send marks of
/// their own.
const PATIENCE: Duration = Duration::from_secs(1);

type Followers = VecDeque<oneshot::Sender<Answer>>;

/// The events that are being marked, with the callers that wait for each.
#[derive(Debug, Default)]
pub(super) struct SameEvent(Mutex<HashMap<Vec<u8>, Followers>>);

/// What a follower is told.
#[derive(Debug)]
enum Answer {
    Duplicate,
    /// The mark is made, and is the follower's now.
    First(TakeBack),
}

/// How a caller marks its event.
pub(super) enum Role<C: Connection> {
    Leader(Lead<C>),
    Follower(Follower<C>),
}

impl SameEvent {
    pub(super) fn join<C: Connection>(log: &RedisLog<C>, key: &[u8]) -> Role<C> {
        let lead = Lead { log: log.clone(), key: key.to_vec() };
        let mut events = log.shared.same_event.locked();
        if let Some(followers) = events.get_mut(key) {
            let (sender, receiver) = oneshot::channel();
            followers.push_back(sender);
            drop(events);
            let (log, key) = lead.dissolve();
            return Role::Follower(Follower { log, key, receiver });
        }
        events.insert(lead.key.clone(), Followers::new());
        drop(events);
        Role::Leader(lead)
    }

    /// A panic cannot leave it half-changed.
    fn locked(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Followers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, key: &[u8]) -> Option<oneshot::Sender<Answer>> {
        self.locked().get_mut(key)?.pop_front()
    }

    fn end(&self, key: &[u8]) -> Followers {
        self.locked().remove(key).unwrap_or_default()
    }
}

/// The caller that marks the event for itself and its followers. Dropped without an answer, it leaves each of them to
/// itself.
pub(super) struct Lead<C: Connection> {
    log: RedisLog<C>,
    /// Empty: it leads nobody.
    key: Vec<u8>,
}

impl<C: Connection> Lead<C> {
    /// Leads nobody.
    pub(super) fn alone(log: &RedisLog<C>) -> Self {
        Self { log: log.clone(), key: Vec::new() }
    }

    /// `None`: the event was marked before.
    pub(super) fn answer(self, first: Option<TakeBack>) -> UndeliveredMark<C> {
        UndeliveredMark { lead: self, first, is_told: false }
    }

    fn dissolve(mut self) -> (RedisLog<C>, Vec<u8>) {
        (self.log.clone(), std::mem::take(&mut self.key))
    }

    fn followers(&mut self) -> Followers {
        if self.key.is_empty() {
            return Followers::new();
        }
        self.log.shared.same_event.end(&std::mem::take(&mut self.key))
    }

    fn tell_duplicates(&mut self) {
        for follower in self.followers() {
            // One that is gone need not know.
            drop(follower.send(Answer::Duplicate));
        }
    }
}

impl<C: Connection> Drop for Lead<C> {
    fn drop(&mut self) {
        drop(self.followers());
    }
}

/// The answer to a mark, which no caller has yet. If it is dropped like that, the mark goes to the next follower, or is
/// taken back.
pub(super) struct UndeliveredMark<C: Connection> {
    lead: Lead<C>,
    first: Option<TakeBack>,
    is_told: bool,
}

impl<C: Connection> UndeliveredMark<C> {
    /// The caller has the answer now.
    pub(super) fn into_is_first(mut self) -> bool {
        self.is_told = true;
        self.lead.tell_duplicates();
        self.first.take().is_some()
    }
}

impl<C: Connection> Drop for UndeliveredMark<C> {
    /// A loop, because clients control how many callers are gone.
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        let Some(mut made) = self.first.take() else { return self.lead.tell_duplicates() };
        let Lead { log, key } = &mut self.lead;
        while let Some(follower) = log.shared.same_event.next(key) {
            match follower.send(Answer::First(made)) {
                Ok(()) => {
                    // It leads from here on.
                    key.clear();
                    return;
                }
                Err(Answer::First(back)) => made = back,
                Err(Answer::Duplicate) => return,
            }
        }
        // Before the lead ends, so that a delivery that comes now waits until the mark is gone.
        log.shared.undelivered.take_back(log, made);
    }
}

/// A caller that waits for the leader's answer.
pub(super) struct Follower<C: Connection> {
    log: RedisLog<C>,
    key: Vec<u8>,
    receiver: oneshot::Receiver<Answer>,
}

impl<C: Connection> Follower<C> {
    /// `None`: there is no answer.
    pub(super) async fn follow(mut self, attempts: &Attempts) -> Option<bool> {
        let answer = match attempts.attempt(Some(PATIENCE), &mut self.receiver).await {
            Ok(answer) => answer.ok(),
            Err(_) => self.last_answer(),
        };
        answer.map(|answer| match answer {
            Answer::Duplicate => false,
            Answer::First(made) => self.lead(made).into_is_first(),
        })
    }

    fn last_answer(&mut self) -> Option<Answer> {
        self.receiver.close();
        self.receiver.try_recv().ok()
    }

    fn lead(&mut self, made: TakeBack) -> UndeliveredMark<C> {
        let lead = Lead { log: self.log.clone(), key: std::mem::take(&mut self.key) };
        lead.answer(Some(made))
    }
}

impl<C: Connection> Drop for Follower<C> {
    fn drop(&mut self) {
        // The mark came, and this caller went before it took it.
        if let Some(Answer::First(made)) = self.last_answer() {
            drop(self.lead(made));
        }
    }
}
