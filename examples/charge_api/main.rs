//! A payment endpoint that may be called again with the same `Idempotency-Key`, and a client that does so.
//!
//! ```text
//! cargo run --example charge_api
//! ```
//!
//! The endpoint is `server.rs`: one attribute on a handler that charges an account in SQLite. The reply is committed with
//! the charge. The rest of this example plays the client: it retries, sends the same request several times at once,
//! hangs up, uses a key for another request, and kills the server's process again and again. Then the accounts are
//! checked. The exit code is 0 if nothing was charged twice and every retry got the same bytes.

mod client;
mod ledger;
mod process;
mod server;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::client::Client;
use crate::ledger::Ledger;
use crate::process::ServerProcess;

const CHARGES: usize = 120;
const KILLS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(14);

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [mode, database, address] if mode == "--serve" => {
            server::serve(Path::new(database), address).await?;
            Ok(ExitCode::SUCCESS)
        }
        [] => {
            let folder = std::env::temp_dir().join(format!("charge_api-{}", std::process::id()));
            std::fs::create_dir_all(&folder)?;
            let stormed = storm(&folder.join("charges.db")).await;
            std::fs::remove_dir_all(&folder)?;
            let ledger = stormed?;
            println!("{ledger}");
            Ok(if ledger.balances() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        _ => Err("usage: charge_api".into()),
    }
}

/// Charges while the server is killed, and checks the accounts.
async fn storm(database: &Path) -> Result<Ledger, Box<dyn Error>> {
    let server = ServerProcess::start(database)?;
    let done = AtomicUsize::new(0);
    let client = Client::new(server.url())?;
    let charging = client.charge_all(CHARGES, &done);
    let killing = kill_again_and_again(server, &done);
    // The server stays until the last charge has its answer.
    let (answers, server) = tokio::time::timeout(PATIENCE, async { tokio::join!(charging, killing) }).await?;
    let mut server = server?;
    let kills = server.kills();
    server.stop()?;
    Ledger::read(database, answers, kills).await
}

/// Kills the server each time another part of the charges is done, and starts it again.
async fn kill_again_and_again(
    mut server: ServerProcess,
    done: &AtomicUsize,
) -> std::io::Result<ServerProcess> {
    for kill in 1..=KILLS {
        while done.load(Ordering::Relaxed) < kill * CHARGES / (KILLS + 1) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.kill_and_restart()?;
    }
    Ok(server)
}
