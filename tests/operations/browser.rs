//! The page for operators in a real browser.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use ferro_idem::console::Protection;
use ferro_idem::inbox::operations::InboxState;
use ferro_idem::operations::EventState;
use ferro_idem::{ClaimLog, EventRef, MemoryProcessedLog, Owner, ProcessedEventLog, console};
use ferro_idem_tests::browser::{Browser, Key, Tab};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::console::{ODD, hex};
use super::console_inbox;

/// A list of what is wrong with the page.
const ACCESSIBILITY: &str = include_str!("accessibility.js");

/// The page on a port of its own.
struct Site {
    runtime: Runtime,
    log: MemoryProcessedLog,
    url: String,
}

impl Site {
    fn serve() -> Self {
        let runtime = Runtime::new().unwrap();
        let log = MemoryProcessedLog::with_retention(ferro_idem::RETENTION);
        let page = console(log.operations(), Protection::loopback()).with_actions();
        let router: Router = Router::new().nest("/admin/events", page.into_router().unwrap());
        let url = runtime.block_on(async {
            for number in 0..70 {
                log.try_mark_processed(&format!("evt_done_{number:02}")).await.unwrap();
            }
            log.try_mark_processed(ODD).await.unwrap();
            for (id, lease) in [("evt_live", Duration::from_mins(10)), ("evt_stuck", Duration::ZERO)] {
                log.claim(EventRef::new(id).unwrap(), Owner::random().unwrap(), lease).await.unwrap();
            }
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            tokio::spawn(axum::serve(listener, service).into_future());
            format!("http://{address}/admin/events")
        });
        Self { runtime, log, url }
    }

    fn event(&self, id: &str) -> String {
        format!("{}/event?id={}", self.url, hex(id))
    }

    fn state(&self, id: &str) -> EventState {
        self.runtime.block_on(self.log.operations().look(id)).unwrap().expect("it is kept").state()
    }
}

fn main_text(tab: &mut Tab<'_>) -> String {
    tab.text("document.querySelector('main').innerText")
}

/// Nothing on the console, and no issue, but what is said about a status that the test brought about.
fn assert_no_mistakes(tab: &mut Tab<'_>, statuses: &[&str]) {
    let mut mistakes = tab.mistakes();
    mistakes.retain(|mistake| {
        let text = mistake["entry"]["text"].as_str().unwrap_or_default();
        !statuses.iter().any(|status| text.contains(&format!("a status of {status}")))
    });
    assert!(mistakes.is_empty(), "{mistakes:#?}");
}

fn assert_accessible(tab: &mut Tab<'_>, at: &str) {
    let wrong = tab.value(ACCESSIBILITY);
    assert_eq!(wrong, json!([]), "{at}: {wrong:#}");
    // The names that a screen reader says.
    let tree = tab.call("Accessibility.getFullAXTree", &json!({}));
    let needs_name = [
        "link",
        "button",
        "textbox",
        "combobox",
        "checkbox",
        "image",
        "region",
        "navigation",
        "form",
        "heading",
    ];
    let mut seen = 0;
    for node in tree["nodes"].as_array().unwrap() {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        if node["ignored"] == json!(false) && needs_name.contains(&role) {
            assert!(
                node["name"]["value"].as_str().is_some_and(|name| !name.trim().is_empty()),
                "{at}: {node:#}"
            );
            seen += 1;
        }
    }
    assert!(seen >= 4, "{at}: only {seen} elements have a role");
}

#[test]
#[ignore = "needs chromium: run tests/run"]
fn pages_are_accessible_in_both_schemes_and_on_a_phone() {
    let site = Site::serve();
    let mut browser = Browser::start();
    let paths = [
        String::new(),
        "/events".to_owned(),
        "/events?state=claimed".to_owned(),
        "/events?min_age=x".to_owned(),
    ]
    .map(|path| site.url.clone() + &path);
    let events = ["evt_live", "evt_stuck", ODD, "evt_unknown"].map(|id| site.event(id));
    for width in [1_200, 390] {
        let mut tab = browser.tab(width, 800);
        for scheme in ["light", "dark"] {
            tab.use_scheme(scheme);
            for url in paths.iter().chain(&events) {
                tab.open(url);
                assert_accessible(&mut tab, &format!("{url} {scheme} {width}"));
                tab.value("document.querySelectorAll('details').forEach(details => details.open = true)");
                assert_accessible(&mut tab, &format!("{url} {scheme} {width}, all open"));
            }
        }
        assert_no_mistakes(&mut tab, &["400", "404"]);
    }
}

