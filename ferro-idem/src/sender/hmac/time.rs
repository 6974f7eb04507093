//! How senders write the time of a delivery.

use std::time::SystemTime;

use crate::sender::clock::{parse_seconds, unix_seconds};

/// How a sender writes the time of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeFormat {
    /// Seconds since 1970: `1700000000`.
    UnixSeconds,
    /// Milliseconds since 1970: `1700000000000`.
    UnixMillis,
    /// RFC 3339: `2023-11-14T22:13:20.5Z`.
    Rfc3339,
}

impl TimeFormat {
    /// The second that the text stands for. Times before 1970 count as malformed.
    pub(super) fn parse(self, text: &str) -> Option<u64> {
        // Signed texts can be adjacent. A digit that moves from an id into the time after it must change the time.
        let number = || parse_seconds(text).filter(|_| text == "0" || !text.starts_with('0'));
        match self {
            Self::UnixSeconds => number(),
            Self::UnixMillis => number().map(|millis| millis / 1000),
            Self::Rfc3339 => parse_rfc3339(text),
        }
    }

    pub(super) fn format(self, time: SystemTime) -> String {
        let seconds = unix_seconds(time);
        match self {
            Self::UnixSeconds => seconds.to_string(),
            Self::UnixMillis => (u128::from(seconds) * 1000).to_string(),
            Self::Rfc3339 => {
                let (year, month, day) = date_of(seconds / DAY);
                let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
                format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
            }
        }
    }

    /// The reason that is given for a text that is not a time.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::UnixSeconds => "it is not a Unix time in seconds",
            Self::UnixMillis => "it is not a Unix time in milliseconds",
            Self::Rfc3339 => "it is not a time of RFC 3339",
        }
    }
}

const DAY: u64 = 86_400;

/// `2023-11-14T22:13:20`, a fraction if there is one, and `Z` or an offset.
fn parse_rfc3339(text: &str) -> Option<u64> {
    let (moment, rest) = text.split_at_checked(19)?;
    let [year, month, day, hour, minute, second] =
        numbers(moment, [(0, 4, "-"), (5, 2, "-"), (8, 2, "T"), (11, 2, ":"), (14, 2, ":"), (17, 2, "")])?;
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => {
            let offset = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
            if offset.len() == fraction.len() {
                return None;
            }
            offset
        }
        None => rest,
    };
    let days = days_to(year, month, day)?;
    // A leap second counts as the one before it.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let local = days * DAY + hour * 3600 + minute * 60 + second.min(59);
    if offset == "Z" {
        return Some(local);
    }
    let (sign, offset) = offset.split_at_checked(1)?;
    let [hours, minutes] = numbers(offset, [(0, 2, ":"), (3, 2, "")])?;
    if offset.len() != 5 || hours > 23 || minutes > 59 {
        return None;
    }
    let ahead = hours * 3600 + minutes * 60;
    match sign {
        "+" => local.checked_sub(ahead),
        "-" => local.checked_add(ahead),
        _ => None,
    }
}

/// Numbers of fixed length: where each begins, its digits, and the text after it.
fn numbers<const N: usize>(text: &str, fields: [(usize, usize, &str); N]) -> Option<[u64; N]> {
    let mut numbers = [0; N];
    for (number, (start, length, after)) in numbers.iter_mut().zip(fields) {
        *number = parse_seconds(text.get(start..start + length)?)?;
        if !text.get(start + length..)?.starts_with(after) {
            return None;
        }
    }
    Some(numbers)
}

/// The days from 1970 to a date of the Gregorian calendar.
fn days_to(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) {
        return None;
    }
    // Years begin in March, so that the leap day is their last.
    let (year_from_march, months) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let (era, year_of_era) = (year_from_march / 400, year_from_march % 400);
    let day_of_year = (153 * months + 2) / 5 + day.checked_sub(1)?;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    // The 31st of a month with 30 days is another date.
    days.checked_sub(719_468).filter(|days| date_of(*days) == (year, month, day))
}

/// The date, so many days after 1970-01-01.
const fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    (era * 400 + year_of_era + (month <= 2) as u64, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn times_of_rfc_3339_are_read_by_the_calendar() {
        let parse = |text| TimeFormat::Rfc3339.parse(text);
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2023-11-14T22:13:20Z", 1_700_000_000),
            ("2023-11-14T22:13:20.634234626Z", 1_700_000_000),
            ("2023-11-15T00:13:20+02:00", 1_700_000_000),
            ("2023-11-14T16:43:20-05:30", 1_700_000_000),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2016-12-31T23:59:60Z", 1_483_228_799),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "1700000000",
            "2023-11-14",
            "2023-11-14T22:13:20",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20z",
            "2023-11-14 22:13:20Z",
            "2023-11-14T22:13:20Z ",
            "2023-11-14T22:13:20+2:00",
            "2023-11-14T22:13:20+02:000",
            "2023-02-29T00:00:00Z",
            "2023-04-31T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-00-01T00:00:00Z",
            "2023-01-00T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "0000-01-01T00:00:00Z",
            "12023-11-14T22:13:20Z",
            "+023-11-14T22:13:20Z",
            "2023-11-14T22:13:2é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn each_format_reads_what_it_writes() {
        for format in [TimeFormat::UnixSeconds, TimeFormat::UnixMillis, TimeFormat::Rfc3339] {
            for seconds in (0..20_000).map(|day| day * 86_413) {
                let text = format.format(UNIX_EPOCH + Duration::from_secs(seconds));
                assert_eq!(format.parse(&text), Some(seconds), "{text}");
            }
        }
    }

    #[test]
    fn numbers_have_no_sign_and_no_leading_zero() {
        for text in ["", "01700000000", "+1", "-1", "1e9", "1.0", " 1", "99999999999999999999"] {
            assert_eq!(TimeFormat::UnixSeconds.parse(text), None, "{text}");
            assert_eq!(TimeFormat::UnixMillis.parse(text), None, "{text}");
        }
        assert_eq!(TimeFormat::UnixMillis.parse("1700000000999"), Some(1_700_000_000));
    }
}
