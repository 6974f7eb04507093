//! The inbox on the page.

use axum::Router;
use axum::http::StatusCode;
use ferro_idem::console::Protection;
use ferro_idem::inbox::Inbox;
use ferro_idem::inbox::operations::InboxState;
use ferro_idem::sender::Delivery;
use ferro_idem::sender::github::{GithubEvent, GithubWebhook};
use ferro_idem::{SqliteLog, console};
use sqlx::Sqlite;

use super::console::{form_at, get, hex, post_to};
use super::stores::{Store, sqlite};

/// A header's value, so it has no line break.
pub(crate) const ODD: &str = "<script>alert('1')</script>\"&amp;";

#[derive(Debug, thiserror::Error)]
#[error("SMTP 451 <b>try later</b>")]
struct Busy;

pub(crate) struct Parked {
    pub(crate) store: Store<SqliteLog>,
    pub(crate) inbox: Inbox<Sqlite, GithubWebhook>,
}

/// An inbox in which these events have failed in their only attempt.
pub(crate) async fn parked(ids: &[&str]) -> Parked {
    let store = sqlite().await;
    let inbox = Inbox::new(store.log.clone(), GithubWebhook::new("")).with_max_attempts(1);
    inbox.create_tables().await.unwrap();
    receive(&inbox, ids).await;
    let operations = inbox.operations();
    let all_parked = async {
        while operations.counts().await.unwrap().of(InboxState::Parked).events < ids.len() as u64 {
            tokio::task::yield_now().await;
        }
    };
    let fails = |_: GithubEvent| async { Err::<(), _>(Busy) };
    inbox.worker(fails).run(all_parked).await.unwrap();
    Parked { store, inbox }
}

pub(crate) async fn receive(inbox: &Inbox<Sqlite, GithubWebhook>, ids: &[&str]) {
    for id in ids {
        let delivery =
            Delivery::new(b"{}").with_header("x-github-delivery", *id).with_header("x-github-event", "push");
        inbox.add(&delivery).await.unwrap();
    }
}

impl Parked {
    pub(crate) fn page(&self, has_actions: bool) -> Router {
        let protection = Protection::by_application("nothing, in a test");
        let page = console(self.store.operations.clone(), protection).with_inbox(self.inbox.operations());
        let page = if has_actions { page.with_actions() } else { page };
        Router::new().nest("/admin", page.into_router().unwrap())
    }

    async fn state(&self, id: &str) -> InboxState {
        let key = format!("github:{id}");
        self.inbox.operations().look(&key).await.unwrap().expect("it was received").state()
    }
}

fn path(id: &str) -> String {
    format!("/admin/inbox/event?id={}", hex(&format!("github:{id}")))
}

