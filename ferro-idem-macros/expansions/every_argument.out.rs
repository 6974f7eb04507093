async fn shopify(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, AppError> {
    {
        let event = &shopify_event_id(&headers)?;
        let buffer = &mut ::renamed::__private::String::new();
        let checked = ::renamed::__private::fence(
                &app.log,
                ::renamed::__private::scoped(
                    "billing",
                    ::renamed::__private::event_id(event),
                    buffer,
                ),
            )
            .await;
        match checked {
            ::renamed::__private::Entry::Run(()) => {}
            ::renamed::__private::Entry::Duplicate => {
                return match () {
                    () => Ok(StatusCode::OK),
                };
            }
            ::renamed::__private::Entry::Failed(error) => {
                return ::renamed::__private::error_reply_by(
                    |error| Err(AppError::Fence(error)),
                    error,
                );
            }
        }
    }
    handle(body).await
}
