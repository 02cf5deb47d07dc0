//! Messages as lines: one JSON object each, ended by `\n`, reassembled from the chunks of a lane.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{VERSION, limits};

/// Why a line was not a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LineError {
    /// Longer than [`limits::LINE`]. The lane cannot be read further.
    TooLong,
    /// Not JSON, or not of a version or shape known here.
    Malformed(String),
}

#[derive(Serialize)]
struct Out<'a, T> {
    v: u32,
    #[serde(flatten)]
    message: &'a T,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// The line for a message, with its newline.
///
/// # Panics
/// Never for the message types of this floor: they have string keys only.
pub fn to_line<T: Serialize>(message: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(&Out {
        v: VERSION,
        message,
    })
    .expect("messages have string keys only");
    line.push(b'\n');
    line
}

/// Reassembles lines from the chunks of one lane.
#[derive(Default, Debug)]
pub struct Lines {
    pending: Vec<u8>,
    /// The lines below were taken out.
    taken: usize,
    /// No line ends below.
    scanned: usize,
}

impl Lines {
    /// Adds received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole line, if there is one.
    ///
    /// # Errors
    /// [`LineError`]; after `Malformed` the next call goes on with the next line.
    #[allow(
        clippy::should_implement_trait,
        reason = "the caller names the type of each line"
    )]
    pub fn next<T: DeserializeOwned>(&mut self) -> Option<Result<T, LineError>> {
        let Some(end) = self.pending[self.scanned..]
            .iter()
            .position(|&byte| byte == b'\n')
        else {
            // Moved once for all lines of a chunk: there may be as many as it has bytes.
            self.pending.drain(..self.taken);
            self.taken = 0;
            self.scanned = self.pending.len();
            return (self.pending.len() > limits::LINE).then_some(Err(LineError::TooLong));
        };
        let end = self.scanned + end;
        let message = parse(&self.pending[self.taken..end]);
        self.scanned = end + 1;
        self.taken = self.scanned;
        Some(message)
    }

    /// Bytes of a line whose end has not come.
    #[must_use]
    pub fn partial(&self) -> usize {
        self.pending.len() - self.taken
    }
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, LineError> {
    if line.len() > limits::LINE {
        return Err(LineError::TooLong);
    }
    let malformed = |error: serde_json::Error| LineError::Malformed(error.to_string());
    let Version { v } = serde_json::from_slice(line).map_err(malformed)?;
    if v != VERSION {
        return Err(LineError::Malformed(format!(
            "message version {v} is not {VERSION}"
        )));
    }
    // `v` is one more unknown field to the enum's own shape, which allows only its tag.
    let mut value: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(line).map_err(malformed)?;
    value.retain(|key, _| key != "v");
    T::deserialize(serde_json::Value::Object(value)).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Request;

    #[test]
    fn lines_come_out_whole_however_they_were_cut() {
        let sent = [
            Request::Ping {},
            Request::Say {
                number: 7,
                text: "a\nb".into(),
            },
        ];
        let bytes: Vec<u8> = sent.iter().flat_map(to_line).collect();
        for size in 1..bytes.len() {
            let mut lines = Lines::default();
            let mut got = Vec::new();
            for chunk in bytes.chunks(size) {
                lines.push(chunk);
                while let Some(message) = lines.next::<Request>() {
                    got.push(message.unwrap());
                }
            }
            assert_eq!(got, sent);
        }
    }

    #[test]
    fn unknown_fields_are_ignored_and_unknown_versions_are_not() {
        let mut lines = Lines::default();
        lines.push(b"{\"v\":1,\"ping\":{\"new\":1}}\n{\"v\":2,\"ping\":{}}\nnonsense\n{\"v\":1,\"ping\":{}}\n");
        assert_eq!(lines.next::<Request>(), Some(Ok(Request::Ping {})));
        assert!(matches!(
            lines.next::<Request>(),
            Some(Err(LineError::Malformed(_)))
        ));
        assert!(matches!(
            lines.next::<Request>(),
            Some(Err(LineError::Malformed(_)))
        ));
        assert_eq!(lines.next::<Request>(), Some(Ok(Request::Ping {})));
    }

    #[test]
    fn a_line_without_end_is_refused_at_its_bound() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; limits::LINE + 1]);
        assert_eq!(lines.next::<Request>(), Some(Err(LineError::TooLong)));
    }
}
