//! What the tests of all senders know of each of them.
//!
//! The fuzz targets include this file too, so that it uses nothing but the library.

mod cases;
mod profiles;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ferro_idem::sender::{Delivery, InvalidSecret, PayloadError, SignatureError};

pub use self::cases::{Case, cases};
pub use self::profiles::PROFILES;

/// The time of these tests, in Unix seconds.
pub const NOW: u64 = 1_700_000_000;

/// Headers by name.
pub type Headers = Vec<(&'static str, String)>;

/// One sender.
#[derive(Debug)]
pub struct Profile {
    /// The name, as in logs; with what is special about the profile.
    pub name: &'static str,
    /// A secret of this sender, and another one.
    pub secrets: [&'static str; 2],
    /// What is told of a secret of another sender.
    pub foreign: Option<(&'static str, InvalidSecret)>,
    /// Where the id is.
    pub id: IdPlace,
    /// Where the time is, and the tolerance in seconds.
    pub time: Option<(TimePlace, u64)>,
    /// The header of the signature.
    pub signature: &'static str,
    /// Whether a list of the same header twice, as a proxy may make it, is one more signature.
    pub is_list: bool,
    /// An endpoint with these secrets.
    pub endpoint: fn(&[&str]) -> Box<dyn Endpoint>,
    /// Whether the strict constructor takes a secret.
    pub try_new: fn(&str) -> Result<(), InvalidSecret>,
}

/// Where an id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdPlace {
    /// In this header.
    Header(&'static str),
    /// In this member of the body.
    Member(&'static str),
}

/// Where a time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimePlace {
    /// In this header.
    Header(&'static str),
    /// In the signature's header, after this prefix.
    Element(&'static str),
}

/// An endpoint of any sender.
#[expect(clippy::missing_errors_doc, reason = "each sender says when it fails")]
pub trait Endpoint {
    /// The headers that the sender would send.
    fn sign(&self, id: &str, body: &[u8], at: SystemTime) -> Result<Headers, SignatureError>;
    /// The event, if it is signed.
    fn verify(&self, delivery: &Delivery<'_>, now: SystemTime) -> Result<Event, SignatureError>;
    /// Whether it is signed and an event, without anything that only the tests need.
    fn is_verified(&self, delivery: &Delivery<'_>, now: SystemTime) -> bool;
    /// The event of a stored delivery.
    fn decode(&self, delivery: &Delivery<'_>) -> Result<Event, PayloadError>;
    /// Its `Debug`.
    fn shown(&self) -> String;
}

/// An event of any sender.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// Its body.
    pub payload: Vec<u8>,
    /// Its `Debug`.
    pub shown: String,
}

impl Profile {
    /// An endpoint with the first secret.
    pub fn first(&self) -> Box<dyn Endpoint> {
        (self.endpoint)(&self.secrets[..1])
    }

    /// Whether the id is in the body.
    pub fn has_id_in_body(&self) -> bool {
        matches!(self.id, IdPlace::Member(_))
    }
}

/// A body that is an event to each sender.
pub fn body(id: &str, note: &str) -> String {
    format!(r#"{{"id":"{id}","event_id":"{id}","type":"paid","event_type":"paid","note":"{note}"}}"#)
}

/// A moment in Unix seconds.
pub fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A delivery with these headers.
pub fn delivery<'a>(body: &'a [u8], headers: &'a Headers) -> Delivery<'a> {
    Delivery::new(body).with_headers(headers.iter().map(|(name, value)| (*name, value)))
}
