//! The page for operators, as a browser asks for it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use ferro_idem::console::Protection;
use ferro_idem::operations::{
    Change, CountPage, Counts, Cursor, EventState, Filter, Lack, LoggedEvent, Operations, Page, PurgePage,
};
use ferro_idem::replay::{KEEP, NewReply, ReplayLog};
use ferro_idem::{
    ClaimLog, ClaimOutcome, Error, EventRef, MemoryProcessedLog, Owner, Ownership, ProcessedEventLog,
    SqliteLog, async_trait, console,
};
use tower::ServiceExt;

use super::stores::sqlite;

pub(crate) const ODD: &str = "evt_<script>alert('1')</script>\"\n\u{1b}[31m\u{202e}&amp;";

async fn filled() -> MemoryProcessedLog {
    let log = MemoryProcessedLog::new();
    for id in ["evt_lost", ODD] {
        assert!(log.try_mark_processed(id).await.unwrap());
    }
    for (id, lease) in [("evt_live", Duration::from_mins(10)), ("evt_stuck", Duration::ZERO)] {
        let claimed = log.claim(EventRef::new(id).unwrap(), Owner::random().unwrap(), lease).await.unwrap();
        assert!(matches!(claimed, ClaimOutcome::Acquired { .. }));
    }
    log
}

fn page(log: &MemoryProcessedLog, has_actions: bool) -> Router {
    let console = console(log.operations(), Protection::by_application("the <b>login</b> of /admin"));
    let console = if has_actions { console.with_actions() } else { console };
    Router::new().nest("/admin/events", console.into_router().unwrap())
}

async fn send(router: &Router, request: Request<Body>) -> (Response<()>, String) {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
}

pub(crate) async fn get(router: &Router, path: &str) -> (Response<()>, String) {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}

pub(crate) fn hex(id: &str) -> String {
    id.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// The value of a hidden field of the page's first form.
fn field(page: &str, name: &str) -> String {
    let after = page.split(&format!("name=\"{name}\" value=\"")).nth(1).expect("the field is there");
    after.split('"').next().unwrap().to_owned()
}

/// The fields of the form that makes this change.
async fn form_of(router: &Router, id: &str, change: &str) -> String {
    form_at(router, &format!("/admin/events/event?id={}", hex(id)), change).await
}

/// The same, of the page at this path.
pub(crate) async fn form_at(router: &Router, path: &str, change: &str) -> String {
    let (_, page) = get(router, path).await;
    let form =
        page.split("<form").find(|form| form.contains(&format!("value=\"{change}\""))).expect("the form");
    let [token, id, version] = ["token", "id", "version"].map(|name| field(form, name));
    format!("token={token}&id={id}&version={version}&change={change}")
}

async fn post(router: &Router, fields: &str, headers: &[(&str, &str)]) -> (Response<()>, String) {
    post_to(router, "/admin/events/change", fields, headers).await
}

pub(crate) async fn post_to(
    router: &Router,
    path: &str,
    fields: &str,
    headers: &[(&str, &str)],
) -> (Response<()>, String) {
    let mut request = Request::post(path)
        .header("host", "shop.example")
        .header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(router, request.body(Body::from(fields.to_owned())).unwrap()).await
}

#[tokio::test]
async fn every_page_has_a_strict_policy_and_links_that_stay_within() {
    let router = page(&filled().await, true);
    let event = format!("/admin/events/event?id={}", hex("evt_live"));
    for path in ["/admin/events", "/admin/events/events", &event, "/admin/events/event?id=zz"] {
        let (response, page) = get(&router, path).await;
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(response.headers()["x-frame-options"], "DENY");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(
            !page.contains("<script") && !page.contains("style=\"") && !page.contains("onclick"),
            "{page}"
        );
        assert!(
            page.contains("lang=\"en\"") && page.contains("<main") && page.contains("&#60;b&#62;login"),
            "{page}"
        );
        for link in page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(link.starts_with("/admin/events") || link == "#content", "{link}");
            if link.starts_with('/') {
                let (response, _) = get(&router, &link.replace("&amp;", "&").replace("&#38;", "&")).await;
                assert_eq!(response.status(), StatusCode::OK, "{link}");
            }
        }
    }
    let (response, _) = get(&router, "/admin/events/style.css").await;
    assert_eq!(response.headers()["content-type"], "text/css; charset=utf-8");
}

#[tokio::test]
async fn ids_of_senders_are_shown_and_never_acted_on() {
    let router = page(&filled().await, true);
    for path in ["/admin/events/events".to_owned(), format!("/admin/events/event?id={}", hex(ODD))] {
        let (response, page) = get(&router, &path).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(page.contains("&#60;script&#62;alert("), "{page}");
        assert!(
            !page.contains("<script") && !page.contains('\u{1b}') && !page.contains('\u{202e}'),
            "{page}"
        );
    }
    let (_, typed) = get(&router, "/admin/events/events?type=%22%3E%3Cscript%3E&min_token=1").await;
    assert!(!typed.contains("<script"), "{typed}");
    let (response, _) = get(&router, "/admin/events/find?id=%0a%3Cb%3E").await;
    assert_eq!(response.headers()["location"], "/admin/events/event?id=0a3c623e");
}

