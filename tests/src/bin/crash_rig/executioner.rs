//! Kills, stops and cuts, until the storm is over. Each of its hands draws from its own numbers, so that how
//! long one takes changes nothing for the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::RwLock;
use tokio::time::{Instant, sleep};

use crate::disasters::{Befallen, Disaster, Order, Weather};
use crate::handlers::LEASE;
use crate::sender::Sender;
use crate::store::Store;
use crate::workers::{WORKERS, Workers};

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Executed {
    pub(crate) worker_kills: AtomicU64,
    /// Those that went on, behind their leases.
    pub(crate) worker_stops: AtomicU64,
    /// Without a server: all workers at once.
    pub(crate) database_kills: AtomicU64,
    pub(crate) cuts: AtomicU64,
    pub(crate) stalls: AtomicU64,
    pub(crate) befallen: Befallen,
}

pub(crate) struct Executioner<'a> {
    pub(crate) workers: &'a Arc<Workers>,
    pub(crate) store: &'a Store,
    pub(crate) sender: &'a Sender,
    pub(crate) executed: &'a Executed,
    pub(crate) disasters: &'a [Disaster],
    pub(crate) weather: &'a Weather,
    pub(crate) end: Instant,
}

impl Executioner<'_> {
    /// Returns when the storm is over and everything is up and connected again.
    pub(crate) async fn execute(&self, rng: &mut StdRng) {
        let mut hand = || StdRng::seed_from_u64(rng.random());
        let hands = (hand(), hand(), hand(), hand(), hand());
        let running = RwLock::new(());
        tokio::join!(
            self.kill_workers(hands.0, &running),
            self.stop_workers(hands.1, &running),
            self.crash_databases(hands.2, &running),
            self.disturb_connections(hands.3, &running),
            self.befall(hands.4, &running),
        );
    }

    /// Waits for so many milliseconds. `false`: the storm is over.
    async fn waits(&self, rng: &mut StdRng, milliseconds: std::ops::Range<u64>) -> bool {
        sleep(Duration::from_millis(rng.random_range(milliseconds))).await;
        Instant::now() < self.end
    }

    async fn kill_workers(&self, mut rng: StdRng, running: &RwLock<()>) {
        while self.waits(&mut rng, 100..300).await {
            let _killing = running.read().await;
            if self.workers.restart(rng.random_range(0..WORKERS)) {
                count(&self.executed.worker_kills);
            }
        }
    }

    async fn stop_workers(&self, mut rng: StdRng, running: &RwLock<()>) {
        while self.waits(&mut rng, 300..1_500).await {
            let _stopping = running.read().await;
            let index = rng.random_range(0..WORKERS);
            if !self.workers.stop(index) {
                continue;
            }
            sleep(LEASE.mul_f64(rng.random_range(1.1..2.5))).await;
            if self.workers.go_on(index) {
                count(&self.executed.worker_stops);
            }
        }
    }

    /// Where there is no server, all workers at once: rarer, because it ends their stops.
    async fn crash_databases(&self, mut rng: StdRng, running: &RwLock<()>) {
        let pause = if self.store.proxy.is_some() { 600..1_200 } else { 1_000..2_000 };
        while self.waits(&mut rng, pause.clone()).await {
            let _killing = running.read().await;
            if !self.store.crash().await {
                self.executed.worker_kills.fetch_add(self.workers.crash(), Ordering::Relaxed);
            }
            count(&self.executed.database_kills);
        }
    }

    async fn disturb_connections(&self, mut rng: StdRng, running: &RwLock<()>) {
        let Some(proxy) = &self.store.proxy else { return };
        while self.waits(&mut rng, 100..700).await {
            if rng.random_bool(0.5) {
                proxy.cut();
                count(&self.executed.cuts);
                continue;
            }
            if rng.random_bool(0.1) {
                // Longer than a log waits for an answer, so whoever waits has to live as long.
                let _all = running.write().await;
                let length = Duration::from_millis(rng.random_range(2_200..3_000));
                proxy.stall(length);
                sleep(length).await;
            } else {
                proxy.stall(Duration::from_millis(rng.random_range(20..250)));
            }
            count(&self.executed.stalls);
        }
    }

    /// One disaster after the other, with a pause between them. Nobody is killed or stopped meanwhile, so that only
    /// the disaster explains what happens.
    async fn befall(&self, mut rng: StdRng, running: &RwLock<()>) {
        let mut order = Order::new(self.disasters);
        while self.waits(&mut rng, 500..3_000).await || !order.has_drawn_all() {
            let Some(disaster) = order.next(&mut rng) else { return };
            let length = disaster.length(&mut rng);
            let _all = running.write().await;
            let start = Instant::now();
            self.weather.disaster(self.store.befall(disaster, length, &self.sender.next_ids())).await;
            self.executed.befallen.count(disaster, start.elapsed());
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
