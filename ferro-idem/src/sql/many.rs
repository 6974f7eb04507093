//! Statements with a part for each event.

use std::iter::repeat_n;

use super::table::TableName;

/// A statement with a part for each event.
#[derive(Clone, Debug)]
pub(super) struct Many<T = &'static str> {
    pub(super) head: T,
    pub(super) row: &'static str,
    pub(super) between: &'static str,
    pub(super) tail: T,
}

impl Many {
    /// The statement for one table.
    pub(super) fn of(&self, table: &TableName) -> Many<String> {
        let Self { head, row, between, tail } = self;
        Many { head: table.in_statement(head), row, between, tail: table.in_statement(tail) }
    }
}

impl Many<String> {
    /// The statement for these items, and the items to bind. The last item is repeated up to a power of two,
    /// so that a connection prepares few statements. Repetition changes nothing.
    pub(super) fn with<'i, T>(&self, items: &'i [T]) -> (String, impl Iterator<Item = &'i T> + use<'i, T>) {
        let count = items.len().next_power_of_two();
        let rows = vec![self.row; count].join(self.between);
        let padding = items.last().into_iter().flat_map(move |last| repeat_n(last, count - items.len()));
        (format!("{}{rows}{}", self.head, self.tail), items.iter().chain(padding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_event_is_repeated_up_to_a_power_of_two() {
        let insert = Many { head: "VALUES ".to_owned(), row: "(?)", between: ", ", tail: ";".to_owned() };
        for (events, statement, bound) in [
            (&[1][..], "VALUES (?);", &[1][..]),
            (&[1, 2], "VALUES (?), (?);", &[1, 2]),
            (&[1, 2, 3], "VALUES (?), (?), (?), (?);", &[1, 2, 3, 3]),
            (&[1, 2, 3, 4, 5], "VALUES (?), (?), (?), (?), (?), (?), (?), (?);", &[1, 2, 3, 4, 5, 5, 5, 5]),
        ] {
            let (written, items) = insert.with(events);
            assert_eq!(written, statement);
            assert_eq!(items.copied().collect::<Vec<_>>(), bound);
        }
    }
}
