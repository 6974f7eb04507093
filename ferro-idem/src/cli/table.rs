//! Tables that fit the terminal, and the same as JSON.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::SystemTime;

use console::{Alignment, Style, Term, measure_text_width, pad_str, truncate_str};
use serde_json::Value;

use crate::operations::text::ago;

/// A narrower column shows nothing of use.
const MIN_COLUMN: usize = 8;

/// Columns of text. The first one gives way if the terminal is too narrow.
pub(super) struct Table {
    rows: Vec<Vec<(String, Style)>>,
}

impl Table {
    pub(super) fn new(header: &[&str]) -> Self {
        let bold = Style::new().bold();
        Self { rows: vec![header.iter().map(|name| ((*name).to_owned(), bold.clone())).collect()] }
    }

    pub(super) fn row(&mut self, cells: Vec<(String, Style)>) {
        self.rows.push(cells);
    }

    /// Writes the table. Into a pipe nothing is cut off.
    pub(super) fn print(&self, term: &Term) -> std::io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(text, _)| measure_text_width(text)).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..columns).map(width_of).collect();
        if let Some((_, available)) = term.size_checked().filter(|_| term.is_term()) {
            shrink(&mut widths, usize::from(available));
        }
        let mut out = std::io::stdout().lock();
        for row in &self.rows {
            let mut line = String::new();
            let last = row.len().saturating_sub(1);
            for (column, (text, style)) in row.iter().enumerate() {
                let width = widths.get(column).copied().unwrap_or(0);
                let cut = truncate_str(text, width, "…");
                let padded = if column == last {
                    cut
                } else {
                    pad_str(&cut, width, Alignment::Left, None).into_owned().into()
                };
                line.push_str(&style.apply_to(padded).to_string());
                if column != last {
                    line.push_str("  ");
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Takes what is too much from the widest columns.
fn shrink(widths: &mut [usize], available: usize) {
    let gaps = 2 * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > available {
        let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > MIN_COLUMN) else { return };
        *widest -= 1;
    }
}

/// One JSON object a line.
pub(super) fn print_json(value: &Value) -> std::io::Result<()> {
    // `serde_json` escapes ASCII control characters. Others, and what changes the direction of text, act on terminals too.
    let mut line = String::new();
    for c in value.to_string().chars() {
        if c == '\u{7f}' || (!c.is_ascii() && c.escape_debug().len() > 1) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(c);
        }
    }
    writeln!(std::io::stdout().lock(), "{line}")
}

pub(super) fn oldest(oldest: Option<SystemTime>) -> String {
    oldest.map(ago).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_columns_give_way() {
        let mut widths = [40, 30, 9, 5];
        shrink(&mut widths, 60);
        assert_eq!(widths.iter().sum::<usize>() + 6, 60);
        assert_eq!(&widths[2..], [9, 5]);
        let mut widths = [9, 9, 9];
        shrink(&mut widths, 3);
        assert_eq!(widths, [MIN_COLUMN; 3]);
    }
}
