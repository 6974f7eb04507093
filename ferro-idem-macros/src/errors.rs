//! Reports all mistakes at once, each at its own token.

use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Error;

pub(crate) fn error_at(tokens: impl ToTokens, message: impl Display) -> Error {
    Error::new_spanned(tokens, message)
}

/// Collects errors without stopping at the first.
#[derive(Default)]
pub(crate) struct Found(Option<Error>);

impl Found {
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(found) => found.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// Records an error, and returns the value if there is one.
    pub(crate) fn take<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// All errors as `compile_error!`s, if there are any.
    pub(crate) fn errors(self) -> Option<TokenStream> {
        self.0.map(Error::into_compile_error)
    }
}
