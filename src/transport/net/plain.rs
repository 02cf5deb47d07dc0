//! Filter of plain-text datagrams: the application's [`PlainSink`] admits them, the rest is counted.
//!
//! Not here: the meaning of such text. Invariant: a flood costs no memory, and one event a second.

use std::fmt;

use bytes::Bytes;

use super::counts::PlainCounts;
use super::event::Event;
use super::limits;
use crate::escape;
use crate::session::Path;
use crate::time::Instant;

/// Decides, on the network thread, which plain-text datagrams become events. Called before anything is
/// allocated; must not block.
pub trait PlainSink: Send {
    /// True to let this datagram through. `text` is cut to [`limits::PLAIN`].
    fn admit(&mut self, now: Instant, path: &Path, text: &[u8]) -> bool;
}

/// The filter, and its count of suppressed datagrams.
pub(super) struct Plain {
    sink: Option<Box<dyn PlainSink>>,
    counts: PlainCounts,
    suppressed: u64,
    /// Time of the next report; only while there is something to report.
    report_at: Option<Instant>,
}

impl Plain {
    pub(super) const fn new(sink: Option<Box<dyn PlainSink>>) -> Self {
        Self {
            sink,
            counts: PlainCounts {
                admitted: 0,
                suppressed: 0,
                unwanted: 0,
            },
            suppressed: 0,
            report_at: None,
        }
    }

    /// Returns the event for a datagram that is admitted. While the application is `congested` none is.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
        congested: bool,
    ) -> Option<Event> {
        let Some(sink) = self.sink.as_mut() else {
            self.counts.unwanted += 1;
            return None;
        };
        let text = &datagram[..datagram.len().min(limits::PLAIN)];
        if congested || !sink.admit(now, &path, text) {
            self.counts.suppressed += 1;
            self.suppressed += 1;
            self.report_at
                .get_or_insert(now + limits::SUPPRESSED_INTERVAL);
            return None;
        }
        self.counts.admitted += 1;
        Some(Event::Plain {
            path,
            text: Bytes::copy_from_slice(text),
            length: datagram.len(),
        })
    }

    /// Counters since the start.
    pub(super) const fn counts(&self) -> PlainCounts {
        self.counts
    }

    /// Time at which [`Plain::due`] should be called.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.report_at
    }

    /// Number of suppressed datagrams, if a report is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<u64> {
        self.report_at.take_if(|at| *at <= now)?;
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// Plain text for display: one escaped line, isolated if it is written from right to left, with the number of octets that were cut off.
#[derive(Clone, Copy, Debug)]
pub struct PlainText<'a> {
    /// Its bytes, cut to [`limits::PLAIN`].
    pub text: &'a [u8],
    /// Its size in octets before the cut.
    pub length: usize,
}

impl<'a> PlainText<'a> {
    /// The text without the line end that netcat appends.
    #[must_use]
    pub fn trimmed(self) -> &'a [u8] {
        if self.length > self.text.len() {
            return self.text;
        }
        let text = self.text.strip_suffix(b"\n").unwrap_or(self.text);
        text.strip_suffix(b"\r").unwrap_or(text)
    }

    /// Number of octets that are missing; `None` if the text is complete.
    #[must_use]
    pub fn cut(self) -> Option<u64> {
        let cut = self.length.checked_sub(self.text.len())?;
        u64::try_from(cut).ok().filter(|&cut| cut > 0)
    }
}

impl fmt::Display for PlainText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape::message(self.trimmed(), limits::PLAIN))?;
        match self.cut() {
            None => Ok(()),
            Some(cut) => write!(f, " [+{cut} bytes]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Closed;

    impl PlainSink for Closed {
        fn admit(&mut self, _: Instant, _: &Path, text: &[u8]) -> bool {
            assert!(text.len() <= limits::PLAIN);
            false
        }
    }

    #[test]
    fn a_flood_causes_one_report_a_second_and_silence_no_timer() {
        let path = Path {
            socket: 0,
            local: None,
            remote: std::net::SocketAddr::from(([192, 0, 2, 1], 9)).into(),
        };
        let mut plain = Plain::new(Some(Box::new(Closed)));
        assert_eq!(plain.deadline(), None);
        let mut reports = Vec::new();
        let flood = vec![b'x'; 65_507];
        for millis in 0..2500 {
            let now = Instant::ZERO + Duration::from_millis(millis);
            assert!(plain.admit(now, path, &flood, false).is_none());
            reports.extend(plain.due(now));
        }
        assert_eq!(reports, [1001, 1001]);
        assert_eq!(plain.due(Instant::ZERO + Duration::from_secs(9)), Some(498));
        assert_eq!(plain.deadline(), None);
        let counts = plain.counts();
        assert_eq!((counts.admitted, counts.suppressed), (0, 2500));
    }
}
