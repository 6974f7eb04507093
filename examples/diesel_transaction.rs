//! Books payments with diesel-async on PostgreSQL, in one transaction with the event's mark: the DSL, and a duplicate.
//!
//! ```text
//! docker run --rm -p 5432:5432 -e POSTGRES_PASSWORD=example postgres
//! cargo run --example diesel_transaction --features diesel -- postgres://postgres:example@localhost/postgres
//! ```
//!
//! It works in tables of its own, which it drops at the end. The exit code is 0 if each payment is in the table once.

use std::process::ExitCode;

use diesel::prelude::*;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use ferro_idem::{DieselPostgresLog, Outcome, WebhookEvent, idempotent_webhook};

use crate::schema::ferro_idem_payments;

const USAGE: &str = "usage: diesel_transaction postgres://USER:PASSWORD@HOST/DATABASE (or in DATABASE_URL); \
     to start one: docker run --rm -p 5432:5432 -e POSTGRES_PASSWORD=example postgres";

#[allow(missing_docs, reason = "diesel writes what is in it")]
mod schema {
    diesel::table! {
        ferro_idem_payments (id) {
            id -> Int4,
            event_id -> Text,
            amount -> Int8,
        }
    }
}

/// There is no unique key on `event_id`, on purpose: a body that runs twice leaves two rows.
const PAYMENTS: &str = "\
CREATE TABLE ferro_idem_payments (id SERIAL PRIMARY KEY, event_id TEXT NOT NULL, amount BIGINT NOT NULL);";

const DROP: &str = "DROP TABLE IF EXISTS ferro_idem_payments; DROP TABLE IF EXISTS ferro_idem_events;";

struct Payment {
    event_id: &'static str,
    amount: i64,
}

impl WebhookEvent for Payment {
    fn event_id(&self) -> &str {
        self.event_id
    }
}

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Event(#[from] ferro_idem::Error),
    #[error("the payment could not be written down")]
    Database(#[from] diesel::result::Error),
    #[error("a payment of nothing")]
    Nothing,
}

/// The part to copy. `tx` is a `&mut AsyncPgConnection`: what is written through it is committed together with the mark,
/// or not at all.
#[idempotent_webhook(transaction(tx))]
async fn on_payment(log: &DieselPostgresLog, event: &Payment) -> Result<Outcome<i64>, AppError> {
    use ferro_idem_payments::dsl;
    diesel::insert_into(dsl::ferro_idem_payments)
        .values((dsl::event_id.eq(event.event_id), dsl::amount.eq(event.amount)))
        .execute(tx)
        .await?;
    if event.amount == 0 {
        return Err(AppError::Nothing);
    }
    Ok(Outcome::Processed(event.amount))
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Some(url) = std::env::args().nth(1).or_else(|| std::env::var("DATABASE_URL").ok()) else {
        eprintln!("{USAGE}");
        return Ok(ExitCode::FAILURE);
    };
    let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new(url);
    let pool = Pool::builder(manager).build()?;
    let log = DieselPostgresLog::new(pool.clone()).with_table("ferro_idem_events")?;
    let mut connection = pool.get().await?;
    // Two of the application's migrations.
    connection.batch_execute(&format!("{DROP}{}{PAYMENTS}", log.schema())).await?;

    let paid = Payment { event_id: "evt_paid", amount: 40 };
    for delivery in ["the first delivery", "the second delivery"] {
        println!("evt_paid, {delivery}: {:?}", on_payment(&log, &paid).await?);
    }
    let nothing = Payment { event_id: "evt_nothing", amount: 0 };
    println!("evt_nothing fails after its insert: {}", on_payment(&log, &nothing).await.unwrap_err());
    let mended = Payment { event_id: "evt_nothing", amount: 2 };
    println!("evt_nothing, delivered again: {:?}", on_payment(&log, &mended).await?);

    let payments: i64 = ferro_idem_payments::table.count().get_result(&mut connection).await?;
    println!("payments in the table: {payments}, expected: 2");
    connection.batch_execute(DROP).await?;
    Ok(if payments == 2 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
