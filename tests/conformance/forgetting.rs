//! Forgets an event by hand.

use ferro_idem::operations::Operations;

pub(crate) async fn forgets(operations: &dyn Operations, event_id: &str) -> bool {
    let seen = operations.look(event_id).await.unwrap().unwrap();
    assert!(seen.reply_until().is_some(), "a reply is kept: {seen:?}");
    operations.forget(&seen).await.unwrap().is_done()
}
