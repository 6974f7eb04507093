//! An event id kept in 32 bytes.

use std::hash::{Hash, Hasher};

/// The longest id kept without an allocation. Stripe's `evt_...` have 28 bytes.
const INLINE: usize = 30;

/// An owned id. Two keys are equal if their bytes are equal.
///
/// A map of `String`s needs 24 bytes and an allocation per key, and another allocation to look a duplicate
/// up. An id that fits here is one copy of 32 bytes.
pub(super) enum Key {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Box<[u8]>),
}

impl Key {
    #[inline]
    pub(super) fn new(id: &str) -> Self {
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..id.len()), u8::try_from(id.len())) {
            (Some(head), Ok(len)) => {
                head.copy_from_slice(id.as_bytes());
                Self::Inline { len, bytes }
            }
            _ => Self::Heap(id.as_bytes().into()),
        }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            // Invariant: `len` is at most `INLINE`, so the fallback is never taken.
            Self::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Self::Heap(bytes) => bytes,
        }
    }
}

impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write(self.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_takes_32_bytes() {
        assert_eq!(size_of::<Key>(), 32);
    }

    #[test]
    fn ids_around_the_inline_limit_are_kept_whole() {
        for len in [1, INLINE - 1, INLINE, INLINE + 1, 255] {
            let id = "x".repeat(len);
            assert_eq!(Key::new(&id).as_bytes(), id.as_bytes(), "{len} bytes");
        }
    }

    #[test]
    fn an_id_and_its_prefix_differ() {
        assert!(Key::new("evt_1") != Key::new("evt_10"));
        assert!(Key::new("evt_1") != Key::new("evt_1 "));
        assert!(Key::new("evt_1") == Key::new("evt_1"));
    }
}
