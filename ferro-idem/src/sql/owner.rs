//! Who made a mark.

use crate::error::Error;

/// A random nonce, made once for a call and the same in every retry of it.
///
/// "The row is there, with my nonce" means that this call made it: a reply that was lost on the
/// way must not turn the first delivery into a duplicate.
pub(super) struct Owner([u8; 16]);

impl Owner {
    pub(super) fn random() -> Result<Self, Error> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)
            .map_err(|error| Error::store("draw a random nonce from the operating system", error))?;
        Ok(Self(nonce))
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into()
    }
}
