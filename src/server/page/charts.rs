//! The small charts: SVG in the page itself, one path for each of two series. What a chart shows is said in words too,
//! beside it and in its label; and what failed hangs below the line, so that colour is not all that tells it.

use std::fmt::{self, Display, Formatter};

use super::{
    history::KEPT,
    html::{Html, put},
    snapshot::Slot,
};

/// The width of a bar with the gap after it, that of a bar, and the heights of charts, in the units of the drawing.
const STEP: u64 = 60;
const BAR: u64 = 45;
const HEIGHT: u64 = 480;
const SMALL: u64 = 160;

/// A rectangle of a path.
#[derive(Debug, Clone, Copy)]
struct Bar {
    left: u64,
    top: u64,
    height: u64,
}

/// Bars as the `d` of a path.
#[derive(Debug, Default)]
struct Path(Vec<Bar>);

impl Path {
    /// Adds a bar, unless there is nothing of it to be seen.
    fn add(&mut self, left: u64, top: u64, height: u64) {
        if height > 0 {
            self.0.push(Bar { left, top, height });
        }
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for Bar { left, top, height } in &self.0 {
            write!(f, "M{left} {top}h{BAR}v{height}h-{BAR}z")?;
        }
        Ok(())
    }
}

/// How high something is of which `most` is `height`. What is not nothing can be seen.
fn scaled(value: u64, most: u64, height: u64) -> u64 {
    let scaled = u128::from(value) * u128::from(height) / u128::from(most.max(1));
    let scaled = u64::try_from(scaled).unwrap_or(height).min(height);
    match value {
        0 => 0,
        _ => scaled.max(12),
    }
}

/// Where a bar begins: the newest is the last on the right.
fn places<T>(slots: &[T]) -> impl Iterator<Item = (u64, &T)> {
    let first = KEPT.saturating_sub(slots.len());
    let skipped = slots.len().saturating_sub(KEPT);
    let places = (0..).step_by(STEP as usize).skip(first);
    places.zip(slots.iter().skip(skipped))
}

/// The head of a chart of one of two sizes.
fn head(page: &mut Html, class: &'static str, height: u64, label: impl Display) {
    let width = STEP * KEPT as u64;
    put!(page; "<svg class=\"" (class) "\" viewBox=\"0 0 " (width) " " (height)
        "\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"" (label) "\">");
}

fn foot(page: &mut Html, line: u64) {
    let width = STEP * KEPT as u64;
    put!(page; "<path class=\"axis\" d=\"M0 " (line) "h" (width) "\"/></svg>");
}

/// What went well, upwards, and what failed, downwards, in one scale.
pub fn outcomes(page: &mut Html, label: impl Display, slots: &[Slot]) {
    let most_good = slots.iter().map(|slot| slot.good).max().unwrap_or_default();
    let most_failed = slots.iter().map(|slot| slot.failed).max();
    let most_failed = most_failed.unwrap_or_default();
    let most = most_good.saturating_add(most_failed);
    let line = HEIGHT - scaled(most_failed, most, HEIGHT);
    let (mut good, mut failed) = (Path::default(), Path::default());
    for (left, slot) in places(slots) {
        let height = scaled(slot.good, most, HEIGHT).min(line);
        good.add(left, line - height, height);
        let height = scaled(slot.failed, most, HEIGHT).min(HEIGHT - line);
        failed.add(left, line, height);
    }
    head(page, "chart", HEIGHT, label);
    put!(page; "<path class=\"good\" d=\"" (good) "\"/><path class=\"failed\" d=\"" (failed) "\"/>");
    foot(page, line);
}

/// How long it took: nineteen of twenty, and before it, darker, the half.
pub fn latencies(page: &mut Html, label: impl Display, slots: &[Slot]) {
    let most = slots.iter().map(|slot| thousandths(slot.p95)).max();
    let most = most.unwrap_or_default();
    let (mut p95, mut median) = (Path::default(), Path::default());
    for (left, slot) in places(slots) {
        for (path, value) in [(&mut p95, slot.p95), (&mut median, slot.median)] {
            let height = scaled(thousandths(value), most, HEIGHT);
            path.add(left, HEIGHT - height, height);
        }
    }
    head(page, "chart", HEIGHT, label);
    put!(page; "<path class=\"p95\" d=\"" (p95) "\"/><path class=\"median\" d=\"" (median) "\"/>");
    foot(page, HEIGHT);
}

/// How often something happened.
pub fn counts(page: &mut Html, label: impl Display, slots: &[u64]) {
    let most = slots.iter().copied().max().unwrap_or_default();
    let mut bars = Path::default();
    for (left, count) in places(slots) {
        let height = scaled(*count, most, SMALL);
        bars.add(left, SMALL - height, height);
    }
    head(page, "chart small", SMALL, label);
    put!(page; "<path class=\"failed\" d=\"" (bars) "\"/>");
    foot(page, SMALL);
}

/// In thousandths of a second, at most the half minute that the metrics know.
fn thousandths(seconds: Option<f64>) -> u64 {
    (seconds.unwrap_or_default().min(30.0) * 1e3) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(draw: impl FnOnce(&mut Html)) -> String {
        let mut page = Html::default();
        draw(&mut page);
        page.into_string()
    }

    #[test]
    fn the_newest_bar_is_the_last_and_what_failed_hangs_below() {
        let slot = |good, failed| Slot {
            good,
            failed,
            ..Slot::default()
        };
        let chart = drawn(|page| outcomes(page, "two", &[slot(30, 0), slot(10, 10)]));
        // The line is at 360 of 480: thirty above it, ten below.
        let good = "class=\"good\" d=\"M2280 0h45v360h-45zM2340 240h45v120h-45z\"";
        assert!(chart.contains(good), "{chart}");
        let failed = "class=\"failed\" d=\"M2340 360h45v120h-45z\"";
        assert!(chart.contains(failed), "{chart}");
        assert!(chart.contains("aria-label=\"two\""));
    }

    #[test]
    fn what_is_not_nothing_can_be_seen_and_nothing_leaves_the_chart() {
        assert_eq!(scaled(0, 10, 480), 0);
        assert_eq!(scaled(1, u64::MAX, 480), 12);
        assert_eq!(scaled(u64::MAX, u64::MAX, 480), 480);
        assert_eq!(scaled(5, 0, 480), 480);
        let most = [u64::MAX; 3];
        let chart = drawn(|page| counts(page, "", &most));
        assert_eq!(chart.matches("v160h").count(), 3);
        let slots = [Slot {
            good: u64::MAX,
            failed: u64::MAX,
            median: None,
            p95: Some(f64::INFINITY),
        }; 100];
        for chart in [
            drawn(|page| outcomes(page, "", &slots)),
            drawn(|page| latencies(page, "", &slots)),
        ] {
            assert!(chart.len() < 4_000, "{}", chart.len());
        }
    }

    #[test]
    fn an_empty_chart_is_its_line() {
        for chart in [
            drawn(|page| outcomes(page, "", &[])),
            drawn(|page| latencies(page, "", &[])),
            drawn(|page| counts(page, "", &[])),
        ] {
            assert_eq!(chart.matches("h45").count(), 0, "{chart}");
            assert!(chart.contains("class=\"axis\""), "{chart}");
        }
    }
}
