//! The keys of an endpoint, and signatures made with them.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
#[cfg(feature = "hmac")]
use sha1::Sha1;
use sha2::Sha256;
#[cfg(feature = "hmac")]
use sha2::Sha512;
use subtle::ConstantTimeEq;

use super::error::SignatureError;
use super::secret::InvalidSecret;

/// The hash function of a sender's signatures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(not(feature = "hmac"), expect(unreachable_pub, reason = "only `hmac` exports it"))]
pub enum Hash {
    /// HMAC-SHA1, of older senders.
    #[cfg(feature = "hmac")]
    Sha1,
    /// HMAC-SHA256, of most senders.
    #[default]
    Sha256,
    /// HMAC-SHA512.
    #[cfg(feature = "hmac")]
    Sha512,
}

/// HMAC keys, each made once and cloned for each delivery.
#[derive(Clone, Default)]
pub(super) struct Keys {
    list: Vec<Arc<Key>>,
    hash: Hash,
    /// Why a text that was configured as a secret cannot be one.
    flaw: Option<InvalidSecret>,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(not(feature = "hmac"), expect(unreachable_pub, reason = "only `hmac` exports it"))]
pub enum Encoding {
    /// Hex in lower case.
    LowerHex,
    /// Base64 in the standard alphabet, with padding.
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
    /// Keys for another hash function than SHA-256.
    #[cfg(feature = "hmac")]
    pub(super) fn of(hash: Hash) -> Self {
        Self { hash, ..Self::default() }
    }

    /// Adds a key. An empty secret is ignored, so that it can come from a variable that is set only during a rotation.
    /// For any other text that cannot be a secret, the reason is kept.
    pub(super) fn add(&mut self, secret: Result<&[u8], InvalidSecret>) {
        match self.try_add(secret) {
            Ok(()) | Err(InvalidSecret::Empty) => {}
            Err(flaw) => self.flaw = Some(flaw),
        }
    }

    pub(super) fn try_add(&mut self, secret: Result<&[u8], InvalidSecret>) -> Result<(), InvalidSecret> {
        self.list.push(Arc::new(Key::new(self.hash, secret?)?));
        Ok(())
    }

    /// Keeps the reason why a configured text cannot be a secret.
    #[cfg(feature = "standard-webhooks")]
    pub(super) fn note(&mut self, flaw: InvalidSecret) {
        self.flaw = Some(flaw);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Checks that there is at least one key.
    pub(super) fn check(&self) -> Result<(), SignatureError> {
        if self.list.is_empty() {
            Err(self.flaw.map_or(SignatureError::NoSecret, Into::into))
        } else {
            Ok(())
        }
    }

    /// Checks that one of the `given` signatures was made with one of the keys.
    pub(super) fn verify<'s>(
        &self,
        signed: &[&[u8]],
        encoding: Encoding,
        given: &(impl Iterator<Item = &'s str> + Clone),
    ) -> Result<(), SignatureError> {
        self.check()?;
        if self.matches(signed, encoding, given) { Ok(()) } else { Err(self.mismatch()) }
    }

    /// Signatures are compared as text, in constant time, so that only the encoding that the sender writes is accepted.
    pub(super) fn matches<'s>(
        &self,
        signed: &[&[u8]],
        encoding: Encoding,
        given: &(impl Iterator<Item = &'s str> + Clone),
    ) -> bool {
        self.list.iter().any(|key| {
            let expected = encoding.encode(&key.tag(signed));
            given.clone().any(|given| expected.as_bytes().ct_eq(given.as_bytes()).into())
        })
    }

    /// Why no signature matches.
    pub(super) fn mismatch(&self) -> SignatureError {
        self.flaw.map_or(SignatureError::Mismatch, Into::into)
    }

    /// Signs with the newest key.
    pub(super) fn sign(&self, signed: &[&[u8]], encoding: Encoding) -> Result<String, SignatureError> {
        self.check()?;
        Ok(self.list.last().map(|key| encoding.encode(&key.tag(signed))).unwrap_or_default())
    }

    /// Adds the number of secrets, and what is wrong with one, to the `Debug` output of an endpoint.
    pub(super) fn show(&self, shown: &mut fmt::DebugStruct<'_, '_>) {
        shown.field("secrets", &self.list.len());
        if let Some(flaw) = &self.flaw {
            shown.field("invalid_secret", flaw);
        }
    }
}

/// One key, under the hash function of its sender.
enum Key {
    #[cfg(feature = "hmac")]
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    #[cfg(feature = "hmac")]
    Sha512(Hmac<Sha512>),
}

impl Key {
    fn new(hash: Hash, secret: &[u8]) -> Result<Self, InvalidSecret> {
        let key = match hash {
            #[cfg(feature = "hmac")]
            Hash::Sha1 => Hmac::new_from_slice(secret).map(Self::Sha1),
            Hash::Sha256 => Hmac::new_from_slice(secret).map(Self::Sha256),
            #[cfg(feature = "hmac")]
            Hash::Sha512 => Hmac::new_from_slice(secret).map(Self::Sha512),
        };
        // HMAC accepts keys of any length.
        key.map_err(|_| InvalidSecret::Characters)
    }

    fn tag(&self, signed: &[&[u8]]) -> Vec<u8> {
        match self {
            #[cfg(feature = "hmac")]
            Self::Sha1(key) => tag(key, signed),
            Self::Sha256(key) => tag(key, signed),
            #[cfg(feature = "hmac")]
            Self::Sha512(key) => tag(key, signed),
        }
    }
}

fn tag(key: &(impl Mac + Clone), signed: &[&[u8]]) -> Vec<u8> {
    let mut mac = key.clone();
    for part in signed {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}
