async fn refund(&self, event: StripeEvent) -> Result<impl IntoResponse, AppError> {
    #![allow(unused)]
    let settled = {
        let event = &event;
        let asked = ::ferro_idem::__private::claim(
                &self.log,
                ::ferro_idem::__private::event(event),
                {
                    const __FERRO_IDEM_LEASE: ::core::time::Duration = ::ferro_idem::__private::checked_lease(
                        Duration::from_secs(120),
                    );
                    __FERRO_IDEM_LEASE
                },
            )
            .await;
        match asked {
            ::ferro_idem::__private::Entry::Run(mut guard) => {
                let reply = {
                    let claim = guard.claim();
                    let body = async move {
                        if let ::ferro_idem::__private::Some(reply) = ::ferro_idem::__private::None::<
                            Result<_, AppError>,
                        > {
                            return reply;
                        }
                        let c = claim;
                        stripe.refund(c.idempotency_key("refund")).await?;
                        Ok(())
                    };
                    guard.run(::ferro_idem::__private::pin!(body)).await
                };
                ::ferro_idem::__private::settle_claim(
                        guard,
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
