//! The crash rig: handlers under the real attribute, in processes that are killed, stopped and cut off, over a store
//! that is killed and disturbed. A sender delivers each event until it is acknowledged. Then the rig counts the
//! effects.
//!
//! `cargo run -p ferro-idem-tests --release --bin crash_rig -- --log postgres --guarantee claim --seconds 60`
//!
//! Every random choice comes from the seed. The operating system decides how processes and kills meet, so a seed
//! repeats the plan, not the outcome of each event.

mod args;
mod disasters;
mod effects;
mod executioner;
mod findings;
mod handlers;
mod ledger;
mod logs;
mod naive;
mod partitions;
mod picture;
mod progress;
mod sender;
mod store;
mod timeline;
mod trouble;
mod waiting;
mod worker;
mod workers;

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::args::{Args, Guarantee, USAGE};
use crate::disasters::{Weather, stretched};
use crate::executioner::{Executed, Executioner};
use crate::ledger::{Ledger, Left};
use crate::sender::Sender;
use crate::store::Store;
use crate::timeline::Timeline;
use crate::workers::Workers;

/// How long after the last disturbance an event may take to be acknowledged, on a quiet machine.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("worker", arguments)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        let Err(error) = worker::run(arguments).await else { return ExitCode::SUCCESS };
        eprintln!("worker: {error}");
        return ExitCode::FAILURE;
    }
    match Args::parse(arguments, effects::now()) {
        Ok(args) => {
            let ledger = Box::pin(run(args)).await;
            println!("{}\n{ledger}", ledger.line());
            if ledger.is_kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(wrong) => {
            eprintln!("{wrong}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

async fn run(args: Args) -> Ledger {
    eprintln!("{} of {}, seed {}", args.guarantee.name(), args.log.name, args.seed);
    let timeline = Arc::new(Timeline::default());
    let store = Store::start(&args, Arc::clone(&timeline)).await;
    let effects_file = store.effects_file();
    let worker = ["worker", args.log.name, args.guarantee.name(), &store.workers_url().await];
    let worker = worker.into_iter().map(Into::into).chain([effects_file.into()]);
    let workers = Workers::start(worker.collect());
    let weather = Arc::new(Weather::new(args.log, args.guarantee));
    let sender = Sender::new(workers.clone(), &args, Arc::clone(&weather));
    let executed = Executed::default();

    let mut rng = StdRng::seed_from_u64(args.seed);
    let mut drawn = || StdRng::seed_from_u64(rng.random());
    let (held, senders, mut disturbances) = (drawn(), drawn(), drawn());
    let run = async {
        if args.guarantee == Guarantee::Fence {
            sender.hold_one(held, Instant::now() + PATIENCE).await;
            workers.crash();
        }
        let end = Instant::now() + args.length;
        let executioner = Executioner {
            workers: &workers,
            store: &store,
            sender: &sender,
            executed: &executed,
            disasters: &args.disasters,
            weather: &weather,
            timeline: &timeline,
            is_long: args.is_long(),
            only_disasters: args.picture.is_some(),
            end,
        };
        let (over, calm) = watch::channel(false);
        let disturb = async {
            Box::pin(executioner.execute(&mut disturbances)).await;
            over.send_replace(true);
        };
        tokio::join!(sender.storm(senders, end, calm), disturb);
        if args.guarantee.has_inbox() {
            emptied(&sender, &store).await;
        }
    };
    tokio::select! {
        () = run => {}
        () = workers.look_after() => {}
        () = progress::show(&sender, &executed) => {}
        () = timeline.sample(&sender.tally) => {}
    }

    workers.end();
    if let Some(file) = &args.picture {
        let title = format!("{}, {}: {}", args.log.name, args.guarantee.name(), disasters_of(&args));
        let svg = picture::svg(&title, &timeline).expect("a disaster took place");
        std::fs::write(file, svg).expect("the picture can be written");
    }
    let effects = store.effects().await;
    let acknowledged: Vec<String> = {
        let events = sender.events();
        let is_acknowledged =
            |event: &&String| events.get(*event).is_some_and(|known| known.acknowledged.is_some());
        // Those without an effect were lost, and their marks may have been taken back.
        let had_effect: HashSet<&String> = effects.iter().map(|effect| &effect.event).collect();
        had_effect.into_iter().filter(is_acknowledged).cloned().collect()
    };
    let forgotten = store.forgotten(&acknowledged).await;
    Ledger::new(
        args,
        &sender.tally,
        &executed,
        &workers,
        &sender.events(),
        &Left { effects, forgotten },
        &timeline.back_after(),
    )
}

fn disasters_of(args: &Args) -> String {
    args.disasters.iter().map(|disaster| disaster.name()).collect::<Vec<_>>().join(", ")
}

/// Waits until the inbox has delivered every event that was acknowledged, as long as it goes on delivering. A storm on
/// SQLite leaves more events behind than its only writer delivers in minutes.
async fn emptied(sender: &Sender, store: &Store) {
    let (mut delivered, mut at) = (0, Instant::now());
    while at.elapsed() < stretched(PATIENCE) {
        let effects: HashSet<String> = store.effects().await.into_iter().map(|effect| effect.event).collect();
        let is_done = {
            let events = sender.events();
            let mut acknowledged = events.iter().filter(|(_, known)| known.acknowledged.is_some());
            acknowledged.all(|(event, _)| effects.contains(event))
        };
        if is_done {
            return;
        }
        if effects.len() > delivered {
            (delivered, at) = (effects.len(), Instant::now());
        }
        sleep(Duration::from_secs(1)).await;
    }
}
