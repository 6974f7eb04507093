//! The body of a verified delivery.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::json;
use super::payload::PayloadError;

/// The raw bytes, and the JSON in them if they are a form.
#[derive(Clone)]
pub(super) struct Body {
    raw: Arc<str>,
    of_form: Option<Arc<str>>,
}

impl Body {
    pub(super) fn json_body(body: &[u8]) -> Result<Self, PayloadError> {
        Ok(Self { raw: json::text(body)?.into(), of_form: None })
    }

    /// JSON, or a form that has it in the field of this name.
    pub(super) fn json_or_form(body: &[u8], field: &str) -> Result<Self, PayloadError> {
        let body = Self::json_body(body)?;
        let of_form = form_field(&body.raw, field).map(Arc::from);
        Ok(Self { of_form, ..body })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.raw.as_bytes()
    }

    pub(super) fn json(&self) -> &str {
        self.of_form.as_ref().unwrap_or(&self.raw)
    }

    /// 64 hex digits for the raw bytes.
    pub(super) fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.bytes()))
    }
}

/// The value of a form's field (<https://url.spec.whatwg.org/#urlencoded-parsing>).
///
/// A JSON object is no form: a text inside of it, which anybody may have written, can look like a field.
pub(super) fn form_field(form: &str, name: &str) -> Option<String> {
    if form.trim_start().starts_with('{') {
        return None;
    }
    let value = form.split('&').find_map(|pair| pair.split_once('=').filter(|(given, _)| *given == name))?.1;
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}
