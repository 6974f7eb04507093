//! Which replies of axum and http mean that the event is processed: those that the sender sees as 2xx.
//!
//! Stripe takes everything else for a failure, redirects included
//! (<https://docs.stripe.com/webhooks#webhook-endpoint-def>), and so do the other senders.

use axum::body::{Body, Bytes};
use axum::extract::rejection::{
    BytesRejection, ExtensionRejection, FormRejection, JsonRejection, PathRejection, QueryRejection,
    RawFormRejection, RawPathParamsRejection, StringRejection,
};
use axum::http::response::Parts;
use axum::http::{Extensions, HeaderMap, Response, StatusCode};
use axum::response::{AppendHeaders, Html, IntoResponse, NoContent, Redirect, Sse};
use axum::{Extension, Form, Json};
use bytes::BytesMut;
use bytes::buf::Chain;

use crate::processed::CarriesStatus;
use crate::reply::Settle;

// `do_not_recommend` keeps the compiler's list of replies to those that people choose from.

/// What axum answers may be a failure: without `Settle` it does not compile.
impl<T: IntoResponse> CarriesStatus for T {}

/// 2xx.
impl Settle for StatusCode {
    fn is_processed(&self) -> bool {
        self.is_success()
    }
}

/// By the status.
impl<B> Settle for Response<B> {
    fn is_processed(&self) -> bool {
        self.status().is_success()
    }
}

/// By the status.
#[diagnostic::do_not_recommend]
impl Settle for Parts {
    fn is_processed(&self) -> bool {
        self.status.is_success()
    }
}

/// Never: a redirect is a failure to a sender of webhooks.
#[diagnostic::do_not_recommend]
impl Settle for Redirect {
    fn is_processed(&self) -> bool {
        false
    }
}

/// What axum answers 200, or 204, whatever it holds.
macro_rules! settle_as_success {
    ($([$($generics:tt)*] $reply:ty),* $(,)?) => {$(
        /// Always: axum answers it with a success.
        #[diagnostic::do_not_recommend]
        impl<$($generics)*> Settle for $reply {
            fn is_processed(&self) -> bool {
                true
            }
        }
    )*};
}

settle_as_success! {
    [T] Json<T>,
    [T] Html<T>,
    [T] Form<T>,
    [T] Extension<T>,
    [S] Sse<S>,
    [I] AppendHeaders<I>,
    [K, V, const N: usize] [(K, V); N],
    [] HeaderMap,
    [] Extensions,
    [] NoContent,
    [] Body,
    [] Bytes,
    [] BytesMut,
    [T, U] Chain<T, U>,
    [] Vec<u8>,
    [] [u8],
    [const N: usize] [u8; N],
    [] String,
    [] str,
}

macro_rules! settle_by_status {
    ($($rejection:ty),* $(,)?) => {$(
        /// By the status, which is a failure.
        #[diagnostic::do_not_recommend]
        impl Settle for $rejection {
            fn is_processed(&self) -> bool {
                self.status().is_success()
            }
        }
    )*};
}

settle_by_status! {
    BytesRejection,
    ExtensionRejection,
    FormRejection,
    JsonRejection,
    PathRejection,
    QueryRejection,
    RawFormRejection,
    RawPathParamsRejection,
    StringRejection,
}

/// What axum and http put before the last element of a tuple without changing its status.
///
/// Local, because the compiler has to know that a `StatusCode` is none of them.
#[diagnostic::on_unimplemented(
    message = "the status of a tuple that begins with `{Self}` is not known",
    label = "not a part of axum's or http's own",
    note = "say when the event is processed: `#[idempotent_webhook(processed = |reply| EXPR)]`",
    note = "or begin the tuple with a `StatusCode`, or return `Response` (`.into_response()`)"
)]
pub trait KeepsStatus {}

impl KeepsStatus for () {}
impl KeepsStatus for HeaderMap {}
impl KeepsStatus for Extensions {}
impl<T> KeepsStatus for Extension<T> {}
impl<I> KeepsStatus for AppendHeaders<I> {}
impl<K, V, const N: usize> KeepsStatus for [(K, V); N] {}
impl<T: KeepsStatus> KeepsStatus for Option<T> {}

/// By its only element.
#[diagnostic::do_not_recommend]
impl<R: Settle> Settle for (R,) {
    fn is_processed(&self) -> bool {
        self.0.is_processed()
    }
}

/// The tuples that axum answers: a status, or none, then up to 16 parts, then the rest of the reply.
macro_rules! settle_tuple {
    ($($part:ident)*) => {
        /// By the status, which replaces that of the last element.
        #[diagnostic::do_not_recommend]
        impl<$($part,)* R> Settle for (StatusCode, $($part,)* R) {
            fn is_processed(&self) -> bool {
                self.0.is_processed()
            }
        }

        /// By the status, which replaces that of the last element.
        #[diagnostic::do_not_recommend]
        impl<$($part,)* R> Settle for (Parts, $($part,)* R) {
            fn is_processed(&self) -> bool {
                self.0.is_processed()
            }
        }

        /// By the status, which replaces that of the last element.
        #[diagnostic::do_not_recommend]
        impl<$($part,)* R> Settle for (Response<()>, $($part,)* R) {
            fn is_processed(&self) -> bool {
                self.0.is_processed()
            }
        }
    };
}

