//! A question to the agent of a state directory, from a program that may wait.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::limits::{ANSWER, PAUSE, REPLACED};
use super::messages::{Reply, Request};
use super::socket::connect_to;
use crate::agent::ipc::{FrameError, Frames};

/// Reason why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// No agent listens there.
    NotRunning,
    /// The agent has closed the connection: it answers its own user and root only, or is of another version.
    Closed,
    /// The agent does not answer.
    Silent,
    /// The agent has answered something else.
    Invalid,
    /// The system reported an error.
    Io(io::Error),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRunning => "no agent answers",
            Self::Closed => {
                "the agent refuses to answer: it answers its own user and root only, and tools of its own version"
            }
            Self::Silent => "the agent does not answer",
            Self::Invalid => "the agent has another version than this program",
            Self::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "only the agent's user and root may ask the agent"
            }
            Self::Io(error) => return error.fmt(f),
        })
    }
}

impl std::error::Error for AskError {}

/// Asks the agent whose socket is at a path. Returns the parts of its answer up to the last one.
///
/// While the program of an agent is being replaced nobody listens for a moment, so it is asked again.
///
/// # Errors
/// [`AskError`]
pub fn ask(path: &Path, request: Request) -> Result<Vec<Reply>, AskError> {
    let until = Instant::now() + REPLACED;
    loop {
        let answer = ask_once(path, request);
        let may_be_replaced = match &answer {
            // An agent that has ended has removed the file.
            Err(AskError::NotRunning) => path.symlink_metadata().is_ok(),
            // The order ends the program that takes it.
            Err(AskError::Closed) => request != Request::Reload,
            Ok(_) | Err(AskError::Silent | AskError::Invalid | AskError::Io(_)) => false,
        };
        if !may_be_replaced || Instant::now() >= until {
            return answer;
        }
        std::thread::sleep(PAUSE);
    }
}

fn ask_once(path: &Path, request: Request) -> Result<Vec<Reply>, AskError> {
    let socket = connect_to(path).map_err(|error| {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            // Its connections that wait to be accepted are at their bound.
            Some(Errno::AGAIN) => AskError::Silent,
            _ => AskError::Io(error),
        }
    })?;
    let mut frames: Frames<Request, Reply> =
        Frames::new(socket.ok_or(AskError::NotRunning)?).map_err(AskError::Io)?;
    frames.queue(&request);
    frames.flush().map_err(failed)?;
    let until = Instant::now() + ANSWER;
    let mut replies = Vec::new();
    loop {
        match frames.receive().map_err(failed)? {
            Some(reply) => {
                let last = !matches!(reply, Reply::Key(_));
                replies.push(reply);
                if last {
                    return Ok(replies);
                }
            }
            None => wait(&frames, until)?,
        }
    }
}

fn wait(frames: &Frames<Request, Reply>, until: Instant) -> Result<(), AskError> {
    let left = until.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).map_err(|error| AskError::Io(io::Error::other(error)))?;
    match poll(
        &mut [PollFd::new(frames.socket(), PollFlags::IN)],
        Some(&left),
    ) {
        Ok(0) => Err(AskError::Silent),
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(AskError::Io(error.into())),
    }
}

fn failed(error: FrameError) -> AskError {
    match error {
        FrameError::Closed => AskError::Closed,
        FrameError::Invalid => AskError::Invalid,
        FrameError::Io(error) => AskError::Io(error),
    }
}
