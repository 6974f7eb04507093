//! How a reply is kept, chosen by its type.
//!
//! The attribute cannot see the type, so the compiler chooses as in [`processed`](crate::processed): by method lookups
//! on a [`Probe`] of a [`Tag`], which stands for the type where there is no value yet.

#![expect(clippy::unused_self, reason = "the type of `self` chooses the method")]
#![expect(clippy::missing_errors_doc, reason = "only the expansion calls these")]

use std::convert::Infallible;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::entry::Gone;
use super::kept::{KeptReply, Unreplayable};
use super::replayable::{Replayable, keep_value, replay_value};
use super::stored::Side;
use crate::error::Error;
use crate::observed;
use crate::processed::Probe;
use crate::reply::DuplicateReply;

/// Stands for the type of a reply.
pub struct Tag<R>(PhantomData<fn() -> R>);

impl<R> Tag<R> {
    pub const NEW: Self = Self(PhantomData);
}

/// Keeps and replays one type.
pub trait Codec<T> {
    fn keep(self, reply: T) -> Result<(T, KeptReply), Unreplayable>;
    fn replay(self, kept: KeptReply) -> Result<T, Unreplayable>;
}

/// The reply implements [`Replayable`].
pub struct ByTrait;

/// The reply becomes JSON.
pub struct ByValue;

/// An error type that cannot be kept. It also stands for any other type that cannot, so that the compiler reports it once.
pub struct Never;

impl<T: Replayable> Codec<T> for ByTrait {
    fn keep(self, reply: T) -> Result<(T, KeptReply), Unreplayable> {
        reply.keep()
    }

    fn replay(self, kept: KeptReply) -> Result<T, Unreplayable> {
        T::replay(kept)
    }
}

impl<T: Serialize + DeserializeOwned> Codec<T> for ByValue {
    fn keep(self, reply: T) -> Result<(T, KeptReply), Unreplayable> {
        let kept = keep_value(&reply)?;
        Ok((reply, kept))
    }

    fn replay(self, kept: KeptReply) -> Result<T, Unreplayable> {
        replay_value(&kept.body)
    }
}

impl<E> Codec<E> for Never {
    fn keep(self, _: E) -> Result<(E, KeptReply), Unreplayable> {
        Err(Unreplayable(
            format!(
                "it is an `Err` that means \"processed\", and its type `{}` cannot be replayed: derive `Serialize` and \
                 `Deserialize` for it, or return the response as `Ok`",
                std::any::type_name::<E>()
            )
            .into(),
        ))
    }

    fn replay(self, _: KeptReply) -> Result<E, Unreplayable> {
        Err(Unreplayable::new("it is an `Err`, whose type cannot be replayed"))
    }
}

/// The reply is a `Result`.
pub struct Either<T, E>(PhantomData<fn() -> (T, E)>);

/// The reply is of another type.
pub struct Plain<R>(PhantomData<fn() -> R>);

type Kept<R> = Result<(R, Side, KeptReply), Unreplayable>;

impl<T, E> Either<T, E> {
    pub fn __ferro_idem_ok(&self) -> Tag<T> {
        Tag::NEW
    }

    pub fn __ferro_idem_err(&self) -> Tag<E> {
        Tag::NEW
    }

    pub fn __ferro_idem_keep(
        &self,
        ok: impl Codec<T>,
        err: impl Codec<E>,
        reply: Result<T, E>,
    ) -> Kept<Result<T, E>> {
        match reply {
            Ok(reply) => ok.keep(reply).map(|(reply, kept)| (Ok(reply), Side::Ok, kept)),
            Err(error) => err.keep(error).map(|(error, kept)| (Err(error), Side::Err, kept)),
        }
    }

    pub fn __ferro_idem_replay(
        &self,
        ok: impl Codec<T>,
        err: impl Codec<E>,
        (side, kept): (Side, KeptReply),
    ) -> Result<Result<T, E>, Unreplayable> {
        match side {
            Side::Ok => ok.replay(kept).map(Ok),
            Side::Err => err.replay(kept).map(Err),
        }
    }
}

