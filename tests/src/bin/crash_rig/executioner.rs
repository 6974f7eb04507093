//! Kills, stops and cuts, until the storm is over. Each kind of disturbance has its own random numbers, so that the time
//! that one takes does not change the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::RwLock;
use tokio::time::{Instant, sleep, timeout_at};

use crate::disasters::{Befallen, Disaster, Order, Weather, stretched};
use crate::handlers::LEASE;
use crate::partitions::Partition;
use crate::sender::Sender;
use crate::store::Store;
use crate::timeline::Timeline;
use crate::workers::{WORKERS, Workers};

/// How often each disturbance took place.
#[derive(Debug, Default)]
pub(crate) struct Executed {
    pub(crate) worker_kills: AtomicU64,
    /// Stops of workers that resumed after their leases had ended.
    pub(crate) worker_stops: AtomicU64,
    /// If there is no server: kills of all workers at once.
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
    pub(crate) timeline: &'a Timeline,
    /// Long enough for more than the disasters.
    pub(crate) is_long: bool,
    /// Nothing else happens, for a picture.
    pub(crate) only_disasters: bool,
    pub(crate) end: Instant,
}

impl Executioner<'_> {
    /// Returns when the storm is over and everything is up and connected again.
    pub(crate) async fn execute(&self, rng: &mut StdRng) {
        let mut drawn = || StdRng::seed_from_u64(rng.random());
        let numbers = (drawn(), drawn(), drawn(), drawn(), drawn());
        let running = RwLock::new(());
        if self.only_disasters {
            return self.befall(numbers.4, &running).await;
        }
        tokio::join!(
            self.kill_workers(numbers.0, &running),
            self.stop_workers(numbers.1, &running),
            self.crash_databases(numbers.2, &running),
            self.disturb_connections(numbers.3, &running),
            self.befall(numbers.4, &running),
        );
    }

    /// Waits for a random time in milliseconds, longer on a busy machine: workers take longer to start there, and
    /// would be killed before they deliver anything. Returns false if the storm is over.
    async fn waits(&self, rng: &mut StdRng, milliseconds: std::ops::Range<u64>) -> bool {
        let pause = stretched(Duration::from_millis(rng.random_range(milliseconds)));
        timeout_at(self.end, sleep(pause)).await.is_ok() && Instant::now() < self.end
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
            if self.workers.resume(index) {
                count(&self.executed.worker_stops);
            }
        }
    }

    /// If there is no server, all workers are killed at once. This is rarer, because it ends their stops.
    async fn crash_databases(&self, mut rng: StdRng, running: &RwLock<()>) {
        let pause = if self.store.deployment.is_some() { 600..1_200 } else { 1_000..2_000 };
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
                self.store.cut(proxy);
                count(&self.executed.cuts);
                continue;
            }
            if rng.random_bool(0.1) {
                // Longer than a log waits for an answer, so the workers have to live as long.
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
        let befalling = self.disasters.iter().copied().filter(|&disaster| disaster != Disaster::Drops);
        let (mut order, mut partitions) = (Order::new(befalling.collect()), Order::new(Partition::all()));
        let pause = match self.is_long {
            // What is usual comes first.
            _ if self.only_disasters => 15_000..16_000,
            // A run of ten minutes has many failovers and many partitions.
            true if self.store.is_cluster => 500..3_000,
            true => 5_000..15_000,
            false => 500..3_000,
        };
        loop {
            sleep(Duration::from_millis(rng.random_range(pause.clone()))).await;
            if Instant::now() >= self.end && order.has_drawn_all() {
                return;
            }
            let Some(disaster) = order.next(&mut rng) else { return };
            let length = disaster.length(&mut rng);
            let _all = running.write().await;
            let start = Instant::now();
            let next_ids = self.sender.next_ids();
            let befalling = async {
                match partitions.next_if(disaster == Disaster::Partition, &mut rng) {
                    Some(partition) => self.store.part(partition, length).await,
                    None => self.store.befall(disaster, length, &next_ids).await,
                }
            };
            self.weather.disaster(self.timeline.during(disaster, befalling)).await;
            self.executed.befallen.count(disaster, start.elapsed());
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
