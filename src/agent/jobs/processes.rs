//! The interface between the job table and the processes of the system. It is a trait, so that the simulator
//! can run a whole agent without a process.
//!
//! The other side (the supervisor) keeps what must survive the end of this one: the process, the bytes of its outputs
//! that were not released, its input that was not written, the record of the job, and the cause of its end. It reports
//! states, not events: [`Status`] is always the whole present state of a process, so that a lost or merged report loses
//! nothing. Reports are passed to [`Service::on_status`](crate::agent::core::Service::on_status).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::agent::access::Controller;
use crate::message::{
    Cause, Exec, OsText, Outcome, RequestId, Service, StartStep, Terminal, Window,
};

/// Number of a job. Counts up and is never reused, also not by a later agent over the same supervisor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct JobId(pub u64);

/// Process id of a leader.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Pid(pub i32);

/// Error number of the system (`errno(3)`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Errno(pub i32);

impl Errno {
    /// `EPERM`.
    pub const NOT_PERMITTED: Self = Self(1);
    /// `E2BIG`.
    pub const TOO_BIG: Self = Self(7);
    /// `ETIMEDOUT`.
    pub const TIMED_OUT: Self = Self(110);
    /// `EINVAL`.
    pub const INVALID: Self = Self(22);

    /// Returns the outcome of a start that failed at a step.
    #[must_use]
    pub const fn at(self, step: StartStep) -> Outcome {
        let errno = self.0;
        Outcome::SpawnFailed { errno, step }
    }
}

/// An output of a process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Output {
    /// stdout
    Out = 0,
    /// stderr
    Err = 1,
}

impl Output {
    /// Both outputs.
    pub const ALL: [Self; 2] = [Self::Out, Self::Err];
}

/// A process to start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// The program.
    pub program: Program,
    /// Variables in addition to the clean environment.
    pub env: Vec<(OsString, OsString)>,
    /// Working directory; `None` for the user's home.
    pub cwd: Option<OsString>,
    /// Name of the user that it runs as.
    pub user: String,
    /// True for a pipe as stdin, false for /dev/null.
    pub stdin: bool,
    /// A terminal as stdin, stdout and stderr. Its output is `Output::Out`; the end of its input is signalled
    /// by its end-of-file character.
    #[serde(with = "plain_terminal")]
    pub terminal: Option<Terminal>,
}

/// Program of a process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Program {
    /// A program of the host and its arguments.
    Argv(Vec<OsString>),
    /// A script that came with the request.
    Script {
        /// Name of the script and its arguments.
        argv: Vec<OsString>,
        /// Its text.
        text: Vec<u8>,
    },
    /// A built-in service of the agent.
    Service(Service),
}

impl Program {
    /// Returns the program that a request names.
    #[must_use]
    pub fn of(exec: &Exec) -> Self {
        if let Some(service) = &exec.service {
            return Self::Service(service.clone());
        }
        let argv = exec.argv.iter().cloned().map(OsText::into_os_string);
        let argv = argv.collect();
        match &exec.script {
            None => Self::Argv(argv),
            Some(text) => Self::Script {
                argv,
                text: text.as_os_str().as_encoded_bytes().to_vec(),
            },
        }
    }

    /// Returns the request that names the program.
    #[must_use]
    pub fn request(&self, id: RequestId) -> Exec {
        let words = |argv: &[OsString]| argv.iter().cloned().map(OsText::from).collect();
        match self {
            Self::Argv(argv) => Exec::new(id, words(argv)),
            Self::Script { argv, text } => {
                let mut exec = Exec::new(id, words(argv));
                exec.script = Some(OsText::from(OsString::from_vec(text.clone())));
                exec
            }
            Self::Service(service) => Exec::of_service(id, service.clone()),
        }
    }
}

/// A terminal in an encoding without field names, which cannot flatten its window.
mod plain_terminal {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::message::{Terminal, Window};

