//! The text of an error, as it is stored beside its event.

/// The longest text that is stored, in characters.
const MAX_CHARS: usize = 1_000;

/// The text on one line, without characters that a database or a terminal does not take, and cut to 1,000 characters.
pub(super) fn storable(text: &str) -> String {
    let mut stored = String::new();
    let mut words = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    if let Some(first) = words.next() {
        stored.push_str(first);
    }
    for word in words {
        stored.push(' ');
        stored.push_str(word);
        // A text of any length is read no further than it is stored.
        if stored.len() > 4 * MAX_CHARS {
            break;
        }
    }
    match stored.char_indices().nth(MAX_CHARS) {
        Some(_) => stored.chars().take(MAX_CHARS - 1).chain(['…']).collect(),
        None => stored,
    }
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
        for long in ["🦀".repeat(5_000), "word ".repeat(5_000), "x".repeat(1_001)] {
            let stored = storable(&long);
            assert_eq!(stored.chars().count(), 1_000);
            assert!(stored.ends_with('…'));
        }
        assert_eq!(storable(&"x".repeat(1_000)), "x".repeat(1_000));
    }
}
