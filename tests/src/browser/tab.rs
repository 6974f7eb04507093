//! One tab.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::pipe::Pipe;

/// What tells that a page has a mistake.
const MISTAKES: [&str; 4] =
    ["Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Audits.issueAdded"];

/// A key that a page acts on.
#[derive(Clone, Copy, Debug)]
pub enum Key {
    /// To the next element that takes the focus.
    Tab,
    /// Follows a link, or presses a button.
    Enter,
    /// Ticks a box, or presses a button.
    Space,
}

/// A tab of a [`Browser`](super::Browser). Its methods panic if the browser does not answer.
#[derive(Debug)]
pub struct Tab<'b> {
    pipe: &'b mut Pipe,
    session: String,
}

impl<'b> Tab<'b> {
    pub(super) fn new(pipe: &'b mut Pipe, session: String, width: u32, height: u32) -> Self {
        let mut tab = Self { pipe, session };
        for domain in ["Page", "Runtime", "Log", "Audits", "Accessibility", "DOM"] {
            tab.call(&format!("{domain}.enable"), &json!({}));
        }
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        tab.call("Emulation.setDeviceMetricsOverride", &metrics);
        tab.use_scheme("light");
        tab
    }

    /// Sends a command of the protocol.
    #[expect(clippy::missing_panics_doc, reason = "see the type")]
    pub fn call(&mut self, method: &str, parameters: &Value) -> Value {
        let answer = self.pipe.call(Some(&self.session), method, parameters);
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Has pages see that the user prefers this colour scheme: `light` or `dark`.
    pub fn use_scheme(&mut self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Goes to an address, and waits until it is loaded.
    #[expect(clippy::missing_panics_doc, reason = "see the type")]
    pub fn open(&mut self, url: &str) {
        let session = self.session.clone();
        self.pipe.take(&session, &["Page.loadEventFired"]);
        let answer = self.call("Page.navigate", &json!({ "url": url }));
        assert!(answer.get("errorText").is_none(), "{url}: {answer}");
        self.wait_until_loaded();
    }

    /// Does something that leads to another page, and waits until that is loaded.
    pub fn leads_on(&mut self, action: impl FnOnce(&mut Self)) {
        let session = self.session.clone();
        self.pipe.take(&session, &["Page.loadEventFired"]);
        action(self);
        self.wait_until_loaded();
    }

    fn wait_until_loaded(&mut self) {
        let loaded = self.pipe.wait_for(&self.session, "Page.loadEventFired");
        loaded.unwrap_or_else(|error| panic!("{error}"));
    }

    /// The value of a JavaScript expression, which runs as if the user did it. The page's Content-Security-Policy does not
    /// hold for it.
    #[expect(clippy::missing_panics_doc, reason = "see the type")]
    pub fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true });
        let mut answer = self.call("Runtime.evaluate", &parameters);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// The same, as text.
    pub fn text(&mut self, expression: &str) -> String {
        self.value(expression).as_str().unwrap_or_default().to_owned()
    }

    /// Presses a key, wherever the focus is.
    pub fn press(&mut self, key: Key) {
        let (name, code, number, text) = match key {
            Key::Tab => ("Tab", "Tab", 9, None),
            Key::Enter => ("Enter", "Enter", 13, Some("\r")),
            Key::Space => (" ", "Space", 32, Some(" ")),
        };
        let event =
            |kind: &str| json!({ "type": kind, "key": name, "code": code, "windowsVirtualKeyCode": number });
        let mut down = event("keyDown");
        if let Some(text) = text {
            down["text"] = text.into();
        }
        self.call("Input.dispatchKeyEvent", &down);
        self.call("Input.dispatchKeyEvent", &event("keyUp"));
    }

    /// Types text into the element that has the focus.
    pub fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", &json!({ "text": text }));
    }

    /// What went wrong on the pages since the last call: entries of the console, exceptions, issues.
    pub fn mistakes(&mut self) -> Vec<Value> {
        let session = self.session.clone();
        self.pipe.take(&session, &MISTAKES).into_iter().map(|mut event| event["params"].take()).collect()
    }

    /// What the window shows, as a PNG.
    #[expect(clippy::missing_panics_doc, reason = "see the type")]
    pub fn picture(&mut self) -> Vec<u8> {
        let parameters = json!({ "format": "png", "optimizeForSpeed": false });
        let answer = self.call("Page.captureScreenshot", &parameters);
        STANDARD.decode(answer["data"].as_str().unwrap_or_default()).expect("base64")
    }
}
