//! Violations: faults in what a datagram carried after it was opened.

use std::fmt;

use crate::wire::FrameType;

/// A fault of the peer that ends the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Type of the frame at fault; `None` if the fault is not in a frame that could be decoded.
    pub frame: Option<FrameType>,
    /// The rule that was broken.
    pub fault: Fault,
}

/// A rule of the protocol that a peer broke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The payload is not a sequence of frames.
    Malformed,
    /// The frame is not allowed in this datagram, or not in this version.
    NotAllowed,
    /// An ACK names a counter that was never sent.
    NeverSent,
    /// An ACK names a counter that was skipped on purpose: the peer acknowledges what it has not received.
    Skipped,
    /// An octet or a final size lies above the limit of the half.
    StreamCredit,
    /// The octets of all streams exceed the limit of the session.
    SessionCredit,
    /// The final size differs from the one received before, or an octet lies above it.
    FinalSizeChanged,
    /// The final size lies below an octet received before.
    FinalSizeTooLow,
    /// The half has more chunks beyond gaps than [`limits::STREAM_GAPS`](super::limits::STREAM_GAPS).
    Gaps,
    /// The lane does not exist in this direction.
    Direction,
    /// The agent named a call that the controller has not opened.
    CallNotOpened,
    /// More than [`limits::CALLS_TOLERATED`](super::limits::CALLS_TOLERATED) calls are open.
    Calls,
    /// The number of the call is too far above the lowest unused one.
    CallNumber,
    /// [`limits::FORGERIES`](super::limits::FORGERIES) datagrams did not open.
    Forgeries,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(frame) = self.frame {
            write!(f, "{frame}: ")?;
        }
        self.fault.fmt(f)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed frame",
            Self::NotAllowed => "frame not allowed here",
            Self::NeverSent => "acknowledges a counter that was never sent",
            Self::Skipped => "acknowledges a counter that was skipped",
            Self::StreamCredit => "limit of the stream exceeded",
            Self::SessionCredit => "limit of the session exceeded",
            Self::FinalSizeChanged => "final size changed",
            Self::FinalSizeTooLow => "final size below data received",
            Self::Gaps => "too many gaps in a stream",
            Self::Direction => "no such lane in this direction",
            Self::CallNotOpened => "the call was not opened",
            Self::Calls => "too many calls are open",
            Self::CallNumber => "call number too high",
            Self::Forgeries => "too many forged datagrams",
        })
    }
}
