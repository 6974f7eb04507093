//! "Did you mean".

/// The candidate that is a slip of the keyboard away from `written`.
pub(crate) fn nearest<'a>(written: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let allowed = if written.chars().count() <= 4 { 1 } else { 2 };
    candidates
        .iter()
        .map(|&candidate| (distance(written, candidate), candidate))
        .filter(|&(distance, _)| distance <= allowed)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// How many characters to insert, delete, replace or swap with their neighbour (optimal string
/// alignment).
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
    use super::nearest;

    const KNOWN: &[&str] = &["log", "event", "event_id", "scope", "on_duplicate", "on_error", "crate"];

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
