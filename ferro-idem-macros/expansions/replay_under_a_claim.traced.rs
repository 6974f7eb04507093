async fn charge(&self, event: &str) -> Result<Receipt, AppError> {
    let __ferro_idem_entry = {
        let __ferro_idem_key = ::ferro_idem::__private::event(&event);
        let __ferro_idem_lease: ::core::time::Duration = ::ferro_idem::__private::DEFAULT_LEASE;
        let __ferro_idem_keep: ::core::time::Duration = ::ferro_idem::__private::KEEP;
        let __ferro_idem_terms = ::ferro_idem::__private::Terms::new(
            ::ferro_idem::__private::None,
            __ferro_idem_keep,
        );
        let __ferro_idem_claiming = ::ferro_idem::__private::claim_replaying(
            &self.log(),
            __ferro_idem_key,
            __ferro_idem_lease,
            &::ferro_idem::__private::Site {
                name: ::core::concat!(::core::module_path!(), "::charge"),
                line: ::core::line!(),
            },
            __ferro_idem_terms,
        );
        let __ferro_idem_entry = __ferro_idem_claiming.await;
        __ferro_idem_entry
    };
    let __ferro_idem_tag = ::ferro_idem::__private::Tag::<
        Result<Receipt, AppError>,
    >::NEW;
    let __ferro_idem_settled = match __ferro_idem_entry {
        ::ferro_idem::__private::ReplayEntry::Run(__ferro_idem_guard) => {
            let __ferro_idem_claim = ::ferro_idem::__private::ReplayGuard::claim(
                &__ferro_idem_guard,
            );
            let __ferro_idem_body = async move {
                if let ::ferro_idem::__private::Some(__ferro_idem_reply) = ::ferro_idem::__private::None::<
                    Result<Receipt, AppError>,
                > {
                    return __ferro_idem_reply;
                }
                let c = __ferro_idem_claim;
                self.bank.charge(event, c.idempotency_key("charge")).await
            };
            ::ferro_idem::__private::run_claimed_replaying(
                    __ferro_idem_guard,
                    ::ferro_idem::__private::Box::pin(__ferro_idem_body),
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
        ::ferro_idem::__private::ReplayEntry::Duplicate(_) => {
            #[allow(unreachable_code, clippy::diverging_sub_expression)]
            return Ok(Receipt::expired());
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
