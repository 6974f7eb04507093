//! The status of a reply that is a failure.

use std::time::Duration;

/// The status and the `Retry-After` of a reply, if it has them.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpFailure {
    /// The status: 503.
    pub status: u16,
    /// How long the sender should wait before it tries again.
    pub retry_after: Option<Duration>,
}

impl HttpFailure {
    /// A failure with this status.
    pub const fn of(status: u16) -> Self {
        Self { status, retry_after: None }
    }

    /// The same with the value of a `Retry-After` header: seconds, or a date
    /// ([RFC 9110, 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)). Anything else is ignored.
    #[cfg(any(feature = "actix-web", feature = "axum", feature = "poem"))]
    pub(crate) fn with_retry_after(self, header: Option<&[u8]>) -> Self {
        let text = header.and_then(|value| std::str::from_utf8(value).ok()).map(str::trim);
        let retry_after = text.and_then(|text| {
            if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
            }
            let date = httpdate::parse_http_date(text).ok()?;
            Some(date.duration_since(std::time::SystemTime::now()).unwrap_or_default())
        });
        Self { retry_after, ..self }
    }
}

#[cfg(all(test, any(feature = "actix-web", feature = "axum", feature = "poem")))]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn told(header: &str) -> Option<Duration> {
        HttpFailure::of(503).with_retry_after(Some(header.as_bytes())).retry_after
    }

    #[test]
    fn seconds_and_dates_say_when_to_come_again() {
        assert_eq!(told("30"), Some(Duration::from_secs(30)));
        assert_eq!(told(" 0 "), Some(Duration::ZERO));
        assert_eq!(told("99999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        let minute = httpdate::fmt_http_date(SystemTime::now() + Duration::from_mins(1));
        let wait = told(&minute).unwrap();
        assert!((Duration::from_secs(55)..=Duration::from_mins(1)).contains(&wait), "{wait:?}");
        assert_eq!(told("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO), "a date that is over");
    }

    #[test]
    fn a_header_that_is_neither_is_ignored() {
        for header in ["", " ", "soon", "-1", "1.5", "+3", "Wed, 99 Oct 2015"] {
            assert_eq!(told(header), None, "{header}");
        }
        assert_eq!(HttpFailure::of(503).with_retry_after(Some(b"\xff")).retry_after, None);
        assert_eq!(HttpFailure::of(503).with_retry_after(None).retry_after, None);
    }
}
