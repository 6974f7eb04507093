//! Asks before something that cannot be undone.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use super::exit::Failure;

/// Asks on the terminal, unless `--yes` was given. Without a terminal nothing is changed.
pub(super) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::NotConfirmed("this cannot be undone, and nobody can be asked: give --yes"));
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::NotConfirmed("nothing was changed"))
}
