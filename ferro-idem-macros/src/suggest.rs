//! Finds the argument for "did you mean".

/// The candidate that differs from `written` by one typing mistake.
pub(crate) fn nearest<'a>(written: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let allowed = if written.chars().count() <= 4 { 1 } else { 2 };
    candidates
        .iter()
        .map(|&candidate| (distance(written, candidate), candidate))
        .filter(|&(distance, _)| distance <= allowed)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// The number of characters to insert, delete, replace or swap with their neighbour (optimal string alignment
/// distance).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let shortest = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    shortest.min(rows[i - 2][j - 2] + 1)
                } else {
                    shortest
                }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    const KNOWN: &[&str] = &["log", "event", "event_id", "scope", "on_duplicate", "on_error", "crate"];

    #[test]
    fn a_distance_counts_inserts_deletes_replacements_and_swaps() {
        for (a, b, slips) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "xbc", 1),
            ("abc", "ab", 1),
            ("abc", "bc", 1),
            ("ab", "xab", 1),
            ("abc", "acb", 1),
            ("abc", "bac", 1),
            ("abcd", "badc", 2),
            ("abab", "baba", 2),
            ("abc", "cab", 2),
            ("kitten", "sitting", 3),
            ("event", "vent_id", 4),
        ] {
            assert_eq!(distance(a, b), slips, "{a} {b}");
        }
    }

    #[test]
    fn a_short_word_is_one_slip_away_at_most() {
        assert_eq!(nearest("lo", KNOWN), Some("log"));
        assert_eq!(nearest("logs", KNOWN), Some("log"));
        assert_eq!(nearest("lots", KNOWN), None);
        assert_eq!(nearest("evt", KNOWN), None);
        assert_eq!(nearest("evnts", KNOWN), Some("event"));
    }

    #[test]
    fn slips_are_recognised() {
        for (written, meant) in [
            ("lgo", "log"),
            ("evnet", "event"),
            ("even_id", "event_id"),
            ("event_ids", "event_id"),
            ("scop", "scope"),
            ("on_duplicates", "on_duplicate"),
            ("onerror", "on_error"),
        ] {
            assert_eq!(nearest(written, KNOWN), Some(meant), "{written}");
        }
    }

    #[test]
    fn other_words_are_not_taken_for_slips() {
        for written in ["", "x", "table", "retention", "id", "key"] {
            assert_eq!(nearest(written, KNOWN), None, "{written}");
        }
    }
}
