/// Ships.
async fn ship(
    self: Arc<Self>,
    State(app): State<App>,
    Event { id, .. }: Event,
    __ferro_idem_argument_3: Noted,
    __ferro_idem_argument_4: (Noted, Noted),
    log: Log,
) {
    let __ferro_idem_marked = {
        let __ferro_idem_entry = {
            use ::ferro_idem::__private::ids::*;
            let __ferro_idem_key = (&&&&&&::ferro_idem::__private::IdProbe(&id))
                .__ferro_idem_key();
            let __ferro_idem_entry = ::ferro_idem::__private::fence(
                    &log,
                    __ferro_idem_key,
                    &::ferro_idem::__private::Site {
                        name: ::core::concat!(::core::module_path!(), "::ship"),
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
            (),
        > {
            return __ferro_idem_reply;
        }
        #[allow(clippy::used_underscore_binding)]
        let _ = &log;
        #[allow(clippy::used_underscore_binding)]
        let _ = &__ferro_idem_argument_4;
        #[allow(clippy::used_underscore_binding)]
        let _ = &__ferro_idem_argument_3;
        #[allow(clippy::used_underscore_binding)]
        let _ = &id;
        #[allow(clippy::used_underscore_binding)]
        let _ = &app;
        #[allow(clippy::used_underscore_binding)]
        let _ = &self;
        let (mut kept, _) = __ferro_idem_argument_4;
        #[allow(clippy::shadow_same, clippy::used_underscore_binding)]
        let mut log = log;
        kept.ship(app).await;
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