    #[allow(clippy::ref_option, reason = "the signature that serde asks for")]
    pub fn serialize<S: Serializer>(
        terminal: &Option<Terminal>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let plain = terminal.as_ref();
        plain
            .map(|terminal| (&terminal.term, terminal.window))
            .serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Terminal>, D::Error> {
        let plain = Option::<(String, Window)>::deserialize(deserializer)?;
        Ok(plain.map(|(term, window)| Terminal { term, window }))
    }
}

/// Exit status of a leader.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Exit {
    /// Exit code.
    Code(u8),
    /// Ended by a signal.
    Signal {
        /// The signal.
        signal: i32,
        /// True if it dumped core.
        core: bool,
    },
    /// It has ended, and nobody knows how, or its bytes are not all known: the agent was killed meanwhile.
    Unknown,
}

/// Force with which a process tree is ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Force {
    /// TERM, and KILL five seconds later; the implementation sends both.
    Terminate,
    /// KILL at once.
    Kill,
}

impl Force {
    /// Returns the force for the whole tree that a signal to the leader's group implies; `None` if the signal
    /// does not ask for the end.
    #[must_use]
    pub const fn of(signal: i32) -> Option<Self> {
        const TERM: i32 = 15;
        const KILL: i32 = 9;
        match signal {
            TERM => Some(Self::Terminate),
            KILL => Some(Self::Kill),
            _ => None,
        }
    }
}

/// A process to start, with everything that a later agent needs to know about its job.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Start {
    /// Request id, unique for the key of the owner.
    pub request: RequestId,
    /// First bytes of the hash of the request, by which another request under the same id is recognised.
    pub digest: Digest,
    /// Controller that asks for it.
    pub owner: Controller,
    /// The process.
    pub spec: Spec,
    /// Bytes of each output that stay held after its controller has written them.
    pub kept: u64,
    /// The job as its table knows it, opaque to the supervisor; returned in [`Restored`].
    pub record: Vec<u8>,
}

/// First bytes of the hash of a request. Enough to tell that a key's own request was another one: nobody gains by
/// finding two with the same.
pub type Digest = [u8; 8];

/// Present state of a process. Every counter only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Phase.
    pub phase: Phase,
    /// The process, once it was started; kept in all later phases.
    pub started: Option<Started>,
    /// Bytes read of each output so far, by [`Output`]. Bytes beyond the limit of a job's output are dropped and not
    /// counted.
    pub outputs: [u64; 2],
    /// Bytes of stdin that the process's pipe has taken.
    pub stdin_written: u64,
    /// True if the process has closed stdin, or has ended: nothing more will be written.
    pub stdin_closed: bool,
    /// True if output was dropped, because both together exceeded the limit of a job.
    pub overflowed: bool,
}

impl Status {
    /// State of a process that nothing is known of.
    pub const STARTING: Self = Self {
        phase: Phase::Starting,
        started: None,
        outputs: [0; 2],
        stdin_written: 0,
        stdin_closed: false,
        overflowed: false,
    };
}

/// A process that was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Started {
    /// Process id of the leader.
    pub pid: Pid,
    /// Error number if the home directory of its user could not be entered, so that it runs in `/` instead.
    pub home: Option<Errno>,
}

/// Phase of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Phase {
    /// On its way: accepted by the supervisor, or not yet seen by it.
    Starting,
    /// Nothing was started and nothing will be, by decision of the supervisor.
    Refused(Outcome),
    /// It could not be started.
    Failed {
        /// Error number of the failed step.
        errno: Errno,
        /// The failed step.
        #[serde(default)]
        step: StartStep,
        /// True while the child that tried still exists (it hangs in a file system) and is followed.
        lingering: bool,
    },
    /// It runs.
    Running,
    /// It has ended, and its outputs were read to their end, or closed while another process held them open.
    Ended {
        /// Exit status of the leader.
        exit: Exit,
        /// True if another process still held an output open.
        streams_open: bool,
    },
    /// It was to be ended and could not be killed within the grace period. It is followed until it is gone; then
    /// `Ended` follows, which changes nothing else.
    Unkillable {
        /// True if a process still held an output open.
        streams_open: bool,
    },
}

