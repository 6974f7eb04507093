async fn refund(&self, event: StripeEvent) -> Result<impl IntoResponse, AppError> {
    #![allow(unused)]
    let __ferro_idem_entry = {
        let __ferro_idem_key = ::ferro_idem::__private::event(&event);
        let __ferro_idem_lease: ::core::time::Duration = {
            const __FERRO_IDEM_LEASE: ::core::time::Duration = ::ferro_idem::__private::checked_lease(
                Duration::from_secs(120),
            );
            __FERRO_IDEM_LEASE
        };
        let __ferro_idem_claiming = ::ferro_idem::__private::claim(
            &self.log,
            __ferro_idem_key,
            __ferro_idem_lease,
            &::ferro_idem::__private::Site {
                name: ::core::concat!(::core::module_path!(), "::refund"),
                line: ::core::line!(),
            },
        );
        let __ferro_idem_entry = __ferro_idem_claiming.await;
        __ferro_idem_entry
    };
    let __ferro_idem_settled = match __ferro_idem_entry {
        ::ferro_idem::__private::Entry::Run(__ferro_idem_guard) => {
            let __ferro_idem_claim = ::ferro_idem::__private::Guard::claim(
                &__ferro_idem_guard,
            );
            let __ferro_idem_body = async move {
                if let ::ferro_idem::__private::Some(__ferro_idem_reply) = ::ferro_idem::__private::None::<
                    Result<_, AppError>,
                > {
                    return __ferro_idem_reply;
                }
                let c = __ferro_idem_claim;
                stripe.refund(c.idempotency_key("refund")).await?;
                Ok(())
            };
            ::ferro_idem::__private::run_claimed(
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
                    ::ferro_idem::__private::untold,
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
