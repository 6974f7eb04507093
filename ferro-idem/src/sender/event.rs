//! What the events of senders share.

/// `payload()`, `decode()`, `WebhookEvent` and `Debug`, for an event with a field `body: Body`.
macro_rules! event_body {
    ($event:ident) => {
        impl $event {
            /// The body as it was delivered, byte for byte.
            pub fn payload(&self) -> &[u8] {
                self.body.bytes()
            }

            /// Decodes the event into a type of your own, or into `serde_json::Value`.
            ///
            /// In a body under the plain fence the event is marked already: if it does not fit `T`, it is lost, not
            /// delivered again. Decode leniently there, or decode before the handler.
            ///
            /// # Errors
            ///
            /// [`PayloadError`](crate::sender::PayloadError) if the event does not fit `T`.
            pub fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, crate::sender::PayloadError> {
                crate::sender::json::decode(self.body.json())
            }
        }

        impl crate::event::WebhookEvent for $event {
            fn event_id(&self) -> &str {
                self.id()
            }

            fn event_type(&self) -> Option<&str> {
                Some(self.event_type())
            }
        }

        /// Shows the id and the type, never the body.
        impl std::fmt::Debug for $event {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter
                    .debug_struct(stringify!($event))
                    .field("id", &self.id())
                    .field("type", &self.event_type())
                    .finish_non_exhaustive()
            }
        }
    };
}
pub(super) use event_body;
