//! What every framework promises.

use std::time::SystemTime;

use ferro_idem::sender::github::GithubWebhook;

use crate::servers::{Reply, Server, github_headers};
use crate::shop::{LIMIT, Shop, on_actix, on_axum, on_poem};

/// One test for each framework: `promise(shop, server)`.
macro_rules! on_each_framework {
    ($($promise:ident),* $(,)?) => {
        mod axum {
            $(#[tokio::test]
            async fn $promise() {
                let shop = super::Shop::new();
                super::$promise(&shop, &super::on_axum::serve(shop.clone()).await).await;
            })*
        }

        mod actix {
            $(#[tokio::test]
            async fn $promise() {
                let shop = super::Shop::new();
                super::$promise(&shop, &super::on_actix::serve(shop.clone())).await;
            })*
        }

        mod poem {
            $(#[tokio::test]
            async fn $promise() {
                let shop = super::Shop::new();
                super::$promise(&shop, &super::on_poem::serve(shop.clone()).await).await;
            })*
        }
    };
}

on_each_framework! {
    an_event_runs_once_and_its_duplicate_gets_200,
    a_failure_inside_an_ok_gives_the_event_back,
    an_error_of_the_body_gives_the_event_back,
    a_redirect_gives_the_event_back,
    a_delivery_of_a_running_event_gets_409_and_when_to_retry,
    a_client_that_hangs_up_loses_no_event,
    a_forgery_is_a_400_without_a_reason_and_takes_no_mark,
    a_body_over_the_limit_is_413_and_one_at_the_limit_runs,
    an_event_of_a_sender_of_ones_own_runs_once,
    slacks_handshakes_are_answered_without_the_handler,
    a_store_that_is_down_is_503_and_not_named,
    an_event_without_a_valid_id_is_400,
}

