//! Messages as lines of a control lane: one JSON object each, ended by `\n`.
//!
//! Not the transport of the lane. Invariant: the cuts between received chunks make no difference to the messages.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{VERSION, limits};

/// Error of a line that is not a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LineError {
    /// The line is longer than [`limits::LINE`]. The lane cannot be read any further.
    TooLong,
    /// The line is not JSON, or its version or shape is not known; with the parser's explanation.
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

/// Returns the line for a message, with its newline.
///
/// # Panics
/// Never for the types of this layer: the keys of their JSON are strings.
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
    /// End of the last line returned.
    taken: usize,
    /// Offset below which no line end is left to find.
    scanned: usize,
}

impl Lines {
    /// Adds received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Returns the next whole line as a message, if there is one.
    ///
    /// # Errors
    /// [`LineError`]; after `Malformed` the next call continues with the next line.
    #[allow(
        clippy::should_implement_trait,
        reason = "the caller names the type of each line"
    )]
    pub fn next<T: DeserializeOwned>(&mut self) -> Option<Result<T, LineError>> {
        let Some(end) = self.pending[self.scanned..]
            .iter()
            .position(|&byte| byte == b'\n')
        else {
            // Once for all lines of a chunk, not once per line: there may be as many as the chunk has bytes.
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

    /// Returns the number of bytes held of a line whose end has not arrived.
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
    // The shape of an enum allows only its tag, so `v` has to go.
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
    fn lines_are_reassembled_from_chunks_of_any_size() {
        let sent = [
            Request::Ping {},
            Request::Say {
                room: None,
                number: 7,
                text: "a\nb".into(),
                bot: false,
                action: false,
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
    fn unknown_members_are_ignored_and_unknown_versions_are_refused() {
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
    fn a_line_without_end_is_refused_at_the_limit() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; limits::LINE + 1]);
        assert_eq!(lines.next::<Request>(), Some(Err(LineError::TooLong)));
    }
}
