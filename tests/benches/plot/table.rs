//! The figures of charts as CSV, one point a row. The separator is a semicolon, because the titles hold commas.

use std::fmt::Write as _;
use std::io;

use super::Chart;

const HEAD: &str = "chart;horizontal;line;x;y";

pub(super) fn written(charts: &[Chart]) -> String {
    let mut table = format!("{HEAD}\n");
    for Chart { title, horizontal, lines } in charts {
        for (name, points) in lines {
            for (x, y) in points {
                let _ = writeln!(table, "{title};{horizontal};{name};{x};{y:.3}");
            }
        }
    }
    table
}

pub(super) fn read(table: &str) -> io::Result<Vec<Chart>> {
    let mut charts: Vec<Chart> = Vec::new();
    for row in table.lines().skip(1) {
        let malformed = || io::Error::other(format!("not a row of `{HEAD}`: {row}"));
        let [title, horizontal, name, x, y] = row.split(';').collect::<Vec<_>>()[..] else {
            return Err(malformed());
        };
        let point = (x.parse().map_err(|_| malformed())?, y.parse().map_err(|_| malformed())?);
        if charts.last().is_none_or(|chart| chart.title != title) {
            charts.push(Chart {
                title: title.to_owned(),
                horizontal: horizontal.to_owned(),
                lines: Vec::new(),
            });
        }
        let lines = charts.last_mut().map(|chart| &mut chart.lines).ok_or_else(malformed)?;
        match lines.last_mut() {
            Some((last, points)) if last == name => points.push(point),
            _ => lines.push((name.to_owned(), vec![point])),
        }
    }
    Ok(charts)
}
