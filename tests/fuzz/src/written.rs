//! Makes tokens from bytes: `#[idempotent_webhook(the first line)]` on the other lines.
//!
//! An ASCII byte is a character; any other is a whole fragment, so that one mutation writes an
//! argument or a parameter, and the parser is reached deep. The corpus depends on the order of
//! [`FRAGMENTS`].

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// `syn` recurses as deep as its input nests, and a prefix like `!` nests without a bracket. We do not look
/// for inputs that only overflow the compiler's stack.
const MAX_TEXT: usize = 512;
const MAX_DEPTH: usize = 24;

const HANDLER: &str = "async fn on_event(log: &Log, event: Event) -> Result<(), Error> { ship(event).await }";

/// The arguments and the item. `None` if the bytes are not tokens.
pub(crate) fn arguments_and_item(input: &[u8]) -> Option<(TokenStream, TokenStream)> {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let arguments = tokens(&text(lines.next()?))?;
    let item = lines.next().map_or_else(|| HANDLER.to_owned(), text);
    Some((arguments, tokens(&item)?))
}

fn text(input: &[u8]) -> String {
    let mut text = String::new();
    for byte in input {
        match byte.checked_sub(128) {
            None => text.push(char::from(*byte)),
            Some(place) => text.push_str(FRAGMENTS[usize::from(place)]),
        }
        if text.len() > MAX_TEXT {
            break;
        }
    }
    text
}

fn tokens(text: &str) -> Option<TokenStream> {
    balanced(text).parse().ok().map(with_invisible_groups)
}

/// Closes brackets in the order in which they were opened. Otherwise most mutations would not be tokens.
fn balanced(text: &str) -> String {
    let mut open = Vec::new();
    let mut balanced = String::new();
    for letter in text.chars() {
        let closes_with = match letter {
            '(' => Some(')'),
            '[' => Some(']'),
            '{' => Some('}'),
            _ => None,
        };
        let is_kept = match closes_with {
            Some(closing) if open.len() < MAX_DEPTH => {
                open.push(closing);
                true
            }
            Some(_) => false,
            None if matches!(letter, ')' | ']' | '}') => open.pop_if(|closing| *closing == letter).is_some(),
            None => true,
        };
        if is_kept {
            balanced.push(letter);
        }
    }
    balanced.extend(open.iter().rev());
    balanced
}

/// `invisible(x)` is `x` in the group without brackets in which a `$x:expr` of a `macro_rules!` arrives; but
/// for one behind a `#`, in which syn reads an attribute, and the compiler reads none.
fn with_invisible_groups(tokens: TokenStream) -> TokenStream {
    let mut read: Vec<TokenTree> = Vec::new();
    for token in tokens {
        let TokenTree::Group(group) = token else {
            read.push(token);
            continue;
        };
        let is_invisible = group.delimiter() == Delimiter::Parenthesis
            && read
                .pop_if(|before| matches!(before, TokenTree::Ident(ident) if ident == "invisible"))
                .is_some()
            && !matches!(read.last(), Some(TokenTree::Punct(punct)) if punct.as_char() == '#');
        let delimiter = if is_invisible { Delimiter::None } else { group.delimiter() };
        read.push(Group::new(delimiter, with_invisible_groups(group.stream())).into());
    }
    read.into_iter().collect()
}

const FRAGMENTS: [&str; 128] = [
    // Arguments.
    "log = app.log",
    "log = ",
    "event = payload",
    "event = ",
    "event_id = header(&headers)?",
    "event_id = ",
    "scope = \"billing\"",
    "scope = ",
    "claim",
    "claim(c)",
    "claim(c, lease = Duration::from_secs(120))",
    "claim(",
    "lease = ",
    "lease = Self::LEASE",
    "transaction",
    "transaction(tx)",
    "transaction(",
    "on_duplicate = ",
    "on_duplicate = { Ok(()) }",
    "on_error = ",
    "on_error = |error| Err(error.into())",
    "crate = ::renamed",
    "crate = ",
    ", ",
    " = ",
    "invisible(",
    "only_if = ",
    "fence",
    "on_ignored = Ok(())",
    "processed = |reply| true",
    "log",
    "event",
    // Items.
    "async fn f(log: &L, event: E) -> Result<(), E> {",
    "async fn ",
    "fn ",
    "async ",
    "pub ",
    "pub(in crate::a) ",
    "default ",
    "const ",
    "unsafe ",
    "extern \"C\" ",
    "struct S;",
    "impl T for S {",
    "trait T {",
    "macro_rules! m {",
    "#[doc = \"x\"] ",
    "#![allow(unused)] ",
    "/// x\n",
    "(log: &L, event: E)",
    "&self, ",
    "self: Arc<Self>, ",
    "mut log: L, ",
    "State(App { log, .. }): State<App>, ",
    "event: impl Into<Vec<u8>>, ",
    "ref event @ E { .. }: E, ",
    "<'a, T: X, const N: usize>",
    "where T: for<'a> Fn(&'a u8) -> u8, ",
    "-> ",
    "-> impl Future<Output = Result<(), E>> + use<'_> ",
    "-> Result<impl Fn(u8) -> Vec<u8>, E> ",
    "-> ! ",
    "-> [u8; { 1 > 2 }] ",
    "-> <T as X>::Y ",
    // What `#[async_trait]` makes of an async function.
    "fn f<'life0, 'async_trait>(&'life0 self, __arg1: Json<E>) ",
    "'async_trait",
    "-> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = Result<(), E>> + Send + 'async_trait>> {",
    "Output = ",
    "Box::pin(async move {",
    "let __self = self; ",
    "let Json(event) = { let __arg1 = __arg1; __arg1 }; ",
    "let __ret: Result<(), E> = { ",
    "let _: () = { ",
    "let log",
    "__ret ",
    "}; ",
    // Statements and expressions.
    "let ",
    "return ",
    "return Err(e)",
    "break 'a ",
    "todo!()",
    "panic! { }",
    "match x { _ => 1 }",
    "if a { b } else { c }",
    "loop { }",
    "unsafe { x }",
    "async move { x.await }",
    "const { x }",
    "|x| ",
    "move || ",
    "S { a: 1, ..b }",
    "[0; 3]",
    "(1, 2)",
    "x as u8 ",
    "x < y ",
    "a..=b ",
    ".. ",
    "a = b ",
    "x += 1 ",
    "&mut *",
    "?",
    ".await",
    ".0.1",
    "::<T>",
    "<T as U>::V",
    "self",
    "Self",
    "super::x",
    "$crate",
    "#[a] ",
    "_",
    // Tokens.
    "\"a text\"",
    "r#\"raw\"#",
    "b\"bytes\"",
    "c\"c\"",
    "'c'",
    "'a ",
    "1_u8",
    "1e999",
    "r#type",
    "é",
    "\u{1F980}",
    "=> ",
    "&& ",
    "|| ",
    "; ",
    ": ",
    ":: ",
];
