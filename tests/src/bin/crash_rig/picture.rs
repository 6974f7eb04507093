//! The picture of a failover: deliveries and errors a second, and what happened to the servers.

use std::fmt::Write;

use crate::timeline::{SAMPLE, Sample, Span, Timeline, usual};

/// The seconds before the disaster, and after it, that the picture shows.
const BEFORE: usize = 8;
const AFTER: usize = 16;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 360.0;
/// Room for the axes' words, at each side.
const MARGIN: f64 = 56.0;

/// Samples in a second.
const A_SECOND: usize = 4;

/// The first disaster of a run, as SVG. `None` if there was none.
pub(crate) fn svg(title: &str, timeline: &Timeline) -> Option<String> {
    let (samples, spans) = (timeline.samples(), timeline.spans());
    let span = spans.first()?;
    let first = span.begin.saturating_sub(BEFORE * A_SECOND);
    let shown = samples.get(first..samples.len().min(span.begin + AFTER * A_SECOND))?;
    let rate = |number: u64| number * u64::try_from(A_SECOND).unwrap_or(1);
    let highest = shown.iter().map(|sample| rate(sample.answered.max(sample.failed))).max()?.max(1);
    let chart = Chart { first, number: shown.len(), highest: float(highest) };
    let usual = usual(&samples, &spans)?;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<title>{title}</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{MARGIN}\" y=\"20\" font-size=\"15\">{title}</text>\n"
    );
    chart.axes(&mut svg, span.begin, usual);
    for (colour, words, count) in [
        ("#1f77b4", "deliveries answered a second", answered as fn(&Sample) -> u64),
        ("#d62728", "errors, and deliveries without an answer", failed),
    ] {
        let points = shown.iter().enumerate().map(|(at, sample)| {
            format!("{:.1},{:.1}", chart.x(first + at), chart.y(float(rate(count(sample)))))
        });
        let points = points.collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        );
        let x = if colour == "#1f77b4" { MARGIN } else { MARGIN + 230.0 };
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"38\" fill=\"{colour}\">{words}</text>");
    }
    for (nth, (at, words)) in moments(span).into_iter().enumerate() {
        let (x, y) = (chart.x(at), 60.0 + 18.0 * float(u64::try_from(nth).unwrap_or(0)));
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y}\" y2=\"{}\" stroke=\"#555\" stroke-dasharray=\"2 3\"/>\n\
             <text x=\"{:.1}\" y=\"{}\">{words}</text>",
            HEIGHT - MARGIN,
            x + 4.0,
            y + 4.0
        );
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn moments(span: &Span) -> Vec<(usize, &'static str)> {
    let moved = span.moved.map(|moved| (moved, "another server takes writes"));
    [Some((span.begin, "the server is killed")), moved, Some((span.end, "the cluster is whole"))]
        .into_iter()
        .flatten()
        .collect()
}

fn answered(sample: &Sample) -> u64 {
    sample.answered
}

fn failed(sample: &Sample) -> u64 {
    sample.failed
}

/// From samples and rates to the picture.
struct Chart {
    first: usize,
    number: usize,
    highest: f64,
}

impl Chart {
    fn x(&self, at: usize) -> f64 {
        let part = count(at.saturating_sub(self.first)) / count(self.number);
        MARGIN + part * (WIDTH - 2.0 * MARGIN)
    }

    fn y(&self, rate: f64) -> f64 {
        HEIGHT - MARGIN - rate / self.highest * (HEIGHT - 2.0 * MARGIN)
    }

    fn axes(&self, svg: &mut String, begin: usize, usual: f64) {
        let (left, right, bottom) = (MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN);
        let _ =
            writeln!(svg, "<path d=\"M{left} {MARGIN}V{bottom}H{right}\" fill=\"none\" stroke=\"#000\"/>");
        let y = self.y(usual);
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#1f77b4\" \
             stroke-dasharray=\"6 4\"/>\n<text x=\"8\" y=\"{:.1}\">{usual:.0}</text>",
            y + 4.0
        );
        for at in (self.first..self.first + self.number).filter(|at| at % A_SECOND == begin % A_SECOND) {
            let seconds = (SAMPLE.as_secs_f64() * (count(at) - count(begin))).round();
            if seconds.rem_euclid(4.0) == 0.0 {
                let _ = writeln!(
                    svg,
                    "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{seconds:+} s</text>",
                    self.x(at),
                    bottom + 20.0
                );
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a run has few samples")]
fn count(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "a second has few deliveries")]
fn float(number: u64) -> f64 {
    number as f64
}