#[tokio::test]
async fn a_page_is_read_only_unless_told_otherwise() {
    let log = filled().await;
    let (_, shown) = get(&page(&log, false), &format!("/admin/events/event?id={}", hex("evt_live"))).await;
    assert!(!shown.contains("<button") && shown.contains("Read-only"), "{shown}");
    let fields = form_of(&page(&log, true), "evt_live", "release").await;
    let (response, _) = post(&page(&log, false), &format!("{fields}&confirm=yes"), &[]).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(log.operations().look("evt_live").await.unwrap().unwrap().state(), EventState::Claimed);
}

#[tokio::test]
async fn forms_of_other_sites_and_old_forms_change_nothing() {
    let log = filled().await;
    let router = page(&log, true);
    let fields = form_of(&router, "evt_live", "release").await + "&confirm=yes";
    let unconfirmed = fields.replace("&confirm=yes", "");
    let without_token = fields.replace(&field_of(&fields, "token"), "00");
    // Another process has another token.
    let restarted = form_of(&page(&log, true), "evt_live", "release").await + "&confirm=yes";
    for (fields, headers, status) in [
        (&fields, &[("origin", "https://evil.example")][..], StatusCode::FORBIDDEN),
        (&fields, &[("origin", "null")], StatusCode::FORBIDDEN),
        (&fields, &[("sec-fetch-site", "cross-site")], StatusCode::FORBIDDEN),
        (&fields, &[("sec-fetch-site", "same-site")], StatusCode::FORBIDDEN),
        (&without_token, &[], StatusCode::FORBIDDEN),
        (&restarted, &[], StatusCode::FORBIDDEN),
        (&unconfirmed, &[], StatusCode::BAD_REQUEST),
        (&String::new(), &[], StatusCode::FORBIDDEN),
    ] {
        let (response, page) = post(&router, fields, headers).await;
        assert_eq!(response.status(), status, "{fields} {headers:?}: {page}");
        assert_eq!(log.operations().look("evt_live").await.unwrap().unwrap().state(), EventState::Claimed);
    }
    let (response, _) = get(&router, &format!("/admin/events/change?{fields}")).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);

    // The page was opened before the event changed.
    let same = [("origin", "https://shop.example"), ("sec-fetch-site", "same-origin")];
    let (response, _) = post(&router, &fields, &same).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let (response, page) = post(&router, &fields, &same).await;
    assert_eq!(response.status(), StatusCode::CONFLICT, "{page}");
}

fn field_of(fields: &str, name: &str) -> String {
    let mut pairs = fields.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| *found == name).unwrap().1.to_owned()
}

#[tokio::test]
async fn an_operator_releases_completes_and_forgets() {
    let log = filled().await;
    let router = page(&log, true);
    for (id, change) in
        [("evt_stuck", "release"), ("evt_live", "complete"), ("evt_lost", "forget"), (ODD, "forget")]
    {
        let fields = form_of(&router, id, change).await + "&confirm=yes";
        let (response, page) = post(&router, &fields, &[("origin", "http://shop.example")]).await;
        assert!(response.status().is_success() || response.status() == StatusCode::SEE_OTHER, "{page}");
    }
    let operations = log.operations();
    assert_eq!(operations.look("evt_stuck").await.unwrap().unwrap().state(), EventState::Released);
    assert_eq!(operations.look("evt_live").await.unwrap().unwrap().state(), EventState::Processed);
    for id in ["evt_lost", ODD] {
        assert!(log.try_mark_processed(id).await.unwrap(), "{id:?} was not forgotten");
    }
}

