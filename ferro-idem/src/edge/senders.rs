//! The senders whose events are extractors.

/// Calls `$extractor!(event, webhook, rejected)` for each of them. `rejected` makes the rejection of the event's
/// extractor out of that of [`Verified`](crate::sender::Verified).
macro_rules! for_each_sender {
    ($extractor:ident) => {
        #[cfg(feature = "github")]
        $extractor!(
            crate::sender::github::GithubEvent,
            crate::sender::github::GithubWebhook,
            std::convert::identity
        );
        #[cfg(feature = "hmac")]
        $extractor!(crate::sender::hmac::HmacEvent, crate::sender::hmac::HmacWebhook, std::convert::identity);
        #[cfg(feature = "paddle")]
        $extractor!(
            crate::sender::paddle::PaddleEvent,
            crate::sender::paddle::PaddleWebhook,
            std::convert::identity
        );
        #[cfg(feature = "shopify")]
        $extractor!(
            crate::sender::shopify::ShopifyEvent,
            crate::sender::shopify::ShopifyWebhook,
            std::convert::identity
        );
        #[cfg(feature = "slack")]
        $extractor!(
            crate::sender::slack::SlackEvent,
            crate::sender::slack::SlackWebhook,
            std::convert::identity
        );
        #[cfg(feature = "square")]
        $extractor!(
            crate::sender::square::SquareEvent,
            crate::sender::square::SquareWebhook,
            std::convert::identity
        );
        #[cfg(feature = "standard-webhooks")]
        $extractor!(
            crate::sender::standard::StandardEvent,
            crate::sender::standard::StandardWebhook,
            std::convert::identity
        );
        #[cfg(feature = "stripe")]
        $extractor!(
            crate::sender::stripe::StripeEvent,
            crate::sender::stripe::StripeWebhook,
            crate::sender::SenderRejection::explained
        );
    };
}
pub(crate) use for_each_sender;
