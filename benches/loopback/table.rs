//! The table of the results.
#![allow(
    clippy::cast_precision_loss,
    reason = "numbers of bytes are far below 2^52"
)]

use crate::transfer::{BYTES, Cost, Tool};

/// Bytes of a GiB.
const GIB: f64 = (1_u64 << 30) as f64;

/// Runs of one tool in one case.
#[derive(Default)]
pub struct Row(Vec<Cost>);

impl Row {
    pub fn push(&mut self, cost: Cost) {
        self.0.push(cost);
    }

    /// Median of a part of the cost.
    fn median(&self, part: impl Fn(&Cost) -> f64) -> f64 {
        let sorted = self.sorted(part);
        sorted[sorted.len() / 2]
    }

    fn sorted(&self, part: impl Fn(&Cost) -> f64) -> Vec<f64> {
        let mut sorted: Vec<_> = self.0.iter().map(part).collect();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

pub fn print_head() {
    println!(
        "\n| loopback | tool | GiB/s, median | best | CPU s/GiB, receiver | sender | both | rate to quinn's | to ssh's |"
    );
    println!("|{}", "---|".repeat(9));
}

/// Prints the rows of a case, with the ratios of the median rates.
pub fn print(case: &str, rows: &[(Tool, Row)]) {
    let gib = BYTES as f64 / GIB;
    let time_of = |wanted: Tool| {
        let (_, row) = rows.iter().find(|(tool, _)| *tool == wanted)?;
        Some(row.median(|cost| cost.time))
    };
    for (tool, row) in rows {
        let time = row.median(|cost| cost.time);
        let best = row.sorted(|cost| cost.time)[0];
        let ratio = |baseline: Tool| {
            let ratio = time_of(baseline).map(|baseline| format!("{:.2}", baseline / time));
            ratio.unwrap_or_else(|| "-".to_owned())
        };
        println!(
            "| {case} | {tool} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {} | {} |",
            gib / time,
            gib / best,
            row.median(|cost| cost.receiver) / gib,
            row.median(|cost| cost.sender) / gib,
            row.median(|cost| cost.receiver + cost.sender) / gib,
            ratio(Tool::Quinn),
            ratio(Tool::Ssh),
        );
    }
}
