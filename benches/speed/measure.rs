//! Timing of a closure in short batches.
//!
//! Without statistics: the best batch shows the cost of the code, the median its cost on this
//! machine under its present load. Both are printed, so that a noisy run is visible.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts of runs and bytes are small and positive"
)]

use std::time::Instant;

/// Length of a batch in nanoseconds: long enough that reading the clock costs nothing, short enough
/// to fit between interruptions.
const BATCH: f64 = 2e5;

/// Length of a measurement in nanoseconds.
const TOTAL: f64 = 1e9;

/// Thoroughness of the measurements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Runs each closure once.
    Once,
    /// Runs it often enough for a number that can be quoted.
    Measure,
}

/// The means of measurement for all sections.
pub struct Bench {
    effort: Effort,
}

/// Cost of one run of a closure.
#[derive(Clone, Copy)]
pub struct Cost {
    /// Nanoseconds in the best batch.
    pub best: f64,
    /// Nanoseconds in the median batch.
    pub median: f64,
}

impl Bench {
    pub const fn new(effort: Effort) -> Self {
        Self { effort }
    }

    /// Measures `work`.
    pub fn cost(&self, mut work: impl FnMut()) -> Cost {
        let once = nanoseconds(1, &mut work);
        if self.effort == Effort::Once {
            return Cost {
                best: once,
                median: once,
            };
        }
        let warm = nanoseconds(10, &mut work).max(1.0);
        let runs = ((BATCH / warm) as u32).max(1);
        // Work that takes longer than a batch runs less often, but also for about a second.
        let batches = (TOTAL / (warm * f64::from(runs))).max(20.0) as usize;
        let mut batches: Vec<_> = (0..batches).map(|_| nanoseconds(runs, &mut work)).collect();
        batches.sort_by(f64::total_cmp);
        Cost {
            best: batches[0],
            median: batches[batches.len() / 2],
        }
    }
}

/// Runs of work that takes seconds.
const LONG_RUNS: usize = 3;

impl Bench {
    /// Measures work that takes so long that a few runs must suffice.
    pub fn once(&self, mut work: impl FnMut()) -> Cost {
        let runs = if self.effort == Effort::Once {
            1
        } else {
            LONG_RUNS
        };
        let mut times: Vec<_> = (0..runs).map(|_| nanoseconds(1, &mut work)).collect();
        times.sort_by(f64::total_cmp);
        Cost {
            best: times[0],
            median: times[times.len() / 2],
        }
    }

    /// Returns the number of bytes for a measurement, or a thousandth of it for a test.
    pub fn size(&self, bytes: usize) -> usize {
        if self.effort == Effort::Once {
            bytes / 1024
        } else {
            bytes
        }
    }
}

/// Mean time of one run among `runs`, in nanoseconds.
fn nanoseconds(runs: u32, work: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..runs {
        work();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(runs)
}

impl Cost {
    /// Prints a line: the best and the median, the best in other `terms`, and its ratio to the
    /// `baseline`.
    pub fn print(self, name: &str, terms: &str, baseline: Cost) {
        println!(
            "  {name:<28} best {:>10}  median {:>10}  {terms:>16}  {:>5.2} x",
            time(self.best),
            time(self.median),
            self.best / baseline.best,
        );
    }

    /// Throughput of the best batch, as text.
    pub fn throughput(self, bytes: usize) -> String {
        format!("{:.2} GB/s", bytes as f64 / self.best)
    }

    /// Runs per second of the best batch, as text.
    pub fn rate(self) -> String {
        format!("{:.0} /s", 1e9 / self.best)
    }
}

fn time(nanoseconds: f64) -> String {
    if nanoseconds < 10_000.0 {
        format!("{nanoseconds:.0} ns")
    } else {
        format!("{:.1} us", nanoseconds / 1_000.0)
    }
}
