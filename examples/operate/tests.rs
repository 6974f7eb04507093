//! The page shows what the database was filled with.

use std::net::SocketAddr;

use ferro_idem::inbox::operations::InboxState;
use ferro_idem::operations::EventState;
use tokio::net::TcpListener;

use super::{fill, open, page};

async fn get(url: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(url).send().await.unwrap();
    assert!(response.status().is_success(), "{url}: {}", response.status());
    response.text().await.unwrap()
}

#[tokio::test]
async fn the_page_shows_every_state() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("operate.db");
    let (log, inbox) = open(database.clone()).await.unwrap();
    let counts = log.operations().counts().await.unwrap();
    let inbox_counts = inbox.operations().counts().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let service = page(&log, &inbox).unwrap().into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(axum::serve(listener, service).into_future());

    let overview = get(&url).await;
    for (state, events) in EventState::ALL
        .map(|state| (state.as_str(), counts.of(state).events))
        .into_iter()
        .chain(InboxState::UNFINISHED.map(|state| (state.as_str(), inbox_counts.of(state).events)))
    {
        assert!(events > 0, "there is no {state} event");
        assert!(
            overview.contains(&format!("{state}</span> <b>{events}</b>")),
            "{state} {events}: {overview}"
        );
    }
    assert!(overview.contains("events were received in the last 24 hours"), "{overview}");
    let list = get(&format!("{url}/events?state=processed&type=%3Cimg%20src%3Dx%3E")).await;
    assert!(list.contains("evt_&#60;script&#62;") && !list.contains("<script"), "{list}");
    assert!(get(&format!("{url}/inbox?state=parked&error=451")).await.contains("SMTP 451 &#60;b&#62;"));

    // A second start fills nothing.
    let (again, _) = open(database).await.unwrap();
    assert_eq!(again.operations().counts().await.unwrap().total(), counts.total());
    assert!(again.operations().look(fill::HOSTILE).await.unwrap().is_some());
    server.abort();
}
