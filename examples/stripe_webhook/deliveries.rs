//! What is sent, in which order, and how it is signed.

use std::iter::{repeat_n, zip};
use std::time::{Duration, SystemTime};

use ferro_idem::stripe::{SignatureError, StripeWebhook};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use crate::events::Event;

/// Who gets the money in every payload that Stripe did not write.
pub(crate) const FORGER: &str = "cus_Forger00000000";

/// The order is the same in every run: what differs is how the deliveries meet.
const SEED: u64 = 2;

const MOST_COPIES: usize = 4;

/// For so many genuine deliveries there is one that must be refused.
const GENUINE_PER_FORGERY: usize = 50;

/// Twice what the endpoint tolerates.
const STALE: Duration = Duration::from_mins(10);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery<'a> {
    event: &'a Event,
    signature: Signature,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signature {
    Genuine,
    /// Made with a secret that is not the endpoint's.
    OtherSecret,
    /// The endpoint's own, over another body than the one that is sent.
    OtherBody,
    /// The endpoint's own over this body, too long ago: a replay.
    Stale,
}

const FORGERIES: [Signature; 3] = [Signature::OtherSecret, Signature::OtherBody, Signature::Stale];

/// Every event 1 to 4 times and the forgeries of some of them, shuffled. What is in one volley is
/// sent at the same moment.
pub(crate) fn volleys(events: &[Event]) -> Vec<Vec<Delivery<'_>>> {
    let mut rng = StdRng::seed_from_u64(SEED);
    let mut volleys = Vec::new();
    let mut genuine = 0;
    for event in events {
        let copies = rng.random_range(1..=MOST_COPIES);
        let at_once = rng.random_range(1..=copies);
        let delivery = Delivery { event, signature: Signature::Genuine };
        volleys.push(vec![delivery; at_once]);
        volleys.extend(repeat_n(vec![delivery], copies - at_once));
        genuine += copies;
    }
    let forged = zip(FORGERIES.into_iter().cycle(), 0..genuine / GENUINE_PER_FORGERY);
    for (signature, _) in forged {
        volleys.extend(events.choose(&mut rng).map(|event| vec![Delivery { event, signature }]));
    }
    volleys.shuffle(&mut rng);
    volleys
}

impl Delivery<'_> {
    pub(crate) fn event_id(&self) -> &str {
        &self.event.id
    }

    pub(crate) fn is_genuine(&self) -> bool {
        self.signature == Signature::Genuine
    }

    /// The body and its `Stripe-Signature`, made now: Stripe signs every attempt anew.
    pub(crate) fn signed(&self, endpoint: &StripeWebhook) -> Result<(String, String), SignatureError> {
        let now = SystemTime::now();
        let payload = self.event.payload();
        Ok(match self.signature {
            Signature::Genuine => {
                let header = endpoint.sign(payload.as_bytes(), now)?;
                (payload, header)
            }
            Signature::Stale => {
                let header = endpoint.sign(payload.as_bytes(), now - STALE)?;
                (payload, header)
            }
            Signature::OtherBody => (self.event.payload_for(FORGER), endpoint.sign(payload.as_bytes(), now)?),
            Signature::OtherSecret => {
                let forged = self.event.payload_for(FORGER);
                let header = StripeWebhook::new("whsec_guessed").sign(forged.as_bytes(), now)?;
                (forged, header)
            }
        })
    }
}
