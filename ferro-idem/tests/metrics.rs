//! What a Prometheus server scrapes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ferro_idem::{
    ClaimLog, Error, EventRef, MemoryProcessedLog, Owner, ProcessedEventLog, async_trait, idempotent_webhook,
    metrics,
};
use futures_util::FutureExt;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

struct Away;

#[async_trait]
impl ProcessedEventLog for Away {
    async fn try_mark_processed(&self, _: &str) -> Result<bool, Error> {
        Err(Error::store("mark the event", "connection refused"))
    }
}

#[idempotent_webhook]
async fn fenced<L: ProcessedEventLog>(log: &L, event: &str) -> Result<(), Error> {
    Ok(())
}

#[idempotent_webhook(claim)]
async fn claimed<L: ClaimLog>(log: &L, event: &str, fails: bool) -> Result<(), Error> {
    if fails { Err(Error::store("ship", "no parcel left")) } else { Ok(()) }
}

/// Runs it with a recorder of its own, and returns what is scraped.
fn scraped(run: impl Future<Output = ()>) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle: PrometheusHandle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    ::metrics::with_local_recorder(&recorder, || {
        metrics::describe();
        runtime.block_on(run);
    });
    handle.render()
}

#[track_caller]
fn holds(scrape: &str, line: &str) {
    assert!(scrape.lines().any(|scraped| scraped == line), "no {line} in\n{scrape}");
}

#[test]
fn deliveries_and_bodies_are_counted_by_outcome() {
    let scrape = scraped(async {
        let log = MemoryProcessedLog::new();
        for event in ["evt_1", "evt_1", "evt_1", "evt_2"] {
            fenced(&log, event).await.unwrap();
        }
        assert!(claimed(&log, "evt_3", true).await.is_err());
        claimed(&log, "evt_3", false).await.unwrap();
        claimed(&log, "evt_3", false).await.unwrap();
        let owner = Owner::random().unwrap();
        log.claim(EventRef::new("evt_4").unwrap(), owner, Duration::from_mins(1)).await.unwrap();
        assert!(matches!(claimed(&log, "evt_4", false).await, Err(Error::InProgress { .. })));
    });
    for line in [
        "ferro_idem_deliveries_total{guarantee=\"fence\",outcome=\"first\"} 2",
        "ferro_idem_deliveries_total{guarantee=\"fence\",outcome=\"duplicate\"} 2",
        "ferro_idem_deliveries_total{guarantee=\"claim\",outcome=\"first\"} 1",
        "ferro_idem_deliveries_total{guarantee=\"claim\",outcome=\"retry\"} 1",
        "ferro_idem_deliveries_total{guarantee=\"claim\",outcome=\"duplicate\"} 1",
        "ferro_idem_deliveries_total{guarantee=\"claim\",outcome=\"in_progress\"} 1",
        "ferro_idem_bodies_total{guarantee=\"claim\",outcome=\"processed\"} 1",
        "ferro_idem_bodies_total{guarantee=\"claim\",outcome=\"released\"} 1",
        "ferro_idem_delivery_duration_seconds_count{guarantee=\"fence\"} 4",
        "ferro_idem_delivery_duration_seconds_count{guarantee=\"claim\"} 4",
    ] {
        holds(&scrape, line);
    }
}

/// Every reply is kept, if it can be.
#[cfg(feature = "replay")]
#[test]
fn replays_are_duplicates_and_only_mistakes_are_errors() {
    #[idempotent_webhook(event = key, claim, replay, fingerprint = body, keep = keep)]
    async fn replaying(
        log: &MemoryProcessedLog,
        key: &str,
        body: &str,
        keep: Duration,
    ) -> Result<String, Error> {
        Ok(if body == "large" { "x".repeat(1 << 20) } else { "charged canary".to_owned() })
    }

    let scrape = scraped(async {
        let (log, day) = (MemoryProcessedLog::new(), ferro_idem::replay::KEEP);
        for _ in 0..3 {
            replaying(&log, "key_1", "pay", day).await.unwrap();
        }
        assert!(matches!(replaying(&log, "key_1", "pay more", day).await, Err(Error::Mismatch { .. })));
        replaying(&log, "key_2", "pay", Duration::ZERO).await.unwrap();
        let gone = replaying(&log, "key_2", "pay", Duration::ZERO).await;
        assert!(matches!(gone, Err(Error::ReplyGone { .. })), "{gone:?}");
        assert!(matches!(replaying(&log, "key_3", "large", day).await, Err(Error::ReplyNotKept { .. })));
    });
    for line in [
        "ferro_idem_deliveries_total{guarantee=\"claim\",outcome=\"first\"} 3",
        "ferro_idem_deliveries_total{guarantee=\"claim\",outcome=\"duplicate\"} 3",
        "ferro_idem_deliveries_total{guarantee=\"claim\",outcome=\"failed\"} 1",
        "ferro_idem_bodies_total{guarantee=\"claim\",outcome=\"processed\"} 2",
        "ferro_idem_bodies_total{guarantee=\"claim\",outcome=\"released\"} 1",
        "ferro_idem_errors_total{kind=\"mismatch\"} 1",
        "ferro_idem_errors_total{kind=\"reply\"} 1",
        "ferro_idem_delivery_duration_seconds_count{guarantee=\"claim\"} 7",
    ] {
        holds(&scrape, line);
    }
    assert!(!scrape.contains("canary"), "{scrape}");
}

