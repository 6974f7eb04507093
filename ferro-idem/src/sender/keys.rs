//! The keys of an endpoint, and signatures made with them.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::error::SignatureError;
use super::secret::InvalidSecret;

/// HMAC-SHA256 keys, each made once and cloned for each delivery.
#[derive(Clone, Default)]
pub(super) struct Keys {
    keys: Vec<Arc<Hmac<Sha256>>>,
    /// What was configured as a secret and cannot be one.
    flaw: Option<InvalidSecret>,
}

/// How a signature is written.
#[derive(Clone, Copy)]
pub(super) enum Encoding {
    LowerHex,
    Base64,
}

impl Encoding {
    fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::LowerHex => hex::encode(bytes),
            Self::Base64 => STANDARD.encode(bytes),
        }
    }
}

impl Keys {
    /// One more key. An empty secret is ignored, so that it can come from a variable that is set during a rotation
    /// only; any other text that cannot be a secret is remembered.
    pub(super) fn add(&mut self, secret: Result<&[u8], InvalidSecret>) {
        match self.try_add(secret) {
            Ok(()) | Err(InvalidSecret::Empty) => {}
            Err(flaw) => self.flaw = Some(flaw),
        }
    }

    pub(super) fn try_add(&mut self, secret: Result<&[u8], InvalidSecret>) -> Result<(), InvalidSecret> {
        // HMAC takes a key of any length.
        let key = Hmac::new_from_slice(secret?).map_err(|_| InvalidSecret::Characters)?;
        self.keys.push(Arc::new(key));
        Ok(())
    }

    /// That there is a key at all.
    pub(super) fn check(&self) -> Result<(), SignatureError> {
        if self.keys.is_empty() {
            Err(self.flaw.map_or(SignatureError::NoSecret, Into::into))
        } else {
            Ok(())
        }
    }

    /// That one of the `given` signatures was made with one of the keys. They are compared as text, in constant time,
    /// so that only the encoding that the sender writes is accepted.
    pub(super) fn verify<'s>(
        &self,
        signed: &[&[u8]],
        encoding: Encoding,
        given: &(impl Iterator<Item = &'s str> + Clone),
    ) -> Result<(), SignatureError> {
        self.check()?;
        let matches = self.keys.iter().any(|key| {
            let expected = signature(key, signed, encoding);
            given.clone().any(|given| expected.as_bytes().ct_eq(given.as_bytes()).into())
        });
        if matches { Ok(()) } else { Err(self.flaw.map_or(SignatureError::Mismatch, Into::into)) }
    }

    /// Signs with the newest key.
    pub(super) fn sign(&self, signed: &[&[u8]], encoding: Encoding) -> Result<String, SignatureError> {
        self.check()?;
        Ok(self.keys.last().map(|key| signature(key, signed, encoding)).unwrap_or_default())
    }

    /// For the `Debug` of an endpoint: the number of secrets, and what is wrong with one.
    pub(super) fn show(&self, shown: &mut fmt::DebugStruct<'_, '_>) {
        shown.field("secrets", &self.keys.len());
        if let Some(flaw) = &self.flaw {
            shown.field("invalid_secret", flaw);
        }
    }
}

fn signature(key: &Hmac<Sha256>, signed: &[&[u8]], encoding: Encoding) -> String {
    let mut mac = key.clone();
    for part in signed {
        mac.update(part);
    }
    encoding.encode(&mac.finalize().into_bytes())
}
