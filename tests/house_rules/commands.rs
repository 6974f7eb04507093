//! Commands that the documents show name targets, tests and scripts that exist.

use super::documents::documents;
use super::{files, read, report, root};

#[test]
fn commands_in_the_documents_name_what_exists() {
    let packages = ["tests", "tests/layers", "examples", "ferro-idem"];
    let manifests = packages.map(|folder| read(&format!("{folder}/Cargo.toml"))).concat();
    let folders = ["ferro-idem/src", "ferro-idem-macros/src", "tests"];
    let sources: String = files(&folders, "rs").iter().map(|path| read(path)).collect();
    let mut broken = Vec::new();
    for document in documents() {
        let text = read(&document);
        for command in commands(&text) {
            let words: Vec<&str> =
                command.split_whitespace().filter(|word| *word != "TRYBUILD=overwrite").collect();
            let targets = words.windows(2).filter(|pair| !is_target(pair, &manifests)).map(|pair| pair[1]);
            let filter = filter_of(&words).filter(|filter| !is_test(filter, &sources));
            let script =
                words.first().filter(|word| !word.starts_with("cargo") && !root().join(word).exists());
            for missing in targets.chain(filter).chain(script.copied()) {
                broken.push(format!("{document}: `{command}`: there is no {missing}"));
            }
        }
    }
    report("a command that a document shows has to work", &broken);
}

/// The commands in `sh` blocks and in backticks.
fn commands(text: &str) -> Vec<&str> {
    const BEGINNINGS: [&str; 4] = ["cargo ", "tests/", ".ci/", "TRYBUILD=overwrite "];
    let blocks =
        text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).flat_map(str::lines);
    let spans =
        text.split('`').skip(1).step_by(2).filter(|span| !span.ends_with(['/', 's']) || span.contains(' '));
    let commands = blocks.chain(spans);
    commands.filter(|line| BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))).collect()
}

fn is_target(pair: &[&str], manifests: &str) -> bool {
    match *pair {
        ["--test" | "--bench" | "--example", name] => {
            name == "NAME" || manifests.contains(&format!("name = \"{name}\""))
        }
        ["--bin", name] => ["", ".rs"]
            .iter()
            .any(|extension| root().join(format!("tests/src/bin/{name}{extension}")).exists()),
        ["-p", name] => read("Cargo.lock").contains(&format!("name = \"{name}\"")),
        _ => true,
    }
}

/// The words that choose tests, in `cargo test .. FILTER` and `cargo test .. -- FILTER`.
fn filter_of<'a>(words: &[&'a str]) -> Option<&'a str> {
    let ["cargo", "test", rest @ ..] = words else { return None };
    let last = rest.iter().rposition(|word| !word.starts_with('-'))?;
    let is_value = last > 0 && ["-p", "--test", "--features"].contains(&rest[last - 1]);
    (!is_value).then_some(rest[last])
}

fn is_test(filter: &str, sources: &str) -> bool {
    let name = filter.rsplit("::").next().unwrap_or(filter);
    ["mod ", "fn ", "_"].iter().any(|before| sources.contains(&format!("{before}{name}")))
        || sources.contains(&format!("mod {name}_"))
}
