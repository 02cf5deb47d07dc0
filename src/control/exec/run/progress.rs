//! Progress of a run on a terminal: one line below the output, redrawn in place.
//!
//! The line goes through the queues of the outputs, which keep its order with what hosts print. Invariants: a line of
//! output never stands behind the progress on the same line of the terminal; the progress never takes a second line there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::exchange::Meter;
use super::super::plan::Terminals;
use super::rate::Rate;

/// Time after which a run shows its progress. A shorter one ends before it can be read.
const AFTER: Duration = Duration::from_secs(1);

/// Time between two drawings.
const PERIOD: Duration = Duration::from_millis(100);

/// Columns of the bar.
const BAR: usize = 24;

/// Carriage return, and erasure up to the end of the line (ECMA-48, EL).
const CLEAR: &[u8] = b"\r\x1b[K";

/// Counts of a run.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Counts {
    /// Hosts that have ended.
    pub(super) ended: usize,
    /// Those of them that are not ok.
    pub(super) errors: usize,
    /// Hosts in progress.
    pub(super) active: usize,
}

/// State of the line.
#[derive(Debug)]
pub(super) struct Progress {
    terminals: Terminals,
    total: usize,
    began: Instant,
    /// Amount of bytes, and their rate, of a run that copies files.
    bytes: Option<(Arc<Meter>, Rate)>,
    /// Time of the next drawing; `None` if none is due.
    next: Option<Instant>,
    is_drawn: bool,
}

impl Progress {
    /// Creates the progress of a run over `total` hosts. It is shown if stderr is a terminal and there are several.
    pub(super) fn new(terminals: Terminals, total: usize, began: Instant) -> Self {
        Self {
            terminals,
            total,
            began,
            bytes: None,
            next: (terminals.stderr && total > 1).then(|| began + AFTER),
            is_drawn: false,
        }
    }

    /// Creates the progress of a run that copies files, to one host or several. It is shown if stderr is a terminal.
    pub(super) fn of_bytes(
        terminals: Terminals,
        total: usize,
        began: Instant,
        meter: Arc<Meter>,
    ) -> Self {
        Self {
            bytes: Some((meter, Rate::new(began))),
            next: terminals.stderr.then(|| began + AFTER),
            ..Self::new(terminals, total, began)
        }
    }

    /// Returns the time of the next drawing.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Returns the line for a terminal of so many columns, if it is time to draw it.
    pub(super) fn draw(&mut self, counts: Counts, now: Instant, columns: u16) -> Option<Bytes> {
        if self.next.is_none_or(|next| now < next) {
            return None;
        }
        self.next = Some(now + PERIOD);
        if let Some((meter, rate)) = &mut self.bytes
            && meter.read().0 == 0
            && counts.ended == 0
        {
            // The time until the first byte is not that of the copy.
            *rate = Rate::new(now);
            return None;
        }
        self.is_drawn = true;
        let took = now.saturating_duration_since(self.began);
        let mut line = match &mut self.bytes {
            None => line(counts, self.total, took),
            Some((meter, rate)) => {
                let (done, total) = meter.read();
                rate.line(done, total, now) + &hosts(counts, self.total)
            }
        };
        // A line that fills the last column may be continued on the next one, where it is not erased.
        line.truncate(usize::from(columns).saturating_sub(1));
        Some([CLEAR, line.as_bytes()].concat().into())
    }

    /// Removes the line for good. Returns what does so.
    pub(super) fn end(&mut self) -> Option<Bytes> {
        self.next = None;
        std::mem::take(&mut self.is_drawn).then(|| Bytes::from_static(CLEAR))
    }

    /// Returns the bytes that remove the line from the terminal before output is written there. It is drawn again later.
    pub(super) fn clear(&mut self, is_stdout: bool) -> &'static [u8] {
        let is_terminal = if is_stdout {
            self.terminals.stdout
        } else {
            self.terminals.stderr
        };
        if is_terminal && std::mem::take(&mut self.is_drawn) {
            CLEAR
        } else {
            &[]
        }
    }
}

/// Returns what follows the amount of bytes: the hosts that have ended, if there are several.
fn hosts(counts: Counts, total: usize) -> String {
    let Counts { ended, errors, .. } = counts;
    match (total, errors) {
        (..=1, _) => String::new(),
        (_, 0) => format!(", {ended} of {total} hosts done"),
        (_, errors) => format!(", {ended} of {total} hosts done, {errors} not ok"),
    }
}

