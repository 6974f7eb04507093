//! What the endpoints of senders share.

/// `with_secret`, `try_with_secret` and `Debug`, for an endpoint with a field `keys: Keys` and rules for its secrets.
macro_rules! endpoint_secrets {
    ($webhook:ident, $rules:expr $(, $shown:ident)*) => {
        impl $webhook {
            /// The same endpoint with one more secret, for a rotation. Each of them is accepted, and an empty one is
            /// ignored.
            #[must_use]
            pub fn with_secret(mut self, secret: impl AsRef<str>) -> Self {
                self.keys.add($rules.key(secret.as_ref()));
                self
            }

            /// [`with_secret`](Self::with_secret), for a server that does not start with a wrong secret.
            ///
            /// # Errors
            ///
            /// [`InvalidSecret`](crate::sender::InvalidSecret) if the text cannot be the secret.
            pub fn try_with_secret(
                mut self,
                secret: impl AsRef<str>,
            ) -> Result<Self, crate::sender::InvalidSecret> {
                self.keys.try_add($rules.strict_key(secret.as_ref()))?;
                Ok(self)
            }
        }

        /// Shows no secret.
        impl std::fmt::Debug for $webhook {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut shown = formatter.debug_struct(stringify!($webhook));
                self.keys.show(&mut shown);
                $(shown.field(stringify!($shown), &self.$shown);)*
                shown.finish()
            }
        }
    };
}
pub(super) use endpoint_secrets;
