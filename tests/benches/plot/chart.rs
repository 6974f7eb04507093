//! One chart: axes, grid, and a line with its points for each handler.

use std::fmt::{self, Write as _};

use super::scale::Scale;

pub(super) const WIDTH: f64 = 430.0;
pub(super) const HEIGHT: f64 = 310.0;
const LEFT: f64 = 62.0;
const TOP: f64 = 40.0;
const INNER_WIDTH: f64 = WIDTH - LEFT - 30.0;
const INNER_HEIGHT: f64 = HEIGHT - TOP - 58.0;

pub(crate) struct Chart {
    pub(crate) title: String,
    /// Below the horizontal axis.
    pub(crate) horizontal: String,
    /// Names and points, in the order of the colours.
    pub(crate) lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// Where a chart stands in its picture.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    pub(super) left: f64,
    pub(super) top: f64,
}

impl Chart {
    pub(super) fn draw(&self, svg: &mut String, cell: Cell, styles: &[(&str, &str)]) -> fmt::Result {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let across = Scale::of(points().map(|point| point.0), LEFT, INNER_WIDTH);
        let up = Scale::of(points().map(|point| point.1), TOP + INNER_HEIGHT, -INNER_HEIGHT).in_decades();
        writeln!(svg, r#"<g transform="translate({} {})">"#, cell.left, cell.top)?;
        self.axes(svg, &across, &up)?;
        for ((_, points), (colour, dashes)) in self.lines.iter().zip(styles) {
            let place = |(x, y): &(f64, f64)| (across.at(*x), up.at(*y));
            let path: Vec<String> = points.iter().map(place).map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
            writeln!(
                svg,
                r#"<path d="M{}" fill="none" stroke="{colour}" stroke-width="2.5" stroke-dasharray="{dashes}" stroke-linejoin="round"/>"#,
                path.join("L")
            )?;
            for (x, y) in points.iter().map(place) {
                writeln!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" fill="{colour}"/>"#)?;
            }
        }
        svg.push_str("</g>\n");
        Ok(())
    }

    fn axes(&self, svg: &mut String, across: &Scale, up: &Scale) -> fmt::Result {
        let (middle, below) = (LEFT + INNER_WIDTH / 2.0, TOP + INNER_HEIGHT);
        writeln!(
            svg,
            r#"<text class="title" x="{middle}" y="22" text-anchor="middle">{}</text><text x="{middle}" y="{}" text-anchor="middle">{}</text>"#,
            self.title,
            below + 44.0,
            self.horizontal
        )?;
        for value in up.decades() {
            let y = up.at(value);
            writeln!(
                svg,
                r#"<path class="grid" d="M{LEFT} {y:.1}h{INNER_WIDTH}"/><text x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
                LEFT - 8.0,
                y + 5.0,
                short(value)
            )?;
        }
        for (x, _) in self.lines.first().into_iter().flat_map(|(_, points)| points) {
            let (x, y) = (across.at(*x), below + 22.0);
            writeln!(
                svg,
                r#"<text x="{x:.1}" y="{y}" text-anchor="middle">{}</text>"#,
                short(across.value(x))
            )?;
        }
        Ok(())
    }
}

/// 10,000 as `10k`, 1,000,000 as `1M`: long numbers do not fit below an axis.
fn short(value: f64) -> String {
    match value.round() {
        whole if whole >= 1_000_000.0 => format!("{}M", whole / 1_000_000.0),
        whole if whole >= 10_000.0 => format!("{}k", whole / 1_000.0),
        whole if whole >= 1.0 => format!("{whole}"),
        _ => format!("{value:.1}"),
    }
}
