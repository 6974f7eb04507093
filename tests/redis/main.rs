//! Behaviour of the log in Redis alone, on real servers.

mod cluster;
mod durability;
mod eviction;
mod expiry;
mod hash;
mod hung_up;
mod lost_replies;
mod refusals;
mod replica;
mod stalls;

use std::time::Duration;

use ferro_idem::{ClaimLog, ClaimOutcome, EventRef, Owner, Ownership};
use redis::aio::ConnectionManager;

const LEASE: Duration = Duration::from_mins(1);

/// A log over another user or another address than the server's own connections.
async fn connect_to(url: &str) -> ConnectionManager {
    redis::Client::open(url).unwrap().get_connection_manager().await.unwrap()
}

/// A claim that has to be acquired.
async fn acquire(log: &impl ClaimLog, id: &str, lease: Duration) -> Ownership {
    let owner = Owner::random().unwrap();
    match log.claim(EventRef::new(id).unwrap(), owner, lease).await.unwrap() {
        ClaimOutcome::Acquired { token } => Ownership { owner, token },
        refused => panic!("{id} is not to be had: {refused:?}"),
    }
}

/// A claim by another owner.
async fn claim(log: &impl ClaimLog, id: &str) -> ClaimOutcome {
    log.claim(EventRef::new(id).unwrap(), Owner::random().unwrap(), LEASE).await.unwrap()
}
