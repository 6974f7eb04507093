//! The deliveries, their order, and their signatures.

use std::iter::{repeat_n, zip};
use std::time::{Duration, SystemTime};

use ferro_idem::stripe::{SignatureError, StripeWebhook};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use crate::events::Event;

/// The customer in every forged payload.
pub(crate) const FORGER: &str = "cus_Forger00000000";

/// The order is the same in every run. Only the timing of the deliveries differs.
const SEED: u64 = 2;

const MAX_COPIES: usize = 4;

/// One delivery that must be refused, for this many genuine ones.
const GENUINE_PER_FORGERY: usize = 50;

/// Twice the tolerance of the endpoint.
const STALE: Duration = Duration::from_mins(10);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery<'a> {
    event: &'a Event,
    signature: Signature,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signature {
    Genuine,
    /// Made with another secret.
    OtherSecret,
    /// Made with the endpoint's secret over another body.
    OtherBody,
    /// Made with the endpoint's secret over this body, too long ago: a replay.
    Stale,
}

const FORGERIES: [Signature; 3] = [Signature::OtherSecret, Signature::OtherBody, Signature::Stale];

/// Every event 1 to 4 times, and forgeries of some of them, shuffled. The deliveries of one volley are sent at the
/// same moment.
pub(crate) fn volleys(events: &[Event]) -> Vec<Vec<Delivery<'_>>> {
    let mut rng = StdRng::seed_from_u64(SEED);
    let mut volleys = Vec::new();
    let mut genuine = 0;
    for event in events {
        let copies = rng.random_range(1..=MAX_COPIES);
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

    /// The body and its `Stripe-Signature`. Stripe signs every attempt anew.
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
