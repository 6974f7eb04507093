//! A body limit for frameworks that have none of their own.

/// The largest body that an extractor reads, for poem: `.data(BodyLimit(bytes))`. Unless set, it is 2 MB.
///
/// ```
/// use ferro_idem::sender::BodyLimit;
/// use poem::{EndpointExt, Route};
///
/// let app = Route::new().data(BodyLimit(25 * 1024 * 1024));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimit(
    /// In bytes.
    pub usize,
);
