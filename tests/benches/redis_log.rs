//! `RedisLog` over one multiplexed connection, against a log written by hand over the same connection, and against the
//! limit: the same commands in one pipeline.
//!
//! A fence is compared with `SET NX`, and a claim with two scripts by hand that know their owner. Each subject gets the
//! same deliveries, half of them duplicates, from as many tasks as there are deliveries in flight. Needs `redis-server`,
//! which shares the machine with the client.

mod report;
mod stripe_ids;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ferro_idem::{
    ClaimLog, ClaimOutcome, EventRef, Owner, Ownership, ProcessedEventLog, RETENTION, RedisLog,
};
use ferro_idem_tests::servers::Redis;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Script};

use report::{Reach, goal, median, print_load};
use stripe_ids::stripe_event_id;

/// Deliveries in flight, and how many there are in all.
const LEVELS: [(usize, u32); 5] = [(1, 2_000), (16, 10_000), (64, 20_000), (256, 40_000), (1024, 40_000)];
const ROUNDS: usize = 3;
const LEASE: Duration = Duration::from_mins(1);
const PREFIX: &str = "stripe_processed_events:";
/// By hand: whose claim it is, or that it is processed.
const CLAIM_BY_HAND: &str = "\
local found = redis.call('GET', KEYS[1])
if found == 'processed' then return 2 elseif found then return 1 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 0";
const COMPLETE_BY_HAND: &str = "\
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], 'processed', 'PX', ARGV[2])
return 1";
const MARK: &str = concat!(
    include_str!("../../ferro-idem/src/redis/scripts/deadline.lua"),
    include_str!("../../ferro-idem/src/redis/scripts/mark.lua")
);
/// Of a mark in a pipeline. The largest exact number in Lua: it does not pass.
const DEADLINE: u64 = (1 << 53) - 1;

#[derive(Clone, Copy, PartialEq)]
enum Subject {
    SetByHand,
    Mark,
    SetsByHand,
    ClaimByHand,
    Claim,
    SetsInOneGo,
    MarksInOneGo,
}

use Subject::{Claim, ClaimByHand, Mark, MarksInOneGo, SetByHand, SetsByHand, SetsInOneGo};

/// Each with the one it is compared to.
const SUBJECTS: [(Subject, &str, Subject); 7] = [
    (SetByHand, "by hand: SET NX PX", SetByHand),
    (Mark, "RedisLog: mark", SetByHand),
    (SetsByHand, "by hand, no owner: SET NX PX, then SET PX", ClaimByHand),
    (ClaimByHand, "by hand: scripts that claim and complete", ClaimByHand),
    (Claim, "RedisLog: claim, then complete", ClaimByHand),
    (SetsInOneGo, "limit: those SETs in one pipeline", SetByHand),
    (MarksInOneGo, "limit: those marks in one pipeline", Mark),
];

#[derive(Clone)]
struct Stores {
    log: RedisLog<MultiplexedConnection>,
    connection: MultiplexedConnection,
    claim_by_hand: Script,
    complete_by_hand: Script,
}

struct Figures {
    per_second: f64,
    /// `None` if all are sent in one pipeline.
    latencies: Option<[f64; 2]>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    print_load("before");
    let mut reach = Reach::default();
    for durability in ["always", "everysec"] {
        println!("\nappendfsync {durability}");
        // A rewrite of the file would slow down the subject that is measured at that moment.
        let options = ["--appendfsync", durability, "--auto-aof-rewrite-percentage", "0"];
        let server = Redis::start_with(&options).await;
        // A pipeline takes longer than redis-rs waits.
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_mins(1)));
        let connection =
            redis::Client::open(server.url())?.get_multiplexed_async_connection_with_config(&config).await?;
        let stores = Stores {
            log: RedisLog::new(connection.clone()),
            connection,
            claim_by_hand: Script::new(CLAIM_BY_HAND),
            complete_by_hand: Script::new(COMPLETE_BY_HAND),
        };
        // The first call loads the scripts and reads the eviction policy.
        measure(Mark, &stores, 1, 2).await?;
        measure(Claim, &stores, 1, 2).await?;
        measure(ClaimByHand, &stores, 1, 2).await?;
        for (in_flight, deliveries) in LEVELS {
            let against_by_hand = compare(&stores, in_flight, deliveries).await?;
            for (what, times) in against_by_hand.into_iter().filter(|_| matches!(in_flight, 1 | 256)) {
                let what = format!("Redis {what}, {in_flight} in flight, appendfsync {durability}");
                reach.at_least(&what, 0.95, times);
            }
        }
    }
    print_load("after");
    reach.print();
    Ok(())
}

