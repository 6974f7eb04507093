//! Line charts as SVG, on logarithmic scales, readable on white and on dark.

use std::fmt::{self, Write as _};
use std::path::Path;
use std::{fs, io};

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 62.0;
const TOP: f64 = 34.0;
const INNER_WIDTH: f64 = WIDTH - LEFT - 18.0;
const INNER_HEIGHT: f64 = HEIGHT - TOP - 44.0;
const LEGEND: f64 = 28.0;
/// Told apart by those who see no red or green, too.
const COLOURS: [&str; 4] = ["#e0801f", "#8b8f98", "#2f81f7", "#2da05a"];

pub(crate) struct Chart {
    pub(crate) title: String,
    /// Below the horizontal axis.
    pub(crate) horizontal: &'static str,
    /// In the order of the colours.
    pub(crate) lines: Vec<(&'static str, Vec<(f64, f64)>)>,
}

/// Writes charts side by side into `docs/benchmarks`. They share the first one's legend.
pub(crate) fn write(name: &str, charts: &[Chart]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name).with_extension("svg"), svg(charts).map_err(io::Error::other)?)
}

fn svg(charts: &[Chart]) -> Result<String, fmt::Error> {
    let width = charts.iter().map(|_| WIDTH).sum::<f64>();
    let height = HEIGHT + LEGEND;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n<style>\
         text {{ fill: #57606a }} .grid {{ stroke: #8b8f98; stroke-opacity: 0.3 }} \
         @media (prefers-color-scheme: dark) {{ text {{ fill: #b4bcc6 }} }}</style>\n"
    );
    let mut left = 0.0;
    for chart in charts {
        writeln!(svg, "<g transform=\"translate({left} 0)\">")?;
        draw(&mut svg, chart)?;
        svg.push_str("</g>\n");
        left += WIDTH;
    }
    let names = charts.first().into_iter().flat_map(|chart| &chart.lines).map(|(name, _)| name);
    let mut left = LEFT;
    for (name, colour) in names.zip(COLOURS) {
        let (end, text, y) = (left + 20.0, left + 26.0, HEIGHT + 12.0);
        writeln!(
            svg,
            "<path d=\"M{left} {y}H{end}\" stroke=\"{colour}\" stroke-width=\"3\"/>\
             <text x=\"{text}\" y=\"{}\">{name}</text>",
            y + 4.0
        )?;
        left += 165.0;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn draw(svg: &mut String, chart: &Chart) -> fmt::Result {
    let points = || chart.lines.iter().flat_map(|(_, points)| points);
    let across = Scale::of(points().map(|point| point.0), LEFT, INNER_WIDTH);
    let up = Scale::of(points().map(|point| point.1), TOP + INNER_HEIGHT, -INNER_HEIGHT).in_decades();
    let (middle, below) = (LEFT + INNER_WIDTH / 2.0, TOP + INNER_HEIGHT);
    writeln!(
        svg,
        "<text x=\"{middle}\" y=\"18\" text-anchor=\"middle\" font-weight=\"bold\">{}</text>\
         <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        chart.title,
        below + 36.0,
        chart.horizontal
    )?;
    for value in up.decades() {
        let y = up.at(value);
        writeln!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}h{INNER_WIDTH}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
            LEFT - 6.0,
            y + 4.0
        )?;
    }
    for (x, _) in chart.lines.first().into_iter().flat_map(|(_, points)| points) {
        let y = below + 16.0;
        writeln!(svg, "<text x=\"{:.1}\" y=\"{y}\" text-anchor=\"middle\">{x}</text>", across.at(*x))?;
    }
    for ((_, points), colour) in chart.lines.iter().zip(COLOURS) {
        let path: Vec<String> =
            points.iter().map(|(x, y)| format!("{:.1} {:.1}", across.at(*x), up.at(*y))).collect();
        writeln!(
            svg,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\" stroke-linejoin=\"round\"/>",
            path.join("L")
        )?;
    }
    Ok(())
}

/// Values onto a length, by their logarithms.
struct Scale {
    first: f64,
    last: f64,
    start: f64,
    length: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64>, start: f64, length: f64) -> Self {
        let (first, last) = values
            .map(f64::log10)
            .fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
        Self { first, last, start, length }
    }

    /// From a whole power of ten to another.
    fn in_decades(self) -> Self {
        let first = self.first.floor();
        Self { first, last: self.last.ceil().max(first + 1.0), ..self }
    }

    fn at(&self, value: f64) -> f64 {
        self.start + (value.log10() - self.first) / (self.last - self.first) * self.length
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        let (first, last) = (self.first, self.last);
        std::iter::successors(Some(first), |power| Some(power + 1.0))
            .take_while(move |power| *power <= last)
            .map(|power| 10_f64.powf(power))
    }
}
