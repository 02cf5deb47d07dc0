//! The type of a frame without its fields, to name a frame in an error.

use std::fmt;

use super::Frame;

/// Type of a frame. `Display` gives the name that the protocol page uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the type of the `Frame` of that name")]
pub enum FrameType {
    Padding,
    Ping,
    Ack,
    Stream,
    MaxData,
    MaxStreamData,
    Reset,
    Stop,
    PathChallenge,
    PathResponse,
    Rekey,
    Hello,
    Close,
}

impl Frame<'_> {
    /// Returns the type of the frame.
    #[must_use]
    pub const fn frame_type(&self) -> FrameType {
        match self {
            Self::Padding => FrameType::Padding,
            Self::Ping => FrameType::Ping,
            Self::Ack(_) => FrameType::Ack,
            Self::Stream { .. } => FrameType::Stream,
            Self::MaxData(_) => FrameType::MaxData,
            Self::MaxStreamData { .. } => FrameType::MaxStreamData,
            Self::Reset { .. } => FrameType::Reset,
            Self::Stop { .. } => FrameType::Stop,
            Self::PathChallenge(_) => FrameType::PathChallenge,
            Self::PathResponse(_) => FrameType::PathResponse,
            Self::Rekey { .. } => FrameType::Rekey,
            Self::Hello(_) => FrameType::Hello,
            Self::Close { .. } => FrameType::Close,
        }
    }
}

impl fmt::Display for FrameType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Padding => "PADDING",
            Self::Ping => "PING",
            Self::Ack => "ACK",
            Self::Stream => "STREAM",
            Self::MaxData => "MAX_DATA",
            Self::MaxStreamData => "MAX_STREAM_DATA",
            Self::Reset => "RESET",
            Self::Stop => "STOP",
            Self::PathChallenge => "PATH_CHALLENGE",
            Self::PathResponse => "PATH_RESPONSE",
            Self::Rekey => "REKEY",
            Self::Hello => "HELLO",
            Self::Close => "CLOSE",
        })
    }
}
