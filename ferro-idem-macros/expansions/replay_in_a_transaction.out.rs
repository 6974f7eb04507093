async fn charge(
    State(app): State<App>,
    user: User,
    key: IdempotencyKey,
    body: Bytes,
) -> Result<(StatusCode, Json<Receipt>), AppError> {
    let __ferro_idem_entry = {
        use ::ferro_idem::__private::own_logs::*;
        use ::ferro_idem::__private::scopes::*;
        let __ferro_idem_key = ::ferro_idem::__private::event(&key);
        let mut __ferro_idem_buffer = (&&&::ferro_idem::__private::ScopeProbe(&user.id))
            .__ferro_idem_scope();
        let __ferro_idem_key = ::ferro_idem::__private::scoped_by(
            __ferro_idem_key,
            &mut __ferro_idem_buffer,
        );
        let __ferro_idem_keep: ::core::time::Duration = {
            const __FERRO_IDEM_KEEP: ::core::time::Duration = ::ferro_idem::__private::checked_keep(
                Duration::from_secs(86_400),
            );
            __FERRO_IDEM_KEEP
        };
        let __ferro_idem_terms = ::ferro_idem::__private::Terms::new(
            ::ferro_idem::__private::Some(::ferro_idem::__private::fingerprint(&body)),
            __ferro_idem_keep,
        );
        let __ferro_idem_log = (&&&::ferro_idem::__private::OwnLog(&app.log))
            .__ferro_idem_own();
        let __ferro_idem_entry = ::ferro_idem::__private::begin_replaying(
                __ferro_idem_log,
                __ferro_idem_key,
                &::ferro_idem::__private::Site {
                    name: ::core::concat!(::core::module_path!(), "::charge"),
                    line: ::core::line!(),
                },
                __ferro_idem_terms,
            )
            .await;
        __ferro_idem_entry
    };
    let __ferro_idem_tag = ::ferro_idem::__private::Tag::<
        Result<(StatusCode, Json<Receipt>), AppError>,
    >::NEW;
    let __ferro_idem_settled = match __ferro_idem_entry {
        ::ferro_idem::__private::ReplayEntry::Run(mut __ferro_idem_open) => {
            let __ferro_idem_reply = {
                let (__ferro_idem_connection, __ferro_idem_delivery) = ::ferro_idem::__private::OpenReplaying::parts(
                    &mut __ferro_idem_open,
                );
                let __ferro_idem_body = async move {
                    if let ::ferro_idem::__private::Some(__ferro_idem_reply) = ::ferro_idem::__private::None::<
                        Result<(StatusCode, Json<Receipt>), AppError>,
                    > {
                        return __ferro_idem_reply;
                    }
                    #[allow(clippy::no_effect_underscore_binding)]
                    let tx = __ferro_idem_connection;
                    let receipt = app.charge(tx, &body).await?;
                    Ok((StatusCode::CREATED, Json(receipt)))
                };
                ::ferro_idem::__private::run_in_transaction(
                        __ferro_idem_delivery,
                        ::ferro_idem::__private::Box::pin(__ferro_idem_body),
                    )
                    .await
            };
            ::ferro_idem::__private::settle_replaying(
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
                    ::ferro_idem::__private::untold,
                    &__ferro_idem_tag,
                    |__ferro_idem_reply| {
                        use ::ferro_idem::__private::codecs::*;
                        let __ferro_idem_shape = (&&::ferro_idem::__private::Probe(
                            &__ferro_idem_tag,
                        ))
                            .__ferro_idem_reply_shape();
                        let __ferro_idem_ok = (&&&::ferro_idem::__private::Probe(
                            &__ferro_idem_shape.__ferro_idem_ok(),
                        ))
                            .__ferro_idem_codec();
                        let __ferro_idem_err = (&&&::ferro_idem::__private::Probe(
                            &__ferro_idem_shape.__ferro_idem_err(),
                        ))
                            .__ferro_idem_err_codec();
                        __ferro_idem_shape
                            .__ferro_idem_keep(
                                __ferro_idem_ok,
                                __ferro_idem_err,
                                __ferro_idem_reply,
                            )
                    },
                )
                .await
        }
        ::ferro_idem::__private::ReplayEntry::Replay(__ferro_idem_kept) => {
            ::ferro_idem::__private::replay_kept(
                __ferro_idem_kept,
                |__ferro_idem_kept| {
                    use ::ferro_idem::__private::codecs::*;
                    let __ferro_idem_shape = (&&::ferro_idem::__private::Probe(
                        &__ferro_idem_tag,
                    ))
                        .__ferro_idem_reply_shape();
                    let __ferro_idem_ok = (&&&::ferro_idem::__private::Probe(
                        &__ferro_idem_shape.__ferro_idem_ok(),
                    ))
                        .__ferro_idem_codec();
                    let __ferro_idem_err = (&&&::ferro_idem::__private::Probe(
                        &__ferro_idem_shape.__ferro_idem_err(),
                    ))
                        .__ferro_idem_err_codec();
                    __ferro_idem_shape
                        .__ferro_idem_replay(
                            __ferro_idem_ok,
                            __ferro_idem_err,
                            __ferro_idem_kept,
                        )
                },
            )
        }
        ::ferro_idem::__private::ReplayEntry::Duplicate(__ferro_idem_gone) => {
            use ::ferro_idem::__private::codecs::*;
            (&&::ferro_idem::__private::Probe(&__ferro_idem_tag))
                .__ferro_idem_duplicate(__ferro_idem_gone)
        }
        ::ferro_idem::__private::ReplayEntry::Failed(__ferro_idem_error) => {
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
