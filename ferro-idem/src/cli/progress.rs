//! A bar for what takes long. Nothing is shown if stderr is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

pub(super) struct Progress {
    bar: ProgressBar,
    all: Option<u64>,
}

impl Progress {
    /// `all`: how many events there are, if that is known. The words say what is done to how many of them.
    pub(super) fn new(all: Option<u64>, seen: &str, done: &str) -> Self {
        let bar = all.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let style = if all.is_some() {
            format!("{{bar:30}} {{pos}}/{{len}} {seen}, {{msg}} {done}, {{eta}} left")
        } else {
            format!("{{spinner}} {{pos}} {seen}, {{msg}} {done}")
        };
        if let Ok(style) = ProgressStyle::with_template(&style) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, all }
    }

    pub(super) fn show(&self, seen: u64, done: u64) {
        self.bar.set_position(self.all.map_or(seen, |all| seen.min(all)));
        self.bar.set_message(done.to_string());
    }

    pub(super) fn end(self) {
        self.bar.finish_and_clear();
    }
}
