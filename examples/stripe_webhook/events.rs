//! Events as Stripe writes them (<https://docs.stripe.com/api/events/object>).

use rand::distr::{Alphanumeric, SampleString};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

/// Fixed, so that a second run on the same database delivers the same events.
const SEED: u64 = 0x0057_121b_e000;

const TYPES: [&str; 5] = [
    "payment_intent.succeeded",
    "charge.refunded",
    "invoice.paid",
    "customer.subscription.updated",
    "checkout.session.completed",
];

/// 2025-10-01, when the API version below was current.
const FIRST_CREATED: i64 = 1_759_276_800;

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    kind: &'static str,
    created: i64,
    object_id: String,
    customer: String,
    amount: i64,
    currency: &'static str,
    request_id: String,
}

/// The first `count` events of a fixed sequence.
pub(crate) fn events(count: usize) -> Vec<Event> {
    let mut rng = StdRng::seed_from_u64(SEED);
    (0..count).map(|_| Event::random(&mut rng)).collect()
}

impl Event {
    fn random(rng: &mut StdRng) -> Self {
        let kind = TYPES.choose(rng).copied().unwrap_or(TYPES[0]);
        let (prefix, length) = match kind {
            "payment_intent.succeeded" => ("pi_3", 23),
            "charge.refunded" => ("ch_3", 23),
            "invoice.paid" => ("in_1", 23),
            "customer.subscription.updated" => ("sub_1", 23),
            _ => ("cs_test_a1", 56),
        };
        Self {
            id: id("evt_1", 23, rng),
            kind,
            created: FIRST_CREATED + rng.random_range(0..86_400),
            object_id: id(prefix, length, rng),
            customer: id("cus_", 14, rng),
            amount: rng.random_range(50..50_000),
            currency: ["eur", "gbp", "usd"].choose(rng).copied().unwrap_or("eur"),
            request_id: id("req_", 14, rng),
        }
    }

    /// The bytes of every delivery of this event.
    pub(crate) fn payload(&self) -> String {
        json!({
            "id": self.id,
            "object": "event",
            "api_version": "2025-09-30.clover",
            "created": self.created,
            "data": { "object": self.object() },
            "livemode": false,
            "pending_webhooks": 1,
            "request": { "id": self.request_id, "idempotency_key": null },
            "type": self.kind,
        })
        .to_string()
    }

    /// The same event with another customer.
    pub(crate) fn payload_for(&self, customer: &str) -> String {
        Self { customer: customer.to_owned(), ..self.clone() }.payload()
    }

    /// `data.object`, with the fields that an endpoint usually reads.
    fn object(&self) -> Value {
        let Self { object_id: id, created, customer, amount, currency, .. } = self;
        match self.kind {
            "payment_intent.succeeded" => json!({
                "id": id, "object": "payment_intent", "amount": amount, "amount_capturable": 0,
                "amount_received": amount, "capture_method": "automatic_async", "created": created,
                "currency": currency, "customer": customer, "livemode": false, "metadata": {},
                "payment_method_types": ["card"], "status": "succeeded",
            }),
            "charge.refunded" => json!({
                "id": id, "object": "charge", "amount": amount, "amount_captured": amount,
                "amount_refunded": amount, "captured": true, "created": created, "currency": currency,
                "customer": customer, "livemode": false, "metadata": {}, "paid": true, "refunded": true,
                "status": "succeeded",
            }),
            "invoice.paid" => json!({
                "id": id, "object": "invoice", "amount_due": amount, "amount_paid": amount,
                "amount_remaining": 0, "billing_reason": "subscription_cycle",
                "collection_method": "charge_automatically", "created": created, "currency": currency,
                "customer": customer, "livemode": false, "metadata": {}, "status": "paid", "total": amount,
            }),
            "customer.subscription.updated" => json!({
                "id": id, "object": "subscription", "cancel_at_period_end": false,
                "collection_method": "charge_automatically", "created": created, "currency": currency,
                "customer": customer, "livemode": false, "metadata": {}, "status": "active",
            }),
            _ => json!({
                "id": id, "object": "checkout.session", "amount_subtotal": amount, "amount_total": amount,
                "created": created, "currency": currency, "customer": customer, "livemode": false,
                "metadata": {}, "mode": "payment", "payment_status": "paid", "status": "complete",
            }),
        }
    }
}

fn id(prefix: &str, length: usize, rng: &mut StdRng) -> String {
    format!("{prefix}{}", Alphanumeric.sample_string(rng, length))
}
