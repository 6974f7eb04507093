//! Text and bytes: every framework answers them with 200.

use bytes::{Bytes, BytesMut};

use super::settle_as_success;
use crate::reply::{MISSING_IS_SUCCESS, Settle};

settle_as_success! {
    none = MISSING_IS_SUCCESS;
    [] Bytes,
    [] BytesMut,
    [] Vec<u8>,
    [const N: usize] [u8; N],
    [] String,
}

/// Always processed: it is answered with 200.
#[diagnostic::do_not_recommend]
impl Settle for [u8] {
    fn is_processed(&self) -> bool {
        true
    }
}

/// Always processed: it is answered with 200.
#[diagnostic::do_not_recommend]
impl Settle for str {
    fn is_processed(&self) -> bool {
        true
    }
}
