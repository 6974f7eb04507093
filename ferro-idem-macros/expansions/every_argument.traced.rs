async fn shopify(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, AppError> {
    let __ferro_idem_marked = {
        let __ferro_idem_entry = {
            use ::renamed::__private::ids::*;
            let __ferro_idem_key = ::renamed::__private::owned(
                (&&&&&&::renamed::__private::IdProbe(&shopify_event_id(&headers)?))
                    .__ferro_idem_key(),
            );
            let __ferro_idem_key = ::renamed::__private::OwnedKey::key(
                &__ferro_idem_key,
            );
            let mut __ferro_idem_buffer = ::renamed::__private::String::new();
            let __ferro_idem_key = ::renamed::__private::scoped(
                "billing",
                __ferro_idem_key,
                &mut __ferro_idem_buffer,
            );
            let __ferro_idem_entry = ::renamed::__private::fence(
                    &app.log,
                    __ferro_idem_key,
                    &::renamed::__private::Site {
                        name: ::core::concat!(::core::module_path!(), "::shopify"),
                        line: ::core::line!(),
                    },
                )
                .await;
            __ferro_idem_entry
        };
        match __ferro_idem_entry {
            ::renamed::__private::Entry::Run(__ferro_idem_marked) => __ferro_idem_marked,
            ::renamed::__private::Entry::Duplicate => {
                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                return match () {
                    () => Ok(StatusCode::OK),
                };
            }
            ::renamed::__private::Entry::Failed(__ferro_idem_error) => {
                return ::renamed::__private::error_reply_by(
                    |error| Err(AppError::Fence(error)),
                    __ferro_idem_error,
                );
            }
        }
    };
    let __ferro_idem_body = async move {
        if let ::renamed::__private::Some(__ferro_idem_reply) = ::renamed::__private::None::<
            Result<StatusCode, AppError>,
        > {
            return __ferro_idem_reply;
        }
        #[allow(clippy::used_underscore_binding)]
        let _ = &body;
        #[allow(clippy::used_underscore_binding)]
        let _ = &headers;
        #[allow(clippy::used_underscore_binding)]
        let _ = &app;
        handle(body).await
    };
    return ::renamed::__private::run_fenced(
            __ferro_idem_marked,
            ::renamed::__private::Box::pin(__ferro_idem_body),
            |__ferro_idem_reply| {
                use ::renamed::__private::failures::*;
                if (&&&::renamed::__private::Probe(__ferro_idem_reply))
                    .__ferro_idem_is_success()
                {
                    ::renamed::__private::None
                } else {
                    ::renamed::__private::Some(
                        ::renamed::__private::Failure::new(
                            (&&&&&::renamed::__private::Probe(__ferro_idem_reply))
                                .__ferro_idem_error(),
                            (&&&&::renamed::__private::Probe(__ferro_idem_reply))
                                .__ferro_idem_status(),
                        ),
                    )
                }
            },
        )
        .await;
}
