//! How a delivery is kept: the headers that its sender reads again, and its raw body, in one value.
//!
//! ```text
//! 1 byte    version, 1
//! 1 byte    length of the sender's name, then the name
//! 2 bytes   number of headers, then for each: 2 bytes length, name, 4 bytes length, value
//! the rest  the raw body
//! ```
//!
//! Numbers are big-endian.

use crate::sender::Delivery;

const VERSION: u8 = 1;

/// A delivery as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    /// [`Sender::NAME`](crate::sender::Sender::NAME): a worker of another sender cannot read it.
    pub sender: &'a str,
    pub headers: Vec<(&'a str, &'a [u8])>,
    pub body: &'a [u8],
}

/// Why a value cannot be read. The delivery is parked with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    #[error("it was stored by a newer version of this library: update the worker")]
    Newer,
    #[error("it is damaged")]
    Damaged,
}

impl<'a> Stored<'a> {
    /// The value to keep. Headers or names that are too long for it are left out: no sender accepts them.
    pub fn encode(&self) -> Vec<u8> {
        let size: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
        let mut encoded = Vec::with_capacity(4 + self.sender.len() + size + self.body.len());
        let sender =
            self.sender.get(..self.sender.floor_char_boundary(usize::from(u8::MAX))).unwrap_or_default();
        encoded.push(VERSION);
        encoded.push(u8::try_from(sender.len()).unwrap_or(0));
        encoded.extend_from_slice(sender.as_bytes());
        let fits = |(name, value): &&(&str, &[u8])| {
            u16::try_from(name.len()).is_ok() && u32::try_from(value.len()).is_ok()
        };
        let headers: Vec<_> = self.headers.iter().filter(fits).take(usize::from(u16::MAX)).collect();
        encoded.extend_from_slice(&u16::try_from(headers.len()).unwrap_or(0).to_be_bytes());
        for (name, value) in headers {
            encoded.extend_from_slice(&u16::try_from(name.len()).unwrap_or(0).to_be_bytes());
            encoded.extend_from_slice(name.as_bytes());
            encoded.extend_from_slice(&u32::try_from(value.len()).unwrap_or(0).to_be_bytes());
            encoded.extend_from_slice(value);
        }
        encoded.extend_from_slice(self.body);
        encoded
    }

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// [`Undecodable`] if no version of this library has written it, or only a newer one.
    pub fn decode(value: &'a [u8]) -> Result<Self, Undecodable> {
        let mut rest = value;
        match take::<1>(&mut rest)? {
            [VERSION] => {}
            [0] => return Err(Undecodable::Damaged),
            _ => return Err(Undecodable::Newer),
        }
        let [length] = take::<1>(&mut rest)?;
        let sender = text(&mut rest, usize::from(length))?;
        let count = u16::from_be_bytes(take(&mut rest)?);
        // Not with this capacity: a damaged count must not allocate.
        let mut headers = Vec::new();
        for _ in 0..count {
            let length = u16::from_be_bytes(take(&mut rest)?);
            let name = text(&mut rest, usize::from(length))?;
            let length =
                usize::try_from(u32::from_be_bytes(take(&mut rest)?)).map_err(|_| Undecodable::Damaged)?;
            headers.push((name, bytes(&mut rest, length)?));
        }
        Ok(Self { sender, headers, body: rest })
    }

    /// The delivery, for [`Sender::decode`](crate::sender::Sender::decode).
    pub fn delivery(&self) -> Delivery<'a> {
        Delivery::new(self.body).with_headers(self.headers.iter().copied())
    }
}

fn bytes<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Undecodable> {
    let (taken, left) = rest.split_at_checked(length).ok_or(Undecodable::Damaged)?;
    *rest = left;
    Ok(taken)
}

fn text<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a str, Undecodable> {
    std::str::from_utf8(bytes(rest, length)?).map_err(|_| Undecodable::Damaged)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Undecodable> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(Undecodable::Damaged)?;
    *rest = left;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_stored_is_read_again(
            sender in ".{0,60}",
            headers in prop::collection::vec((".{0,20}", prop::collection::vec(any::<u8>(), 0..40)), 0..5),
            body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let headers = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
            let stored = Stored { sender: &sender, headers, body: &body };
            let encoded = stored.encode();
            prop_assert_eq!(Stored::decode(&encoded), Ok(stored));
        }

        #[test]
        fn garbage_is_refused_without_a_panic(value in prop::collection::vec(any::<u8>(), 0..80)) {
            let _read = Stored::decode(&value);
        }
    }

    fn stored() -> Vec<u8> {
        Stored { sender: "github", headers: vec![("X-GitHub-Event", b"push")], body: b"" }.encode()
    }

    #[test]
    fn a_cut_value_is_damaged() {
        let whole = stored();
        for length in 0..whole.len() {
            assert_eq!(Stored::decode(&whole[..length]), Err(Undecodable::Damaged), "{length}");
        }
    }

    #[test]
    fn a_newer_value_says_to_update_the_worker() {
        let mut newer = stored();
        newer[0] = 2;
        assert_eq!(Stored::decode(&newer), Err(Undecodable::Newer));
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let long = "n".repeat(70_000);
        let stored =
            Stored { sender: &long, headers: vec![(&long, b"1"), ("a", b"2")], body: b"body" }.encode();
        let read = Stored::decode(&stored).unwrap();
        assert_eq!((read.sender.len(), read.headers, read.body), (255, vec![("a", &b"2"[..])], &b"body"[..]));
    }
}
