/// Ships.
async fn ship(
    self: Arc<Self>,
    State(app): State<App>,
    Event { id, .. }: Event,
    _: Noted,
    (mut kept, _): (Noted, Noted),
    mut log: Log,
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
    kept.ship(app).await;
}
