async fn invoice_paid(
    State(app): State<App>,
    event: StripeEvent,
) -> Result<StatusCode, AppError> {
    let __ferro_idem_entry = {
        let __ferro_idem_key = ::ferro_idem::__private::event(&event);
        let mut __ferro_idem_buffer = ::ferro_idem::__private::String::new();
        let __ferro_idem_key = ::ferro_idem::__private::scoped(
            "billing",
            __ferro_idem_key,
            &mut __ferro_idem_buffer,
        );
        let __ferro_idem_entry = ::ferro_idem::__private::begin(
                &app.log,
                __ferro_idem_key,
                &::ferro_idem::__private::Site {
                    name: ::core::concat!(::core::module_path!(), "::invoice_paid"),
                    line: ::core::line!(),
                },
            )
            .await;
        __ferro_idem_entry
    };
    let __ferro_idem_settled = match __ferro_idem_entry {
        ::ferro_idem::__private::Entry::Run(mut __ferro_idem_open) => {
            let __ferro_idem_reply = {
                let (__ferro_idem_connection, __ferro_idem_delivery) = ::ferro_idem::__private::OpenTransaction::parts(
                    &mut __ferro_idem_open,
                );
                let __ferro_idem_body = async move {
                    if let ::ferro_idem::__private::Some(__ferro_idem_reply) = ::ferro_idem::__private::None::<
                        Result<StatusCode, AppError>,
                    > {
                        return __ferro_idem_reply;
                    }
                    #[allow(clippy::no_effect_underscore_binding)]
                    let tx = __ferro_idem_connection;
                    sqlx::query("UPDATE accounts SET balance = 0")
                        .execute(&mut *tx)
                        .await?;
                    Ok(StatusCode::OK)
                };
                ::ferro_idem::__private::run_in_transaction(
                        __ferro_idem_delivery,
                        ::ferro_idem::__private::Box::pin(__ferro_idem_body),
                    )
                    .await
            };
            ::ferro_idem::__private::settle_transaction(
                    __ferro_idem_open,
                    __ferro_idem_reply,
                    |__ferro_idem_reply| {
                        use ::ferro_idem::__private::rules::*;
                        match (&&&&&::ferro_idem::__private::Probe(__ferro_idem_reply))
                            .__ferro_idem_shape()
                            .__ferro_idem_held(__ferro_idem_reply)
                        {
                            ::ferro_idem::__private::Err(__ferro_idem_decided) => {
                                __ferro_idem_decided
                            }
                            ::ferro_idem::__private::Ok(__ferro_idem_held) => {
                                let __ferro_idem_first = (&&::ferro_idem::__private::Probe(
                                    __ferro_idem_held,
                                ))
                                    .__ferro_idem_first();
                                let __ferro_idem_status = (&*__ferro_idem_first).status();
                                let __ferro_idem_by_status = (&__ferro_idem_status)
                                    .is_success();
                                let __ferro_idem_by_itself = (&*__ferro_idem_first)
                                    .is_success();
                                (&&&&&::ferro_idem::__private::Probe(__ferro_idem_held))
                                    .__ferro_idem_kind()
                                    .__ferro_idem_is_processed(
                                        __ferro_idem_held,
                                        (&&::ferro_idem::__private::Probe(&__ferro_idem_by_status))
                                            .__ferro_idem_success(),
                                        (&&::ferro_idem::__private::Probe(&__ferro_idem_by_itself))
                                            .__ferro_idem_success(),
                                    )
                            }
                        }
                    },
                    |__ferro_idem_reply| {
                        use ::ferro_idem::__private::failures::*;
                        ::ferro_idem::__private::Failure::new(
                            (&&&&&::ferro_idem::__private::Probe(__ferro_idem_reply))
                                .__ferro_idem_error(),
                            (&&&&::ferro_idem::__private::Probe(__ferro_idem_reply))
                                .__ferro_idem_status(),
                        )
                    },
                )
                .await
        }
        ::ferro_idem::__private::Entry::Duplicate => {
            return ::ferro_idem::__private::duplicate_reply();
        }
        ::ferro_idem::__private::Entry::Failed(__ferro_idem_error) => {
            ::ferro_idem::__private::Err(__ferro_idem_error)
        }
    };
    match __ferro_idem_settled {
        ::ferro_idem::__private::Ok(__ferro_idem_reply) => {
            return __ferro_idem_reply;
        }
        ::ferro_idem::__private::Err(__ferro_idem_error) => {
            return ::ferro_idem::__private::error_reply(__ferro_idem_error);
        }
    }
}
