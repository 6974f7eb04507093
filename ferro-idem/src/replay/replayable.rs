//! The trait by which a reply is kept and replayed.

use super::kept::{KeptReply, Unreplayable};
use crate::reply::Outcome;

/// A reply that can be kept, and made again for a retry.
///
/// `#[idempotent_webhook(replay)]` uses it for the return type, or for either side of a `Result`. A type that implements
/// `Serialize` and `DeserializeOwned` needs no implementation: it is kept as JSON.
///
/// | reply | what is kept |
/// |---|---|
/// | axum's `Response`, actix-web's `HttpResponse`, poem's `Response` | the status, the headers that the handler has set, and the body, if it is complete in memory |
/// | `Json<T>`, `(StatusCode, Json<T>)` | the value, which is encoded again; and the status |
/// | `(StatusCode, T)`, and actix-web's `(T, StatusCode)` | the status and the `T` |
/// | `StatusCode`, `NoContent`, `()`, `String`, `Vec<u8>`, `Bytes`, `Html<T>` | itself |
/// | [`Outcome<T>`] | the `T` |
/// | `T: Serialize + DeserializeOwned` | JSON |
/// | `Result<T, E>` | either side. An `Err` is kept only if `processed = |reply| ..` says that it means "processed" |
///
/// The first six rows need the feature of their framework.
///
/// # Headers
///
/// Of a response, the headers that the handler itself has set are kept. Layers around the handler add theirs again.
/// Left out are `Set-Cookie`, because a cookie belongs to the client that got it (put
/// [`KeepSetCookie`](super::KeepSetCookie) into the response's extensions to keep it), the headers of one connection
/// (`Connection`, `Transfer-Encoding` and others), and `Content-Length` and `Date`, which the server sets.
///
/// # The same bytes
///
/// A response is replayed byte for byte. A value is read back and encoded again, so it is the same bytes if encoding it
/// is deterministic: a `HashMap` is not, a `BTreeMap` is.
///
/// ```
/// use ferro_idem::replay::{KeptReply, Replayable, Unreplayable};
///
/// #[derive(Debug, PartialEq)]
/// struct Receipt(u64);
///
/// impl Replayable for Receipt {
///     fn keep(self) -> Result<(Self, KeptReply), Unreplayable> {
///         let kept = KeptReply::new(self.0.to_be_bytes());
///         Ok((self, kept))
///     }
///
///     fn replay(kept: KeptReply) -> Result<Self, Unreplayable> {
///         let number = kept.body().try_into().map_err(|_| Unreplayable::new("it is no receipt"))?;
///         Ok(Self(u64::from_be_bytes(number)))
///     }
/// }
///
/// let (receipt, kept) = Receipt(7).keep()?;
/// assert_eq!(Receipt::replay(kept)?, receipt);
/// # Ok::<(), Unreplayable>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be replayed",
    label = "a duplicate gets the kept reply again, so it has to be kept and read back",
    note = "derive `serde::Serialize` and `serde::Deserialize` for a type of your own",
    note = "or return `Response` (`.into_response()`), `(StatusCode, Json<T>)`, `Json<T>`, or a `Result` of one of these",
    note = "or implement `ferro_idem::replay::Replayable` for `{Self}`"
)]
pub trait Replayable: Sized {
    /// Takes what has to be kept out of the reply, and returns the reply for the caller that made it.
    ///
    /// # Errors
    ///
    /// If it cannot be kept. The delivery then fails before anything is committed.
    fn keep(self) -> Result<(Self, KeptReply), Unreplayable>;

    /// Makes the reply again.
    ///
    /// # Errors
    ///
    /// If what was kept is not of this type, for example because the handler returned another type at that time.
    fn replay(kept: KeptReply) -> Result<Self, Unreplayable>;
}

impl Replayable for () {
    fn keep(self) -> Result<(Self, KeptReply), Unreplayable> {
        Ok(((), KeptReply::new([])))
    }

    fn replay(_: KeptReply) -> Result<Self, Unreplayable> {
        Ok(())
    }
}

impl Replayable for Vec<u8> {
    fn keep(self) -> Result<(Self, KeptReply), Unreplayable> {
        let kept = KeptReply::new(self.clone());
        Ok((self, kept))
    }

    fn replay(kept: KeptReply) -> Result<Self, Unreplayable> {
        Ok(kept.into_body())
    }
}

impl Replayable for String {
    fn keep(self) -> Result<(Self, KeptReply), Unreplayable> {
        let kept = KeptReply::new(self.clone());
        Ok((self, kept))
    }

    fn replay(kept: KeptReply) -> Result<Self, Unreplayable> {
        Self::from_utf8(kept.into_body()).map_err(|_| Unreplayable::new("it is not text"))
    }
}

/// A kept `Duplicate` is an empty reply, and is never read back as a value.
impl<T: Replayable> Replayable for Outcome<T> {
    fn keep(self) -> Result<(Self, KeptReply), Unreplayable> {
        match self {
            Self::Processed(reply) => reply.keep().map(|(reply, kept)| (Self::Processed(reply), kept)),
            Self::Duplicate => {
                Err(Unreplayable::new("it is `Outcome::Duplicate`, which the attribute returns by itself"))
            }
        }
    }

    fn replay(kept: KeptReply) -> Result<Self, Unreplayable> {
        T::replay(kept).map(Self::Processed)
    }
}

/// Encodes a value as JSON. What cannot be read back is not kept.
pub(crate) fn keep_value<T: serde::Serialize + serde::de::DeserializeOwned>(
    value: &T,
) -> Result<KeptReply, Unreplayable> {
    let json = serde_json::to_vec(value)
        .map_err(|_| Unreplayable(format!("`{}` does not become JSON", std::any::type_name::<T>()).into()))?;
    if json.len() <= super::MAX_REPLY_BYTES {
        replay_value::<T>(&json)?;
    }
    Ok(KeptReply::new(json))
}

/// Reads a value back. The error of `serde_json` may quote the value, so only its place is told.
pub(crate) fn replay_value<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T, Unreplayable> {
    serde_json::from_slice(json).map_err(|error| {
        let (name, line, column) = (std::any::type_name::<T>(), error.line(), error.column());
        Unreplayable(format!("its JSON is not read back as `{name}`, at line {line}, column {column}").into())
    })
}
