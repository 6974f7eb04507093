//! Tests the message for each mistake: all are reported at once, in order, and each says what to write.
//!
//! The UI tests check where the carets are.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{File, Item, LitStr};

use crate::stages::Features;

const FEATURES: Features = Features { tracing: false, replay: true };

const HANDLER: &str = "async fn f(log: &L, event: E) {}";

/// The error messages after the item, which is unchanged.
fn messages(arguments: &str, item: &str) -> Vec<String> {
    let item: TokenStream = item.parse().unwrap();
    let kept = quote!(#[allow(unused_variables)] #item).to_string();
    let output = crate::stages::idempotent_webhook(arguments.parse().unwrap(), &item, FEATURES).to_string();
    let Some(errors) = output.strip_prefix(&kept) else { return Vec::new() };
    let File { items, .. } = syn::parse_str(errors).unwrap();
    let text = |item: &Item| match item {
        Item::Macro(call) => call.mac.parse_body::<LitStr>().unwrap().value(),
        other => panic!("an error, and not {}", quote!(#other)),
    };
    items.iter().map(text).collect()
}

#[test]
fn each_mistake_in_the_arguments_names_its_fix() {
    let known = "log`, `event`, `event_id`, `scope`, `claim`, `transaction`, `only_if`, `on_ignored`, `on_duplicate`, \
                 `on_error`, `processed`, `replay`, `fingerprint`, `keep`, `crate";
    let in_parentheses = |meant: &str| format!("a name goes in parentheses: `{meant}`");
    let unknown = |name: &str| format!("unknown argument `{name}`: there are `{known}`");
    let needs = |value: &str| format!("needs a value: `{value}`");
    let cases: &[(&str, &[&str])] = &[
        ("3", &["expected `key = expression`, as in `log = app.log`"]),
        ("lgo = a", &["unknown argument `lgo`, did you mean `log`?"]),
        ("onlyif = a", &["unknown argument `onlyif`, did you mean `only_if`?"]),
        ("on_ignore = a", &["unknown argument `on_ignore`, did you mean `on_ignored`?"]),
        ("process = a, claim", &["unknown argument `process`, did you mean `processed`?"]),
        ("evnt = a", &["unknown argument `evnt`, did you mean `event`?"]),
        ("retention = 35", &[&unknown("retention")]),
        ("fence", &["the fence is the default, without `claim` and `transaction`: leave `fence` out"]),
        ("lease = L", &["`lease` is the claim's: `claim(lease = DURATION)`"]),
        ("log = a, log = b", &["`log` is given twice: keep one"]),
        ("claim, claim(c)", &["`claim` is given twice: keep one"]),
        (
            "log = a b, scope = \"a\", scope = \"b\"",
            &["expected `,` before the next argument", "`scope` is given twice: keep one"],
        ),
        ("log", &[&format!("`log` {}", needs("log = app.log"))]),
        ("log =", &[&format!("`log` {}", needs("log = app.log"))]),
        ("event = , scope = \"b\"", &[&format!("`event` {}", needs("event = payload"))]),
        ("event_id =", &[&format!("`event_id` {}", needs("event_id = headers_id(&headers)?"))]),
        ("scope =", &[&format!("`scope` {}", needs("scope = \"billing\""))]),
        ("on_duplicate", &[&format!("`on_duplicate` {}", needs("on_duplicate = Ok(())"))]),
        ("on_error = ", &[&format!("`on_error` {}", needs("on_error = |error| Err(error.into())"))]),
        ("crate", &[&format!("`crate` {}", needs("crate = ::ferro_idem"))]),
        ("claim = c", &[&in_parentheses("claim(c)")]),
        ("claim(3)", &["expected `claim(c)` or `claim(c, lease = DURATION)`"]),
        ("claim(c, d)", &["the claim has a name already: `claim(c, lease = DURATION)`"]),
        ("claim(c, ttl = L)", &["unknown argument `ttl`: a claim has `lease = DURATION`"]),
        ("claim(lease = A, lease = B)", &["`lease` is given twice: keep one"]),
        ("claim(lease)", &["`lease` needs a value: `lease = Duration::from_secs(120)`"]),
        ("claim(lease = )", &["`lease` needs a value: `lease = Duration::from_secs(120)`"]),
        ("claim(lease = , c)", &["`lease` needs a value: `lease = Duration::from_secs(120)`"]),
        ("claim(c d)", &["expected `,`"]),
        ("transaction", &["name the transaction for the body: `transaction(tx)`"]),
        ("transaction = tx", &["name the transaction for the body: `transaction(tx)`"]),
        ("transaction()", &["name the transaction for the body: `transaction(tx)`"]),
        ("transaction(tx, lease = L)", &["a transaction has a name and no arguments: `transaction(tx)`"]),
        (
            "claim, transaction(tx)",
            &[
                "`claim` and `transaction` are two guarantees: keep `transaction` if the effects are in the log's \
             own database, `claim` if they are not",
            ],
        ),
        ("event = a, event_id = b", &["`event` and `event_id` both say what the event is: keep one"]),
        (
            "event_id = \"evt_1\"",
            &[
                "a constant id makes every delivery after the first a duplicate: write an expression over the \
             parameters, unquoted",
            ],
        ),
        ("log = \"app.log\"", &["write the expression without quotes: `log = app.log`"]),
        ("event = \"payload\"", &["write the expression without quotes: `event = payload`"]),
        ("event = 3", &["`event` cannot be a literal: write an expression"]),
        (
            "only_if",
            &[&format!("`only_if` {}", needs("only_if = event.event_type() == Some(\"invoice.paid\")"))],
        ),
        ("on_ignored =", &[&format!("`on_ignored` {}", needs("on_ignored = Ok(())"))]),
        (
            "processed, claim",
            &[&format!("`processed` {}", needs("processed = |reply| reply.status().is_success()"))],
        ),
        ("only_if = \"a\"", &["write the expression without quotes: `only_if = a`"]),
        ("only_if = 3", &["`only_if` cannot be a literal: write an expression"]),
        ("only_if = a, only_if = b", &["`only_if` is given twice: keep one"]),
        (
            "on_ignored = Ok(())",
            &["`on_ignored` is the reply to what `only_if` leaves out: add `only_if = EXPR`"],
        ),
        ("processed = \"f\", claim", &["write the expression without quotes: `processed = f`"]),
        (
            "processed = f",
            &[
                "the fence marks the event before the body, so no reply can take the mark back: `processed` needs \
                 `claim` or `transaction(tx)`",
            ],
        ),
        ("on_error = \"f\"", &["write the expression without quotes: `on_error = f`"]),
        (
            "scope = 3",
            &["a constant scope is a text: `scope = \"billing\"` (or an expression over the parameters: \
               `scope = user.id`)"],
        ),
        ("scope = \"\"", &["a scope is 1 to 64 characters of `a-z`, `0-9`, `_` and `-`"]),
        ("scope = \"A\"", &["a scope is 1 to 64 characters of `a-z`, `0-9`, `_` and `-`"]),
    ];
    for (arguments, expected) in cases {
        assert_eq!(messages(arguments, HANDLER), *expected, "{arguments}");
    }
}

#[test]
fn each_mistake_around_replay_names_its_fix() {
    let needs = |value: &str| format!("needs a value: `{value}`");
    let stands_alone =
        "`replay` stands alone: `replay, fingerprint = &body, keep = Duration::from_secs(86_400)`";
    let constant = "a constant fingerprint is the same for every request: write an expression over the parameters, as in \
                    `fingerprint = &body`";
    let cases: &[(&str, &[&str])] = &[
        (
            "replay",
            &[
                "the fence marks the event before there is a reply to keep: `replay` needs `transaction(tx)` or `claim`",
            ],
        ),
        ("replay = true, claim", &[stands_alone]),
        ("replay(fingerprint = body), claim", &[stands_alone]),
        ("reply, claim", &["unknown argument `reply`, did you mean `replay`?"]),
        ("replay, replay, claim", &["`replay` is given twice: keep one"]),
        ("fingerprint, claim, replay", &[&format!("`fingerprint` {}", needs("fingerprint = &body"))]),
        ("keep =, claim, replay", &[&format!("`keep` {}", needs("keep = Duration::from_secs(86_400)"))]),
        ("fingerprint = \"body\", claim, replay", &[constant]),
        ("fingerprint = b\"body\", claim, replay", &[constant]),
        ("keep = 86_400, claim, replay", &["`keep` is a `Duration`: `keep = Duration::from_secs(86_400)`"]),
        (
            "fingerprint = &body, keep = KEEP, claim",
            &[
                "`fingerprint` tells a retry from another request under the same key, for `replay`: add `replay`",
                "`keep` is how long `replay` keeps a reply: add `replay`",
            ],
        ),
        (
            "replay, fingerprint = 3, keep = 3, scope = 3",
            &[
                "a constant scope is a text: `scope = \"billing\"` (or an expression over the parameters: \
                 `scope = user.id`)",
                constant,
                "`keep` is a `Duration`: `keep = Duration::from_secs(86_400)`",
                "the fence marks the event before there is a reply to keep: `replay` needs `transaction(tx)` or `claim`",
            ],
        ),
    ];
    for (arguments, expected) in cases {
        assert_eq!(messages(arguments, HANDLER), *expected, "{arguments}");
    }
}

#[test]
fn a_literal_of_a_macro_rules_is_a_literal() {
    let handed_on = proc_macro2::Group::new(proc_macro2::Delimiter::None, quote!("evt_1"));
    let item: TokenStream = HANDLER.parse().unwrap();
    let output =
        crate::stages::idempotent_webhook(quote!(event_id = #handed_on), &item, FEATURES).to_string();
    assert!(output.contains("a constant id"), "{output}");
}

#[test]
fn a_scope_has_64_characters_and_no_more() {
    assert!(messages(&format!("scope = \"{}\"", "a".repeat(64)), HANDLER).is_empty());
    assert_eq!(messages(&format!("scope = \"{}\"", "a".repeat(65)), HANDLER).len(), 1);
    assert!(messages("scope = \"a-z_09\"", HANDLER).is_empty());
}

#[test]
fn what_is_not_an_async_function_is_refused() {
    for (item, expected) in [
        ("pub struct S;", "#[idempotent_webhook] goes on an `async fn`"),
        ("fn f(log: &L, event: E) {}", "#[idempotent_webhook] goes on an async function: write `async fn`"),
        (
            "async fn f(log: &L, event: E);",
            "there is no body to protect here: put #[idempotent_webhook] on the implementation",
        ),
        (
            "async fn f(log: &L, event: E)",
            "there is no body to protect here: put #[idempotent_webhook] on the implementation",
        ),
        (
            "fn f<'r>(log: &L) -> Pin<Box<dyn Future<Output = ()> + 'r>> { Box::pin(async move {}) }",
            "an attribute above #[idempotent_webhook] has rewritten this `async fn` already: put #[idempotent_webhook] \
             above that one (if it is not an `async fn`, make it one)",
        ),
        (
            "fn main() { let body = async {}; return runtime().block_on(body); }",
            "an attribute above #[idempotent_webhook] has rewritten this `async fn` already: put #[idempotent_webhook] \
             above that one (if it is not an `async fn`, make it one)",
        ),
        (
            "async fn f(log: &L, event: E) { { let __ferro_idem_entry = x; } }",
            "#[idempotent_webhook] is on this function twice: the second would take the first delivery for a duplicate, \
             keep one",
        ),
        (
            "async fn f(event: E) {}",
            "which log? There is no parameter named `log`: name one so, or write `log = EXPR`, as in \
             #[idempotent_webhook(log = app.log)]",
        ),
        (
            "async fn f(log: &L) {}",
            "which event? There is no parameter named `event`: name one so, or write `event = EXPR` or \
             `event_id = EXPR`",
        ),
    ] {
        assert_eq!(messages("", item), [expected], "{item}");
    }
}

#[test]
fn a_broken_argument_is_not_missing_as_well() {
    assert_eq!(
        messages("lgo = app.log", "async fn f(app: App) {}"),
        ["unknown argument `lgo`, did you mean `log`?"]
    );
}

/// A name in a pattern that is neither a path nor a field.
#[test]
fn log_and_event_are_found_where_a_pattern_binds_them() {
    for (pattern, is_bound) in [
        ("event", true),
        ("mut event", true),
        ("ref event @ E { .. }", true),
        ("Json(event)", true),
        ("E { event, .. }", true),
        ("E { event: _ }", false),
        ("E { event: other }", false),
        ("E { other: event }", true),
        ("event::E(x)", false),
        ("m::event", false),
        ("event { x }", false),
        ("[_, event]", true),
        ("events", false),
    ] {
        let found = messages("", &format!("async fn f(log: &L, {pattern}: E) {{}}"));
        assert_eq!(found.is_empty(), is_bound, "{pattern}: {found:?}");
    }
}

#[test]
fn without_its_feature_replay_says_what_to_turn_on() {
    let item: TokenStream = HANDLER.parse().unwrap();
    let without = Features { replay: false, ..FEATURES };
    let output = crate::stages::idempotent_webhook(quote!(claim, replay), &item, without).to_string();
    assert!(output.contains("`replay` needs the feature of this name"), "{output}");
}
