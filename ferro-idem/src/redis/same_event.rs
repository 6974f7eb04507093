//! Concurrent deliveries of one event to one log: the leader sends the mark, and the followers wait for its answer.
//!
//! If the leader's caller goes away, its mark is handed to the next follower. Otherwise the server would answer
//! "duplicate" to the followers, because of a mark that is about to be taken back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::undelivered::TakeBack;
use super::{Connection, RedisLog};
use crate::retry::Attempts;

/// If a leader has not answered after this time, its runtime may not be driven. Its followers then send their own
/// marks.
const PATIENCE: Duration = Duration::from_secs(1);

type Followers = VecDeque<oneshot::Sender<Answer>>;

/// The events that are being marked, each with its waiting followers.
#[derive(Debug, Default)]
pub(super) struct SameEvent(Mutex<HashMap<Vec<u8>, Followers>>);

/// The answer to a follower.
#[derive(Debug)]
enum Answer {
    Duplicate,
    /// The mark exists and now belongs to the follower.
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

    /// A panic cannot leave the map half-changed.
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

/// The right to mark an event for oneself and for the followers. If it is dropped without an answer, each follower
/// sends its own mark.
pub(super) struct Lead<C: Connection> {
    log: RedisLog<C>,
    /// Empty if there can be no followers.
    key: Vec<u8>,
}

impl<C: Connection> Lead<C> {
    /// A leader without followers.
    pub(super) fn alone(log: &RedisLog<C>) -> Self {
        Self { log: log.clone(), key: Vec::new() }
    }

    /// `first` is `None` if the event was marked before.
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
            // A follower that has gone does not need the answer.
            drop(follower.send(Answer::Duplicate));
        }
    }
}

impl<C: Connection> Drop for Lead<C> {
    fn drop(&mut self) {
        drop(self.followers());
    }
}

/// The answer to a mark, before its caller has it. Dropping it hands the mark to the next follower, or takes it back.
pub(super) struct UndeliveredMark<C: Connection> {
    lead: Lead<C>,
    first: Option<TakeBack>,
    is_told: bool,
}

impl<C: Connection> UndeliveredMark<C> {
    /// Hands the answer to the caller.
    pub(super) fn into_is_first(mut self) -> bool {
        self.is_told = true;
        self.lead.tell_duplicates();
        self.first.take().is_some()
    }
}

impl<C: Connection> Drop for UndeliveredMark<C> {
    /// This is a loop and not a recursion, because clients control how many callers are gone.
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        let Some(mut made) = self.first.take() else { return self.lead.tell_duplicates() };
        let Lead { log, key } = &mut self.lead;
        while let Some(follower) = log.shared.same_event.next(key) {
            match follower.send(Answer::First(made)) {
                Ok(()) => {
                    // This follower is the leader from here on.
                    key.clear();
                    return;
                }
                Err(Answer::First(back)) => made = back,
                Err(Answer::Duplicate) => return,
            }
        }
        // This comes before the lead ends, so that a delivery that arrives now waits until the mark is gone.
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
    /// Returns `None` if the leader gave no answer.
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
        // The mark was handed to this follower, whose caller went away before it read the answer.
        if let Some(Answer::First(made)) = self.last_answer() {
            drop(self.lead(made));
        }
    }
}
