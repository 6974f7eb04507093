//! A header of a time and signatures: `t=1492774577,v1=5257a8...,v1=...`.

use super::clock;
use super::delivery::MAX_HEADER_BYTES;
use super::error::SignatureError;

/// A sender signs once for each secret, and has two of them during a rotation.
const MAX_SIGNATURES: usize = 16;

/// How a sender writes such a header.
pub(super) struct Form {
    pub(super) header: &'static str,
    pub(super) separator: char,
    pub(super) time: &'static str,
    pub(super) signature: &'static str,
    pub(super) reasons: Reasons,
}

/// The reason that is given for a header of another form.
pub(super) struct Reasons {
    pub(super) no_time: &'static str,
    pub(super) two_times: &'static str,
    pub(super) bad_time: &'static str,
    pub(super) no_signature: &'static str,
    pub(super) too_many: &'static str,
}

/// The elements of a header. They are not verified yet.
pub(super) struct Timed<'a> {
    /// The time as it was sent, because these bytes are signed.
    pub(super) timestamp: &'a str,
    pub(super) seconds: u64,
    pub(super) signatures: Vec<&'a str>,
}

impl Form {
    /// Reads a header. Elements under other names are ignored, so that nobody can choose a weaker scheme.
    pub(super) fn parse<'a>(&self, header: &'a str) -> Result<Timed<'a>, SignatureError> {
        let malformed = |reason| Err(SignatureError::malformed(self.header, reason));
        if header.len() > MAX_HEADER_BYTES {
            return malformed("it is over 4096 bytes long");
        }
        let mut timestamp = None;
        let mut signatures = Vec::new();
        for element in header.split(self.separator) {
            match element.trim().split_once('=') {
                Some((name, value)) if name == self.time => {
                    if timestamp.replace(value).is_some() {
                        return malformed(self.reasons.two_times);
                    }
                }
                Some((name, value)) if name == self.signature => signatures.push(value),
                Some(_) => {}
                None => return malformed("an element has no `=`"),
            }
        }
        let Some(timestamp) = timestamp else {
            return malformed(self.reasons.no_time);
        };
        let Some(seconds) = clock::parse_seconds(timestamp) else {
            return malformed(self.reasons.bad_time);
        };
        if signatures.is_empty() {
            return malformed(self.reasons.no_signature);
        }
        if signatures.len() > MAX_SIGNATURES {
            return malformed(self.reasons.too_many);
        }
        Ok(Timed { timestamp, seconds, signatures })
    }
}