macro_rules! settle_parts {
    ($($part:ident)+) => {
        impl<$($part: KeepsStatus),+> KeepsStatus for ($($part,)+) {}

        /// By its last element, whose status the others keep.
        #[diagnostic::do_not_recommend]
        impl<$($part: KeepsStatus,)+ R: Settle> Settle for ($($part,)+ R) {
            fn is_processed(&self) -> bool {
                #[allow(non_snake_case)]
                let ($($part,)+ last) = self;
                $(let _ = $part;)+
                last.is_processed()
            }
        }
    };
}

macro_rules! settle_tuples {
    ($($first:ident $($rest:ident)*)?) => {
        settle_tuple!($($first $($rest)*)?);
        $(
            settle_parts!($first $($rest)*);
            settle_tuples!($($rest)*);
        )?
    };
}

settle_tuples!(T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T11 T12 T13 T14 T15 T16);

#[cfg(test)]
mod tests {
    use axum::http::header::RETRY_AFTER;

    use super::*;
    use crate::reply::Outcome;

    /// A reply counts as axum would answer it.
    fn assert_counts_by_its_status<R: Settle + IntoResponse>(name: &str, reply: R) -> bool {
        let is_processed = reply.is_processed();
        let status = reply.into_response().status();
        assert_eq!(is_processed, status.is_success(), "{name} is answered {status}");
        is_processed
    }

    macro_rules! assert_counts_by_its_status {
        ($($reply:expr),* $(,)?) => {$(
            assert_counts_by_its_status(stringify!($reply), $reply);
        )*};
    }

    fn parts(status: StatusCode) -> Parts {
        Response::builder().status(status).body(()).unwrap().into_parts().0
    }

    fn template(status: StatusCode) -> Response<()> {
        Response::builder().status(status).body(()).unwrap()
    }

    #[test]
    fn every_reply_of_axum_counts_by_its_status() {
        let header = [("retry-after", "1")];
        assert_counts_by_its_status!(
            (),
            "text",
            "text".to_owned(),
            Box::<str>::from("text"),
            std::borrow::Cow::Borrowed("text"),
            b"bytes",
            &b"bytes"[..],
            *b"bytes",
            b"bytes".to_vec(),
            Box::<[u8]>::from(*b"bytes"),
            std::borrow::Cow::Borrowed(&b"bytes"[..]),
            Bytes::from_static(b"bytes"),
            BytesMut::from(&b"bytes"[..]),
            bytes::Buf::chain(Bytes::new(), Bytes::new()),
            Body::empty(),
            Json(7),
            Html("text"),
            Form([("key", "value")]),
            Extension(7),
            Sse::new(futures_util::stream::empty::<Result<_, std::io::Error>>()),
            HeaderMap::new(),
            Extensions::new(),
            AppendHeaders(header),
            header,
            NoContent,
            Redirect::to("/"),
            Redirect::permanent("/"),
            (header, "text"),
            (header, Redirect::to("/")),
            (HeaderMap::new(), header, StatusCode::BAD_GATEWAY),
            (Some(header), Extension(7), Json(7)),
            ((HeaderMap::new(), Extensions::new()), NoContent),
            ((), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), StatusCode::IM_A_TEAPOT),
            (StatusCode::BAD_GATEWAY,),
            (StatusCode::OK, Redirect::to("/")),
            Ok::<_, StatusCode>(Redirect::to("/")),
            Ok::<_, StatusCode>(Json(7)),
            Err::<Json<u8>, _>(StatusCode::BAD_GATEWAY),
            Ok::<Result<Json<u8>, StatusCode>, StatusCode>(Err(StatusCode::BAD_GATEWAY)),
            Outcome::Processed(StatusCode::BAD_GATEWAY),
            Outcome::<StatusCode>::Duplicate,
            crate::Error::store("mark the event", "no answer"),
        );
    }

    #[test]
    fn every_status_counts_in_every_place_that_sets_it() {
        for code in 100..=999 {
            let status = StatusCode::from_u16(code).unwrap();
            assert_counts_by_its_status!(
                status,
                Response::builder().status(status).body(Body::empty()).unwrap(),
                Response::builder().status(status).body("text".to_owned()).unwrap(),
                parts(status),
                (status, "text"),
                (status, Err::<(), _>(StatusCode::BAD_GATEWAY)),
                (status, HeaderMap::new(), "text"),
                (status, [(RETRY_AFTER, "1")], Extension(7), Json(7)),
                (parts(status), StatusCode::BAD_GATEWAY),
                (parts(status), HeaderMap::new(), StatusCode::OK),
                (template(status), StatusCode::BAD_GATEWAY),
                (template(status), HeaderMap::new(), StatusCode::OK),
                (HeaderMap::new(), status),
                ("one", status).1,
            );
        }
    }

    #[tokio::test]
    async fn a_rejection_is_a_failure() {
        use axum::extract::FromRequest;
        let request = axum::extract::Request::new(Body::from("not json"));
        let rejection = Json::<u8>::from_request(request, &()).await.unwrap_err();
        assert!(!assert_counts_by_its_status("a rejection", rejection));
    }
}
