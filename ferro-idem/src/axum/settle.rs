//! Which replies of axum mean that the event is processed: those that the sender sees as 2xx.

use axum::body::Body;
use axum::extract::rejection::{
    BytesRejection, ExtensionRejection, FormRejection, JsonRejection, PathRejection, QueryRejection,
    RawFormRejection, RawPathParamsRejection, StringRejection,
};
use axum::response::{AppendHeaders, Html, IntoResponse, NoContent, Redirect, Sse};
use axum::{Extension, Form, Json};
use bytes::buf::Chain;

use crate::edge::{KeepsStatus, settle_as_success};
use crate::processed::{Probe, kinds};
use crate::reply::{HttpFailure, Settle};

// `do_not_recommend` keeps these impls out of the compiler's suggestions, which should list what people choose from.

/// What axum answers may be a failure, so it does not compile without `Settle`.
impl<T: IntoResponse> kinds::OfResponse for &&&&Probe<'_, T> {}

impl<T> KeepsStatus for Extension<T> {}
impl<I> KeepsStatus for AppendHeaders<I> {}

/// Never processed: senders treat a redirect as a failure.
#[diagnostic::do_not_recommend]
impl Settle for Redirect {
    fn is_processed(&self) -> bool {
        false
    }
}

settle_as_success! {
    [T] Json<T>,
    [T] Html<T>,
    [T] Form<T>,
    [T] Extension<T>,
    [S] Sse<S>,
    [I] AppendHeaders<I>,
    [] NoContent,
    [] Body,
    [T, U] Chain<T, U>,
}

macro_rules! settle_by_status {
    ($($rejection:ty),* $(,)?) => {$(
        /// Never processed: the status is always a failure.
        #[diagnostic::do_not_recommend]
        impl Settle for $rejection {
            fn is_processed(&self) -> bool {
                self.status().is_success()
            }

            fn http_failure(&self) -> Option<HttpFailure> {
                Some(HttpFailure::of(self.status().as_u16()))
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

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::http::header::RETRY_AFTER;
    use axum::http::response::Parts;
    use axum::http::{Extensions, HeaderMap, Response, StatusCode};
    use bytes::BytesMut;

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
