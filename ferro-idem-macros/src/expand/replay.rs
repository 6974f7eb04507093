//! Generates what `replay` adds to a claim and a transaction: a reply that counts as processed is kept, and a duplicate
//! gets it again.
//!
//! ```text
//! let entry = {
//!     let key = ::ferro_idem::__private::event(&key);
//!     let terms = Terms::new(Some(fingerprint(&body)), KEEP);
//!     let log = (&&&OwnLog(&app.log)).own();
//!     begin_replaying(log, key, SITE, terms).await
//! };
//! let tag = Tag::<Result<Json<Receipt>, AppError>>::NEW;
//! let settled = match entry {
//!     ReplayEntry::Run(open) => {
//!         /* the body, as in `settling` */
//!         settle_replaying(open, reply, &tag, /* whether it means "processed" */, untold, |reply| CODEC.keep(reply)).await
//!     }
//!     ReplayEntry::Replay(kept) => replay_kept(kept, |kept| CODEC.replay(kept)),
//!     ReplayEntry::Duplicate(gone) => /* `on_duplicate`, or an error */,
//!     ReplayEntry::Failed(error) => Err(error),
//! };
//! ```
//!
//! The tag stands for the type of the reply, which may hold an `impl Trait`. The compiler knows it after the body, so
//! the body comes first. The codec is looked up by the tag, because there is no value to look at before a reply is read.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::spanned::Spanned;

use super::delivery::{borrowed, without_reference};
use super::{Runtime, hygienic_at, lease};
use crate::validate::Replay;

pub(super) struct Replaying {
    /// Binds `__ferro_idem_terms`.
    pub(super) terms: TokenStream,
    /// Whether `on_duplicate` is written.
    is_duplicate_written: bool,
}

impl Replaying {
    pub(super) fn new(
        runtime: &Runtime,
        Replay { fingerprint, keep }: Replay,
        is_duplicate_written: bool,
    ) -> Self {
        let here = Span::mixed_site();
        let terms = runtime.call("Terms", here);
        let keep = lease::duration(runtime, keep, "KEEP", "checked_keep", "__FERRO_IDEM_KEEP");
        let fingerprint = match fingerprint {
            None => runtime.call("None", here),
            Some(written) => {
                let (some, fingerprint) =
                    (runtime.call("Some", here), runtime.call("fingerprint", written.span()));
                let written = borrowed(without_reference(written));
                quote_spanned!(here=> #some(#fingerprint(#written)))
            }
        };
        let terms = quote_spanned! {here=>
            let __ferro_idem_keep: ::core::time::Duration = #keep;
            let __ferro_idem_terms = #terms::new(#fingerprint, __ferro_idem_keep);
        };
        Self { terms, is_duplicate_written }
    }

    /// Binds `__ferro_idem_tag`.
    pub(super) fn tag(runtime: &Runtime, return_type: &TokenStream) -> TokenStream {
        let here = Span::mixed_site();
        let tag = runtime.call("Tag", here);
        quote_spanned!(here=> let __ferro_idem_tag = #tag::<#return_type>::NEW;)
    }

    /// A closure that turns a reply into what is kept.
    pub(super) fn keep(runtime: &Runtime, return_span: Span) -> TokenStream {
        let codec = codec(runtime, return_span);
        quote_spanned! {Span::mixed_site()=>
            |__ferro_idem_reply| {
                #codec
                __ferro_idem_shape.__ferro_idem_keep(__ferro_idem_ok, __ferro_idem_err, __ferro_idem_reply)
            }
        }
    }

    /// The arms of duplicates. `duplicate` returns the reply of `on_duplicate`.
    pub(super) fn arms(
        &self,
        runtime: &Runtime,
        return_span: Span,
        variants: &TokenStream,
        duplicate: &TokenStream,
    ) -> TokenStream {
        let here = Span::mixed_site();
        let (replay_kept, codec) = (runtime.call("replay_kept", here), codec(runtime, return_span));
        let gone = if self.is_duplicate_written {
            quote_spanned!(here=> #variants::Duplicate(_) => { #duplicate })
        } else {
            let (codecs, probe) = (runtime.call("codecs", here), runtime.call("Probe", here));
            quote_spanned! {here=>
                #variants::Duplicate(__ferro_idem_gone) => {
                    use #codecs::*;
                    (&&#probe(&__ferro_idem_tag)).__ferro_idem_duplicate(__ferro_idem_gone)
                }
            }
        };
        quote_spanned! {here=>
            #variants::Replay(__ferro_idem_kept) => #replay_kept(__ferro_idem_kept, |__ferro_idem_kept| {
                #codec
                __ferro_idem_shape.__ferro_idem_replay(__ferro_idem_ok, __ferro_idem_err, __ferro_idem_kept)
            }),
            #gone
        }
    }
}

/// Binds the shape of the reply, and the codecs of what it may hold. A reply that cannot be kept is reported at the
/// return type.
fn codec(runtime: &Runtime, return_span: Span) -> TokenStream {
    let here = Span::mixed_site();
    let (codecs, probe) = (runtime.call("codecs", here), runtime.call("Probe", here));
    let codec = Ident::new("__ferro_idem_codec", hygienic_at(return_span));
    quote_spanned! {here=>
        use #codecs::*;
        let __ferro_idem_shape = (&&#probe(&__ferro_idem_tag)).__ferro_idem_reply_shape();
        let __ferro_idem_ok = (&&&#probe(&__ferro_idem_shape.__ferro_idem_ok())).#codec();
        let __ferro_idem_err = (&&&#probe(&__ferro_idem_shape.__ferro_idem_err())).__ferro_idem_err_codec();
    }
}
