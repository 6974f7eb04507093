//! Values as people read and write them.

use std::time::{Duration, SystemTime};

use super::EventState;

/// A duration like `35d` or `1h30m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "a duration is written like 35d, 12h, 90m, 30s or 1h30m";
    let mut total: u64 = 0;
    let mut digits = String::new();
    for c in text.trim().chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let seconds = match c {
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return Err(EXPECTED.to_owned()),
        };
        let number: u64 = digits.parse().map_err(|_| EXPECTED)?;
        let part = number.checked_mul(seconds).ok_or(EXPECTED)?;
        total = total.checked_add(part).ok_or(EXPECTED)?;
        digits.clear();
    }
    if text.trim().is_empty() || !digits.is_empty() {
        return Err(EXPECTED.to_owned());
    }
    Ok(Duration::from_secs(total))
}

/// The two largest units: `3d 4h`, `5m 2s`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut parts = Vec::new();
    let mut left = seconds;
    for (size, unit) in units {
        let number = left / size;
        left %= size;
        if number > 0 || (!parts.is_empty() && parts.len() < 2) {
            parts.push(format!("{number}{unit}"));
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// How long ago this was.
pub(crate) fn ago(time: SystemTime) -> String {
    duration(SystemTime::now().duration_since(time).unwrap_or_default())
}

/// RFC 3339, in UTC.
pub(crate) fn time(time: SystemTime) -> String {
    let seconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    };
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

/// The Gregorian date of a day since 1970: <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Text that a sender chose, without anything that a terminal would act on or not show: control characters,
/// line breaks, characters that change the direction or have no width. A backslash is doubled, so that two ids never
/// look alike.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' | '"' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// What the next delivery of an event in this state does, to be read after "its next delivery".
pub(crate) fn next_delivery(state: EventState) -> &'static str {
    match state {
        EventState::Claimed => "is told to come again (409)",
        EventState::LeaseEnded => "takes the event over, and runs",
        EventState::Released => "runs",
        EventState::Processed => "is answered as a duplicate",
    }
}

/// Text for a URL (<https://www.rfc-editor.org/rfc/rfc3986#section-2.3>).
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown() {
        for (text, seconds) in [("35d", 3_024_000), ("1h30m", 5_400), ("0s", 0), (" 90m ", 5_400)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", " ", "5", "d", "5x", "-5s", "1.5h", "5 s", "99999999999999999999d", "5é"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        for (seconds, shown) in
            [(0, "0s"), (59, "59s"), (60, "1m 0s"), (3_661, "1h 1m"), (90_000, "1d 1h"), (86_400, "1d 0h")]
        {
            assert_eq!(duration(Duration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |seconds: u64| time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_795_761_157), "2026-11-27T06:32:37Z");
        assert_eq!(time(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn nothing_that_a_terminal_acts_on_is_shown() {
        let odd = "a\u{1b}[31m\r\n\t\u{7}\u{9b}1m\u{202e}\u{200b}\u{feff}\u{0}\\'\"<b>é🦀";
        let shown = escaped(odd);
        let expected = r#"a\u{1b}[31m\r\n\t\u{7}\u{9b}1m\u{202e}\u{200b}\u{feff}\0\\'"<b>é🦀"#;
        assert_eq!(shown, expected);
    }
}
