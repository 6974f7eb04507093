use super::*;

const SECRET: &str = "It's a Secret to Everybody";
/// GitHub's own vector (<https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>).
const HELLO: (&[u8], &str) =
    (b"Hello, World!", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
const BODY: &[u8] = br#"{"action":"opened","repository":{"full_name":"octo/hello"},"installation":{"id":7}}"#;

fn delivery<'a>(body: &'a [u8], signature: &'a str) -> Delivery<'a> {
    let headers =
        [("x-hub-signature-256", signature), ("x-github-delivery", "d-1"), ("x-github-event", "issues")];
    Delivery::new(body).with_headers(headers)
}

fn verify(body: &[u8], signature: &str) -> Result<String, SignatureError> {
    GithubWebhook::new(SECRET).verify(&delivery(body, signature)).map(|event| event.id().to_owned())
}

#[test]
fn the_signature_of_githubs_documentation_is_right() {
    let (body, signature) = HELLO;
    assert_eq!(GithubWebhook::new(SECRET).sign(body).as_deref(), Ok(signature));
    assert!(matches!(verify(body, signature), Err(SignatureError::Payload(_))), "signed, and no JSON");
}

#[test]
fn an_event_is_read() {
    let github = GithubWebhook::new(SECRET);
    let signature = github.sign(BODY).unwrap();
    let event = github.verify(&delivery(BODY, &signature)).unwrap();
    assert_eq!((event.id(), event.event_type(), event.action()), ("d-1", "issues", Some("opened")));
    assert_eq!((event.repository(), event.installation_id()), (Some("octo/hello"), Some(7)));
    assert_eq!(event.payload(), BODY);
    assert_eq!(event.decode::<serde_json::Value>().unwrap()["action"], "opened");
    let key = crate::EventRef::of(&event).unwrap();
    assert_eq!((key.id(), key.event_type()), ("d-1", Some("issues")));
    assert!(!format!("{event:?} {github:?}").contains("octo"));
}

#[test]
fn a_form_is_read_and_its_raw_bytes_are_signed() {
    let github = GithubWebhook::new(SECRET);
    let form = b"x=1&payload=%7B%22action%22%3A%22opened+%2B%22%7D";
    let signature = github.sign(form).unwrap();
    let event = github.verify(&delivery(form, &signature)).unwrap();
    assert_eq!(event.action(), Some("opened +"));
    assert_eq!(event.payload(), form);
    for broken in [&b"payload=%7"[..], b"payload=%zz", b"payload=%ff", b"other=%7B%7D", b""] {
        let signature = github.sign(broken).unwrap();
        assert!(matches!(verify(broken, &signature), Err(SignatureError::Payload(_))), "{broken:?}");
    }
}

/// A title or a commit message can hold any text.
#[test]
fn a_text_inside_of_json_is_not_read_as_a_form() {
    let github = GithubWebhook::new(SECRET);
    for text in ["&payload=%7B%22action%22%3A%22deleted%22%7D&", "&payload=x"] {
        let body = format!(r#" {{"action":"opened","title":"{text}"}}"#);
        let signature = github.sign(body.as_bytes()).unwrap();
        let event = github.verify(&delivery(body.as_bytes(), &signature)).unwrap();
        assert_eq!(event.action(), Some("opened"));
        assert_eq!(event.decode::<serde_json::Value>().unwrap()["action"], "opened");
    }
}

#[test]
fn a_forgery_is_refused() {
    let signature = GithubWebhook::new(SECRET).sign(BODY).unwrap();
    let malformed = Err(SignatureError::malformed(SIGNATURE, "it does not begin with `sha256=`"));
    let hex = signature.strip_prefix("sha256=").unwrap();
    let other = GithubWebhook::new("other").sign(BODY).unwrap();
    assert_eq!(verify(BODY, &signature).as_deref(), Ok("d-1"));
    for forged in
        [other, signature.replace(hex, &hex.to_uppercase()), format!("{signature}0"), "sha256=".into()]
    {
        assert_eq!(verify(BODY, &forged), Err(SignatureError::Mismatch), "{forged}");
    }
    for forged in [hex.to_owned(), format!("sha1={hex}"), format!("SHA256={hex}"), String::new()] {
        assert_eq!(verify(BODY, &forged), malformed, "{forged}");
    }
    for index in 0..BODY.len() {
        let mut body = BODY.to_vec();
        body[index] ^= 1;
        assert_eq!(verify(&body, &signature), Err(SignatureError::Mismatch), "byte {index}");
    }
}

#[test]
fn each_header_has_to_be_there_once() {
    let github = GithubWebhook::new(SECRET);
    let signature = github.sign(BODY).unwrap();
    let all = [(SIGNATURE, signature.as_str()), (DELIVERY, "d-1"), (EVENT, "issues")];
    for (index, (header, _)) in all.iter().enumerate() {
        let mut without = all.to_vec();
        without.remove(index);
        let refused = github.verify(&Delivery::new(BODY).with_headers(without.clone())).unwrap_err();
        assert_eq!(refused, SignatureError::MissingHeader { header });
        let twice = Delivery::new(BODY).with_headers(all).with_headers([all[index]]);
        assert_eq!(github.verify(&twice).unwrap_err(), SignatureError::RepeatedHeader { header });
        without.push((header, ""));
        let empty = github.verify(&Delivery::new(BODY).with_headers(without)).unwrap_err();
        assert!(matches!(empty, SignatureError::MalformedHeader { .. }), "{empty}");
    }
}

#[test]
fn a_replay_under_another_id_has_the_same_signed_key() {
    let github = GithubWebhook::new(SECRET);
    let signature = github.sign(BODY).unwrap();
    let replay = Delivery::new(BODY).with_headers([
        (SIGNATURE, signature.as_str()),
        (DELIVERY, "d-2"),
        (EVENT, "issues"),
    ]);
    let (first, second) =
        (github.verify(&delivery(BODY, &signature)).unwrap(), github.verify(&replay).unwrap());
    assert_ne!(first.id(), second.id());
    assert_eq!(first.signed_key(), second.signed_key());
    assert_eq!(first.signed_key().len(), 64);
}

#[test]
fn a_secret_that_is_none_is_named() {
    for (secret, flaw) in [
        ("", InvalidSecret::Empty),
        (" \n", InvalidSecret::Empty),
        ("ghp_1", InvalidSecret::ApiKey),
        ("github_pat_1", InvalidSecret::ApiKey),
        ("whsec_1", InvalidSecret::OtherSender),
        ("\"secret\"", InvalidSecret::Quoted),
        ("a\0b", InvalidSecret::Characters),
    ] {
        assert_eq!(GithubWebhook::try_new(secret).unwrap_err(), flaw, "{secret:?}");
        let signature = HELLO.1;
        let refused = GithubWebhook::new(secret).verify(&delivery(BODY, signature)).unwrap_err();
        let expected = if flaw == InvalidSecret::Empty { SignatureError::NoSecret } else { flaw.into() };
        assert_eq!(refused, expected);
    }
    let rotated = GithubWebhook::new("old").with_secret(format!("{SECRET}\n"));
    for secret in ["old", SECRET] {
        let signature = GithubWebhook::new(secret).sign(BODY).unwrap();
        assert!(rotated.verify(&delivery(BODY, &signature)).is_ok());
    }
}

#[test]
fn a_stored_delivery_is_read_without_its_signature() {
    let stored = Delivery::new(BODY).with_headers([(DELIVERY, "d-1"), (EVENT, "issues")]);
    let github = GithubWebhook::new(SECRET);
    assert_eq!(github.decode(&stored).unwrap().id(), "d-1");
    let refused = github.decode(&Delivery::new(BODY)).unwrap_err().to_string();
    assert_eq!(refused, "the body is not an event: it lacks the X-GitHub-Delivery header");
}
