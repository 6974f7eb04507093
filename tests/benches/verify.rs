//! A delivery of 1 MB, verified by each sender, against the bare HMAC of the same bytes.
//!
//! A forged delivery takes what the signature takes. A signed one is read as well: its body is checked to be UTF-8 and JSON
//! with one id, and copied. All are timed in turns in one run, and a ratio is the median of the turns'. `cargo bench -p
//! ferro-idem-tests --bench verify`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ferro_idem_tests::senders::{Endpoint, NOW, PROFILES, Profile, at, delivery};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const BYTES: usize = 1 << 20;
const TURNS: usize = 61;

fn main() {
    println!("| sender | bare HMAC | forged | signed, one long string | signed, many small objects |");
    println!("|---|---|---|---|---|");
    for profile in PROFILES.iter().filter(|profile| !profile.name.contains("Ed25519")) {
        let (bare, forged, long) = measure(profile, &long_string());
        let (_, _, small) = measure(profile, &small_objects());
        println!("| {} | {bare:.0} µs | {forged:.3} | {long:.3} | {small:.3} |", profile.name);
    }
}

/// The time of the bare HMAC in µs, and what a forged and a signed delivery take of it.
fn measure(profile: &Profile, body: &str) -> (f64, f64, f64) {
    let [endpoint, other] = [0, 1].map(|index| (profile.endpoint)(&profile.secrets[index..=index]));
    let headers = endpoint.sign("e-1", body.as_bytes(), at(NOW)).unwrap();
    let key: Hmac<Sha256> = Hmac::new_from_slice(b"a key").unwrap();
    let (mut bare, mut forged, mut signed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let hashed = timed(|| drop(black_box(key.clone().chain_update(black_box(body)).finalize())));
        let verified = |endpoint: &dyn Endpoint, is_signed| {
            let time = timed(|| {
                let delivery = delivery(black_box(body.as_bytes()), &headers);
                assert_eq!(endpoint.is_verified(&delivery, at(NOW)), is_signed);
            });
            time.as_secs_f64() / hashed.as_secs_f64()
        };
        bare.push(hashed.as_secs_f64() * 1e6);
        forged.push(verified(&*other, false));
        signed.push(verified(&*endpoint, true));
    }
    (median(bare), median(forged), median(signed))
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn long_string() -> String {
    format!(r#"{{"id":"e-1","event_id":"e-1","type":"paid","note":"{}"}}"#, "x".repeat(BYTES))
}

fn small_objects() -> String {
    let object = r#"{"id":"li_1","amount":500,"currency":"eur","paid":true,"tags":["a","b"]},"#;
    let objects = object.repeat(BYTES / object.len());
    let objects = objects.trim_end_matches(',');
    format!(r#"{{"id":"e-1","event_id":"e-1","type":"paid","lines":[{objects}]}}"#)
}