#[tokio::test]
async fn the_page_tells_how_the_inbox_stands() {
    let parked = parked(&["evt_1", ODD]).await;
    receive(&parked.inbox, &["evt_2"]).await;
    let router = parked.page(false);
    let (_, overview) = get(&router, "/admin").await;
    for card in ["waiting</span> <b>1</b>", "parked</span> <b>2</b>", "running</span> <b>0</b>"] {
        assert!(overview.contains(card), "no {card} in {overview}");
    }
    assert!(overview.contains("aria-current=\"page\">Overview"), "{overview}");
    for (filter, found) in [
        ("", 3),
        ("state=parked", 2),
        ("state=waiting&sender=github", 1),
        ("error=SMTP%20451", 2),
        ("min_attempts=1", 2),
        ("type=push&min_age=0s", 3),
        ("sender=stripe", 0),
        ("state=processed", 0),
    ] {
        let (response, list) = get(&router, &format!("/admin/inbox?{filter}")).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(list.matches("<tr><th scope=\"row\">").count(), found, "{filter}: {list}");
        assert!(!list.contains("<script") && !list.contains("<b>try"), "{list}");
    }
    for mistake in ["state=done", "min_age=5", "min_attempts=x", "after=!"] {
        let (response, page) = get(&router, &format!("/admin/inbox?{mistake}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{mistake}: {page}");
    }
    let (_, event) = get(&router, &path(ODD)).await;
    assert!(event.contains("github:&#60;script&#62;alert("), "{event}");
    assert!(event.contains("SMTP 451 &#60;b&#62;") && event.contains("until somebody replays"), "{event}");
    assert!(!event.contains("<button"), "the page is read-only");
    let (response, _) = get(&router, "/admin/inbox/find?id=github:evt_1").await;
    assert_eq!(response.headers()["location"], path("evt_1"));
    assert_eq!(get(&router, &path("evt_9")).await.0.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn parked_events_are_replayed_and_discarded() {
    let parked = parked(&["evt_1", "evt_2", ODD]).await;
    let router = parked.page(true);
    let change = "/admin/inbox/change";
    for (id, name, state) in [
        ("evt_1", "replay", InboxState::Waiting),
        ("evt_2", "discard", InboxState::Processed),
        (ODD, "discard", InboxState::Processed),
    ] {
        let fields = form_at(&router, &path(id), name).await;
        let confirmed = format!("{fields}&confirm=yes");
        for (fields, headers, status) in [
            (&fields, &[][..], StatusCode::BAD_REQUEST),
            (&confirmed, &[("origin", "https://evil.example")], StatusCode::FORBIDDEN),
            (&confirmed.replace("token=", "token=0"), &[], StatusCode::FORBIDDEN),
        ] {
            let (response, page) = post_to(&router, change, fields, headers).await;
            assert_eq!(response.status(), status, "{page}");
            assert_eq!(parked.state(id).await, InboxState::Parked);
        }
        let (response, page) = post_to(&parked.page(false), change, &confirmed, &[]).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{page}");

        let (response, page) =
            post_to(&router, change, &confirmed, &[("sec-fetch-site", "same-origin")]).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{page}");
        assert_eq!(parked.state(id).await, state);
        let (_, shown) = get(&router, response.headers()["location"].to_str().unwrap()).await;
        assert!(shown.contains("role=\"status\""), "{shown}");

        // Another operator had the same page open.
        let (response, page) = post_to(&router, change, &confirmed, &[]).await;
        assert_eq!(response.status(), StatusCode::CONFLICT);
        assert!(page.contains("came too late"), "{page}");
    }
}

#[tokio::test]
async fn two_operators_at_once_change_an_event_once() {
    let parked = parked(&["evt_1"]).await;
    let (one, other) = (parked.page(true), parked.page(true));
    let [replay, discard] = [
        form_at(&one, &path("evt_1"), "replay").await + "&confirm=yes",
        form_at(&other, &path("evt_1"), "discard").await + "&confirm=yes",
    ];
    let (one, other) = tokio::join!(
        post_to(&one, "/admin/inbox/change", &replay, &[]),
        post_to(&other, "/admin/inbox/change", &discard, &[])
    );
    let mut statuses = [one.0.status(), other.0.status()];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::SEE_OTHER, StatusCode::CONFLICT], "{} {}", one.1, other.1);
}

#[tokio::test]
async fn the_inbox_is_listed_in_pages() {
    let parked = parked(&[]).await;
    let ids: Vec<String> = (0..120).map(|number| format!("evt_{number:03}")).collect();
    receive(&parked.inbox, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let router = parked.page(false);
    let (mut path, mut seen) = ("/admin/inbox?sender=github".to_owned(), 0);
    loop {
        let (_, page) = get(&router, &path).await;
        seen += page.matches("<tr><th scope=\"row\">").count();
        let Some(next) = page.split("rel=\"next\" href=\"").nth(1) else { break };
        path = next.split('"').next().unwrap().replace("&#38;", "&");
        assert!(path.contains("sender=github"), "{path}");
    }
    assert_eq!(seen, 120);
}

#[tokio::test]
async fn a_page_without_an_inbox_or_its_store_says_so() {
    let store = sqlite().await;
    let page = |page: ferro_idem::console::Console| -> Router { page.into_router().unwrap() };
    let made = || console(store.operations.clone(), Protection::by_application("nothing, in a test"));
    let router = page(made());
    assert!(!get(&router, "/").await.1.contains("/inbox"));
    assert_eq!(get(&router, "/inbox").await.0.status(), StatusCode::NOT_FOUND);

    let pool = sqlx::SqlitePool::connect_lazy("sqlite:/there/is/no/such/file.db").unwrap();
    let inbox = Inbox::new(SqliteLog::new(pool), GithubWebhook::new(""));
    let router = page(made().with_inbox(inbox.operations()));
    for path in ["/", "/inbox", "/inbox/event?id=61"] {
        let (response, page) = get(&router, path).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(page.contains("role=\"alert\""), "{page}");
    }
}

/// Behind a load balancer, the next request may go to another process.
#[tokio::test]
async fn processes_with_one_key_accept_each_others_forms() {
    let parked = parked(&["evt_1"]).await;
    let process = |key: &[u8]| -> Router {
        let page = console(parked.store.operations.clone(), Protection::by_application("nothing, in a test"));
        let page = page.with_inbox(parked.inbox.operations()).with_actions().with_form_key(key);
        Router::new().nest("/admin", page.into_router().unwrap())
    };
    let fields = form_at(&process(b"a key of this test"), &path("evt_1"), "replay").await + "&confirm=yes";
    let (response, _) = post_to(&process(b"another key"), "/admin/inbox/change", &fields, &[]).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let (response, _) = post_to(&process(b"a key of this test"), "/admin/inbox/change", &fields, &[]).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
}
