//! Measures what deliveries observe under load, locks, failovers and outages, as one table.
//!
//! `cargo bench -p ferro-idem-tests --bench reach` prints all of it, in about 25 minutes;
//! `-- --row failover --log postgres` prints a part. `-- --help` lists the rows.
//!
//! Each cell runs in a process of its own, so that one that aborts is a line of the table.

mod burst;
mod database;
mod dropped;
mod failover;
mod figures;
mod locked_row;
mod lost;
mod outage;
#[path = "../report/mod.rs"]
mod report;
mod rows;
mod servers;

use std::env;
use std::error::Error;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;

use ferro_idem_tests::servers::spawn_until_killed;

use crate::figures::Figure;
use crate::rows::{CELLS, Cell, Log, ROWS};

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo says `--bench`.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["cell", row, log, group_commit] = words[..] {
        let cell =
            Cell { row: ROWS.by_name(row)?, log: Log::by_name(log)?, group_commit: group_commit == "yes" };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build()?;
        print!("{}", runtime.block_on(cell.measure()).for_parent());
        return Ok(());
    }
    let (mut only_row, mut only_log) = (None, None);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match (word, words.next()) {
            ("--row", Some(row)) => only_row = Some(ROWS.by_name(row)?.name),
            ("--log", Some(log)) => only_log = Some(Log::by_name(log)?),
            _ => {
                println!("usage: reach [--row ROW] [--log memory|sqlite|postgres|mysql|redis]\n");
                ROWS.0.iter().for_each(|row| println!("  {:<12} {}", row.name, row.what));
                return Ok(());
            }
        }
    }
    println!("| row | log | group commit | figure | goal | |\n|---|---|---|---|---|---|");
    for cell in CELLS.iter().flat_map(Cell::all_of) {
        if only_row.is_none_or(|row| row == cell.row.name) && only_log.is_none_or(|log| log == cell.log) {
            println!("{}", cell.line(&in_own_process(&cell)?));
        }
    }
    Ok(())
}

/// Runs this program again for one cell.
fn in_own_process(cell: &Cell) -> Result<Figure, Box<dyn Error>> {
    let group_commit = if cell.group_commit { "yes" } else { "no" };
    let mut child =
        spawn_until_killed(&env::current_exe()?, ["cell", cell.row.name, cell.log.name(), group_commit]);
    let mut said = String::new();
    let read = child.stdout.take().map(|mut output| output.read_to_string(&mut said));
    let status = child.wait()?;
    read.transpose()?;
    Ok(match (Figure::from_child(&said), status.signal()) {
        (Some(figure), _) if status.success() => figure,
        (_, Some(signal)) => Figure::missed(format!("the process ends by signal {signal}")),
        _ => Figure::missed(format!("the process ends with {status}")),
    })
}
