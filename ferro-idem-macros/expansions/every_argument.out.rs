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
    handle(body).await
}
