//! Whether the reply of a body means that its event is processed.
//!
//! The attribute asks about a reply whose type it cannot see, so the compiler answers, in two steps of
//! method lookup. Each step tries traits in the order of the `&`s in front of a [`Probe`]: the lookup
//! takes one off after the other, and every trait is implemented for one less.
//!
//! 1. [`shapes`]: a reply with [`Settle`] is judged by it. Of any other, the layers are taken off
//!    (`Result`, `Outcome`, `Option`, `Box`), and what they hold is looked at.
//! 2. [`kinds`]: what they hold is a plain value, or a response, which does not compile.
//!
//! A plain value may still be the response of a framework that this crate does not know. Those have a
//! method `status()`, whose result has `is_success()`; [`statuses`] looks for both.
//!
//! The other methods have names that no user code has.

#![expect(clippy::unused_self, reason = "the type of `self` chooses the method")]

use crate::reply::{Outcome, Settle};

/// What the method lookup starts from.
pub struct Probe<'a, T>(pub &'a T);

/// A type that holds the reply, or has decided without one.
pub trait Layer {
    type Inner;

    /// What it holds, or what it means if it holds nothing.
    fn inner(&mut self) -> Result<&mut Self::Inner, bool>;
}

impl<T, E> Layer for Result<T, E> {
    type Inner = T;

    #[inline]
    fn inner(&mut self) -> Result<&mut T, bool> {
        self.as_mut().map_err(|_| false)
    }
}

impl<T> Layer for Outcome<T> {
    type Inner = T;

    #[inline]
    fn inner(&mut self) -> Result<&mut T, bool> {
        match self {
            Self::Processed(value) => Ok(value),
            Self::Duplicate => Err(true),
        }
    }
}

impl<T> Layer for Option<T> {
    type Inner = T;

    #[inline]
    fn inner(&mut self) -> Result<&mut T, bool> {
        self.as_mut().ok_or(true)
    }
}

impl<T> Layer for Box<T> {
    type Inner = T;

    #[inline]
    fn inner(&mut self) -> Result<&mut T, bool> {
        Ok(self)
    }
}

/// The reply as a whole has `Settle`.
pub struct Whole;

/// The reply does not have `Settle`, and is `N` layers around something.
pub struct Layers<const N: usize>;

/// Stands for what a reply holds that is judged as a whole.
#[derive(Debug)]
pub struct Judged;

impl Whole {
    #[inline]
    pub fn __ferro_idem_held<R: Settle>(&self, reply: &mut R) -> Result<&'static mut Judged, bool> {
        Err(reply.is_processed())
    }
}

impl Layers<3> {
    #[inline]
    pub fn __ferro_idem_held<'r, R: Layer<Inner: Layer<Inner: Layer>>>(
        &self,
        reply: &'r mut R,
    ) -> Result<&'r mut <<R::Inner as Layer>::Inner as Layer>::Inner, bool> {
        reply.inner()?.inner()?.inner()
    }
}

impl Layers<2> {
    #[inline]
    pub fn __ferro_idem_held<'r, R: Layer<Inner: Layer>>(
        &self,
        reply: &'r mut R,
    ) -> Result<&'r mut <R::Inner as Layer>::Inner, bool> {
        reply.inner()?.inner()
    }
}

impl Layers<1> {
    #[inline]
    pub fn __ferro_idem_held<'r, R: Layer>(&self, reply: &'r mut R) -> Result<&'r mut R::Inner, bool> {
        reply.inner()
    }
}

impl Layers<0> {
    /// Without a layer around it, nothing says that the reply is a success: it needs `Settle`.
    #[inline]
    pub fn __ferro_idem_held<R: Settle>(&self, reply: &mut R) -> Result<&'static mut Judged, bool> {
        Err(reply.is_processed())
    }
}

/// A trait with one method, which says which trait of its module was found first.
macro_rules! rule {
    ($name:ident, $method:ident, $answer:ty, $value:expr) => {
        pub trait $name {
            #[inline]
            fn $method(&self) -> $answer {
                $value
            }
        }
    };
}

pub(crate) mod shapes {
    use super::{Layer, Layers, Probe, Settle, Whole};

    rule!(WithSettle, __ferro_idem_shape, Whole, Whole);
    rule!(ThreeLayers, __ferro_idem_shape, Layers<3>, Layers);
    rule!(TwoLayers, __ferro_idem_shape, Layers<2>, Layers);
    rule!(OneLayer, __ferro_idem_shape, Layers<1>, Layers);
    rule!(Bare, __ferro_idem_shape, Layers<0>, Layers);

