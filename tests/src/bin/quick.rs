//! tmp
use ferro_idem::*;
use sqlx::postgres::PgPoolOptions;
use std::time::Instant;
async fn hand(pool: &sqlx::PgPool, id: &str) -> bool {
    sqlx::query("INSERT INTO stripe_processed_events (event_id, event_type) VALUES ($1,$2) ON CONFLICT (event_id) DO NOTHING").bind(id).bind("x.y").execute(pool).await.unwrap().rows_affected() == 1
}
#[tokio::main]
async fn main() {
    let pool = PgPoolOptions::new()
        .max_connections(16)
        .min_connections(16)
        .connect("postgres://postgres@127.0.0.1:45432/t")
        .await
        .unwrap();
    sqlx::raw_sql("DROP TABLE IF EXISTS stripe_processed_events").execute(&pool).await.unwrap();
    let log = PostgresLog::new(pool.clone());
    log.create_table().await.unwrap();
    let alone = log.clone().without_group_commit();
    let mut run = 0;
    for _ in 0..3 {
        for flight in [1usize, 16, 64, 256, 1024] {
            let mut line = format!("{flight:5}");
            let mut base = 0.0;
            for mode in 0..3 {
                run += 1;
                let total = match (flight, mode) {
                    (1, _) => 1000,
                    (16, 2) => 8000,
                    (16, _) => 4000,
                    (_, 2) => 40000,
                    _ => 6000,
                };
                let start = Instant::now();
                let tasks: Vec<_> = (0..flight)
                    .map(|t| {
                        let (pool, log, alone) = (pool.clone(), log.clone(), alone.clone());
                        tokio::spawn(async move {
                            for i in 0..total / flight {
                                let n = (t * (total / flight) + i) / 2 * 2;
                                let id = format!("evt_1{run:06}{n:017}");
                                match mode {
                                    0 => hand(&pool, &id).await,
                                    1 => alone
                                        .try_mark_event(EventRef::new(&id).unwrap().with_type("x.y"))
                                        .await
                                        .unwrap(),
                                    _ => log
                                        .try_mark_event(EventRef::new(&id).unwrap().with_type("x.y"))
                                        .await
                                        .unwrap(),
                                };
                            }
                        })
                    })
                    .collect();
                for t in tasks {
                    t.await.unwrap();
                }
                let rate = total as f64 / start.elapsed().as_secs_f64();
                if mode == 0 {
                    base = rate
                }
                line += &format!("  {rate:9.0}/s ({:.2})", rate / base);
            }
            // bulk
            run += 1;
            let ids: Vec<String> = (0..20000).map(|n| format!("evt_1{run:06}{n:017}")).collect();
            let kinds = vec!["x.y".to_owned(); ids.len()];
            let start = Instant::now();
            for (a, b) in ids.chunks(1024).zip(kinds.chunks(1024)) {
                sqlx::query("INSERT INTO stripe_processed_events (event_id, event_type) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT (event_id) DO NOTHING").bind(a).bind(b).execute(&pool).await.unwrap();
            }
            line += &format!("  bulk(1024 each) {:.0}/s", 20000.0 / start.elapsed().as_secs_f64());
            println!("{line}");
        }
    }
}
