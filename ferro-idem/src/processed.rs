//! Decides whether a body's reply means that its event is processed.
//!
//! The attribute cannot see the type of the reply, so the compiler decides, by two method lookups. Each
//! lookup tries traits in the order of the `&`s before a [`Probe`]: it removes one `&` after the other, and
//! each trait is implemented for one `&` less than the trait before it.
//!
//! 1. [`shapes`]: a reply that implements [`Settle`] decides by it. For any other reply, the layers
//!    (`Result`, `Outcome`, `Option`, pointers) are removed, and the second lookup decides by the value inside.
//! 2. [`kinds`]: a plain value is a success. A response without [`Settle`] does not compile.
//!
//! A value may be the response or the status of a framework that this crate does not know, or a tuple that begins
//! with one. A response has a method `status()` whose result has `is_success()`, and a status has `is_success()`
//! itself. [`statuses`] looks for both.
//!
//! The other methods have names that user code does not use.

#![expect(clippy::unused_self, reason = "the type of `self` chooses the method")]

use std::borrow::Cow;
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use crate::reply::{Outcome, Settle};

/// The receiver of the method lookup.
pub struct Probe<'a, T: ?Sized>(pub &'a T);

/// Either a value inside the reply, or a decision if there is no value.
pub trait Layer {
    type Inner: ?Sized;

    /// The value inside, or the decision if there is none.
    fn inner(&self) -> Result<&Self::Inner, bool>;
}

impl<T, E> Layer for Result<T, E> {
    type Inner = T;

    #[inline]
    fn inner(&self) -> Result<&T, bool> {
        self.as_ref().map_err(|_| false)
    }
}

impl<T> Layer for Outcome<T> {
    type Inner = T;

    #[inline]
    fn inner(&self) -> Result<&T, bool> {
        match self {
            Self::Processed(value) => Ok(value),
            Self::Duplicate => Err(true),
        }
    }
}

impl<T> Layer for Option<T> {
    type Inner = T;

    #[inline]
    fn inner(&self) -> Result<&T, bool> {
        self.as_ref().ok_or(true)
    }
}

macro_rules! layer_by_target {
    ($([$($generics:tt)*] $pointer:ty => $target:ty),*) => {$(
        impl<$($generics)*> Layer for $pointer {
            type Inner = $target;

            #[inline]
            fn inner(&self) -> Result<&$target, bool> {
                Ok(self)
            }
        }
    )*};
}

layer_by_target! {
    [T: ?Sized] &T => T,
    [T: ?Sized] &mut T => T,
    [T: ?Sized] Box<T> => T,
    [T: ?Sized] Rc<T> => T,
    [T: ?Sized] Arc<T> => T,
    [T: ToOwned + ?Sized] Cow<'_, T> => T,
    [P: Deref] Pin<P> => P::Target
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
    pub fn __ferro_idem_held<'r, R: Settle>(&self, reply: &'r R) -> Result<&'r Judged, bool> {
        Err(reply.is_processed())
    }
}

impl Layers<3> {
    #[inline]
    pub fn __ferro_idem_held<'r, R: Layer<Inner: Layer<Inner: Layer>>>(
        &self,
        reply: &'r R,
    ) -> Result<&'r <<R::Inner as Layer>::Inner as Layer>::Inner, bool> {
        reply.inner()?.inner()?.inner()
    }
}

impl Layers<2> {
    #[inline]
    pub fn __ferro_idem_held<'r, R: Layer<Inner: Layer>>(
        &self,
        reply: &'r R,
    ) -> Result<&'r <R::Inner as Layer>::Inner, bool> {
        reply.inner()?.inner()
    }
}

impl Layers<1> {
    #[inline]
    pub fn __ferro_idem_held<'r, R: Layer>(&self, reply: &'r R) -> Result<&'r R::Inner, bool> {
        reply.inner()
    }
}

impl Layers<0> {
    /// A reply without a layer has to implement `Settle`, because nothing else says whether it is a success.
    #[inline]
    pub fn __ferro_idem_held<'r, R: Settle>(&self, reply: &'r R) -> Result<&'r Judged, bool> {
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

/// A value that holds results, or says itself how something ended.
pub struct Several;

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
    message = "`{Self}` may hold a failure, and does not say whether the event is processed",
    label = "each of its failures would count as a success",
    note = "say when the event is processed: `#[idempotent_webhook(processed = |reply| EXPR)]`",
    note = "or return an `Err` if one of them failed"
)]
pub trait WithoutFailures {}

/// No type implements this.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is in too many layers of `Result`, `Outcome`, `Option` or pointers",
    label = "at most three are looked into",
    note = "say when the event is processed: `#[idempotent_webhook(processed = |reply| EXPR)]`"
)]
pub trait InThreeLayers {}