/// The processes of the jobs. No call blocks or calls back.
pub trait Processes {
    /// Starts a process. The job number was never used before, also not by an earlier agent over the same supervisor.
    /// Before the next command for the session layer is executed, the request must be on its way also if this side dies:
    /// the controller is told that it is accepted.
    fn start(&mut self, job: JobId, start: Start);

    /// Returns held bytes of an output from `from` to `to`, in one or more pieces. Both lie between the last
    /// [`release`](Self::release) and the last reported end.
    fn output(&mut self, job: JobId, output: Output, from: u64, to: u64) -> Vec<Bytes>;

    /// Releases the bytes below `offset`: no controller will ask for them again. The process is read further as far as
    /// its buffer has room ([`set_window`](Self::set_window), and what is read ahead).
    fn release(&mut self, job: JobId, output: Output, offset: u64);

    /// Sets the number of bytes of an output that its controller lets be sent beyond those that it has consumed. Until
    /// then it is [`limits::LANE`](crate::agent::limits::LANE).
    fn set_window(&mut self, job: JobId, output: Output, bytes: u64);

    /// Closes the reading end of an output, so that the process gets a broken pipe.
    fn shut(&mut self, job: JobId, output: Output);

    /// Appends bytes to stdin, at most [`limits::STDIN`](crate::agent::limits::STDIN) beyond
    /// [`Status::stdin_written`]. With `eof` the pipe is closed after them.
    fn write_stdin(&mut self, job: JobId, data: Bytes, eof: bool);

    /// Sets the window size of its terminal.
    fn resize(&mut self, job: JobId, window: Window);

    /// Ends the process tree, or what remains of it. `cause` is kept for a restore; a later one does not replace it.
    fn end(&mut self, job: JobId, cause: Cause, force: Force);

    /// Sends a signal to the leader's process group. After TERM or KILL the rest of the tree is ended with that force
    /// once the leader has ended. Returns false if the leader does not run.
    fn signal(&mut self, job: JobId, signal: i32) -> bool;

    /// Keeps the picture of its terminal for a restore: bytes that paint the screen of `size` as it was at `offset` of
    /// stdout. Replaces the one before.
    fn keep_picture(&mut self, job: JobId, offset: u64, size: Window, picture: Vec<u8>);

    /// Keeps for a restore that another controller has attached to a job that was requested at the prompt.
    fn take_from_prompt(&mut self, job: JobId);

    /// Detaches a process: it continues on its own, and its job number is forgotten.
    fn detach(&mut self, job: JobId);

    /// Forgets a job that was refused or has ended, with its bytes. The supervisor remembers the id of its request,
    /// unless it was refused.
    fn forget(&mut self, job: JobId);
}

/// A job of an earlier agent over the same supervisor.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Restored {
    /// Number of the job.
    pub job: JobId,
    /// Request id.
    pub request: RequestId,
    /// Controller that has requested it.
    pub owner: Controller,
    /// The record of its [`Start`].
    pub record: Vec<u8>,
    /// Present state.
    pub status: Status,
    /// Offset of the first held byte of each output: the highest [`release`](Processes::release).
    pub released: [u64; 2],
    /// True for each output closed by [`shut`](Processes::shut).
    pub shut: [bool; 2],
    /// Bytes of stdin accepted so far, written or waiting.
    pub stdin_accepted: u64,
    /// True if the end of stdin was accepted.
    pub stdin_eof: bool,
    /// Cause of its [`end`](Processes::end), if it was ended.
    pub cause: Option<Cause>,
    /// The last kept picture: its offset, size and bytes.
    pub picture: Option<(u64, Window, Vec<u8>)>,
    /// True after [`take_from_prompt`](Processes::take_from_prompt).
    pub taken_from_prompt: bool,
}