#[tokio::test]
async fn an_operator_deletes_a_reply_and_keeps_its_event() {
    let log = filled().await;
    let operations = log.operations();
    let owner = Owner::random().unwrap();
    let lease = Duration::from_mins(1);
    log.claim(EventRef::new("evt_paid").unwrap(), owner, lease).await.unwrap();
    let reply = NewReply { stored: b"canary@example.com", keep: KEEP };
    assert!(log.complete_with_reply("evt_paid", Ownership { owner, token: 1 }, reply).await.unwrap());
    let router = page(&log, true);
    let path = |id| format!("/admin/events/event?id={}", hex(id));
    let (_, without_one) = get(&router, &path("evt_lost")).await;
    assert!(!without_one.contains("forget-reply"), "{without_one}");
    let (_, shown) = get(&router, &path("evt_paid")).await;
    assert!(shown.contains("forget-reply") && !shown.contains("canary"), "{shown}");

    let fields = form_of(&router, "evt_paid", "forget-reply").await + "&confirm=yes";
    let (response, _) = post(&router, &fields, &[("origin", "http://shop.example")]).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(log.kept_reply("evt_paid").await.unwrap(), None);
    let left = operations.look("evt_paid").await.unwrap().unwrap();
    assert_eq!((left.state(), left.reply_until()), (EventState::Processed, None));
    let (_, done) = get(&router, response.headers()["location"].to_str().unwrap()).await;
    assert!(done.contains("Its reply was deleted.") && !done.contains("forget-reply\""), "{done}");
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let store = sqlite().await;
    for number in 0..120 {
        store.log.try_mark_processed(&format!("evt_{number:03}")).await.unwrap();
    }
    let protection = Protection::by_application("nothing, in a test");
    let router: Router = console(store.operations.clone(), protection).into_router().unwrap();
    let (mut path, mut seen) = ("/events?state=processed&type=".to_owned(), 0);
    loop {
        let (_, page) = get(&router, &path).await;
        seen += page.matches("<tr><th scope=\"row\">").count();
        let Some(next) = page.split("rel=\"next\" href=\"").nth(1) else { break };
        path = next.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
        assert!(path.contains("state=processed"), "{path}");
    }
    assert_eq!(seen, 120);
    for mistake in ["state=done", "min_age=5", "min_token=x", "after=zz!", "after=zz"] {
        let (response, page) = get(&router, &format!("/events?{mistake}")).await;
        assert!(response.status().is_client_error() || response.status() == 503, "{mistake}: {page}");
    }
}

#[tokio::test]
async fn on_loopback_only_this_machine_is_answered() {
    let log = filled().await;
    let router: Router = console(log.operations(), Protection::loopback()).into_router().unwrap();
    for (peer, host, status) in [
        (Some("127.0.0.1:5000"), "localhost:3000", StatusCode::OK),
        (Some("[::1]:5000"), "[::1]:3000", StatusCode::OK),
        (Some("127.0.0.1:5000"), "127.0.0.1", StatusCode::OK),
        (Some("10.0.0.7:5000"), "localhost", StatusCode::FORBIDDEN),
        (Some("127.0.0.1:5000"), "evil.example", StatusCode::FORBIDDEN),
        (None, "localhost", StatusCode::FORBIDDEN),
    ] {
        let mut request = Request::get("/").header("host", host).body(Body::empty()).unwrap();
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        }
        assert_eq!(send(&router, request).await.0.status(), status, "{peer:?} {host}");
    }
}

/// A log that has always more: each part takes a tenth of a second.
struct Endless;

#[async_trait]
impl Operations for Endless {
    async fn look(&self, _: &str) -> Result<Option<LoggedEvent>, Error> {
        Ok(None)
    }

    async fn list(&self, _: &Filter, _: Option<&Cursor>, limit: usize) -> Result<Page, Error> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let event = LoggedEvent::new("evt_1", EventState::Processed).with_received_at(SystemTime::now());
        Ok(Page::new(vec![event; limit], Some(Cursor::of_key(b"evt_1"))))
    }

    async fn count_page(&self, _: Option<&Cursor>) -> Result<CountPage, Error> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut counts = Counts::default();
        counts.count(EventState::Processed, 10_000, None);
        Ok(CountPage::new(counts, Some(Cursor::of_key(b"evt_1"))))
    }

    async fn release(&self, _: &LoggedEvent) -> Result<Change, Error> {
        Ok(Change::TooLate(None))
    }

    async fn complete(&self, _: &LoggedEvent) -> Result<Change, Error> {
        Ok(Change::TooLate(None))
    }

    async fn forget(&self, _: &LoggedEvent) -> Result<Change, Error> {
        Ok(Change::TooLate(None))
    }

    async fn purge_page(&self, _: Duration, _: Option<&Cursor>) -> Result<PurgePage, Error> {
        Ok(PurgePage::default())
    }

    async fn lacks(&self) -> Result<Vec<Lack>, Error> {
        Ok(Vec::new())
    }
}

#[tokio::test(start_paused = true)]
async fn the_overview_of_a_large_log_is_shown_in_seconds() {
    let protection = Protection::by_application("nothing, in a test");
    let router: Router = console(Arc::new(Endless), protection).into_router().unwrap();
    let start = tokio::time::Instant::now();
    let (response, overview) = get(&router, "/").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert!(overview.contains("only a part of it was counted"), "{overview}");
    assert!(overview.contains("Of the part of the log that was read"), "{overview}");
    let (_, list) = get(&router, "/events?state=released").await;
    assert_eq!(list.matches("<tr><th scope=\"row\">").count(), 50);
}

#[tokio::test]
async fn a_store_that_is_away_is_said_on_the_page() {
    let pool = sqlx::SqlitePool::connect_lazy("sqlite:/there/is/no/such/file.db").unwrap();
    let protection = Protection::by_application("nothing, in a test");
    let router: Router = console(SqliteLog::new(pool).operations(), protection).into_router().unwrap();
    let (response, page) = get(&router, "/").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.contains("role=\"alert\""), "{page}");
}
