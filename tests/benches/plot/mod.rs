//! Line charts as SVG, on logarithmic scales, readable at a README's width on white and on dark. Each comes with its
//! figures as CSV, from which `cargo bench --bench plots` draws it again.

#![allow(dead_code, reason = "each benchmark uses a part")]

mod chart;
mod scale;
mod table;

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{fs, io};

pub(crate) use chart::Chart;
use chart::{Cell, HEIGHT, WIDTH};

/// A README shows this many charts beside each other without making them smaller.
const COLUMNS: usize = 2;
const LEGEND: f64 = 34.0;
/// Colour and dashes of each line, in order: those who see no red or green tell them apart, too.
const LINES: [(&str, &str); 4] =
    [("#d9730d", "none"), ("#8b8f98", "7 4"), ("#2f81f7", "none"), ("#2da05a", "2 3")];

/// Writes `docs/benchmarks/{name}.svg` and its figures, `docs/benchmarks/{name}.csv`.
pub(crate) fn write(name: &str, charts: &[Chart]) -> io::Result<()> {
    fs::create_dir_all(folder())?;
    fs::write(folder().join(name).with_extension("csv"), table::written(charts))?;
    draw(name, charts)
}

/// Draws every plot again from its figures, and names them.
pub(crate) fn redraw() -> io::Result<Vec<String>> {
    let mut drawn = Vec::new();
    for entry in fs::read_dir(folder())? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|extension| extension == "csv") {
            draw(name, &table::read(&fs::read_to_string(&path)?)?)?;
            drawn.push(name.to_owned());
        }
    }
    drawn.sort();
    Ok(drawn)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks")
}

fn draw(name: &str, charts: &[Chart]) -> io::Result<()> {
    fs::write(folder().join(name).with_extension("svg"), svg(charts).map_err(io::Error::other)?)
}

/// The charts in rows of two, below the legend that they share.
fn svg(charts: &[Chart]) -> Result<String, fmt::Error> {
    let columns = charts.len().min(COLUMNS);
    let (mut across, mut down) = (0.0, LEGEND);
    let mut drawn = String::new();
    for row in charts.chunks(COLUMNS) {
        for chart in row {
            let cell = Cell { left: across, top: down };
            chart.draw(&mut drawn, cell, &LINES)?;
            across += WIDTH;
        }
        (across, down) = (0.0, down + HEIGHT);
    }
    let width = if columns == COLUMNS { 2.0 * WIDTH } else { WIDTH };
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {down}" width="{width}" height="{down}" font-family="Helvetica, Arial, sans-serif" font-size="14">
<style>
text {{ fill: #57606a }} .title {{ font-weight: bold; font-size: 15px; fill: #24292f }}
.grid {{ stroke: #8b8f98; stroke-opacity: 0.35 }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #b4bcc6 }} .title {{ fill: #e6edf3 }} }}
</style>
"#
    );
    legend(&mut svg, charts)?;
    svg.push_str(&drawn);
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn legend(svg: &mut String, charts: &[Chart]) -> fmt::Result {
    let names = charts.first().into_iter().flat_map(|chart| &chart.lines).map(|(name, _)| name);
    let mut left = 74.0;
    for (name, (colour, dashes)) in names.zip(LINES) {
        writeln!(
            svg,
            r#"<path d="M{left} 18h30" stroke="{colour}" stroke-width="3" stroke-dasharray="{dashes}"/><text x="{}" y="23">{name}</text>"#,
            left + 38.0
        )?;
        left += 220.0;
    }
    Ok(())
}
