//! The server as a process that can be killed.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// It is killed when this is dropped.
pub(crate) struct ServerProcess {
    child: Child,
    database: PathBuf,
    address: String,
    kills: usize,
}

impl ServerProcess {
    /// Starts the server on a free port of this machine.
    pub(crate) fn start(database: &Path) -> io::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let child = spawn(database, &address)?;
        Ok(Self { child, database: database.to_owned(), address, kills: 0 })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/charges", self.address)
    }

    pub(crate) fn kills(&self) -> usize {
        self.kills
    }

    /// Ends it in the middle of whatever it does, as a crash would.
    pub(crate) fn kill_and_restart(&mut self) -> io::Result<()> {
        self.stop()?;
        self.kills += 1;
        self.child = spawn(&self.database, &self.address)?;
        Ok(())
    }

    pub(crate) fn stop(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.stop();
    }
}

fn spawn(database: &Path, address: &str) -> io::Result<Child> {
    Command::new(std::env::current_exe()?).arg("--serve").arg(database).arg(address).spawn()
}
