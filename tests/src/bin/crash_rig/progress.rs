//! Progress, for people.

use std::io::IsTerminal;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::time::{Instant, sleep};

use crate::executioner::Executed;
use crate::sender::Sender;

const ON_A_TERMINAL: Duration = Duration::from_millis(200);
const IN_A_FILE: Duration = Duration::from_secs(10);

/// Shows the progress until it is dropped: a changing line on a terminal, and otherwise a line every few seconds.
pub(crate) async fn show(sender: &Sender, executed: &Executed) {
    let start = Instant::now();
    let is_terminal = std::io::stderr().is_terminal();
    let bar = if is_terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    loop {
        sleep(if is_terminal { ON_A_TERMINAL } else { IN_A_FILE }).await;
        let line = format!(
            "{} s: {} deliveries of {} events, {} worker kills, {} database kills",
            start.elapsed().as_secs(),
            sender.tally.deliveries.load(Ordering::Relaxed),
            sender.events().len(),
            executed.worker_kills.load(Ordering::Relaxed),
            executed.database_kills.load(Ordering::Relaxed),
        );
        if is_terminal {
            bar.set_message(line);
            bar.tick();
        } else {
            eprintln!("{line}");
        }
    }
}
