//! Event ids in Stripe's shape, the same in every run.

const ALPHANUMERIC: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `evt_1` and 23 alphanumerics: 28 bytes, as Stripe's are.
pub(crate) fn stripe_event_id(number: u64) -> String {
    let mut id = String::with_capacity(28);
    id.push_str("evt_1");
    for (word, digits) in (0..).zip([8, 8, 7]) {
        let mut random = scramble(number * 3 + word);
        for _ in 0..digits {
            let [.., digit] = (random % 62).to_be_bytes();
            id.push(ALPHANUMERIC[usize::from(digit)].into());
            random /= 62;
        }
    }
    id
}

/// `SplitMix64`: a number that looks random, the same for the same `counter`.
pub(crate) fn scramble(counter: u64) -> u64 {
    let mut z = counter.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
