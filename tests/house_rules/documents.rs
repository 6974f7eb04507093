//! Links, commands and tests that the documents name.

use std::path::Path;

use super::{files, read, report, root};

const REPOSITORY: &str = "https://github.com/ferro-idem/ferro-idem/";
const PICTURES: &str = "https://raw.githubusercontent.com/ferro-idem/ferro-idem/main/";

pub(crate) fn documents() -> Vec<String> {
    let mut documents = files(&["docs"], "md");
    documents.extend(
        ["README", "CONTRIBUTING", "SECURITY", "RELIABILITY", "CHANGELOG"].map(|name| format!("{name}.md")),
    );
    documents
}

/// The targets of a document's links and pictures.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

#[test]
fn the_readme_has_no_relative_link() {
    let readme = read("README.md");
    let relative: Vec<String> = links(&readme)
        .filter(|link| !link.starts_with("https://") && !link.starts_with('#'))
        .map(str::to_owned)
        .collect();
    report("the registry shows the README, and a relative link is a 404 there", &relative);
}

#[test]
fn links_into_the_repository_lead_to_a_file() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = read(&document);
        for link in links(&text) {
            let folder = root().join(&document).parent().unwrap().to_owned();
            let path = link.split('#').next().unwrap();
            let target = match path.strip_prefix(REPOSITORY) {
                Some(page) => {
                    ["blob/main/", "tree/main/"].into_iter().find_map(|view| page.strip_prefix(view))
                }
                None => path.strip_prefix(PICTURES),
            };
            let leads_nowhere = match target {
                Some(target) => !root().join(target).exists(),
                None => !path.is_empty() && !path.contains("://") && !folder.join(path).exists(),
            };
            broken.extend(leads_nowhere.then(|| format!("{document}: {link}")));
        }
    }
    report("a link into the repository has to lead to a file", &broken);
}

#[test]
fn anchors_within_the_repository_lead_to_a_heading() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = read(&document);
        for link in links(&text).filter(|link| !link.contains("://")) {
            let Some((path, anchor)) = link.split_once('#') else { continue };
            let folder = root().join(&document).parent().unwrap().to_owned();
            let target = if path.is_empty() {
                text.clone()
            } else {
                std::fs::read_to_string(folder.join(path)).unwrap()
            };
            let has_heading =
                target.lines().filter(|line| line.starts_with('#')).any(|line| anchor_of(line) == anchor);
            broken.extend((!has_heading).then(|| format!("{document}: {link}")));
        }
    }
    report("an anchor has to lead to a heading", &broken);
}

/// A heading's anchor, as GitHub makes it.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>()
        .replace(' ', "-")
}

#[test]
fn files_that_the_documents_name_exist() {
    // Where a document's short paths begin.
    const FOLDERS: [&str; 6] =
        ["", "tests/", "ferro-idem/src/", "ferro-idem/", "ferro-idem-macros/src/", "examples/"];
    let mut broken = Vec::new();
    for document in documents() {
        let text = read(&document);
        for name in text.split('`').skip(1).step_by(2) {
            let is_file = Path::new(name).extension().is_some_and(|extension| extension == "rs")
                && !name.contains(|c: char| c.is_whitespace() || "*:NX".contains(c));
            // The reader's own file, in the README.
            if name == "src/main.rs" {
                continue;
            }
            let exists = || FOLDERS.iter().any(|folder| root().join(folder).join(name).exists());
            broken.extend((is_file && !exists()).then(|| format!("{document}: {name}")));
        }
    }
    report("a file that a document names has to exist", &broken);
}

#[test]
fn tests_that_the_documents_name_exist() {
    let sources: String = files(&["ferro-idem", "ferro-idem-macros", "tests", "examples"], "rs")
        .iter()
        .map(|path| read(path))
        .collect();
    let mut broken = Vec::new();
    for document in documents() {
        let text = read(&document);
        for name in text.split('`').skip(1).step_by(2) {
            // `long_name_of_a_test`, or `its_beginning_..`; anything shorter is a name of something else.
            let beginning = name.trim_end_matches("..");
            // Settings of servers.
            if ["idle_in_transaction_session_timeout", "innodb_flush_log_at_trx_commit"].contains(&name) {
                continue;
            }
            let is_test = beginning.matches('_').count() >= 4
                && beginning.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            let exists = || sources.contains(&format!("fn {beginning}"));
            broken.extend((is_test && !exists()).then(|| format!("{document}: {name}")));
        }
    }
    report("a test that a document names has to exist", &broken);
}

#[test]
fn readme_and_ci_run_the_same_tests() {
    for document in ["README.md", ".ci/run", "CONTRIBUTING.md"] {
        assert!(read(document).contains("tests/run"), "{document} does not name tests/run");
    }
    let workflow = read(".github/workflows/ci.yml");
    assert!(workflow.contains(".ci/run"), "the workflow has to run what a contributor runs");
}
