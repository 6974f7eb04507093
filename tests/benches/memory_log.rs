//! `MemoryProcessedLog` against five lines written by hand: a `DashMap<String, ()>` behind the same trait.
//!
//! Time: two threads deliver a million events twice. About half of the second deliveries are on the other thread.
//! Memory: how much a process grows when it marks the million events.

mod report;
mod stripe_ids;

use std::error::Error as StdError;
use std::process::Command;
use std::time::Instant;
use std::{env, fs, thread};

use async_trait::async_trait;
use dashmap::DashMap;
use ferro_idem::{Error, MemoryProcessedLog, ProcessedEventLog};
use futures_util::FutureExt;

use report::{goal, median};
use stripe_ids::{scramble, stripe_event_id};

const EVENTS: u32 = 1_000_000;
const ROUNDS: usize = 7;

#[derive(Default)]
struct Bare(DashMap<String, ()>);

#[async_trait]
impl ProcessedEventLog for Bare {
    async fn try_mark_processed(&self, event_id: &str) -> Result<bool, Error> {
        Ok(self.0.insert(event_id.to_owned(), ()).is_none())
    }
}

fn main() -> Result<(), Box<dyn StdError>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--fill", "memory"] => fill(&MemoryProcessedLog::new()),
        ["--fill", "bare"] => fill(&Bare::default()),
        _ => {
            compare_times();
            compare_memory()
        }
    }
}

fn compare_times() {
    let deliveries = deliveries();
    // Otherwise the first subject would pay for the first growth of the allocator.
    time(Bare::default(), &deliveries);
    time(MemoryProcessedLog::new(), &deliveries);

    println!("{} calls on 2 threads, half of them duplicates\n", 2 * EVENTS);
    println!("round   DashMap<String, ()>   MemoryProcessedLog   times as fast");
    let ratios = (1..=ROUNDS).map(|round| {
        let bare = time(Bare::default(), &deliveries);
        let memory = time(MemoryProcessedLog::new(), &deliveries);
        let ratio = bare / memory;
        println!("{round:>5} {:>18.0} ms {:>17.0} ms {ratio:>15.2}", bare * 1e3, memory * 1e3);
        ratio
    });
    let ratio = median(ratios.collect());
    println!("median {ratio:>54.2}");
    goal("at least 1.25 times as fast", ratio >= 1.25);
}

/// What each thread delivers, in its order. Owned strings in call order: the ids of a real
/// delivery were just parsed and are in the cache, so fetching them must not be what is measured.
fn deliveries() -> [Vec<String>; 2] {
    let mut calls: Vec<(u64, u64)> =
        (0..2 * u64::from(EVENTS)).map(|call| (scramble(call), call / 2)).collect();
    calls.sort_unstable();
    let (one, other) = calls.split_at(calls.len() / 2);
    [one, other].map(|calls| calls.iter().map(|&(_, number)| stripe_event_id(number)).collect())
}

/// The seconds until both threads have finished.
fn time<L: ProcessedEventLog>(log: L, deliveries: &[Vec<String>; 2]) -> f64 {
    let start = Instant::now();
    let firsts: u32 = thread::scope(|scope| {
        let threads = deliveries.each_ref().map(|ids| scope.spawn(|| mark_all(&log, ids)));
        threads.map(|thread| thread.join().expect("no mark panics")).into_iter().sum()
    });
    let elapsed = start.elapsed().as_secs_f64();
    assert_eq!(firsts, EVENTS, "each event is first once");
    elapsed
}

fn mark_all<L: ProcessedEventLog>(log: &L, ids: &[String]) -> u32 {
    ids.iter().map(|id| u32::from(mark(log, id))).sum()
}

fn mark<L: ProcessedEventLog>(log: &L, id: &str) -> bool {
    let marked = log.try_mark_processed(id).now_or_never();
    marked.expect("a map does not wait").expect("the id is valid")
}

fn compare_memory() -> Result<(), Box<dyn StdError>> {
    if !fs::exists("/proc/self/status")? {
        println!("\nmemory: not measured, it is read from /proc/self/status, which Linux has");
        return Ok(());
    }
    println!("\n{EVENTS} ids kept          resident   bytes per id   at the peak");
    let memory = resident_after("memory", "MemoryProcessedLog")?;
    let bare = resident_after("bare", "DashMap<String, ()>")?;
    let ratio = memory / bare;
    println!("ratio {ratio:>42.2}");
    goal("at most 0.8 times the memory", ratio <= 0.8);
    Ok(())
}

/// Bytes for each id, measured in a separate process, so that memory freed by another log does not count.
fn resident_after(log: &str, name: &str) -> Result<f64, Box<dyn StdError>> {
    let child = Command::new(env::current_exe()?).args(["--fill", log]).output()?;
    let answer = String::from_utf8(child.stdout)?;
    let (resident, peak) = answer.trim().split_once(' ').ok_or("the child did not answer")?;
    let (resident, peak): (u32, u32) = (resident.parse()?, peak.parse()?);
    let per_id = |kib: u32| f64::from(kib) * 1024.0 / f64::from(EVENTS);
    println!("{name:<20} {:>8} MiB {:>14.1} {:>13.1}", resident / 1024, per_id(resident), per_id(peak));
    Ok(per_id(resident))
}

/// The child. Ids are made and dropped one by one: only the log grows.
fn fill<L: ProcessedEventLog>(log: &L) -> Result<(), Box<dyn StdError>> {
    let before = kib("VmRSS")?;
    let firsts = (0..u64::from(EVENTS)).filter(|&number| mark(log, &stripe_event_id(number))).count();
    assert_eq!(u32::try_from(firsts)?, EVENTS, "each id is another");
    println!("{} {}", kib("VmRSS")? - before, kib("VmHWM")? - before);
    Ok(())
}

fn kib(field: &str) -> Result<u32, Box<dyn StdError>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Ok(line.ok_or("no such line")?.trim().trim_end_matches(" kB").parse()?)
}
