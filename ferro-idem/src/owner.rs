//! The random value that says which call made a mark or a claim.

use std::cell::RefCell;
use std::fmt;

use crate::error::Error;

/// A random value that is made once per call and is the same in every retry of the call.
///
/// If a retry finds a row with its own owner, an earlier attempt of the same call has made the row. So a lost
/// reply does not turn the first delivery into a duplicate.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner([u8; 16]);

impl Owner {
    /// Draws an owner from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the operating system fails to provide random numbers.
    pub fn random() -> Result<Self, Error> {
        DRAWN.with_borrow_mut(Drawn::next).map(Self)
    }

    /// Restores an owner from the bytes that a store keeps.
    pub const fn from_bytes(owner: [u8; 16]) -> Self {
        Self(owner)
    }

    /// The bytes to keep in a store.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

thread_local! {
    static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn { owners: [[0; 16]; DRAWN_AT_ONCE], left: 0 }) };
}

/// A call to the operating system takes as long as everything else that a mark does in this process, so each
/// call draws several owners.
const DRAWN_AT_ONCE: usize = 32;

/// Random values that were drawn and are not used yet. Each is used once.
struct Drawn {
    owners: [[u8; 16]; DRAWN_AT_ONCE],
    left: usize,
}

impl Drawn {
    fn next(&mut self) -> Result<[u8; 16], Error> {
        if self.left == 0 {
            getrandom::fill(self.owners.as_flattened_mut())
                .map_err(|error| Error::store("draw a random owner from the operating system", error))?;
            self.left = DRAWN_AT_ONCE;
        }
        self.left -= 1;
        Ok(self.owners.get(self.left).copied().unwrap_or_default())
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(formatter, "Owner({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{DRAWN_AT_ONCE, Owner};

    #[test]
    fn no_two_are_alike_on_one_thread_or_several() {
        let draw = || (0..3 * DRAWN_AT_ONCE).map(|_| Owner::random().unwrap()).collect::<Vec<_>>();
        let others: Vec<_> = (0..2).map(|_| std::thread::spawn(draw)).collect();
        let mut all: HashSet<Owner> = draw().into_iter().collect();
        all.extend(others.into_iter().flat_map(|thread| thread.join().unwrap()));
        assert_eq!(all.len(), 3 * 3 * DRAWN_AT_ONCE);
        assert!(!all.contains(&Owner::from_bytes([0; 16])));
    }

    #[test]
    fn an_owner_is_its_bytes_and_shows_the_first_of_them() {
        let owner = Owner::from_bytes([0xab; 16]);
        assert_eq!(owner.as_bytes(), &[0xab; 16]);
        assert_eq!(format!("{owner:?}"), "Owner(abababab..)");
    }
}
