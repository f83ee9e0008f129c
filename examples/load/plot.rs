//! Draws figures as an SVG: a panel for each thing that grew, two curves in each, both axes by powers
//! of ten.

use std::fmt::Write as _;

const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 52.0;
const BOTTOM: f64 = 36.0;
const TOP: f64 = 44.0;
const RIGHT: f64 = 14.0;
const COLOURS: [&str; 2] = ["#0b6e99", "#c25b12"];

/// The points of one curve.
struct Curve {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

/// What grew, and what that did.
pub struct Panel {
    title: &'static str,
    curves: [Curve; 2],
}

impl Panel {
    /// An empty panel with two curves.
    pub fn new(title: &'static str, one: &'static str, other: &'static str) -> Self {
        let curve = |name| Curve {
            name,
            points: Vec::new(),
        };
        Self {
            title,
            curves: [curve(one), curve(other)],
        }
    }

    /// The two values at a number.
    #[allow(clippy::cast_precision_loss)]
    pub fn add(&mut self, number: u64, one: f64, other: f64) {
        for (curve, value) in self.curves.iter_mut().zip([one, other]) {
            curve.points.push((number as f64, value.max(0.1)));
        }
    }

    fn draw(&self, svg: &mut String, x: f64, y: f64) -> std::fmt::Result {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let across = decades(points().map(|point| point.0));
        let up = decades(points().map(|point| point.1));
        let at_x = |value: f64| {
            let part = (value.log10() - across.0) / (across.1 - across.0);
            x + LEFT + part * (WIDTH - LEFT - RIGHT)
        };
        let at_y = |value: f64| {
            let part = (value.log10() - up.0) / (up.1 - up.0);
            y + HEIGHT - BOTTOM - part * (HEIGHT - BOTTOM - TOP)
        };
        writeln!(
            svg,
            r#"<text x="{}" y="{}" class="title">{}</text>"#,
            x + LEFT,
            y + 16.0,
            self.title
        )?;
        let mut power = across.0;
        while power <= across.1 {
            let at = at_x(10_f64.powf(power));
            writeln!(
                svg,
                r#"<line x1="{at}" y1="{}" x2="{at}" y2="{}"/>"#,
                y + TOP,
                y + HEIGHT - BOTTOM
            )?;
            writeln!(
                svg,
                r#"<text x="{at}" y="{}" text-anchor="middle">{}</text>"#,
                y + HEIGHT - BOTTOM + 16.0,
                short(power)
            )?;
            power += 1.0;
        }
        power = up.0;
        while power <= up.1 {
            let at = at_y(10_f64.powf(power));
            writeln!(
                svg,
                r#"<line x1="{}" y1="{at}" x2="{}" y2="{at}"/>"#,
                x + LEFT,
                x + WIDTH - RIGHT
            )?;
            writeln!(
                svg,
                r#"<text x="{}" y="{}" text-anchor="end">{}</text>"#,
                x + LEFT - 6.0,
                at + 4.0,
                short(power)
            )?;
            power += 1.0;
        }
        for (place, (curve, colour)) in (0_u8..).zip(self.curves.iter().zip(COLOURS)) {
            let at = x + LEFT + f64::from(place) * 150.0;
            writeln!(
                svg,
                r#"<text x="{at}" y="{}" fill="{colour}">{}</text>"#,
                y + 34.0,
                curve.name
            )?;
            let path: Vec<String> = curve
                .points
                .iter()
                .map(|(n, v)| format!("{:.1},{:.1}", at_x(*n), at_y(*v)))
                .collect();
            writeln!(
                svg,
                r#"<polyline points="{}" stroke="{colour}"/>"#,
                path.join(" ")
            )?;
        }
        Ok(())
    }
}

/// The powers of ten around the values; at least one apart.
fn decades(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let powers: Vec<f64> = values.map(f64::log10).collect();
    let low = powers.iter().copied().fold(f64::INFINITY, f64::min).floor();
    let high = powers
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max)
        .ceil();
    (low, high.max(low + 1.0))
}

fn short(power: f64) -> String {
    match power {
        6.0.. => format!("{} M", 10_f64.powf(power - 6.0)),
        3.0.. => format!("{} k", 10_f64.powf(power - 3.0)),
        _ => format!("{}", 10_f64.powf(power)),
    }
}

/// The panels, two in a row.
pub fn draw(panels: &[Panel]) -> String {
    let rows = panels.len().div_ceil(2);
    let height = (0..rows).map(|_| HEIGHT).sum::<f64>();
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {height}" font-family="sans-serif" font-size="11">
<style>line {{ stroke: #ddd }} polyline {{ fill: none; stroke-width: 2 }} .title {{ font-weight: bold }}</style>
<rect width="100%" height="100%" fill="white"/>
"#,
        WIDTH * 2.0
    );
    for (row, pair) in (0_u8..).zip(panels.chunks(2)) {
        for (column, panel) in (0_u8..).zip(pair) {
            // Writing into a string does not fail.
            let _written = panel.draw(&mut svg, f64::from(column) * WIDTH, f64::from(row) * HEIGHT);
        }
    }
    svg.push_str("</svg>\n");
    svg
}