/// Returns how many times as fast as by hand fence and claim are.
async fn compare(
    stores: &Stores,
    in_flight: usize,
    deliveries: u32,
) -> Result<Vec<(&'static str, f64)>, Box<dyn Error>> {
    let mut against_by_hand = Vec::new();
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut round = Vec::new();
        for (subject, ..) in SUBJECTS {
            round.push(measure(subject, stores, in_flight, deliveries).await?);
        }
        rounds.push(round);
    }
    println!(
        "\n{in_flight:>4} in flight {:>38} {:>24} {:>8} {:>8}",
        "a second", "times as fast", "p50 ms", "p99 ms"
    );
    for (row, (subject, name, beside)) in SUBJECTS.into_iter().enumerate() {
        let beside = SUBJECTS.iter().position(|(subject, ..)| *subject == beside).ok_or("no such row")?;
        let median_of = |figure: &dyn Fn(&Vec<Figures>) -> f64| median(rounds.iter().map(figure).collect());
        let ratio = |round: &Vec<Figures>| round[row].per_second / round[beside].per_second;
        let mut ratios: Vec<f64> = rounds.iter().map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        let [least, times, most] = ratios[..] else { return Err("three rounds have a middle".into()) };
        let per_second = median_of(&|round| round[row].per_second);
        print!("{name:<42} {per_second:>10.0} {times:>8.2} ({least:>5.2} to {most:>5.2})");
        if rounds[0][row].latencies.is_some() {
            let latency =
                |which: usize| median_of(&|round| round[row].latencies.map_or(0.0, |both| both[which]));
            print!(" {:>8.2} {:>8.2}", latency(0), latency(1));
        }
        println!();
        match subject {
            Mark => against_by_hand.push(("fence, against SET NX", times)),
            Claim => against_by_hand.push(("claim + complete, against scripts by hand", times)),
            _ => {}
        }
        if subject == MarksInOneGo && in_flight == 1024 {
            goal("a mark costs at most twice its share of one pipeline", times <= 2.0);
        }
    }
    Ok(against_by_hand)
}

async fn measure(
    subject: Subject,
    stores: &Stores,
    in_flight: usize,
    deliveries: u32,
) -> Result<Figures, Box<dyn Error>> {
    redis::cmd("FLUSHALL").exec_async(&mut stores.connection.clone()).await?;
    let ids: Vec<String> = (0..deliveries).map(delivery).collect();
    match subject {
        SetsInOneGo => in_one_go(stores, ids.iter().map(|id| set_if_absent(id, RETENTION))).await,
        MarksInOneGo => {
            let hash = redis::Script::new(MARK).get_hash().to_owned();
            in_one_go(stores, ids.iter().map(|id| mark(&hash, id))).await
        }
        _ => one_by_one(subject, stores, in_flight, ids).await,
    }
}

/// A new event, then one from half as long ago, and so on.
fn delivery(position: u32) -> String {
    let newest = position / 2;
    let number = if position.is_multiple_of(2) { newest } else { newest / 2 };
    stripe_event_id(number.into())
}

async fn in_one_go(stores: &Stores, commands: impl Iterator<Item = Cmd>) -> Result<Figures, Box<dyn Error>> {
    let mut pipeline = redis::pipe();
    commands.for_each(|command| {
        pipeline.add_command(command);
    });
    let start = Instant::now();
    let firsts: Vec<Option<redis::Value>> = pipeline.query_async(&mut stores.connection.clone()).await?;
    Ok(Figures { per_second: per_second(firsts.len(), start.elapsed()), latencies: None })
}