fn body(action: &str) -> String {
    format!(r#"{{"action":"{action}"}}"#)
}

async fn deliver(server: &Server, path: &str, action: &str) -> Reply {
    let body = body(action);
    server.post(path, &github_headers(&GithubWebhook::new("canary"), "d-1", &body), &body).await
}

async fn an_event_runs_once_and_its_duplicate_gets_200(shop: &Shop, server: &Server) {
    for path in ["/github", "/fenced"] {
        assert_eq!(deliver(server, path, "opened").await.status, 201, "{path}");
        let duplicate = deliver(server, path, "opened").await;
        assert_eq!((duplicate.status, duplicate.text.as_str()), (200, ""), "{path}");
    }
    assert_eq!(shop.ran(), 2);
}

async fn a_failure_inside_an_ok_gives_the_event_back(shop: &Shop, server: &Server) {
    for status in [502, 201, 200] {
        assert_eq!(deliver(server, "/github", "fails").await.status, status);
    }
    assert_eq!(shop.ran(), 2);
}

async fn an_error_of_the_body_gives_the_event_back(shop: &Shop, server: &Server) {
    for status in [503, 201, 200] {
        let reply = deliver(server, "/errors", "fails").await;
        assert_eq!(reply.status, status);
        assert!(!reply.text.contains("canary"), "{}", reply.text);
    }
    assert_eq!(shop.ran(), 2);
}

async fn a_redirect_gives_the_event_back(shop: &Shop, server: &Server) {
    for status in [303, 201, 200] {
        assert_eq!(deliver(server, "/github", "redirects").await.status, status);
    }
    assert_eq!(shop.ran(), 2);
}

async fn a_delivery_of_a_running_event_gets_409_and_when_to_retry(shop: &Shop, server: &Server) {
    let first = tokio::spawn({
        let server = server.clone();
        async move { deliver(&server, "/github", "waits").await }
    });
    shop.began.acquire().await.unwrap().forget();

    let second = deliver(server, "/github", "waits").await;
    assert_eq!(second.status, 409);
    let seconds: u64 = second.retry_after.expect("a Retry-After header").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");

    shop.may_end.add_permits(1);
    assert_eq!(first.await.unwrap().status, 201);
    assert_eq!(deliver(server, "/github", "waits").await.status, 200);
    assert_eq!(shop.ran(), 1);
}

/// Delivers an event whose client hangs up when its body has begun.
async fn hang_up(shop: &Shop, server: &Server) {
    let first = tokio::spawn({
        let server = server.clone();
        async move { deliver(&server, "/github", "waits").await }
    });
    shop.began.acquire().await.unwrap().forget();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
}

/// Delivers the same event until no other delivery of it is running.
async fn deliver_again(server: &Server) -> u16 {
    loop {
        match deliver(server, "/github", "waits").await.status {
            409 => tokio::task::yield_now().await,
            status => return status,
        }
    }
}

/// axum drops the body, and the next delivery runs it again. actix-web and poem let it end, and the next delivery is a
/// duplicate.
async fn a_client_that_hangs_up_loses_no_event(shop: &Shop, server: &Server) {
    hang_up(shop, server).await;
    // For the first body if it is still there, or else for the second.
    shop.may_end.add_permits(1);
    let status = deliver_again(server).await;
    assert_eq!((status, shop.ran()), if status == 200 { (200, 1) } else { (201, 2) });
    assert_eq!(deliver(server, "/github", "waits").await.status, 200);
}

#[tokio::test]
async fn axum_drops_the_body_of_a_client_that_hangs_up() {
    let shop = Shop::new();
    let server = on_axum::serve(shop.clone()).await;
    hang_up(&shop, &server).await;
    let second = tokio::spawn({
        let server = server.clone();
        async move { deliver_again(&server).await }
    });
    // The first body was never allowed to end.
    shop.began.acquire().await.unwrap().forget();
    shop.may_end.add_permits(1);
    assert_eq!(second.await.unwrap(), 201);
    assert_eq!(shop.ran(), 2);
}

async fn a_forgery_is_a_400_without_a_reason_and_takes_no_mark(shop: &Shop, server: &Server) {
    let opened = body("opened");
    let right = github_headers(&shop.github, "d-1", &opened);
    let other_secret = github_headers(&GithubWebhook::new("guessed"), "d-1", &opened);
    let cases = [
        ("no headers", vec![], opened.as_str()),
        ("another secret", other_secret.to_vec(), &opened),
        ("another body", right.to_vec(), "{}"),
        ("headers twice", [right.clone(), right.clone()].concat(), &opened),
        ("no id", right[..1].to_vec(), &opened),
    ];
    for (case, headers, body) in cases {
        let reply = server.post("/github", &headers, body).await;
        assert_eq!((reply.status, reply.text.as_str()), (400, ""), "{case}");
    }
    assert!(shop.log.is_empty());
    assert_eq!(shop.ran(), 0);
    assert_eq!(deliver(server, "/github", "opened").await.status, 201);
}

async fn a_body_over_the_limit_is_413_and_one_at_the_limit_runs(shop: &Shop, server: &Server) {
    let of = |length: usize| format!(r#"{{"action":"{}"}}"#, "x".repeat(length - body("").len()));
    for (length, status) in [(LIMIT + 1, 413), (LIMIT, 201)] {
        let body = of(length);
        assert_eq!(body.len(), length);
        let reply = server.post("/github", &github_headers(&shop.github, "d-1", &body), &body).await;
        assert_eq!((reply.status, reply.text.as_str()), (status, ""), "{length} bytes");
    }
    assert_eq!(shop.ran(), 1);
}

async fn an_event_of_a_sender_of_ones_own_runs_once(shop: &Shop, server: &Server) {
    let headers = [("x-token", "token".to_owned())];
    for status in [201, 200] {
        assert_eq!(server.post("/partner", &headers, r#"{"id":"evt_1"}"#).await.status, status);
    }
    let forged = [("x-token", "guessed".to_owned())];
    let reply = server.post("/partner", &forged, r#"{"id":"evt_2"}"#).await;
    assert_eq!((reply.status, reply.text.as_str()), (400, ""));
    assert_eq!(shop.log.len(), 1);
}

async fn slacks_handshakes_are_answered_without_the_handler(shop: &Shop, server: &Server) {
    let challenge = r#"{"type":"url_verification","challenge":"3eZbrw1a"}"#;
    let [time, signature] = shop.slack.sign(challenge.as_bytes(), SystemTime::now()).unwrap();
    let headers = [("X-Slack-Request-Timestamp", time), ("X-Slack-Signature", signature)];
    let reply = server.post("/slack", &headers, challenge).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, "3eZbrw1a"));
    let reply = server.post("/slack", &[], challenge).await;
    assert_eq!((reply.status, reply.text.as_str()), (400, ""));
    let reply = server.post("/slack", &[], "ssl_check=1&token=canary").await;
    assert_eq!((reply.status, reply.text.as_str()), (200, ""));
    assert!(shop.log.is_empty());
    assert_eq!(shop.ran(), 0);
}

async fn a_store_that_is_down_is_503_and_not_named(shop: &Shop, server: &Server) {
    let reply = deliver(server, "/broken", "opened").await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.text, "the event could not be recorded, deliver it again later");
    assert_eq!(shop.ran(), 0);
}

async fn an_event_without_a_valid_id_is_400(shop: &Shop, server: &Server) {
    let opened = body("opened");
    let headers = github_headers(&shop.github, &"x".repeat(256), &opened);
    assert_eq!(server.post("/github", &headers, &opened).await.status, 400);
    assert!(shop.log.is_empty());
}

#[tokio::test]
async fn an_application_without_the_sender_answers_500() {
    for server in [on_actix::serve(Shop::new()), on_poem::serve(Shop::new()).await] {
        let reply = server.post("/no_sender", &[], "{}").await;
        assert_eq!((reply.status, reply.text.as_str()), (500, ""));
    }
}

/// actix-web's own limit would be 256 KiB, and poem has none.
#[tokio::test]
async fn a_body_of_2_mb_is_read_unless_the_application_sets_a_limit() {
    const MAX: usize = 2 * 1024 * 1024;
    let shop = Shop::new();
    for server in [on_actix::serve(shop.clone()), on_poem::serve(shop.clone()).await] {
        for (length, status) in [(MAX + 1, 413), (MAX, 201)] {
            let body = format!(r#"{{"action":"{}"}}"#, "x".repeat(length - body("").len()));
            let id = format!("d-{}", shop.ran());
            let reply = server.post("/default", &github_headers(&shop.github, &id, &body), &body).await;
            assert_eq!((reply.status, reply.text.as_str()), (status, ""), "{length} bytes");
        }
    }
    assert_eq!(shop.ran(), 2);
}
