async fn shopify(log: &Log, headers: HeaderMap) -> StatusCode {
    let __ferro_idem_is_for_this_handler: ::ferro_idem::__private::bool = headers
        .contains_key("x-topic");
    if !__ferro_idem_is_for_this_handler {
        #[allow(unreachable_code, clippy::diverging_sub_expression)]
        return match () {
            () => StatusCode::ACCEPTED,
        };
    }
    let __ferro_idem_entry = {
        use ::ferro_idem::__private::ids::*;
        let __ferro_idem_key = ::ferro_idem::__private::owned(
            (&&&&&&::ferro_idem::__private::IdProbe(&headers.get("x-id")))
                .__ferro_idem_key(),
        );
        let __ferro_idem_key = ::ferro_idem::__private::OwnedKey::key(&__ferro_idem_key);
        let __ferro_idem_lease: ::core::time::Duration = ::ferro_idem::__private::DEFAULT_LEASE;
        let __ferro_idem_claiming = ::ferro_idem::__private::claim(
            &log,
            __ferro_idem_key,
            __ferro_idem_lease,
            &::ferro_idem::__private::Site {
                name: ::core::concat!(::core::module_path!(), "::shopify"),
                line: ::core::line!(),
            },
        );
        let __ferro_idem_entry = __ferro_idem_claiming.await;
        __ferro_idem_entry
    };
    let __ferro_idem_settled = match __ferro_idem_entry {
        ::ferro_idem::__private::Entry::Run(__ferro_idem_guard) => {
            let __ferro_idem_body = async move {
                use std::time::Duration;
                if let ::ferro_idem::__private::Some(__ferro_idem_reply) = ::ferro_idem::__private::None::<
                    StatusCode,
                > {
                    return __ferro_idem_reply;
                }
                ship(Duration::ZERO).await
            };
            ::ferro_idem::__private::run_claimed(
                    __ferro_idem_guard,
                    ::ferro_idem::__private::Box::pin(__ferro_idem_body),
                    |__ferro_idem_reply| ::ferro_idem::__private::is_processed_by(
                        |reply| reply.is_success(),
                        __ferro_idem_reply,
                    ),
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
