//! A headless Chromium for tests of pages, driven over the `DevTools` protocol
//! (<https://chromedevtools.github.io/devtools-protocol/>).

mod pipe;
mod tab;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::pipe::Pipe;
pub use self::tab::{Key, Tab};
use crate::servers::Folder;

/// What a system calls it.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser takes seconds to start on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A browser of one's own, with an empty profile. It ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    pipe: Pipe,
    _profile: Folder,
}

impl Browser {
    /// Starts Chromium, or Chrome.
    ///
    /// # Panics
    ///
    /// If it is not installed, or does not start.
    pub fn start() -> Self {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let is_installed =
            |name: &&str| std::env::split_paths(&folders).any(|folder| folder.join(name).exists());
        let program = NAMES.into_iter().find(is_installed).expect("chromium is not installed: run tests/run");
        let profile = Folder::new();
        // With its pipe, Chromium reads from descriptor 3 and writes to 4. It is the only one that does not need a port.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null"#, program])
            .args(["--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu"])
            // Containers: root has no sandbox, and /dev/shm is small.
            .args(["--no-sandbox", "--disable-dev-shm-usage"])
            .args(["--disable-extensions", "--disable-background-networking", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let (stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let mut browser = Self { child, pipe: Pipe::new(stdin, stdout), _profile: profile };
        let version = browser.pipe.call(None, "Browser.getVersion", &json!({}));
        let version =
            version.unwrap_or_else(|error| panic!("chromium does not start ({error}): run tests/run"));
        assert!(version["product"].is_string(), "{version}");
        browser
    }

    /// Opens an empty tab of this size.
    ///
    /// # Panics
    ///
    /// If the browser does not answer.
    pub fn tab(&mut self, width: u32, height: u32) -> Tab<'_> {
        let target = self.call("Target.createTarget", &json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = self.call("Target.attachToTarget", &json!({ "targetId": target, "flatten": true }));
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        Tab::new(&mut self.pipe, session, width, height)
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.pipe.call(None, method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It writes its profile when it ends, and the folder is deleted afterwards.
        drop(self.pipe.call(None, "Browser.close", &json!({})));
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
