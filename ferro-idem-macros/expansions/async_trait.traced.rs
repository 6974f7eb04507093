fn handle<'life0, 'async_trait>(
    &'life0 self,
    __arg1: Json<Event>,
) -> ::core::pin::Pin<
    Box<
        dyn ::core::future::Future<
            Output = Result<(), Error>,
        > + ::core::marker::Send + 'async_trait,
    >,
>
where
    'life0: 'async_trait,
    Self: 'async_trait,
{
    Box::pin(async move {
        if let ::core::option::Option::Some(__ret) = ::core::option::Option::None::<
            Result<(), Error>,
        > {
            #[allow(unreachable_code)] return __ret;
        }
        let __self = self;
        let Json(event) = {
            let __arg1 = __arg1;
            __arg1
        };
        let __ret: Result<(), Error> = {
            let __ferro_idem_marked = {
                let __ferro_idem_entry = {
                    let __ferro_idem_key = ::ferro_idem::__private::event(&event);
                    let __ferro_idem_entry = ::ferro_idem::__private::fence(
                            &__self.log,
                            __ferro_idem_key,
                            &::ferro_idem::__private::Site {
                                name: ::core::concat!(::core::module_path!(), "::handle"),
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
                    Result<(), Error>,
                > {
                    return __ferro_idem_reply;
                }
                #[allow(clippy::used_underscore_binding)]
                let _ = &event;
                #[allow(clippy::used_underscore_binding)]
                let _ = &__self;
                __self.ship(event).await
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
        };
        #[allow(unreachable_code)] __ret
    })
}
