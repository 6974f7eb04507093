//! Decides whether a body's reply means that its event is processed.
//!
//! The attribute cannot see the type of the reply, so the compiler decides, by two method lookups. Each
//! lookup tries traits in the order of the `&`s before a [`Probe`]: it removes one `&` after the other, and
//! each trait is implemented for one `&` less than the trait before it.
//!
//! 1. [`shapes`]: a reply that implements [`Settle`] decides by it. For any other reply, the layers
//!    (`Result`, `Outcome`, `Option`, `Box`) are removed, and the second lookup decides by the value inside.
//! 2. [`kinds`]: a plain value is a success. A response without [`Settle`] does not compile.
//!
//! A value may be the response of a framework that this crate does not know. Such types have a method
//! `status()` whose result has `is_success()`. [`statuses`] looks for both.
//!
//! The other methods have names that user code does not use.

#![expect(clippy::unused_self, reason = "the type of `self` chooses the method")]

use crate::reply::{Outcome, Settle};

/// The receiver of the method lookup.
pub struct Probe<'a, T>(pub &'a T);

/// Either a value inside the reply, or a decision if there is no value.
pub trait Layer {
    type Inner;

    /// The value inside, or the decision if there is none.
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

/// The reply as a whole implements `Settle`.
pub struct Whole;

/// The reply does not implement `Settle`, and has `N` layers around a value.
pub struct Layers<const N: usize>;

/// Stands for the value inside a reply that decides as a whole.
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
    /// A reply without a layer has to implement `Settle`, because nothing else says whether it is a success.
    #[inline]
    pub fn __ferro_idem_held<R: Settle>(&self, reply: &mut R) -> Result<&'static mut Judged, bool> {
        Err(reply.is_processed())
    }
}

/// A trait with one method, whose result says which trait of its module was found first.
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

/// A value inside more layers than are removed.
pub struct TooDeep;

/// Any other value.
pub struct Plain;

/// `Settle`, with a compile error for the value inside a `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is a response that does not say whether the event is processed",
    label = "a response may carry a failure, in `Ok` too",
    note = "say when the event is processed: `#[idempotent_webhook(processed = |reply| EXPR)]`",
    note = "or implement `ferro_idem::Settle` for it, if the type is your own",
    note = "or return the framework's own response (`.into_response()`), which counts by its status"
)]
pub trait ResponseWithSettle: Settle {}

#[diagnostic::do_not_recommend]
impl<T: Settle> ResponseWithSettle for T {}

/// No type implements this.
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
    //! The edges implement [`OfResponse`] for what their framework answers, each for another number of `&`s: two
    //! implementations for all types of two foreign traits would overlap. There are three of these numbers.

    use super::{Layer, Plain, Probe, Response, TooDeep};

    rule!(OfResponse, __ferro_idem_kind, Response, Response);
    rule!(OfLayer, __ferro_idem_kind, TooDeep, TooDeep);
    rule!(OfPlain, __ferro_idem_kind, Plain, Plain);

    impl<T: Layer> OfLayer for &Probe<'_, T> {}
    impl<T> OfPlain for Probe<'_, T> {}
}

/// The return type of the method that stands for a missing `status()`.
pub struct Absent;

/// `(&held).status()` finds a method of `held` that takes `&self`. If there is none, it finds this method,
/// which takes `&mut &held`.
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

/// The traits that the expansion imports.
pub mod rules {
    pub use super::kinds::{OfLayer as _, OfPlain as _, OfResponse as _};
    pub use super::shapes::{Bare as _, OneLayer as _, ThreeLayers as _, TwoLayers as _, WithSettle as _};
    pub use super::statuses::{NoStatus as _, NoSuccess as _, OfBool as _, OfOther as _};
}

/// `processed = |reply| EXPR`. Because of the bound, the closure need not name its argument's type.
#[inline]
pub fn is_processed_by<R, F: FnOnce(&R) -> bool>(is_processed: F, reply: &R) -> bool {
    is_processed(reply)
}
