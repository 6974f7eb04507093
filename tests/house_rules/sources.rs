//! The length of files, the text of statements, and the words of the glossary.

use super::{files, read, report};

const MAX_LINES: usize = 400;
/// Files that may be longer, each with the reason.
const LONGER: [(&str, &str); 0] = [];

/// Words that `docs/architecture.md` replaced, and what to write. Matched without case, in names and comments.
const REPLACED: [(&str, &str); 8] = [
    ("nonce", "it is the owner of a mark or claim"),
    ("unheard", "it is an undelivered mark"),
    ("see_through", "it is detached on drop"),
    ("whoever", "name the caller"),
    ("behind the body", "after the body"),
    ("behind the mark", "after the mark"),
    ("fence number", "it is the fencing token; the fence is the guarantee"),
    ("hurts nobody", "say what stays correct"),
];

#[test]
fn no_file_is_too_long_to_read_at_once() {
    let folders = ["ferro-idem/src", "ferro-idem-macros/src", "tests", "examples"];
    let mut broken = Vec::new();
    for path in files(&folders, "rs") {
        let lines = read(&path).lines().count();
        let has_reason = LONGER.iter().any(|(longer, _)| *longer == path);
        broken.extend((lines > MAX_LINES && !has_reason).then(|| format!("{path}: {lines} lines")));
    }
    report("one idea a file: split it, or give the reason in LONGER", &broken);
}

#[test]
fn statements_read_as_sql() {
    const KEYWORDS: [&str; 7] =
        ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", " WHERE ", " VALUES ", "ON CONFLICT "];
    let mut broken = Vec::new();
    for path in files(&["ferro-idem/src"], "rs") {
        for (number, line) in read(&path).lines().enumerate() {
            let is_chain = line.ends_with('\\') && KEYWORDS.iter().any(|keyword| line.contains(keyword));
            broken.extend(is_chain.then(|| format!("{path}:{}: {}", number + 1, line.trim())));
        }
    }
    report("write a statement as text of several lines or as a .sql file, without backslashes", &broken);
}

#[test]
fn replaced_words_do_not_come_back() {
    let mut broken = Vec::new();
    for path in files(&["ferro-idem/src", "ferro-idem-macros/src"], "rs") {
        for (number, line) in read(&path).lines().enumerate() {
            for (word, instead) in REPLACED.iter().filter(|(word, _)| has_word(line, word)) {
                broken.push(format!("{path}:{}: `{word}`: {instead}", number + 1));
            }
        }
    }
    report("the glossary in docs/architecture.md has another word", &broken);
}

/// Whether `word` stands in the line by itself, or as a part of a name: `nonce` in `a_nonce` or `Nonce`, and not in
/// `announces`.
fn has_word(line: &str, word: &str) -> bool {
    let line = line.to_lowercase();
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
    line.match_indices(word).any(|(start, _)| {
        let after = start + word.len();
        !is_letter(line[..start].chars().next_back()) && !is_letter(line[after..].chars().next())
    })
}
