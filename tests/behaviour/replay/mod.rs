//! `replay`: a duplicate gets the first reply again.

mod replies;
mod scopes;
mod settling;
mod stores;
