//! Faults of the server, and between a log and its server, neither lose an event nor run one twice.

mod deleted;
mod killed;
mod late;
mod lost_replies;
mod messages;
mod naive;
mod out_of_step;
mod rig;
mod silent;
mod taken_over;
mod undelivered;
mod unread;
mod unwritten;
mod upgrade;
mod with_reply;
