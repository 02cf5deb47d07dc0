//! Tokens of the supervisor's poll.

use mio::Token;

use super::readiness::Part;
use crate::agent::jobs::JobId;
use crate::agent::owner::limits::CONNECTIONS;

/// The clock.
pub const TIMER: Token = Token(0);
/// A changed file.
pub const WATCH: Token = Token(1);
/// The front.
pub const FRONT: Token = Token(2);
/// A signal to this program, or its embedder.
pub const SIGNAL: Token = Token(3);
/// The recorder.
pub const RECORDER: Token = Token(5);
/// A child process that ended.
pub const CHILD: Token = Token(4);

/// The trial of a program.
pub const TRIAL: Token = Token(6);

/// The socket of the owner's tools.
pub const OWNER: Token = Token(7);

/// A process that reads or changes the files of the policy, or writes that of the chat.
pub const WORKER: Token = Token(8);

/// First token of the connections of the owner's tools.
const CONNECTION: usize = 16;

const _: () = assert!(CONNECTION + CONNECTIONS <= FIRST);

/// Returns the token of a connection of the owner's tools.
pub const fn connection(index: usize) -> Token {
    Token(CONNECTION + index)
}

/// Returns the connection of the owner's tools that a token stands for.
pub fn connection_of(token: Token) -> Option<usize> {
    let index = token.0.checked_sub(CONNECTION)?;
    (index < CONNECTIONS).then_some(index)
}

/// First token of processes.
const FIRST: usize = 32;

/// Returns the token of a part of a process.
pub fn of(job: JobId, part: Part) -> Token {
    let job = usize::try_from(job.0).expect("jobs are counted, 2^60 will not be");
    Token(FIRST + job * Part::ALL.len() + part as usize)
}

/// Returns the part of a process that a token stands for.
pub fn part(token: Token) -> Option<(JobId, Part)> {
    let index = token.0.checked_sub(FIRST)?;
    let (job, part) = (index / Part::ALL.len(), index % Part::ALL.len());
    Some((JobId(job as u64), Part::ALL[part]))
}
