//! Who made a mark or a claim.

use std::fmt;

use crate::error::Error;

/// A random nonce, made once for a call and the same in every retry of it.
///
/// "The row is there, with my nonce" means that this call made it: a reply that was lost on the
/// way must not turn the first delivery into a duplicate.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner([u8; 16]);

impl Owner {
    /// A new one, from the operating system's randomness.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] where the operating system has none to give.
    pub fn random() -> Result<Self, Error> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)
            .map_err(|error| Error::store("draw a random nonce from the operating system", error))?;
        Ok(Self(nonce))
    }

    /// The same owner from its bytes, as a store keeps them.
    pub const fn from_bytes(nonce: [u8; 16]) -> Self {
        Self(nonce)
    }

    /// The bytes to keep in a store.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(formatter, "Owner({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}
