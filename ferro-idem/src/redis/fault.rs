//! What Redis' errors mean: whether to send the request again, and how to fix the cause.

use std::borrow::Cow;
use std::io;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::error::Error;
use crate::retry::{FaultKind, NoAnswerInTime};

/// Decides by kind and code, never by message, whether it helps to send the request again.
///
/// Every script carries the owner of its call, so it is always safe to send it once more. Therefore a request
/// is sent again unless the error is known to be a refusal.
pub(super) fn kind_of(error: &RedisError) -> FaultKind {
    match error.kind() {
        ErrorKind::Extension => match error.code() {
            Some("BUSY" | "NOREPLICAS") => FaultKind::Passing,
            _ => FaultKind::Permanent,
        },
        ErrorKind::Server(
            ServerErrorKind::Ask
            | ServerErrorKind::BusyLoading
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::Moved
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::TryAgain,
        ) => FaultKind::Passing,
        ErrorKind::Server(_)
        | ErrorKind::AuthenticationFailed
        | ErrorKind::InvalidClientConfig
        | ErrorKind::RESP3NotSupported
        | ErrorKind::UnexpectedReturnType => FaultKind::Permanent,
        _ => FaultKind::Unanswered,
    }
}

pub(super) fn timed_out(unanswered: NoAnswerInTime) -> RedisError {
    io::Error::new(io::ErrorKind::TimedOut, unanswered).into()
}

pub(super) fn explain(operation: impl Into<Cow<'static, str>>, error: RedisError) -> Error {
    Error::Store { operation: operation.into(), advice: advice_on(&error).into(), source: error.into() }
}

fn advice_on(error: &RedisError) -> &'static str {
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => {
            "the server wants another user or password: set them where the log's connection is made"
        }
        (_, Some("NOPERM")) => {
            "the server's user lacks a right: allow it the commands that the documentation of `RedisLog` \
             lists, on the keys that begin with the log's prefix"
        }
        (_, Some("WRONGTYPE")) => {
            "the event's key holds something that is not a hash: the name is in use for something else, so \
             give the log names of its own with `with_key_prefix`"
        }
        (_, Some("OOM")) => {
            "the server's memory is full: make room or raise its `maxmemory`, and the next delivery goes \
             through"
        }
        (_, Some("MISCONF")) => {
            "the server takes no writes because it cannot save them: make room on its disk, and look into \
             its log"
        }
        (_, Some("NOREPLICAS")) => {
            "the server takes no writes because too few replicas are there (`min-replicas-to-write`): \
             bring them back"
        }
        (_, Some("READONLY")) => {
            "this is a replica, which takes no writes: connect to the primary, by a name that follows it"
        }
        (_, Some("MOVED" | "ASK")) => {
            "the server is a node of a cluster: make the log's connection with `redis::cluster::ClusterClient`"
        }
        (_, Some("LOADING" | "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN")) => {
            "the server is starting or failing over: the next delivery goes through when it is done"
        }
        (ErrorKind::Io, _) if error.is_connection_dropped() => {
            "there is no connection to the server: see that it is up. A `MultiplexedConnection` that broke \
             stays broken, so use a `ConnectionManager` or a `ClusterConnection`"
        }
        (ErrorKind::Io, _) => {
            "the server did not answer in time: answer with an error so that the sender delivers again"
        }
        _ => "Redis failed, answer with an error so that the sender delivers again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(reply: &[u8]) -> RedisError {
        redis::parse_redis_value(reply).unwrap().extract_error().unwrap_err()
    }

    #[test]
    fn what_may_have_been_carried_out_or_passes_is_sent_again() {
        for reply in ["LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "BUSY", "MOVED 1 a:1"] {
            let error = answered(format!("-{reply} x\r\n").as_bytes());
            assert_eq!(kind_of(&error), FaultKind::Passing, "{reply}");
        }
        let lost = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert_eq!(kind_of(&lost), FaultKind::Unanswered);
        let nobody = RedisError::from((ErrorKind::ClusterConnectionNotFound, "no connection"));
        assert_eq!(kind_of(&nobody), FaultKind::Unanswered);
    }

    #[test]
    fn a_refusal_is_not_sent_again_and_says_what_to_do() {
        for (code, advice) in [
            ("NOAUTH", "password"),
            ("WRONGPASS", "password"),
            ("NOPERM", "right"),
            ("WRONGTYPE", "key_prefix"),
            ("OOM", "make room"),
            ("MISCONF", "disk"),
            ("ERR", "delivers again"),
        ] {
            let error = answered(format!("-{code} x\r\n").as_bytes());
            assert_eq!(kind_of(&error), FaultKind::Permanent, "{code}");
            let explained = explain("mark the event as processed", error).to_string();
            assert!(explained.contains(advice), "{explained}");
        }
    }
}
