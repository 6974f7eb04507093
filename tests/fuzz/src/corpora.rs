//! Runs every input of the committed corpora through the checks of the fuzz targets.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    inputs
}

fn replay(target: &str, check: fn(&[u8])) {
    let mut inputs = inputs(target);
    inputs.retain(|path| {
        let input = fs::read(path).expect("a readable input");
        catch_unwind(|| check(&input)).is_err()
    });
    assert!(inputs.is_empty(), "these inputs fail, for the reasons above: {inputs:#?}");
}

#[test]
fn every_signature_header_of_the_corpus_is_judged_rightly() {
    replay("signature_header", crate::signature_header::check);
}

#[test]
fn every_event_of_the_corpus_is_read_rightly() {
    replay("event_envelope", crate::event_envelope::check);
}

#[test]
fn every_use_of_the_attribute_in_the_corpus_keeps_its_function() {
    replay("macro_arguments", crate::macro_arguments::check);
}

#[test]
fn every_kept_reply_and_key_of_the_corpus_is_read_rightly() {
    replay("replay", crate::replay::check);
}

#[test]
fn every_delivery_of_the_corpora_is_judged_rightly() {
    replay("github", |input| crate::sender_delivery::check("github", input));
    replay("slack", |input| crate::sender_delivery::check("slack", input));
    replay("slack", crate::slack_handshake::check);
    replay("shopify", |input| crate::sender_delivery::check("shopify", input));
    replay("square", |input| crate::sender_delivery::check("square", input));
    replay("paddle", |input| crate::sender_delivery::check("paddle", input));
    replay("standard_webhooks", |input| crate::sender_delivery::check("standard-webhooks", input));
    replay("standard_ed25519", |input| crate::sender_delivery::check("standard-webhooks, Ed25519", input));
    replay("hmac", |input| crate::sender_delivery::check("hmac", input));
}
