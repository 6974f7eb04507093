//! What a delivery that arrives is answered.

use super::delivery::Received;
use crate::error::Error;
use crate::sender::{PayloadError, SenderRejection, SignatureError};

/// What became of a delivery. Answer the sender with [`status`](Self::status) and [`body`](Self::body): it need not
/// deliver again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Receipt {
    /// The event is stored durably: 202. A worker delivers it.
    Stored,
    /// The event was received before: 200. It is waiting, running, parked or processed.
    Duplicate,
    /// The delivery is no event but the sender's handshake: 200, with the body that it asks for.
    Handshake(String),
}

impl Receipt {
    /// The status to answer with.
    ///
    /// ```
    /// use ferro_idem::inbox::Receipt;
    ///
    /// assert_eq!((Receipt::Stored.status(), Receipt::Duplicate.status()), (202, 200));
    /// ```
    pub const fn status(&self) -> u16 {
        match self {
            Self::Stored => 202,
            Self::Duplicate | Self::Handshake(_) => 200,
        }
    }

    /// The text to answer with. It is empty, but for a handshake.
    pub fn body(&self) -> &str {
        match self {
            Self::Handshake(body) => body,
            Self::Stored | Self::Duplicate => "",
        }
    }
}

impl From<Received> for Receipt {
    fn from(received: Received) -> Self {
        match received {
            Received::First => Self::Stored,
            Received::Duplicate => Self::Duplicate,
        }
    }
}

/// Why a delivery is not in the inbox.
///
/// The messages hold no payload and no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// It is not signed by the sender, it is no event, or it is too large.
    #[error(transparent)]
    Rejected(#[from] SenderRejection),
    /// Its id cannot be a key, or it could not be stored. In the second case it may be stored nevertheless: if the
    /// sender delivers it again, it is a duplicate, and it is processed once.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl ReceiveError {
    /// The status to answer with: 400, 413, 500 if this server has no secret, or 503 if the event could not be stored.
    ///
    /// ```
    /// use ferro_idem::Error;
    /// use ferro_idem::inbox::ReceiveError;
    ///
    /// let away = ReceiveError::from(Error::store("store the event", std::io::Error::other("connection refused")));
    /// assert_eq!((away.status(), away.body()), (503, String::new()));
    /// ```
    pub fn status(&self) -> u16 {
        match self {
            Self::Rejected(rejection) => rejection.status(),
            Self::Failed(error) => error.status(),
        }
    }

    /// The text to answer with. It names neither the rule that a forgery broke nor the database.
    pub fn body(&self) -> String {
        match self {
            Self::Rejected(rejection) => rejection.body(),
            Self::Failed(Error::Store { .. }) => String::new(),
            Self::Failed(error) => error.to_string(),
        }
    }
}

impl From<PayloadError> for ReceiveError {
    fn from(error: PayloadError) -> Self {
        Self::Rejected(SignatureError::from(error).into())
    }
}
