//! A temporary folder that does not outlive its process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A new folder. It is removed when this is dropped, and when the process is killed.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Removes the folder when its standard input closes, which happens when this process ends for any reason.
    watcher: Child,
}

impl Folder {
    /// Creates one.
    ///
    /// # Panics
    ///
    /// If it cannot be created.
    #[expect(clippy::new_without_default, reason = "it creates a folder")]
    pub fn new() -> Self {
        let path = tempfile::Builder::new().prefix("ferro-idem-").tempdir().unwrap().keep();
        // Ctrl-C goes to the whole process group, and must not end the watcher.
        let watcher = Command::new("sh")
            .args(["-c", "trap '' INT TERM HUP; cat > /dev/null; sleep 1; rm -rf -- \"$0\""])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { path, watcher }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.path));
        drop(self.watcher.kill());
        drop(self.watcher.wait());
    }
}