/// The rules are of use only if they find something.
#[test]
#[ignore = "needs chromium: run tests/run"]
fn the_rules_of_accessibility_find_mistakes() {
    let site = Site::serve();
    let mut browser = Browser::start();
    let mut tab = browser.tab(1_200, 800);
    for (mistake, found) in [
        ("document.querySelector('h1').remove()", "not exactly one h1"),
        ("document.documentElement.lang = ''", "no language"),
        ("document.querySelector('h1').style.color = '#999'", "contrast of a text"),
        ("document.querySelector('label').replaceWith(document.querySelector('select'))", "no label"),
        ("document.querySelector('th').removeAttribute('scope')", "no scope"),
        ("document.querySelector('a').tabIndex = 5", "tabindex"),
        ("document.querySelector('button').textContent = ''", "no name"),
        ("document.querySelector('main').style.width = '2000px'", "wider than the window"),
        ("document.querySelector('button').style.borderColor = '#eee'", "contrast of an edge"),
    ] {
        tab.open(&format!("{}/events", site.url));
        tab.value(&format!("void ({mistake})"));
        let wrong = tab.value(ACCESSIBILITY).to_string();
        assert!(wrong.contains(found), "{mistake} is not found: {wrong}");
    }
}

#[test]
#[ignore = "needs chromium: run tests/run"]
fn hostile_ids_are_text_in_a_browser() {
    let site = Site::serve();
    let mut browser = Browser::start();
    let mut tab = browser.tab(1_200, 800);
    tab.open(&format!("{}/events?state=processed", site.url));
    // The second page has it: `evt_<` comes after the digits, and before letters.
    let link = format!("document.querySelector('a[href$=\"{}\"]')", hex(ODD));
    assert_eq!(
        tab.text(&format!("{link}.innerText")),
        r#"evt_<script>alert('1')</script>"\n\u{1b}[31m\u{202e}&amp;"#
    );
    tab.leads_on(|tab| {
        tab.value(&format!("{link}.click()"));
    });
    assert_eq!(tab.text("document.querySelector('h1').innerText"), shown(ODD));
    assert_eq!(tab.value("document.scripts.length"), 0);
    assert_no_mistakes(&mut tab, &[]);

    // A browser that is told to run a script in the page refuses it.
    tab.value(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))",
    );
    assert_eq!(tab.value("window.ran === undefined"), true);
    assert!(!tab.mistakes().is_empty(), "the policy was not applied");

    // Forgotten, with the line break of the id.
    tab.value("document.querySelector('input[name=confirm]').click()");
    tab.leads_on(|tab| {
        tab.value("document.querySelector('main form button').click()");
    });
    assert!(main_text(&mut tab).contains("was forgotten"), "{}", main_text(&mut tab));
    assert_eq!(site.runtime.block_on(site.log.operations().look(ODD)).unwrap(), None);
}

/// As the page shows an id.
fn shown(id: &str) -> String {
    id.chars()
        .flat_map(|c| if matches!(c, '\'' | '"') { vec![c] } else { c.escape_debug().collect() })
        .collect()
}

#[test]
#[ignore = "needs chromium: run tests/run"]
fn an_operator_needs_only_a_keyboard() {
    let site = Site::serve();
    let mut browser = Browser::start();
    let mut tab = browser.tab(1_200, 800);
    tab.open(&site.url);

    // The first stop skips the navigation.
    tab.press(Key::Tab);
    assert_eq!(tab.text("document.activeElement.innerText"), "Skip to the content");
    assert!(tab.value("document.activeElement.getBoundingClientRect().left >= 0").as_bool().unwrap());

    // To the stuck event, and there to its release.
    tab_to(&mut tab, "evt_stuck");
    tab.leads_on(|tab| tab.press(Key::Enter));
    tab_to(&mut tab, "Its next delivery may run.");
    tab.press(Key::Space);
    tab_to(&mut tab, "Release");
    tab.leads_on(|tab| tab.press(Key::Enter));
    assert!(main_text(&mut tab).contains("The event was released."), "{}", main_text(&mut tab));
    assert_eq!(site.state("evt_stuck"), EventState::Released);

    // To the list, with a filter.
    tab_to(&mut tab, "Events");
    tab.leads_on(|tab| tab.press(Key::Enter));
    tab_to(&mut tab, "At least so old");
    tab.type_text("0s");
    tab.leads_on(|tab| tab.press(Key::Enter));
    assert!(tab.text("location.search").contains("min_age=0s"));
    assert_eq!(tab.value("document.querySelectorAll('tbody tr').length"), 50);
    tab_to(&mut tab, "Next page");
    tab.leads_on(|tab| tab.press(Key::Enter));
    assert_eq!(tab.value("document.querySelectorAll('tbody tr').length"), 23);
    assert_no_mistakes(&mut tab, &[]);
}

