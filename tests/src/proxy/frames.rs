//! Finds the end of a message, in the protocols of the servers.

use super::{From, Protocol};

/// The length of the first message in `bytes`, or `None` until all of it is there. `opening` is true until this side
/// has sent the messages that only open a connection.
pub(super) fn message_length(
    protocol: Protocol,
    from: From,
    opening: &mut bool,
    bytes: &[u8],
) -> Option<usize> {
    let (length, still_opening) = match protocol {
        Protocol::Postgres => postgres(from, *opening, bytes)?,
        Protocol::MySql => (4 + number(bytes.get(..3)?.iter().rev()), false),
        Protocol::Redis => (resp(bytes)?, false),
    };
    if bytes.len() < length {
        return None;
    }
    *opening = still_opening;
    Some(length)
}

/// A message has a type and a length. The client's first messages have no type: one asks for TLS, which the server
/// answers with one byte, and one names the user.
fn postgres(from: From, opening: bool, bytes: &[u8]) -> Option<(usize, bool)> {
    const ASKS_FOR_TLS: usize = 80_877_103;
    match (from, opening) {
        (From::Client, true) => Some((number(bytes.get(..4)?), number(bytes.get(4..8)?) == ASKS_FOR_TLS)),
        (From::Server, true) if matches!(bytes.first()?, b'N' | b'S') => Some((1, false)),
        _ => Some((1 + number(bytes.get(1..5)?), false)),
    }
}

fn number<'b>(big_endian: impl IntoIterator<Item = &'b u8>) -> usize {
    big_endian.into_iter().fold(0, |number, byte| (number << 8) + usize::from(*byte))
}

/// RESP 2 and 3: a line, and the values that it announces.
fn resp(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|end| end == b"\r\n")?;
    let after = line + 2;
    let announced = || std::str::from_utf8(&bytes[1..line]).ok()?.parse::<usize>().ok();
    let values = match bytes[0] {
        b'$' | b'!' | b'=' => return Some(announced().map_or(after, |length| after + length + 2)),
        b'*' | b'~' | b'>' => announced().unwrap_or(0),
        b'%' => 2 * announced()?,
        _ => 0,
    };
    (0..values).try_fold(after, |end, _| Some(end + resp(bytes.get(end..)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of the messages in `bytes`, which arrive one byte at a time.
    fn lengths(protocol: Protocol, from: From, bytes: &[u8]) -> Vec<usize> {
        let (mut opening, mut start, mut lengths) = (true, 0, Vec::new());
        for end in 0..=bytes.len() {
            while let Some(length) = message_length(protocol, from, &mut opening, &bytes[start..end]) {
                lengths.push(length);
                start += length;
            }
        }
        assert_eq!(start, bytes.len(), "all of it is messages");
        lengths
    }

    #[test]
    fn postgres_messages_have_types_after_the_opening() {
        let client = b"\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x09\0\x03\0\0\0S\0\0\0\x04";
        assert_eq!(lengths(Protocol::Postgres, From::Client, client), [8, 9, 5]);
        assert_eq!(lengths(Protocol::Postgres, From::Server, b"NR\0\0\0\x04Z\0\0\0\x05I"), [1, 5, 6]);
        assert_eq!(lengths(Protocol::Postgres, From::Server, b"R\0\0\0\x04S\0\0\0\x04"), [5, 5]);
    }

    #[test]
    fn mysql_lengths_are_little_endian() {
        let mut long = vec![1, 1, 0, 0];
        long.extend([0; 257]);
        long.extend([0, 0, 0, 1]);
        assert_eq!(lengths(Protocol::MySql, From::Server, &long), [261, 4]);
    }

    #[test]
    fn redis_values_nest() {
        let replies = b"+OK\r\n$-1\r\n$2\r\n\r\n\r\n*2\r\n:1\r\n*1\r\n$1\r\na\r\n%1\r\n+a\r\n_\r\n*-1\r\n";
        assert_eq!(lengths(Protocol::Redis, From::Server, replies), [5, 5, 8, 19, 11, 5]);
    }
}
