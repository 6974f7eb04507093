//! The same promises over a real server of each framework, and what a user writes for GitHub on each.

mod github;
mod inbox;
mod lambda;
mod promises;
mod replay;
mod servers;
mod shop;
