//! Books payments with sea-orm, in one transaction with the event's mark: an entity, and a duplicate.
//!
//! ```text
//! cargo run --example sea_orm_transaction --features sea-orm
//! ```
//!
//! It uses SQLite, so that it needs no server. With PostgreSQL or MySQL only the URL and sea-orm's feature are others.
//! The exit code is 0 if each payment is in the table once.

use std::process::ExitCode;

use ferro_idem::{Outcome, SeaOrmLog, WebhookEvent, idempotent_webhook};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, Database, DatabaseConnection, EntityTrait, PaginatorTrait, Set,
};

/// The application's entity. There is no unique key on `event_id`, on purpose: a body that runs twice leaves two rows.
#[allow(unreachable_pub, reason = "sea-orm writes public items beside these")]
mod payment {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "payments")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub event_id: String,
        pub amount: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

const PAYMENTS: &str =
    "CREATE TABLE payments (id INTEGER PRIMARY KEY, event_id TEXT NOT NULL, amount BIGINT NOT NULL)";

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
    Database(#[from] sea_orm::DbErr),
    #[error("a payment of nothing")]
    Nothing,
}

/// The part to copy. `tx` is a `&mut DatabaseTransaction`: what is written through it is committed together with the
/// mark, or not at all.
#[idempotent_webhook(transaction(tx))]
async fn on_payment(log: &SeaOrmLog, event: &Payment) -> Result<Outcome<i64>, AppError> {
    let payment = payment::ActiveModel {
        event_id: Set(event.event_id.to_owned()),
        amount: Set(event.amount),
        ..Default::default()
    };
    let payment = payment.insert(tx).await?;
    if payment.amount == 0 {
        return Err(AppError::Nothing);
    }
    Ok(Outcome::Processed(payment.amount))
}

async fn payments(connection: &DatabaseConnection) -> Result<u64, sea_orm::DbErr> {
    payment::Entity::find().count(connection).await
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let file = std::env::temp_dir().join(format!("ferro-idem-sea-orm-{}.db", std::process::id()));
    let connection = Database::connect(format!("sqlite://{}?mode=rwc", file.display())).await?;
    let log = SeaOrmLog::new(connection.clone());
    // Two of the application's migrations.
    connection.execute_unprepared(&log.schema()).await?;
    connection.execute_unprepared(PAYMENTS).await?;

    let paid = Payment { event_id: "evt_paid", amount: 40 };
    for delivery in ["the first delivery", "the second delivery"] {
        println!("evt_paid, {delivery}: {:?}", on_payment(&log, &paid).await?);
    }
    let nothing = Payment { event_id: "evt_nothing", amount: 0 };
    println!("evt_nothing fails after its insert: {}", on_payment(&log, &nothing).await.unwrap_err());
    let mended = Payment { event_id: "evt_nothing", amount: 2 };
    println!("evt_nothing, delivered again: {:?}", on_payment(&log, &mended).await?);

    let payments = payments(&connection).await?;
    println!("payments in the table: {payments}, expected: 2");
    connection.close().await?;
    std::fs::remove_file(&file)?;
    Ok(if payments == 2 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
