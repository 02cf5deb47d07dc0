//! Plain-text datagrams as they arrive: admitted by the application's [`PlainSink`], or counted.
//!
//! Not here: what such text means. Invariant: a flood costs no memory, and one event a second.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::handle::PlainSink;
use super::{Event, limits};
use crate::escape;
use crate::session::Path;
use crate::time::Instant;

/// How often suppressed datagrams are reported.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The gate for plain text.
pub(super) struct Plain {
    sink: Option<Box<dyn PlainSink>>,
    suppressed: u64,
    /// When to report them; only while there are any.
    report_at: Option<Instant>,
}

impl Plain {
    pub(super) const fn new(sink: Option<Box<dyn PlainSink>>) -> Self {
        Self {
            sink,
            suppressed: 0,
            report_at: None,
        }
    }

    /// The event for a datagram, if it is worth one. None is while the application is `congested`.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
        congested: bool,
    ) -> Option<Event> {
        // Without a sink nobody wants to hear of plain text, nor that there was some.
        let sink = self.sink.as_mut()?;
        let text = &datagram[..datagram.len().min(limits::PLAIN)];
        if congested || !sink.admit(now, &path, text) {
            self.suppressed += 1;
            self.report_at.get_or_insert(now + REPORT_EVERY);
            return None;
        }
        Some(Event::Plain {
            path,
            text: Bytes::copy_from_slice(text),
            length: datagram.len(),
        })
    }

    /// When [`Plain::due`] should be called.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.report_at
    }

    /// How many were suppressed, when it is time to say so.
    pub(super) fn due(&mut self, now: Instant) -> Option<u64> {
        self.report_at.take_if(|at| *at <= now)?;
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// Plain text as it is shown: one line, escaped, and how much of it is missing.
#[derive(Clone, Copy, Debug)]
pub struct PlainText<'a> {
    /// Its bytes, cut to [`limits::PLAIN`].
    pub text: &'a [u8],
    /// How many bytes it had.
    pub length: usize,
}

impl<'a> PlainText<'a> {
    /// Without the line end that netcat sends along.
    #[must_use]
    pub fn trimmed(self) -> &'a [u8] {
        if self.length > self.text.len() {
            return self.text;
        }
        let text = self.text.strip_suffix(b"\n").unwrap_or(self.text);
        text.strip_suffix(b"\r").unwrap_or(text)
    }
}

impl fmt::Display for PlainText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape::line(self.trimmed(), limits::PLAIN))?;
        match self.length.saturating_sub(self.text.len()) {
            0 => Ok(()),
            cut => write!(f, " [+{cut} bytes]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl PlainSink for Nobody {
        fn admit(&mut self, _: Instant, _: &Path, text: &[u8]) -> bool {
            assert!(text.len() <= limits::PLAIN);
            false
        }
    }

    #[test]
    fn a_flood_is_one_report_a_second_and_silence_needs_no_timer() {
        let path = Path {
            socket: 0,
            local: None,
            remote: std::net::SocketAddr::from(([192, 0, 2, 1], 9)).into(),
        };
        let mut plain = Plain::new(Some(Box::new(Nobody)));
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
    }
}
