//! The endpoint of an inbox, for each web framework.

use std::fmt;

use super::dialect::InboxDatabase;
use super::inbox::Inbox;
use super::receive::{Receipt, ReceiveError};
use crate::sender::{Delivery, Sender};

/// The endpoint of an [`Inbox`]: [`Inbox::receive`].
///
/// It is a handler of axum, a handler of actix-web and an endpoint of poem, each with the feature of this name.
pub struct Receive<D: InboxDatabase, S: Sender>(Inbox<D, S>);

impl<D: InboxDatabase, S: Sender> Receive<D, S> {
    /// Stores the event of a request that was read.
    pub(crate) async fn store<'r>(
        &self,
        headers: impl Iterator<Item = (&'r str, &'r [u8])>,
        body: &'r [u8],
    ) -> Result<Receipt, ReceiveError> {
        self.0.receive_delivery(&Delivery::new(body).with_headers(headers)).await
    }
}

/// With a feature of a web framework.
impl<D: InboxDatabase, S: Sender> Inbox<D, S> {
    /// The endpoint. It needs no state, no `app_data` and no `.data(..)`: the inbox has the sender.
    ///
    /// | framework | route | largest body, 2 MB unless set |
    /// |---|---|---|
    /// | axum | `Router::new().route("/github", post(inbox.receive()))` | `DefaultBodyLimit` |
    /// | actix-web | `App::new().route("/github", web::post().to(inbox.receive()))` | `PayloadConfig` |
    /// | poem | `Route::new().at("/github", post(inbox.receive()))` | [`BodyLimit`](crate::sender::BodyLimit) |
    ///
    /// | status | meaning |
    /// |---|---|
    /// | 202 | the event is stored durably |
    /// | 200 | it was received before, or the delivery is a handshake |
    /// | 400 | the delivery is not signed by the sender, or is no event |
    /// | 413 | the body is over the framework's limit, or over [`with_max_body`](Self::with_max_body) |
    /// | 500 | the sender has no secret |
    /// | 503 | the event could not be stored |
    pub fn receive(&self) -> Receive<D, S> {
        Receive(self.clone())
    }
}

/// Not derived: a derived one would require `S: Clone`.
impl<D: InboxDatabase, S: Sender> Clone for Receive<D, S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D: InboxDatabase, S: Sender> fmt::Debug for Receive<D, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Receive").field(&self.0).finish()
    }
}
