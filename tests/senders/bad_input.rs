//! Bad input: each delivery is refused with the rule that it breaks, the same table for every sender.

use ferro_idem_tests::senders::{NOW, PROFILES, Profile, at, body, cases, delivery};

#[test]
fn bad_input_is_refused_with_its_rule() {
    let mut broken = Vec::new();
    for profile in PROFILES {
        let cases = cases(profile);
        println!("{}: {} refused", profile.name, cases.len());
        for case in cases {
            let secrets: Vec<&str> = case.secrets.iter().map(String::as_str).collect();
            match (profile.endpoint)(&secrets).verify(&case.delivery(), at(NOW)) {
                Err(error) if case.is_right(&error) => {}
                verdict => {
                    broken.push(format!("{}: {}: {:?}, not {verdict:?}", profile.name, case.name, case.rule));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

fn is_verified(profile: &Profile, secrets: &[&str], signed_by: &str, seconds: u64) -> bool {
    let body = body("e-1", "");
    let headers = (profile.endpoint)(&[signed_by]).sign("e-1", body.as_bytes(), at(seconds)).unwrap();
    let event = (profile.endpoint)(secrets).verify(&delivery(body.as_bytes(), &headers), at(NOW));
    event.is_ok_and(|event| event.id == "e-1" && event.payload == body.as_bytes())
}

#[test]
fn either_secret_of_a_rotation_verifies() {
    for profile in PROFILES {
        let [first, second] = profile.secrets;
        for signed_by in [first, second] {
            for secrets in [[first, second], [second, first]] {
                assert!(is_verified(profile, &secrets, signed_by, NOW), "{}", profile.name);
            }
            assert!(is_verified(profile, &[first, "", second], signed_by, NOW), "{}", profile.name);
        }
        assert!(!is_verified(profile, &[first], second, NOW), "{}", profile.name);
    }
}

#[test]
fn a_secret_with_white_space_around_it_verifies() {
    for profile in PROFILES {
        let secret = profile.secrets[0];
        for spaced in [format!("{secret}\n"), format!(" {secret}\r\n"), format!("\t{secret} ")] {
            assert!(is_verified(profile, &[&spaced], secret, NOW), "{}: {spaced:?}", profile.name);
            assert_eq!((profile.try_new)(&spaced), Ok(()), "{}", profile.name);
        }
    }
}

#[test]
fn the_tolerance_includes_its_last_second() {
    for profile in PROFILES {
        let Some((_, tolerance)) = profile.time else { continue };
        for seconds in [NOW - tolerance, NOW + tolerance] {
            assert!(is_verified(profile, &profile.secrets, profile.secrets[1], seconds), "{}", profile.name);
        }
    }
}

/// What was stored is read without its signature.
#[test]
fn a_stored_delivery_is_read_as_it_was_verified() {
    for profile in PROFILES {
        let endpoint = profile.first();
        let body = body("e-1", "");
        let headers = endpoint.sign("e-1", body.as_bytes(), at(NOW)).unwrap();
        let verified = endpoint.verify(&delivery(body.as_bytes(), &headers), at(NOW)).unwrap();
        let stored = endpoint.decode(&delivery(body.as_bytes(), &headers)).unwrap();
        assert_eq!((stored.id, stored.payload), (verified.id, verified.payload), "{}", profile.name);
    }
}
