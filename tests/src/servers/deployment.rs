//! What the crash rig runs a log on: one server, or several of which another one takes over.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use super::{MariaDb, Postgres, Redis, Server};

/// Gets the port of the server where clients go from now on.
pub type Moved<'a> = &'a (dyn Fn(u16) + Sync);

/// A server, or a cluster of servers, whose clients go to one of them.
///
/// # Panics
///
/// Every operation panics if it fails: these are tests.
#[async_trait]
pub trait Deployment: Debug + Send + Sync {
    /// The port of the server where clients go.
    async fn port(&self) -> u16;

    /// The server's process, if it is the only one.
    fn alone(&self) -> Option<&Server> {
        None
    }

    /// Sends clients to another server that takes writes, if there is one, and returns its port. Nothing else happens.
    fn next(&self) -> Option<u16> {
        None
    }

    /// Kills the server where clients go, starts it again, and returns when the cluster is whole again. If another
    /// server takes writes meanwhile, `moved` gets its port.
    async fn crash(&self, moved: Moved<'_>);

    /// Kills the server where clients go, and another one takes over. `moved` gets its port, as soon as it takes
    /// writes. Returns when the cluster is whole again.
    async fn promote(&self, moved: Moved<'_>) {
        self.crash(moved).await;
    }

    /// The standby is away for so long, and the primary crashes meanwhile. Then the primary is lost, and the standby
    /// takes over without what it has missed.
    async fn promote_after_an_absence(&self, _length: Duration, _moved: Moved<'_>) {
        panic!("there is no standby");
    }
}

macro_rules! one_server {
    ($($server:ty),*) => {$(
        #[async_trait]
        impl Deployment for $server {
            async fn port(&self) -> u16 {
                self.server().port()
            }

            fn alone(&self) -> Option<&Server> {
                Some(self.server())
            }

            async fn crash(&self, _moved: Moved<'_>) {
                self.server().kill();
                self.start_again().await;
            }
        }
    )*};
}

one_server!(MariaDb, Postgres, Redis);
