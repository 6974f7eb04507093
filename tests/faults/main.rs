//! What goes wrong between a log and its server, and at the server: no event is lost by it, and none runs
//! twice.

mod killed;
mod late;
mod lost_replies;
mod naive;
mod rig;
mod silent;
mod unheard;
mod upgrade;