impl<R> Plain<R> {
    pub fn __ferro_idem_ok(&self) -> Tag<R> {
        Tag::NEW
    }

    pub fn __ferro_idem_err(&self) -> Tag<Infallible> {
        Tag::NEW
    }

    pub fn __ferro_idem_keep(&self, ok: impl Codec<R>, _: impl Codec<Infallible>, reply: R) -> Kept<R> {
        ok.keep(reply).map(|(reply, kept)| (reply, Side::Ok, kept))
    }

    pub fn __ferro_idem_replay(
        &self,
        ok: impl Codec<R>,
        _: impl Codec<Infallible>,
        (side, kept): (Side, KeptReply),
    ) -> Result<R, Unreplayable> {
        match side {
            Side::Ok => ok.replay(kept),
            Side::Err => {
                Err(Unreplayable::new("it is an `Err`, and the handler no longer returns a `Result`"))
            }
        }
    }
}

pub mod rules {
    //! The traits that the expansion imports.

    use super::{
        ByTrait, ByValue, DeserializeOwned, DuplicateReply, Either, Error, Gone, Never, PhantomData, Plain,
        Probe, Replayable, Serialize, Tag, observed,
    };

    pub trait OfResult<T, E> {
        fn __ferro_idem_reply_shape(&self) -> Either<T, E> {
            Either(PhantomData)
        }
    }

    pub trait OfAnyReply<R> {
        fn __ferro_idem_reply_shape(&self) -> Plain<R> {
            Plain(PhantomData)
        }
    }

    impl<T, E> OfResult<T, E> for &Probe<'_, Tag<Result<T, E>>> {}
    impl<R> OfAnyReply<R> for Probe<'_, Tag<R>> {}

    pub trait OfReplayable {
        fn __ferro_idem_codec(&self) -> ByTrait {
            ByTrait
        }

        fn __ferro_idem_err_codec(&self) -> ByTrait {
            ByTrait
        }
    }

    pub trait OfValue {
        fn __ferro_idem_codec(&self) -> ByValue {
            ByValue
        }

        fn __ferro_idem_err_codec(&self) -> ByValue {
            ByValue
        }
    }

    /// `Replayable` is asked for, so that its error says what to do.
    pub trait OfOther<T> {
        fn __ferro_idem_codec(&self) -> Never
        where
            T: Replayable,
        {
            Never
        }

        fn __ferro_idem_err_codec(&self) -> Never {
            Never
        }
    }

    impl<T: Replayable> OfReplayable for &&Probe<'_, Tag<T>> {}
    impl<T: Serialize + DeserializeOwned> OfValue for &Probe<'_, Tag<T>> {}
    impl<T> OfOther<T> for Probe<'_, Tag<T>> {}

    pub trait OfDuplicateReply<R> {
        fn __ferro_idem_duplicate(&self, gone: Gone) -> Result<R, Error>;
    }

    pub trait OfNoDuplicateReply<R> {
        fn __ferro_idem_duplicate(&self, gone: Gone) -> Result<R, Error>;
    }

    /// A client must not take an empty success for the reply that it has missed, so it is told that the reply is gone.
    /// A worker of the inbox only asks whether the event is processed.
    impl<R: DuplicateReply> OfDuplicateReply<R> for &Probe<'_, Tag<R>> {
        fn __ferro_idem_duplicate(&self, gone: Gone) -> Result<R, Error> {
            if observed::by_the_inbox() { Ok(R::duplicate_reply()) } else { Err(gone.error()) }
        }
    }

    impl<R> OfNoDuplicateReply<R> for Probe<'_, Tag<R>> {
        fn __ferro_idem_duplicate(&self, gone: Gone) -> Result<R, Error> {
            Err(gone.error())
        }
    }
}
