//! The text of an error, as it is stored beside its event.

/// The longest text that is stored, in bytes.
const MAX_BYTES: usize = 1_000;

/// What stands for the rest of a text that is cut.
const REST: &str = "…";

/// The text on one line, without characters that a database or a terminal does not take, and cut to 1,000 bytes.
pub(super) fn storable(text: &str) -> String {
    cut(text, MAX_BYTES)
}

/// The same of a text and an explanation after it, which is not cut.
pub(super) fn storable_with(text: &str, explanation: &str) -> String {
    let explanation = format!(" ({explanation})");
    cut(text, MAX_BYTES.saturating_sub(explanation.len())) + &explanation
}

fn cut(text: &str, max_bytes: usize) -> String {
    let mut stored = String::new();
    let words = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    for word in words {
        if !stored.is_empty() {
            stored.push(' ');
        }
        // A text of any length is read no further than it is stored.
        let left = (max_bytes + 1).saturating_sub(stored.len());
        stored.push_str(word.get(..word.ceil_char_boundary(left)).unwrap_or_default());
        if stored.len() > max_bytes {
            stored.truncate(stored.floor_char_boundary(max_bytes.saturating_sub(REST.len())));
            stored.push_str(REST);
            break;
        }
    }
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_stored_on_one_line_without_control_characters() {
        assert_eq!(storable("SMTP answered 451"), "SMTP answered 451");
        assert_eq!(storable("a\0b\u{1b}[31mred\r\n\tat line 7 "), "a b [31mred at line 7");
        assert_eq!(storable("\0\n"), "");
        assert_eq!(storable("é 🦀"), "é 🦀");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        for long in ["🦀".repeat(5_000), "word ".repeat(5_000), "x".repeat(1_001), "é".repeat(501)] {
            let stored = storable(&long);
            assert!((990..=1_000).contains(&stored.len()), "{}", stored.len());
            assert!(stored.ends_with(REST) && long.starts_with(stored.trim_end_matches(REST)));
        }
        for fits in ["x".repeat(1_000), "é".repeat(500)] {
            assert_eq!(storable(&fits), fits);
        }
    }

    #[test]
    fn an_explanation_is_never_cut_off() {
        assert_eq!(storable_with("closed", "final"), "closed (final)");
        let stored = storable_with(&"🦀".repeat(5_000), "final");
        assert!(stored.ends_with("… (final)") && stored.len() <= 1_000);
    }
}
