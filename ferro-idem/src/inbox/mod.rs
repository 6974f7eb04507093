//! The inbox: a verified delivery is stored durably and answered, and the application delivers it to its own handler,
//! from its own database, until it is processed or parked.
//!
//! [`store`] keeps deliveries in the database, and knows no sender and no framework.

#![cfg_attr(not(test), allow(dead_code, reason = "the worker and the edges are built on it next"))]

mod delivery;
mod store;
mod stored;