    impl<R: Settle> WithSettle for &&&&Probe<'_, R> {}
    impl<R: Layer<Inner: Layer<Inner: Layer>>> ThreeLayers for &&&Probe<'_, R> {}
    impl<R: Layer<Inner: Layer>> TwoLayers for &&Probe<'_, R> {}
    impl<R: Layer> OneLayer for &Probe<'_, R> {}
    impl<R> Bare for Probe<'_, R> {}
}

/// A response of a known framework.
pub struct Response;

/// More layers than are taken off.
pub struct TooDeep;

/// Any other value.
pub struct Plain;

/// A type that can carry a status.
pub trait CarriesStatus {}

/// `Settle`, with a message for what is held in a `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is a response that does not say whether the event is processed",
    label = "a response may carry a failure, in `Ok` too",
    note = "say when the event is processed: `#[idempotent_webhook(processed = |reply| EXPR)]`",
    note = "or implement `ferro_idem::Settle` for it, if the type is your own",
    note = "or return axum's `Response`, by `.into_response()`, which counts by its status"
)]
pub trait ResponseWithSettle: Settle {}

#[diagnostic::do_not_recommend]
impl<T: Settle> ResponseWithSettle for T {}

/// Nothing has this.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is in too many layers of `Result`, `Outcome`, `Option` or `Box`",
    label = "at most three are looked into",
    note = "say when the event is processed: `#[idempotent_webhook(processed = |reply| EXPR)]`"
)]
pub trait InThreeLayers {}

impl Response {
    #[inline]
    pub fn __ferro_idem_is_processed<T: ResponseWithSettle>(&self, held: &T, _: Option<bool>) -> bool {
        held.is_processed()
    }
}

impl TooDeep {
    #[inline]
    pub fn __ferro_idem_is_processed<T: InThreeLayers>(&self, _: &T, _: Option<bool>) -> bool {
        false
    }
}

impl Plain {
    #[inline]
    pub fn __ferro_idem_is_processed<T>(&self, _: &T, status: Option<bool>) -> bool {
        status.unwrap_or(true)
    }
}

pub(crate) mod kinds {
    use super::{CarriesStatus, Layer, Plain, Probe, Response, TooDeep};

    rule!(OfResponse, __ferro_idem_kind, Response, Response);
    rule!(OfLayer, __ferro_idem_kind, TooDeep, TooDeep);
    rule!(OfPlain, __ferro_idem_kind, Plain, Plain);

    impl<T: CarriesStatus> OfResponse for &&Probe<'_, T> {}
    impl<T: Layer> OfLayer for &Probe<'_, T> {}
    impl<T> OfPlain for Probe<'_, T> {}
}

/// What a method that does not exist returns.
pub struct Absent;

/// `(&held).status()` finds a method of `held` that takes `&self`, or else this, which takes `&mut &held`.
pub(crate) mod statuses {
    use super::{Absent, Probe};

    pub trait NoStatus {
        #[inline]
        fn status(&mut self) -> Absent {
            Absent
        }
    }

    pub trait NoSuccess {
        #[inline]
        fn is_success(&mut self) -> Absent {
            Absent
        }
    }

    impl<T> NoStatus for T {}
    impl<T> NoSuccess for T {}

    pub trait OfBool {
        fn __ferro_idem_success(&self) -> Option<bool>;
    }

    pub trait OfOther {
        #[inline]
        fn __ferro_idem_success(&self) -> Option<bool> {
            None
        }
    }

    impl OfBool for &Probe<'_, bool> {
        #[inline]
        fn __ferro_idem_success(&self) -> Option<bool> {
            Some(*self.0)
        }
    }

    impl<T> OfOther for Probe<'_, T> {}
}

/// For the expansion to import all of.
pub mod rules {
    pub use super::kinds::{OfLayer as _, OfPlain as _, OfResponse as _};
    pub use super::shapes::{Bare as _, OneLayer as _, ThreeLayers as _, TwoLayers as _, WithSettle as _};
    pub use super::statuses::{NoStatus as _, NoSuccess as _, OfBool as _, OfOther as _};
}

/// `processed = |reply| EXPR`. The bound lets a closure leave its argument's type out.
#[inline]
pub fn is_processed_by<R, F: FnOnce(&R) -> bool>(is_processed: F, reply: &R) -> bool {
    is_processed(reply)
}
