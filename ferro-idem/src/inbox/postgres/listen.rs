//! Tells other processes of new deliveries, through LISTEN and NOTIFY.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::inbox::channel::Channel;

/// How long what a listener tells itself may be under way.
const ROUND_TRIP: Duration = Duration::from_secs(2);

/// Its commit is not waited for: what is told is in the database already. Telling other sessions needs no durability.
const TELL: &str = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)";

pub(super) async fn tell(pool: &PgPool, channel: &Channel) -> Result<(), sqlx::Error> {
    let tell = sqlx::query(TELL).persistent(false).bind(&channel.name).bind(&channel.own);
    tell.execute(pool).await.map(drop)
}

/// Listens until the connection is lost, over a connection of its own: one of the pool would be missing there.
///
/// On a replica, or through a pooler, a session listens without an error and hears nothing. So it tells itself
/// something first, and does not listen if that does not arrive.
pub(super) async fn listen(pool: &PgPool, channel: &Channel, woken: &Notify) -> Result<(), sqlx::Error> {
    let own = PgPoolOptions::new().max_connections(1);
    let own = own.connect_with(pool.connect_options().as_ref().clone()).await?;
    let mut listener = PgListener::connect_with(&own).await?;
    listener.listen(&channel.name).await?;
    tell(pool, channel).await?;
    match timeout(ROUND_TRIP, listener.try_recv()).await {
        Ok(Ok(Some(_))) => {}
        Ok(Err(error)) => return Err(error),
        Ok(Ok(None)) | Err(_) => return Ok(()),
    }
    // What was stored before it listened.
    woken.notify_one();
    while let Some(told) = listener.try_recv().await? {
        if told.payload() != channel.own {
            woken.notify_one();
        }
    }
    Ok(())
}
