/// Ships.
pub async fn on_event<L: ProcessedEventLog>(
    log: &L,
    event: StripeEvent,
) -> Result<(), AppError> {
    #![allow(unused)]
    {
        let event = &event;
        let checked = ::ferro_idem::__private::fence(
                &log,
                ::ferro_idem::__private::event(event),
            )
            .await;
        match checked {
            ::ferro_idem::__private::Entry::Run(()) => {}
            ::ferro_idem::__private::Entry::Duplicate => {
                return ::ferro_idem::__private::duplicate_reply();
            }
            ::ferro_idem::__private::Entry::Failed(error) => {
                return ::ferro_idem::__private::error_reply(error);
            }
        }
    }
    ship(event).await?;
    Ok(())
}