fn line(counts: Counts, total: usize, took: Duration) -> String {
    let Counts {
        ended,
        errors,
        active,
    } = counts;
    let filled = ended * BAR / total.max(1);
    let bar = "=".repeat(filled) + &" ".repeat(BAR - filled);
    let errors = match errors {
        0 => String::new(),
        errors => format!(", {errors} not ok"),
    };
    format!(
        "[{bar}] {ended} of {total} done{errors}, {active} running, {}s",
        took.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Terminals = Terminals {
        stdout: true,
        stderr: true,
    };

    #[test]
    fn the_line_is_drawn_after_a_second_and_removed_before_output() {
        let began = Instant::now();
        let mut progress = Progress::new(BOTH, 120, began);
        let counts = Counts {
            ended: 60,
            errors: 2,
            active: 12,
        };
        assert_eq!(progress.draw(counts, began, 80), None);
        assert!(progress.clear(true).is_empty());
        let now = began + AFTER;
        let line = progress.draw(counts, now, 80).unwrap();
        assert_eq!(
            line,
            "\r\x1b[K[============            ] 60 of 120 done, 2 not ok, 12 running, 1s"
        );
        assert_eq!(progress.draw(counts, now, 80), None);
        assert_eq!(progress.clear(true), CLEAR);
        assert!(progress.clear(false).is_empty(), "it is gone already");
        assert!(progress.draw(counts, now + PERIOD, 80).is_some());
        assert_eq!(progress.end().unwrap(), CLEAR);
        assert_eq!(progress.deadline(), None);
    }

    #[test]
    fn the_line_is_cut_before_the_last_column_of_a_narrow_terminal() {
        let began = Instant::now();
        let mut progress = Progress::new(BOTH, 10_000, began);
        let now = began + AFTER;
        let line = progress.draw(Counts::default(), now, 30).unwrap();
        assert_eq!(line, "\r\x1b[K[                        ] 0 ");
        let line = progress.draw(Counts::default(), now + PERIOD, 0).unwrap();
        assert_eq!(line, CLEAR);
    }

    #[test]
    fn nothing_is_drawn_without_a_terminal_or_for_one_host() {
        let began = Instant::now();
        let mut output_only = BOTH;
        output_only.stderr = false;
        for (terminals, total) in [(Terminals::default(), 2), (output_only, 2), (BOTH, 1)] {
            let mut progress = Progress::new(terminals, total, began);
            assert_eq!(progress.deadline(), None);
            assert_eq!(progress.draw(Counts::default(), began + AFTER, 80), None);
        }
    }

    #[test]
    fn a_copy_to_one_host_shows_its_bytes() {
        let began = Instant::now();
        let meter = Arc::new(Meter::default());
        let mut progress = Progress::of_bytes(BOTH, 1, began, Arc::clone(&meter));
        // Nothing is drawn before the first byte, and the time until then does not count.
        assert_eq!(progress.draw(Counts::default(), began + AFTER, 80), None);
        meter.set_total(400 << 20);
        let waited = began + 20 * AFTER;
        assert_eq!(progress.draw(Counts::default(), waited, 80), None);
        assert!(progress.clear(false).is_empty());
        meter.add(100 << 20);
        let line = progress
            .draw(Counts::default(), waited + AFTER, 80)
            .unwrap();
        assert_eq!(
            line,
            "\r\x1b[K[======                  ] 100.0 MiB of 400.0 MiB, 100.0 MiB/s, 3s left"
        );
        let several = Counts {
            ended: 3,
            errors: 1,
            active: 2,
        };
        assert_eq!(hosts(several, 5), ", 3 of 5 hosts done, 1 not ok");
    }

    #[test]
    fn output_to_a_file_is_not_preceded_by_a_control_sequence() {
        let began = Instant::now();
        let mut terminals = BOTH;
        terminals.stdout = false;
        let mut progress = Progress::new(terminals, 2, began);
        progress.draw(Counts::default(), began + AFTER, 80).unwrap();
        assert!(progress.clear(true).is_empty());
        assert_eq!(progress.clear(false), CLEAR);
    }
}
