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
    ship(event).await?;
    Ok(())
}
