//! The scheme `v1a`: Ed25519 keys, and signatures made with them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::sender::{InvalidSecret, SignatureError};

/// The Ed25519 keys of an endpoint.
#[derive(Clone, Default)]
pub(super) struct Ed25519Keys(Vec<Ed25519Key>);

#[derive(Clone)]
pub(super) enum Ed25519Key {
    Public(VerifyingKey),
    Private(SigningKey),
}

impl Ed25519Key {
    pub(super) fn public(bytes: &[u8]) -> Result<Self, InvalidSecret> {
        let bytes = bytes.try_into().map_err(|_| InvalidSecret::NotEd25519)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| InvalidSecret::NotEd25519)?;
        // Only the canonical encoding of a point is accepted. For a point of small order anybody could sign.
        let is_canonical = key.to_edwards().compress().as_bytes() == bytes;
        if is_canonical && !key.is_weak() { Ok(Self::Public(key)) } else { Err(InvalidSecret::NotEd25519) }
    }

    /// The seed of 32 bytes, or the seed and the public key.
    pub(super) fn private(bytes: &[u8]) -> Result<Self, InvalidSecret> {
        let key = if let Ok(seed) = bytes.try_into() {
            Ok(SigningKey::from_bytes(seed))
        } else {
            let pair = bytes.try_into().map_err(|_| InvalidSecret::NotEd25519)?;
            SigningKey::from_keypair_bytes(pair)
        };
        key.map(Self::Private).map_err(|_| InvalidSecret::NotEd25519)
    }

    fn verifying_key(&self) -> VerifyingKey {
        match self {
            Self::Public(key) => *key,
            Self::Private(key) => key.verifying_key(),
        }
    }
}

impl Ed25519Keys {
    pub(super) fn add(&mut self, key: Ed25519Key) {
        self.0.push(key);
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether one of the `given` signatures, in base64, was made with one of the keys. Nothing here is secret, so the
    /// time that it takes does not matter.
    pub(super) fn matches<'s>(&self, signed: &[&[u8]], mut given: impl Iterator<Item = &'s str>) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let signed = signed.concat();
        given.any(|given| {
            let Some(signature) = signature(given) else { return false };
            self.0.iter().any(|key| key.verifying_key().verify_strict(&signed, &signature).is_ok())
        })
    }

    /// Signs with the newest private key, in base64; `None` without keys.
    pub(super) fn sign(&self, signed: &[&[u8]]) -> Result<Option<String>, SignatureError> {
        let newest = self.0.iter().rev().find_map(|key| match key {
            Ed25519Key::Private(key) => Some(key),
            Ed25519Key::Public(_) => None,
        });
        match newest {
            Some(key) => Ok(Some(STANDARD.encode(key.sign(&signed.concat()).to_bytes()))),
            None if self.0.is_empty() => Ok(None),
            None => Err(InvalidSecret::PublicKey.into()),
        }
    }
}

/// `STANDARD` refuses non-zero trailing bits, so that each signature has exactly one text.
fn signature(text: &str) -> Option<Signature> {
    let bytes = STANDARD.decode(text).ok()?;
    Signature::from_slice(&bytes).ok()
}

#[cfg(test)]
#[path = "ed25519_tests.rs"]
mod tests;