#[test]
fn errors_are_counted_by_kind_and_never_name_an_event() {
    let scrape = scraped(async {
        assert!(fenced(&Away, "evt_canary").await.is_err());
        assert!(fenced(&MemoryProcessedLog::new(), "").await.is_err());
    });
    holds(&scrape, "ferro_idem_errors_total{kind=\"store\"} 1");
    holds(&scrape, "ferro_idem_errors_total{kind=\"invalid_id\"} 1");
    holds(&scrape, "ferro_idem_deliveries_total{guarantee=\"fence\",outcome=\"failed\"} 2");
    assert!(!scrape.contains("canary"), "{scrape}");
}

#[test]
fn gauges_show_what_the_log_holds() {
    let scrape = scraped(async {
        let log = MemoryProcessedLog::with_retention(ferro_idem::RETENTION);
        fenced(&log, "evt_1").await.unwrap();
        let owner = Owner::random().unwrap();
        log.claim(EventRef::new("evt_2").unwrap(), owner, Duration::ZERO).await.unwrap();
        metrics::record(&log.operations().counts().await.unwrap());
    });
    holds(&scrape, "ferro_idem_events{state=\"processed\"} 1");
    holds(&scrape, "ferro_idem_events{state=\"lease-ended\"} 1");
    assert!(scrape.contains("ferro_idem_oldest_event_age_seconds{state=\"processed\"}"), "{scrape}");
}

#[cfg(all(feature = "inbox", any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
#[test]
fn gauges_show_what_the_inbox_holds() {
    use ferro_idem::inbox::operations::{InboxCounts, InboxState};

    let scrape = scraped(async {
        metrics::describe();
        let mut counts = InboxCounts::default();
        let hour_ago = std::time::SystemTime::now() - Duration::from_hours(1);
        counts.count(InboxState::Parked, 3, Some(hour_ago));
        metrics::record_inbox(&counts);
    });
    holds(&scrape, "ferro_idem_inbox_events{state=\"parked\"} 3");
    holds(&scrape, "ferro_idem_inbox_events{state=\"waiting\"} 0");
    assert!(scrape.contains("ferro_idem_inbox_oldest_event_age_seconds{state=\"parked\"} 3600"), "{scrape}");
}

/// A recorder may have nothing of its own, like the one that the facade uses without any.
#[test]
fn a_recorder_without_fields_records() {
    use ::metrics::{
        Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };

    static COUNTED: AtomicU64 = AtomicU64::new(0);

    struct Counting;

    impl CounterFn for Counting {
        fn increment(&self, by: u64) {
            COUNTED.fetch_add(by, Ordering::Relaxed);
        }

        fn absolute(&self, _: u64) {}
    }

    impl Recorder for Counting {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(Arc::new(Counting))
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    let log = MemoryProcessedLog::new();
    ::metrics::with_local_recorder(&Counting, || {
        for _ in 0..2 {
            fenced(&log, "evt_1").now_or_never().unwrap().unwrap();
        }
    });
    assert_eq!(COUNTED.load(Ordering::Relaxed), 2);
}

/// The outer handler holds the event, so the inner one is refused.
#[test]
fn nested_fences_are_counted_as_errors() {
    #[idempotent_webhook]
    async fn outer(log: &MemoryProcessedLog, event: &str) -> Result<(), Error> {
        fenced(log, event).await
    }

    let scrape = scraped(async {
        assert!(matches!(outer(&MemoryProcessedLog::new(), "evt_1").await, Err(Error::Nested { .. })));
    });
    holds(&scrape, "ferro_idem_errors_total{kind=\"nested\"} 1");
    holds(&scrape, "ferro_idem_deliveries_total{guarantee=\"fence\",outcome=\"first\"} 1");
    holds(&scrape, "ferro_idem_deliveries_total{guarantee=\"fence\",outcome=\"failed\"} 1");
    assert!(!scrape.contains("duplicate"), "{scrape}");
}

#[test]
fn without_a_recorder_nothing_happens() {
    metrics::describe();
    fenced(&MemoryProcessedLog::new(), "evt_1").now_or_never().unwrap().unwrap();
}

/// The dashboard and the alerts name metrics that exist.
#[test]
fn the_dashboard_and_the_alerts_name_metrics_that_exist() {
    let names = [
        metrics::DELIVERIES,
        metrics::BODIES,
        metrics::DURATION,
        metrics::ERRORS,
        metrics::EVENTS,
        metrics::OLDEST,
        metrics::INBOX_EVENTS,
        metrics::INBOX_OLDEST,
    ];
    let files = [
        include_str!("../../docs/dashboards/grafana.json"),
        include_str!("../../docs/dashboards/alerts.yml"),
    ];
    serde_json::from_str::<serde_json::Value>(files[0]).unwrap();
    for file in files {
        let mut used = 0;
        for rest in file.split("ferro_idem_").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap();
            let name = format!("ferro_idem_{}", &rest[..end]);
            let name = name.trim_end_matches("_bucket").trim_end_matches("_count").trim_end_matches("_sum");
            assert!(names.contains(&name), "there is no {name}");
            used += 1;
        }
        assert!(used >= 5, "{used}");
    }
}
