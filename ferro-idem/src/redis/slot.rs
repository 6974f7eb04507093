//! The slots of a cluster.

use std::sync::LazyLock;

pub(super) const SLOTS: u16 = 16_384;

/// The slot of a cluster that has the key
/// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>).
pub(super) fn slot(key: &[u8]) -> u16 {
    let tag = || {
        let (_, after) = key.split_at_checked(key.iter().position(|byte| *byte == b'{')? + 1)?;
        let (tag, _) = after.split_at_checked(after.iter().position(|byte| *byte == b'}')?)?;
        (!tag.is_empty()).then_some(tag)
    };
    crc16(tag().unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            },
        )
    })
}

/// A number for each slot, whose digits as a hash tag lead to that slot.
static TAGS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut tags = vec![None; usize::from(SLOTS)];
    let mut missing = tags.len();
    let mut number = 0_u32;
    while missing > 0 {
        if let Some(tag) = tags.get_mut(usize::from(crc16(number.to_string().as_bytes()) % SLOTS))
            && tag.is_none()
        {
            *tag = Some(number);
            missing -= 1;
        }
        number += 1;
    }
    tags.into_iter().flatten().collect()
});

/// A key in this slot.
pub(super) fn key_in(slot: u16) -> String {
    format!("{{{}}}", TAGS.get(usize::from(slot)).copied().unwrap_or_default())
}

/// The key of an event's reply, on the node that has the event's key. It begins with the log's prefix, and holds a NUL,
/// which no event's id does.
pub(super) fn reply_key(prefix: &[u8], event_id: &str) -> Vec<u8> {
    let wanted = slot(&[prefix, event_id.as_bytes()].concat());
    let key = |tag: u32| [prefix, format!("\0{{{tag}}}").as_bytes(), event_id.as_bytes()].concat();
    let tagged = key(TAGS.get(usize::from(wanted)).copied().unwrap_or_default());
    if slot(&tagged) == wanted {
        return tagged;
    }
    // A brace in the prefix is a part of the tag.
    (0..=u32::MAX).map(key).find(|key| slot(key) == wanted).unwrap_or(tagged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_a_cluster() {
        // From the specification, and from CLUSTER KEYSLOT.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!((slot(b"foo"), slot(b"somekey"), slot(b"foo{hash_tag}")), (12_182, 11_058, 2_515));
        assert_eq!(slot(b"{user1000}.following"), slot(b"{user1000}.followers"));
        assert_eq!(slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot(b"foo{{bar}}zap"), crc16(b"{bar") % SLOTS);
        assert_eq!(slot(b"foo{bar"), crc16(b"foo{bar") % SLOTS);
    }

    #[test]
    fn each_slot_has_a_key() {
        assert!((0..SLOTS).all(|wanted| slot(key_in(wanted).as_bytes()) == wanted));
    }

    #[test]
    fn a_reply_is_in_the_slot_of_its_event() {
        for prefix in ["stripe_processed_events:", "", "{app}:", "odd{", "odd}", "{}", "a{b}{c}"] {
            for id in ["evt_1", "a}b", "a{b", "{a}b", "{}", "}{", "{", "\u{e9}{x}", &"x".repeat(255)] {
                let event = [prefix.as_bytes(), id.as_bytes()].concat();
                let reply = reply_key(prefix.as_bytes(), id);
                assert_eq!(slot(&reply), slot(&event), "{prefix:?} {id:?}");
                assert!(reply.starts_with(prefix.as_bytes()) && reply.contains(&0));
            }
        }
    }
}
