//! Bad input, the same for each sender.

use ferro_idem::sender::{Delivery, InvalidSecret, SignatureError};

use super::{Headers, IdPlace, NOW, Profile, TimePlace, at, body};

/// Headers by name, as bytes.
type Bytes = Vec<(&'static str, Vec<u8>)>;

/// A delivery that is not accepted.
#[derive(Debug)]
pub struct Case {
    /// What is bad about it.
    pub name: String,
    /// The secrets of the endpoint.
    pub secrets: Vec<String>,
    /// The headers, as bytes.
    pub headers: Vec<(&'static str, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    /// The rule that refuses it.
    pub rule: Rule,
}

/// Why a delivery is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The header is not there.
    Missing(&'static str),
    /// The header is there twice.
    Repeated(&'static str),
    /// The header has another form.
    Malformed(&'static str),
    /// No signature matches.
    Mismatch,
    /// One of these two: the encoding of a signature is compared, not parsed.
    MalformedOrMismatch(&'static str),
    /// The signature is too old.
    Stale,
    /// The signature is of the future.
    InFuture,
    /// There is no secret.
    NoSecret,
    /// The secret is none.
    Secret(InvalidSecret),
    /// The body is no event, and the message says so in these words.
    Payload(&'static str),
}

impl Case {
    /// The delivery.
    pub fn delivery(&self) -> Delivery<'_> {
        Delivery::new(&self.body).with_headers(self.headers.iter().map(|(name, value)| (*name, value)))
    }

    /// Whether it was refused for the right reason.
    pub fn is_right(&self, error: &SignatureError) -> bool {
        match (&self.rule, error) {
            (Rule::Missing(name), SignatureError::MissingHeader { header })
            | (Rule::Repeated(name), SignatureError::RepeatedHeader { header })
            | (
                Rule::Malformed(name) | Rule::MalformedOrMismatch(name),
                SignatureError::MalformedHeader { header, .. },
            ) => header.eq_ignore_ascii_case(name),
            (Rule::Mismatch | Rule::MalformedOrMismatch(_), SignatureError::Mismatch)
            | (Rule::Stale, SignatureError::Stale { .. })
            | (Rule::InFuture, SignatureError::InFuture { .. })
            | (Rule::NoSecret, SignatureError::NoSecret) => true,
            (Rule::Secret(expected), SignatureError::InvalidSecret(flaw)) => expected == flaw,
            (Rule::Payload(words), SignatureError::Payload(error)) => error.to_string().contains(words),
            _ => false,
        }
    }
}

/// Everything that a sender's endpoint has to refuse. Secrets, ids and bodies hold the canary.
pub fn cases(profile: &Profile) -> Vec<Case> {
    let mut cases = Cases { profile, cases: Vec::new() };
    cases.headers();
    cases.times();
    cases.secrets();
    cases.bodies();
    cases.cases
}

struct Cases<'p> {
    profile: &'p Profile,
    cases: Vec<Case>,
}

/// The id of these deliveries.
const ID: &str = "c4n4ry-1";

impl Cases<'_> {
    fn signed(&self, body: &[u8], seconds: u64) -> Headers {
        self.profile.first().sign(ID, body, at(seconds)).expect("there is a secret")
    }

    fn push(&mut self, name: impl Into<String>, headers: Bytes, body: &[u8], rule: Rule) {
        let secrets = vec![self.profile.secrets[0].to_owned()];
        self.cases.push(Case { name: name.into(), secrets, headers, body: body.to_owned(), rule });
    }

    fn headers(&mut self) {
        let body = body(ID, "c4n4ry");
        let right = bytes(self.signed(body.as_bytes(), NOW));
        let signature = self.profile.signature;
        for (index, (name, value)) in right.iter().enumerate() {
            let mut case = |case: &str, replaced: Option<Vec<u8>>, rule: Rule| {
                let mut headers = right.clone();
                match replaced {
                    Some(replaced) => headers[index].1 = replaced,
                    None => drop(headers.remove(index)),
                }
                self.push(format!("{name} {case}"), headers, body.as_bytes(), rule);
            };
            case("is missing", None, Rule::Missing(name));
            case("is empty", Some(Vec::new()), Rule::MalformedOrMismatch(name));
            case("is over-long", Some(vec![b'1'; 4097]), Rule::Malformed(name));
            case("is not UTF-8", Some([value, &b"\xff"[..]].concat()), Rule::Malformed(name));
            case("is not ASCII", Some([value, "é".as_bytes()].concat()), Rule::Malformed(name));
            case("has a line's end", Some([value, &b"\r\n"[..]].concat()), Rule::Malformed(name));
            case("has a NUL", Some([value, &b"\0"[..]].concat()), Rule::Malformed(name));
            let mut headers = right.clone();
            headers.push((name, value.clone()));
            self.push(format!("{name} is repeated"), headers, body.as_bytes(), Rule::Repeated(name));
        }
        let replaced = |value: &str| {
            let mut headers = right.clone();
            for (_, old) in headers.iter_mut().filter(|(name, _)| *name == signature) {
                *old = value.as_bytes().to_vec();
            }
            headers
        };
        let value = right.iter().find(|(name, _)| *name == signature).expect("it is signed").1.clone();
        let text = String::from_utf8(value.clone()).expect("it is ASCII");
        let mut forged = vec![
            ("in upper case", text.to_uppercase()),
            ("cut", text[..text.len() - 4].to_owned()),
            ("with one more character", format!("{text}0")),
            ("with padding", format!("{text}=")),
            ("percent-encoded", text.replace(['=', ','], "%3D")),
            ("in quotes", format!("\"{text}\"")),
        ];
        if !self.profile.is_list {
            forged.push(("many-valued", format!("{text}, {text}")));
        }
        for (case, value) in forged {
            let headers = replaced(&value);
            let rule = Rule::MalformedOrMismatch(signature);
            self.push(format!("{signature} {case}"), headers, body.as_bytes(), rule);
        }
        let other = body.replace("paid", "PAID");
        self.push("another body", right.clone(), other.as_bytes(), Rule::Mismatch);
    }

    fn times(&mut self) {
        let Some((place, tolerance)) = self.profile.time else { return };
        let body = body(ID, "c4n4ry");
        for (name, seconds, rule) in [
            ("stale", NOW - tolerance - 1, Rule::Stale),
            ("of the future", NOW + tolerance + 1, Rule::InFuture),
            ("of 1970", 0, Rule::Stale),
            ("ten years ahead", NOW + 315_576_000, Rule::InFuture),
        ] {
            let headers = bytes(self.signed(body.as_bytes(), seconds));
            self.push(name, headers, body.as_bytes(), rule);
        }
        let header = match place {
            TimePlace::Header(name) => name,
            TimePlace::Element(_) => self.profile.signature,
        };
        let replace = |from: &str, to: &str| {
            let mut headers = self.signed(body.as_bytes(), NOW);
            for (_, value) in headers.iter_mut().filter(|(name, _)| *name == header) {
                *value = value.replacen(from, to, 1);
            }
            bytes(headers)
        };
        let now = NOW.to_string();
        let mut cases: Vec<(String, Bytes, Rule)> = Vec::new();
        for time in
            ["now", "", "+1700000000", "-1", "1e9", "1700000000.0", "99999999999999999999", "0x10", "١٧"]
        {
            cases.push((format!("the time {time:?}"), replace(&now, time), Rule::Malformed(header)));
        }
        if let TimePlace::Element(prefix) = place {
            let twice = format!("{prefix}{now},{prefix}{now};{prefix}{now}");
            let first = format!("{prefix}{now}");
            cases.push(("two times".to_owned(), replace(&first, &twice), Rule::Malformed(header)));
            cases.push(("no time".to_owned(), replace(&first, "x=1"), Rule::Malformed(header)));
        }
        cases.push(("another time".to_owned(), replace(&now, "1700000001"), Rule::Mismatch));
        for (name, headers, rule) in cases {
            self.push(name, headers, body.as_bytes(), rule);
        }
    }

    fn secrets(&mut self) {
        let [secret, other] = self.profile.secrets;
        let body = body(ID, "c4n4ry");
        let headers = bytes(self.signed(body.as_bytes(), NOW));
        let mut secrets = vec![
            ("of another endpoint", other.to_owned(), Rule::Mismatch),
            ("empty", String::new(), Rule::NoSecret),
            ("blank", " \r\n\t".to_owned(), Rule::NoSecret),
            ("in quotes", format!("\"{secret}\""), Rule::Secret(InvalidSecret::Quoted)),
            (
                "in single quotes and a line's end",
                format!("'{secret}'\n"),
                Rule::Secret(InvalidSecret::Quoted),
            ),
            ("with a NUL", format!("{secret}\0x"), Rule::Secret(InvalidSecret::Characters)),
        ];
        if let Some((foreign, flaw)) = self.profile.foreign {
            secrets.push(("of another sender", foreign.to_owned(), Rule::Secret(flaw)));
        }
        if secret.starts_with("whsec_Y") || secret.starts_with("whsk_") {
            let prefix = &secret[..secret.find('_').map_or(0, |at| at + 1)];
            let flaw = Rule::Secret(InvalidSecret::NotBase64);
            secrets.push(("not base64", format!("{prefix}c4n4ry*"), flaw));
        }
        for (name, secret, rule) in secrets {
            let case = Case {
                name: format!("a secret {name}"),
                secrets: vec![secret],
                headers: headers.clone(),
                body: body.clone().into_bytes(),
                rule,
            };
            self.cases.push(case);
        }
    }

    fn bodies(&mut self) {
        let right = body(ID, "c4n4ry");
        let mut bodies = vec![
            ("empty", String::new().into_bytes(), "not JSON"),
            ("not JSON", b"c4n4ry".to_vec(), "not JSON"),
            ("cut off", right.as_bytes()[..right.len() - 1].to_vec(), "not JSON"),
            ("followed by more", format!("{right}c4n4ry").into_bytes(), "not JSON"),
            ("an array", format!("[{right}]").into_bytes(), "another type"),
            ("a string", b"\"c4n4ry\"".to_vec(), "another type"),
            ("not UTF-8", [right.as_bytes(), b"\xff"].concat(), "not UTF-8"),
            ("after a byte-order mark", format!("\u{feff}{right}").into_bytes(), "byte-order mark"),
        ];
        if let IdPlace::Member(member) = self.profile.id {
            let id = format!(r#""{member}":"{ID}","#);
            let with = |id: &str| {
                format!(r#"{{{id}"type":"c4n4ry","event_type":"c4n4ry","note":"c4n4ry"}}"#).into_bytes()
            };
            bodies.extend([
                ("without the id", with(""), "a field is missing"),
                ("with the id twice", with(&id.repeat(2)), "more than once"),
                (
                    "with the id twice, once escaped",
                    with(&format!(r#"{id}"{}":"{ID}","#, escaped(member))),
                    "more than once",
                ),
                ("with an empty id", with(&id.replace(ID, "")), "non-empty"),
                ("with null as the id", with(&format!(r#""{member}":null,"#)), "another type"),
                ("with a number as the id", with(&format!(r#""{member}":7,"#)), "another type"),
            ]);
        }
        for (name, body, words) in bodies {
            let headers = bytes(self.signed(&body, NOW));
            self.push(format!("a body {name}"), headers, &body, Rule::Payload(words));
        }
    }
}

/// The name with its first letter as an escape.
fn escaped(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    format!("\\u{:04x}{rest}", u32::from(first.as_bytes()[0]))
}

fn bytes(headers: Headers) -> Bytes {
    headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect()
}
