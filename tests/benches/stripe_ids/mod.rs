//! Event ids in Stripe's shape, the same in every run.

/// In the order of their bytes, so that a later time is a greater id.
const ALPHANUMERIC: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What comes at a busy time.
const EVENTS_A_SECOND: u64 = 100;

/// 28 bytes, as in Stripe's own examples (`evt_1NG8Du2eZvKYlo2CUI79vXWy`): `evt_1`, five that grow with
/// the seconds, ten that stay the same for an account, eight at random.
pub(crate) fn stripe_event_id(number: u64) -> String {
    let mut id = String::with_capacity(28);
    id.push_str("evt_1");
    let mut seconds = 300_000_000 + number / EVENTS_A_SECOND;
    let mut time = [0; 5];
    for digit in time.iter_mut().rev() {
        *digit = seconds;
        seconds /= 62;
    }
    for digit in time {
        push(&mut id, digit);
    }
    id.push_str("2eZvKYlo2C");
    let mut random = scramble(number);
    for _ in 0..8 {
        push(&mut id, random);
        random /= 62;
    }
    id
}

fn push(id: &mut String, number: u64) {
    let [.., digit] = (number % 62).to_be_bytes();
    id.push(ALPHANUMERIC[usize::from(digit)].into());
}

/// `SplitMix64`: a number that looks random, the same for the same `counter`.
pub(crate) fn scramble(counter: u64) -> u64 {
    let mut z = counter.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
