//! The signing secret, the store's password and the payload hold a canary. No output of the library may show
//! it: no error with its sources, no `Debug`, no reply, and no line of `tracing` at TRACE.

mod deliveries;
mod passwords;
mod senders;
mod servers;
mod shown;
mod stripe;
