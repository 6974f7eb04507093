//! What stays bounded: a page, a filter that matches nothing, a store that is away.

use std::time::{Duration, Instant};

use ferro_idem::operations::{EventState, Filter, MAX_PAGE};
use ferro_idem::{Error, PostgresLog};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::stores::sqlite;

/// So many processed events, made in one statement.
const FILL: &str = "\
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO stripe_processed_events (event_id, event_type, received_at)
SELECT printf('evt_%08d', i), 'invoice.paid', '2020-01-01 00:00:00' FROM n";

#[tokio::test]
async fn a_filter_that_matches_nothing_returns_short_pages() {
    let store = sqlite().await;
    sqlx::query(FILL).bind(250_000).execute(store.log.pool()).await.unwrap();
    let stuck = Filter::new().with_state(EventState::LeaseEnded);
    let (mut after, mut pages) = (None, 0);
    loop {
        let page = store.operations.list(&stuck, after.as_ref(), 10).await.unwrap();
        assert_eq!(page.events, []);
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!((2..=4).contains(&pages), "{pages} pages for 250,000 rows");
    assert_eq!(store.operations.counts().await.unwrap().total(), 250_000);
}

#[tokio::test]
async fn a_page_is_never_longer_than_the_limit() {
    let store = sqlite().await;
    sqlx::query(FILL).bind(2 * i64::try_from(MAX_PAGE).unwrap()).execute(store.log.pool()).await.unwrap();
    for (limit, expected) in [(0, 1), (1, 1), (7, 7), (MAX_PAGE, MAX_PAGE), (usize::MAX, MAX_PAGE)] {
        let page = store.operations.list(&Filter::new(), None, limit).await.unwrap();
        assert_eq!(page.events.len(), expected, "{limit}");
    }
}

#[tokio::test]
async fn a_purge_deletes_what_is_old_page_by_page() {
    let store = sqlite().await;
    sqlx::query(FILL).bind(1_200).execute(store.log.pool()).await.unwrap();
    let mut pages = 0;
    let purged = store.operations.purge(Duration::from_hours(24), &mut |_| pages += 1).await.unwrap();
    assert_eq!(purged, 1_200);
    assert!(pages >= 3, "{pages}");
}

#[tokio::test]
async fn a_dropped_call_leaves_the_pool_usable() {
    use futures_util::FutureExt;
    let store = sqlite().await;
    sqlx::query(FILL).bind(1_000).execute(store.log.pool()).await.unwrap();
    for _ in 0..50 {
        drop(store.operations.list(&Filter::new(), None, 10).now_or_never());
        drop(store.operations.counts().now_or_never());
        let purging = store.operations.purge_page(Duration::MAX, None);
        drop(purging.now_or_never());
    }
    assert_eq!(store.operations.counts().await.unwrap().total(), 1_000);
}

#[tokio::test]
async fn a_database_that_is_away_is_an_error_in_time() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let pool: PgPool = PgPoolOptions::new()
        .acquire_timeout(Duration::from_millis(500))
        .connect_lazy(&format!("postgres://app:secret@{closed}/shop"))
        .unwrap();
    let start = Instant::now();
    let error = PostgresLog::new(pool).operations().counts().await.unwrap_err();
    assert!(matches!(error, Error::Store { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    assert!(start.elapsed() < Duration::from_mins(1));
}
