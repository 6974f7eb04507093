//! `Idempotent-Replayed: true` on replies of types that carry no header.
//!
//! A replayed response of the framework's own type (axum's `Response`, actix-web's `HttpResponse`, poem's `Response`) has
//! the header by itself. A `Json<T>` or a `(StatusCode, Json<T>)` has no place for it. One of these functions around the
//! handler sets it:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use axum::Router;
//! use axum::middleware::from_fn;
//!
//! let router: Router = Router::new().layer(from_fn(ferro_idem::replay::layer::axum));
//! # }
//! ```
//!
//! | framework | how |
//! |---|---|
//! | axum | `.layer(axum::middleware::from_fn(layer::axum))` |
//! | actix-web | `.wrap(actix_web::middleware::from_fn(layer::actix_web))` |
//! | poem | `.around(layer::poem)` |
//!
//! The handler has to run in the same task as the layer, which is so unless a layer in between spawns one.

#[cfg(feature = "actix-web")]
pub use crate::actix::replay::replayed_header as actix_web;
#[cfg(feature = "axum")]
pub use crate::axum::replay::replayed_header as axum;
#[cfg(feature = "poem")]
pub use crate::poem::replay::replayed_header as poem;
