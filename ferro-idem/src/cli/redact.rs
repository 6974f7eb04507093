//! Passwords are not shown, in errors either.

use crate::operations::text::percent_encoded;

/// What must not be shown.
pub(super) struct Secrets(Vec<String>);

const HIDDEN: &str = "***";

impl Secrets {
    /// The secrets of the store's URL.
    pub(super) fn of(url: Option<&str>) -> Self {
        let mut secrets = Vec::new();
        if let Some(url) = url {
            let password = password_of(url).map(|(start, end)| url.get(start..end).unwrap_or_default());
            let parameters = url.split(['?', '&']).skip(1);
            let of_parameters = parameters.filter_map(|parameter| {
                let (name, value) = parameter.split_once('=')?;
                is_secret(name).then_some(value)
            });
            for secret in password.into_iter().chain(of_parameters).filter(|secret| !secret.is_empty()) {
                let decoded = percent_decoded(secret);
                // As a driver may write what was not encoded.
                secrets.extend([secret.to_owned(), percent_encoded(&decoded), decoded]);
            }
            secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
            secrets.dedup();
        }
        Self(secrets)
    }

    /// The text without secrets, and without those of any URL in it.
    pub(super) fn hidden(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut shown = String::with_capacity(text.len());
        while let Some((start, end)) = password_of(&text) {
            let (before, rest) = text.split_at(end);
            shown.push_str(before.get(..start).unwrap_or_default());
            shown.push_str(HIDDEN);
            text = rest.to_owned();
        }
        shown.push_str(&text);
        for name in ["password=", "PASSWORD="] {
            let mut parts = shown.split(name);
            let mut hidden = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                let end = part.find(|c: char| c.is_whitespace() || "&'\"`".contains(c)).unwrap_or(part.len());
                hidden.push_str(name);
                hidden.push_str(HIDDEN);
                hidden.push_str(part.get(end..).unwrap_or_default());
            }
            shown = hidden;
        }
        // A short one would be found in every other word.
        for secret in self.0.iter().filter(|secret| secret.len() >= 4) {
            shown = shown.replace(secret.as_str(), HIDDEN);
        }
        shown
    }
}

fn is_secret(name: &str) -> bool {
    name.to_ascii_lowercase().contains("password")
}

/// Where the first password of a URL begins and ends: after the user's colon, up to the last `@` of the word.
fn password_of(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(found) = text.get(from..)?.find("://") {
        let start = from + found + 3;
        let rest = text.get(start..)?;
        let word = rest.find(char::is_whitespace).map_or(rest, |end| rest.get(..end).unwrap_or(rest));
        // The last one: a password that was not percent-encoded may hold an `@` and a `/`.
        let user_info = word.rfind('@').and_then(|end| word.get(..end));
        if let Some(user_info) = user_info
            && let Some(colon) = user_info.find(':')
            && user_info.get(colon + 1..) != Some(HIDDEN)
        {
            return Some((start + colon + 1, start + user_info.len()));
        }
        from = start;
    }
    None
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let decoded = (*first == b'%')
            .then(|| others.split_at_checked(2))
            .flatten()
            .and_then(|(digits, after)| Some((*hex::decode(digits).ok()?.first()?, after)));
        let (byte, after) = decoded.unwrap_or((*first, others));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_the_password_is_shown() {
        for url in [
            "postgres://app:s%40cret%2Fx@db.example/shop",
            "postgres://app:s@cret/x@db.example/shop",
            "redis://:s@cret/x@cache:6379/0",
            "postgres://db.example/shop?user=app&password=s%40cret%2Fx&sslmode=require",
            "postgres://db.example/shop?sslpassword=s@cret/x",
        ] {
            let secrets = Secrets::of(Some(url));
            for text in [
                format!("could not connect to {url}: refused"),
                format!("unexpected argument '{url}' found"),
                "user app, password s@cret/x".to_owned(),
                "user app, password s%40cret%2Fx".to_owned(),
            ] {
                let shown = secrets.hidden(&text);
                assert!(!shown.contains("cret"), "{shown}");
            }
        }
    }

    #[test]
    fn a_url_of_the_arguments_is_hidden_without_being_known() {
        let shown = Secrets::of(None).hidden("'mysql://root:geheim@db/shop' and 'redis://:auch@cache'");
        assert_eq!(shown, "'mysql://root:***@db/shop' and 'redis://:***@cache'");
        assert_eq!(Secrets::of(None).hidden("see https://a.b/c: d"), "see https://a.b/c: d");
        assert_eq!(Secrets::of(None).hidden("sqlite://x:***@y"), "sqlite://x:***@y");
    }
}