async fn one_by_one(
    subject: Subject,
    stores: &Stores,
    in_flight: usize,
    ids: Vec<String>,
) -> Result<Figures, Box<dyn Error>> {
    let (ids, next) = (Arc::new(ids), Arc::new(AtomicUsize::new(0)));
    let start = Instant::now();
    let tasks: Vec<_> = (0..in_flight)
        .map(|_| {
            let (ids, next, stores) = (Arc::clone(&ids), Arc::clone(&next), stores.clone());
            tokio::spawn(async move {
                let (mut latencies, mut firsts) = (Vec::new(), 0);
                while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let start = Instant::now();
                    firsts += usize::from(deliver(subject, &stores, id).await.expect("the server is up"));
                    latencies.push(start.elapsed().as_secs_f64() * 1e3);
                }
                (latencies, firsts)
            })
        })
        .collect();
    let (mut latencies, mut firsts) = (Vec::new(), 0);
    for task in tasks {
        let (of_task, first) = task.await?;
        latencies.extend(of_task);
        firsts += first;
    }
    let per_second = per_second(ids.len(), start.elapsed());
    assert_eq!(firsts, ids.len() / 2, "half are duplicates");
    latencies.sort_by(f64::total_cmp);
    let latencies = Some([latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100]]);
    Ok(Figures { per_second, latencies })
}

/// Whether it was the first.
async fn deliver(subject: Subject, stores: &Stores, id: &str) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let Stores { log, connection, claim_by_hand, complete_by_hand } = stores;
    let by_hand = |command: Cmd| async move {
        command.query_async::<Option<String>>(&mut connection.clone()).await.map(|set| set.is_some())
    };
    match subject {
        Mark => Ok(log.try_mark_event(event(id)?).await?),
        Claim => {
            let owner = Owner::random()?;
            let ClaimOutcome::Acquired { token } = log.claim(event(id)?, owner, LEASE).await? else {
                return Ok(false);
            };
            Ok(log.complete(id, Ownership { owner, token }).await?)
        }
        ClaimByHand => {
            let owner = Owner::random()?;
            let (key, owner) = ([PREFIX, id].concat(), owner.as_bytes().as_slice());
            let mut claim = claim_by_hand.key(&key);
            let claim = claim.arg(owner).arg(LEASE.as_secs() * 1000);
            if claim.invoke_async::<u8>(&mut connection.clone()).await? != 0 {
                return Ok(false);
            }
            let mut complete = complete_by_hand.key(&key);
            let complete = complete.arg(owner).arg(RETENTION.as_secs() * 1000);
            Ok(complete.invoke_async::<u8>(&mut connection.clone()).await? == 1)
        }
        SetsByHand => {
            if !by_hand(set_if_absent(id, LEASE)).await? {
                return Ok(false);
            }
            Ok(by_hand(set(id, RETENTION)).await?)
        }
        _ => Ok(by_hand(set_if_absent(id, RETENTION)).await?),
    }
}

fn event(id: &str) -> Result<EventRef<'_>, ferro_idem::InvalidEventId> {
    Ok(EventRef::new(id)?.with_type("invoice.paid"))
}

fn set(id: &str, for_how_long: Duration) -> Cmd {
    let mut command = redis::cmd("SET");
    command.arg([PREFIX, id].concat()).arg(1).arg("PX").arg(for_how_long.as_secs() * 1000);
    command
}

fn set_if_absent(id: &str, for_how_long: Duration) -> Cmd {
    let mut command = set(id, for_how_long);
    command.arg("NX");
    command
}

/// What the log sends for a mark.
fn mark(hash: &str, id: &str) -> Cmd {
    let mut command = redis::cmd("EVALSHA");
    let owner = Owner::random().expect("the system has random numbers");
    command.arg(hash).arg(1).arg([PREFIX, id].concat()).arg(DEADLINE);
    command.arg(owner.as_bytes().as_slice()).arg("invoice.paid").arg(RETENTION.as_secs() * 1000);
    command
}

fn per_second(deliveries: usize, elapsed: Duration) -> f64 {
    f64::from(u32::try_from(deliveries).unwrap_or(u32::MAX)) / elapsed.as_secs_f64()
}