/// Presses Tab until the element has the focus that shows this text, or whose label does. Every stop is visible.
fn tab_to(tab: &mut Tab<'_>, text: &str) {
    for _ in 0..100 {
        tab.press(Key::Tab);
        let stop = tab.value(
            "(() => { const at = document.activeElement, style = getComputedStyle(at);
              const label = at.labels && at.labels[0];
              return { text: ((label || at).innerText || at.value || '').trim(), tag: at.tagName,
                       outline: style.outlineStyle, width: parseFloat(style.outlineWidth) }; })()",
        );
        if stop["tag"] == "BODY" {
            continue;
        }
        assert!(
            stop["outline"] != "none" && stop["width"].as_f64() >= Some(2.0),
            "the focus is not seen: {stop}"
        );
        if stop["text"].as_str().is_some_and(|shown| shown.starts_with(text)) {
            return;
        }
    }
    panic!("Tab does not lead to {text}");
}

#[test]
#[ignore = "needs chromium: run tests/run"]
fn unconfirmed_late_and_expired_forms_change_nothing() {
    let site = Site::serve();
    let mut browser = Browser::start();
    let mut tab = browser.tab(1_200, 800);
    let release = "document.querySelector('form[aria-label=Release] button').click()";
    let confirm = "document.querySelector('form[aria-label=Release] input[name=confirm]').click()";

    // The browser asks for the box to be ticked.
    tab.open(&site.event("evt_live"));
    let is_valid = "document.querySelector('form[aria-label=Release]').checkValidity()";
    assert_eq!(tab.value(is_valid), false);
    tab.value(release);
    assert_eq!(tab.value(confirm), Value::Null);
    assert_eq!((tab.value(is_valid), site.state("evt_live")), (true.into(), EventState::Claimed));

    // The application was restarted.
    tab.value("document.querySelectorAll('input[name=token]').forEach(token => token.value = '00')");
    tab.leads_on(|tab| {
        tab.value(release);
    });
    assert!(main_text(&mut tab).contains("The form has expired"), "{}", main_text(&mut tab));
    assert_eq!(site.state("evt_live"), EventState::Claimed);

    // Another operator is faster.
    tab.open(&site.event("evt_live"));
    tab.value(confirm);
    site.runtime.block_on(async {
        let operations = site.log.operations();
        let seen = operations.look("evt_live").await.unwrap().unwrap();
        assert!(operations.complete(&seen).await.unwrap().is_done());
    });
    tab.leads_on(|tab| {
        tab.value(release);
    });
    assert!(main_text(&mut tab).contains("came too late"), "{}", main_text(&mut tab));
    assert_eq!(site.state("evt_live"), EventState::Processed);
    assert_accessible(&mut tab, "too late");
    tab.leads_on(|tab| {
        tab.value("document.querySelector('main a').click()");
    });
    assert!(main_text(&mut tab).contains("processed: the next delivery is answered as a duplicate"));
    assert_no_mistakes(&mut tab, &["403", "409"]);
}

#[test]
#[ignore = "needs chromium: run tests/run"]
fn an_operator_discards_and_replays_parked_events() {
    let runtime = Runtime::new().unwrap();
    let odd = console_inbox::ODD;
    let (parked, url) = runtime.block_on(async {
        let parked = console_inbox::parked(&["evt_1", odd]).await;
        console_inbox::receive(&parked.inbox, &["evt_2"]).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/admin", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, parked.page(true)).into_future());
        (parked, url)
    });
    let mut browser = Browser::start();
    for (width, scheme) in [(1_200, "light"), (1_200, "dark"), (390, "dark")] {
        let mut tab = browser.tab(width, 800);
        tab.use_scheme(scheme);
        for path in ["", "/inbox", "/inbox?state=waiting&error=x"] {
            tab.open(&format!("{url}{path}"));
            assert_accessible(&mut tab, &format!("{path} {scheme} {width}"));
        }
    }

    let mut tab = browser.tab(1_200, 800);
    for (id, change, done) in
        [(odd, "Discard", "was discarded"), ("evt_1", "Replay", "waits for a worker again")]
    {
        tab.open(&url);
        tab_to(&mut tab, &format!("github:{id}"));
        tab.leads_on(|tab| tab.press(Key::Enter));
        assert_eq!(tab.text("document.querySelector('h1').innerText"), format!("github:{id}"));
        assert_accessible(&mut tab, change);
        let form = format!("document.querySelector('form[aria-label={change}]')");
        tab.value(&format!("{form}.elements.confirm.click()"));
        tab.leads_on(|tab| {
            tab.value(&format!("{form}.querySelector('button').click()"));
        });
        assert!(main_text(&mut tab).contains(done), "{}", main_text(&mut tab));
    }
    assert_no_mistakes(&mut tab, &[]);
    let counts = runtime.block_on(parked.inbox.operations().counts()).unwrap();
    assert_eq!((counts.of(InboxState::Parked).events, counts.of(InboxState::Waiting).events), (0, 2));
}
