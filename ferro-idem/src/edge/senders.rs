//! The senders whose events are extractors.

/// Applies a rule `($event:ty, $webhook:ty, $rejected:expr) => { .. }` to each of them. `$rejected` converts the
/// rejection of [`Verified`](crate::sender::Verified) into that of the event's own extractor.
macro_rules! for_each_sender {
    ($($rule:tt)*) => {
        #[allow(unused_macros, reason = "the feature `sender` alone has no sender")]
        macro_rules! extract_event {
            $($rule)*
        }

        #[cfg(feature = "github")]
        extract_event!(
            crate::sender::github::GithubEvent,
            crate::sender::github::GithubWebhook,
            std::convert::identity
        );
        #[cfg(feature = "hmac")]
        extract_event!(crate::sender::hmac::HmacEvent, crate::sender::hmac::HmacWebhook, std::convert::identity);
        #[cfg(feature = "paddle")]
        extract_event!(
            crate::sender::paddle::PaddleEvent,
            crate::sender::paddle::PaddleWebhook,
            std::convert::identity
        );
        #[cfg(feature = "shopify")]
        extract_event!(
            crate::sender::shopify::ShopifyEvent,
            crate::sender::shopify::ShopifyWebhook,
            std::convert::identity
        );
        #[cfg(feature = "slack")]
        extract_event!(
            crate::sender::slack::SlackEvent,
            crate::sender::slack::SlackWebhook,
            std::convert::identity
        );
        #[cfg(feature = "square")]
        extract_event!(
            crate::sender::square::SquareEvent,
            crate::sender::square::SquareWebhook,
            std::convert::identity
        );
        #[cfg(feature = "standard-webhooks")]
        extract_event!(
            crate::sender::standard::StandardEvent,
            crate::sender::standard::StandardWebhook,
            std::convert::identity
        );
        #[cfg(feature = "stripe")]
        extract_event!(
            crate::sender::stripe::StripeEvent,
            crate::sender::stripe::StripeWebhook,
            crate::sender::SenderRejection::explained
        );
    };
}
pub(crate) use for_each_sender;