impl Response {
    #[inline]
    pub fn __ferro_idem_is_processed<T: ResponseWithSettle>(
        &self,
        held: &T,
        _: Option<bool>,
        _: Option<bool>,
    ) -> bool {
        held.is_processed()
    }
}

impl TooDeep {
    #[inline]
    pub fn __ferro_idem_is_processed<T: InThreeLayers + ?Sized>(
        &self,
        _: &T,
        _: Option<bool>,
        _: Option<bool>,
    ) -> bool {
        false
    }
}

impl Several {
    #[inline]
    pub fn __ferro_idem_is_processed<T: WithoutFailures + ?Sized>(
        &self,
        _: &T,
        _: Option<bool>,
        _: Option<bool>,
    ) -> bool {
        false
    }
}

impl Plain {
    #[inline]
    pub fn __ferro_idem_is_processed<T: ?Sized>(
        &self,
        _: &T,
        by_status: Option<bool>,
        by_itself: Option<bool>,
    ) -> bool {
        by_status.or(by_itself).unwrap_or(true)
    }
}

pub(crate) mod kinds {
    //! The edges implement [`OfResponse`] for what their framework answers, each for another number of `&`s: two
    //! implementations for all types of two foreign traits would overlap. There are three of these numbers.

    use std::collections::{BTreeMap, HashMap, VecDeque};
    use std::ops::ControlFlow;
    use std::process::ExitStatus;
    use std::task::Poll;

    use super::{Layer, Plain, Probe, Response, Several, TooDeep};

    rule!(OfResponse, __ferro_idem_kind, Response, Response);
    rule!(OfLayer, __ferro_idem_kind, TooDeep, TooDeep);
    rule!(OfSeveral, __ferro_idem_kind, Several, Several);
    rule!(OfPlain, __ferro_idem_kind, Plain, Plain);

    impl<T: Layer> OfLayer for &Probe<'_, T> {}
    impl<T, E> OfSeveral for &Probe<'_, Vec<Result<T, E>>> {}
    impl<T, E> OfSeveral for &Probe<'_, VecDeque<Result<T, E>>> {}
    impl<T, E> OfSeveral for &Probe<'_, [Result<T, E>]> {}
    impl<T, E, const N: usize> OfSeveral for &Probe<'_, [Result<T, E>; N]> {}
    impl<K, T, E, S> OfSeveral for &Probe<'_, HashMap<K, Result<T, E>, S>> {}
    impl<K, T, E> OfSeveral for &Probe<'_, BTreeMap<K, Result<T, E>>> {}
    impl<B, C> OfSeveral for &Probe<'_, ControlFlow<B, C>> {}
    impl<T> OfSeveral for &Probe<'_, Poll<T>> {}
    impl OfSeveral for &Probe<'_, ExitStatus> {}
    impl<T: ?Sized> OfPlain for Probe<'_, T> {}
}

/// The return type of a method that stands for a missing one.
pub struct Absent;

/// `(&*held).status()` finds a method of `held` that takes `&self`. If there is none, it finds this method,
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

    /// Frameworks answer a tuple with the status of its first element.
    pub trait OfTuple<'a> {
        type First;

        fn __ferro_idem_first(&self) -> &'a Self::First;
    }

    macro_rules! first_of_tuple {
        ($([$($other:ident)*])*) => {$(
            impl<'a, T, $($other),*> OfTuple<'a> for &Probe<'a, (T, $($other),*)> {
                type First = T;

                #[inline]
                fn __ferro_idem_first(&self) -> &'a T {
                    &self.0.0
                }
            }
        )*};
    }

    first_of_tuple! { [] [A] [A B] [A B C] [A B C D] [A B C D E] }

    pub trait OfOne<'a> {
        type First: ?Sized;

        fn __ferro_idem_first(&self) -> &'a Self::First;
    }

    impl<'a, T: ?Sized> OfOne<'a> for Probe<'a, T> {
        type First = T;

        #[inline]
        fn __ferro_idem_first(&self) -> &'a T {
            self.0
        }
    }

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
    pub use super::kinds::{OfLayer as _, OfPlain as _, OfResponse as _, OfSeveral as _};
    pub use super::shapes::{Bare as _, OneLayer as _, ThreeLayers as _, TwoLayers as _, WithSettle as _};
    pub use super::statuses::{
        NoStatus as _, NoSuccess as _, OfBool as _, OfOne as _, OfOther as _, OfTuple as _,
    };
}

/// For return types that are known to implement `Settle`.
#[inline]
pub fn is_processed<R: Settle>(reply: &R) -> bool {
    reply.is_processed()
}

/// `processed = |reply| EXPR`. Because of the bound, the closure need not name its argument's type.
#[inline]
pub fn is_processed_by<R, F: FnOnce(&R) -> bool>(is_processed: F, reply: &R) -> bool {
    is_processed(reply)
}
