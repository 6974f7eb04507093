//! Events as arrays.

use sqlx::types::Uuid;

use super::uuid;
use crate::sql::event_state::Mark;

/// Events as the arrays that the statements take.
pub(super) struct Events<'a> {
    pub(super) ids: Vec<&'a str>,
    pub(super) types: Vec<&'a str>,
    pub(super) owners: Vec<Uuid>,
}

impl<'a> Events<'a> {
    pub(super) fn of(marks: impl Iterator<Item = &'a Mark>) -> Self {
        let mut events = Self { ids: Vec::new(), types: Vec::new(), owners: Vec::new() };
        for mark in marks {
            events.ids.push(&mark.id);
            events.types.push(&mark.event_type);
            events.owners.push(uuid(mark.owner));
        }
        events
    }
}
