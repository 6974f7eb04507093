async fn invoice_paid(
    State(app): State<App>,
    event: StripeEvent,
) -> Result<StatusCode, AppError> {
    let settled = {
        let event = &event;
        let buffer = &mut ::ferro_idem::__private::String::new();
        let asked = ::ferro_idem::__private::begin(
                &app.log,
                ::ferro_idem::__private::scoped(
                    "billing",
                    ::ferro_idem::__private::event(event),
                    buffer,
                ),
            )
            .await;
        match asked {
            ::ferro_idem::__private::Entry::Run(mut open) => {
                let reply = {
                    let (connection, delivery) = open.parts();
                    let body = async move {
                        if let ::ferro_idem::__private::Some(reply) = ::ferro_idem::__private::None::<
                            Result<StatusCode, AppError>,
                        > {
                            return reply;
                        }
                        let tx = connection;
                        sqlx::query("UPDATE accounts SET balance = 0")
                            .execute(&mut *tx)
                            .await?;
                        Ok(StatusCode::OK)
                    };
                    delivery.run(::ferro_idem::__private::pin!(body)).await
                };
                ::ferro_idem::__private::settle_transaction(
                        open,
                        reply,
                        |reply| {
                            use ::ferro_idem::__private::rules::*;
                            (&&&::ferro_idem::__private::Probe(reply))
                                .rule()
                                .is_processed(reply)
                        },
                    )
                    .await
            }
            ::ferro_idem::__private::Entry::Duplicate => {
                return ::ferro_idem::__private::duplicate_reply();
            }
            ::ferro_idem::__private::Entry::Failed(error) => {
                ::ferro_idem::__private::Err(error)
            }
        }
    };
    match settled {
        ::ferro_idem::__private::Ok(reply) => reply,
        ::ferro_idem::__private::Err(error) => {
            ::ferro_idem::__private::error_reply(error)
        }
    }
}
