//! Statements with a part for each event.

use std::iter::repeat_n;

use super::name::TableName;

/// A statement with a part for each event.
#[derive(Clone, Debug)]
pub(crate) struct Many<T = &'static str> {
    pub(crate) head: T,
    pub(crate) row: &'static str,
    pub(crate) between: &'static str,
    pub(crate) tail: T,
}

impl Many {
    /// The statement for one table.
    pub(crate) fn of(&self, table: &TableName) -> Many<String> {
        self.written(|statement| table.in_statement(statement))
    }

    /// The statement with its parts written out.
    pub(crate) fn written(&self, write: impl Fn(&str) -> String) -> Many<String> {
        let Self { head, row, between, tail } = self;
        Many { head: write(head), row, between, tail: write(tail) }
    }
}

impl Many<String> {
    /// The statement for these items, and the items to bind. The last item is repeated up to a power of two,
    /// so that a connection prepares few statements. Repetition changes nothing.
    pub(crate) fn with<'i, T>(&self, items: &'i [T]) -> (String, impl Iterator<Item = &'i T> + use<'i, T>) {
        let count = items.len().next_power_of_two();
        let padding = items.last().into_iter().flat_map(move |last| repeat_n(last, count - items.len()));
        (self.of_rows(count), items.iter().chain(padding))
    }

    /// The same with `None` for a repetition, if items may be large.
    pub(crate) fn with_gaps<'i, T>(
        &self,
        items: &'i [T],
    ) -> (String, impl Iterator<Item = Option<&'i T>> + use<'i, T>) {
        let count = items.len().next_power_of_two();
        (self.of_rows(count), items.iter().map(Some).chain(repeat_n(None, count - items.len())))
    }

    /// The statement with so many rows.
    pub(crate) fn of_rows(&self, count: usize) -> String {
        self.with_rows(repeat_n(self.row.to_owned(), count))
    }

    /// The statement with these rows in place of its own.
    pub(crate) fn with_rows(&self, rows: impl Iterator<Item = String>) -> String {
        format!("{}{}{}", self.head, rows.collect::<Vec<_>>().join(self.between), self.tail)
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
