/// Ships.
pub async fn on_event<L: ProcessedEventLog>(
    log: &L,
    event: StripeEvent,
) -> Result<(), AppError> {
    #![allow(unused)]
    let __ferro_idem_marked = {
        let __ferro_idem_entry = {
            let __ferro_idem_key = ::ferro_idem::__private::event(&event);
            let __ferro_idem_entry = ::ferro_idem::__private::fence(
                    &log,
                    __ferro_idem_key,
                    &::ferro_idem::__private::Site {
                        name: ::core::concat!(::core::module_path!(), "::on_event"),
                        line: ::core::line!(),
                    },
                )
                .await;
            __ferro_idem_entry
        };
        match __ferro_idem_entry {
            ::ferro_idem::__private::Entry::Run(__ferro_idem_marked) => {
                __ferro_idem_marked
            }
            ::ferro_idem::__private::Entry::Duplicate => {
                return ::ferro_idem::__private::duplicate_reply();
            }
            ::ferro_idem::__private::Entry::Failed(__ferro_idem_error) => {
                return ::ferro_idem::__private::error_reply(__ferro_idem_error);
            }
        }
    };
    let __ferro_idem_body = async move {
        if let ::ferro_idem::__private::Some(__ferro_idem_reply) = ::ferro_idem::__private::None::<
            Result<(), AppError>,
        > {
            return __ferro_idem_reply;
        }
        #[allow(clippy::used_underscore_binding)]
        let _ = &event;
        #[allow(clippy::used_underscore_binding)]
        let _ = &log;
        ship(event).await?;
        Ok(())
    };
    return ::ferro_idem::__private::run_fenced(
            __ferro_idem_marked,
            ::ferro_idem::__private::Box::pin(__ferro_idem_body),
            |__ferro_idem_reply| {
                use ::ferro_idem::__private::failures::*;
                if (&&&::ferro_idem::__private::Probe(__ferro_idem_reply))
                    .__ferro_idem_is_success()
                {
                    ::ferro_idem::__private::None
                } else {
                    ::ferro_idem::__private::Some(
                        ::ferro_idem::__private::Failure::new(
                            (&&&&&::ferro_idem::__private::Probe(__ferro_idem_reply))
                                .__ferro_idem_error(),
                            (&&&&::ferro_idem::__private::Probe(__ferro_idem_reply))
                                .__ferro_idem_status(),
                        ),
                    )
                }
            },
        )
        .await;
}
