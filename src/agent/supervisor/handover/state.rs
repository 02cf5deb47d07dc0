//! The state of a supervisor as plain values, for the program that is executed in its place.
//!
//! Not the descriptors themselves: they stay open on exec, and their numbers are here. Invariant: the text names its
//! format; a program that does not know the format takes no state, so that the one before goes on.

use std::io;
use std::os::fd::RawFd;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::agent::access::Controller;
use crate::agent::ipc::Extent;
use crate::agent::ipc::Remembered;
use crate::agent::ipc::limits::{INPUT_RING, OUTPUT_RING};
use crate::agent::jobs::{Digest, Force, JobId, Status};
use crate::agent::log::Counts;
use crate::agent::sandbox::InForce;
use crate::agent::supervisor::job::{Draining, Killed};
use crate::agent::supervisor::tally::Tally;
use crate::crypto::PublicKey;
use crate::message::{Cause, RequestId, Window};
use crate::process::{EndingParts, StartingParts, TreeParts};
use crate::prompt::unsent::Unsent;
use crate::session::ResetRecord;
use crate::time::Instant;

/// Number of the format. Members that have a default may be added without a new number.
const FORMAT: u32 = 4;

/// Octets, as base64 in the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Octets(pub Vec<u8>);

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text).map(Self).map_err(D::Error::custom)
    }
}

/// State of a supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    /// Start of the agent.
    pub began: Instant,
    /// Random number of this run of the agent.
    pub epoch: u64,
    /// Random number that distinguishes its processes from all others.
    pub mark: String,
    /// Number of slots of the rings.
    pub slots: u32,
    /// Number of slots that are meant for ended jobs.
    pub slots_of_ended: u32,
    /// Bytes of a ring of output and of input.
    pub ring_sizes: [u64; 2],
    /// Limit of descriptors that the jobs get back, if that of the agent was raised.
    pub original_descriptors: Option<u64>,
    /// Fingerprints of INITs that an earlier run has answered.
    pub seen_before: Vec<u64>,
    /// Fingerprints of INITs that this run has answered, oldest first.
    pub seen: Vec<(Instant, u64)>,
    /// Ids of forgotten requests.
    pub register: Vec<Remembered>,
    /// Time of entry of the youngest id of each key that the register had no room for.
    pub horizons: Vec<(PublicKey, Instant)>,
    /// Highest number of a job so far.
    pub last_job: Option<JobId>,
    /// All jobs.
    pub jobs: Vec<JobState>,
    /// Sessions of fronts that are gone, and since when.
    pub lost_sessions: Vec<(Instant, ResetRecord)>,
    /// Counts for the last line of the log.
    pub counts: Counts,
    /// Counters, and times at which keys were seen.
    pub tally: Tally,
    /// Restriction that the front has reported last.
    pub in_force: Option<InForce>,
    /// Audit records and log lines that the recorder has not taken.
    pub unsent: [Vec<Octets>; 2],
    /// Numbers of audit records and log lines that were lost.
    pub lost: [u64; 2],
    /// Process ids of the recorder, the guard and the front, which end when the program is executed.
    pub helpers: Vec<i32>,
    /// Descriptors of the rings of outputs and of inputs.
    pub rings: [RawFd; 2],
    /// Descriptor of the connection to the guard.
    pub guard: Option<RawFd>,
    /// Descriptor of the lock of the cgroups of the jobs, which is held until the next program has locked them.
    pub lock: Option<RawFd>,
    /// Descriptors of the bound sockets.
    pub sockets: Vec<RawFd>,
    /// True if the service manager has bound them.
    pub activated: bool,
    /// Input of the prompt of the last front that was not processed.
    #[serde(default)]
    pub unsent_typed: Option<Unsent>,
    /// True if that front has ended with what was typed.
    #[serde(default)]
    pub is_draft_lost: bool,
    /// True if the program that has written it has died, so that it does not contain everything.
    #[serde(default)]
    pub is_after_death: bool,
}

/// State of a job.
#[derive(Debug, Serialize, Deserialize)]
pub struct JobState {
    /// Its number.
    pub job: JobId,
    /// Number of its rings.
    pub slot: u32,
    /// Request id.
    pub request: RequestId,
    /// First bytes of the hash of the request.
    pub digest: Digest,
    /// Controller that has requested it.
    pub owner: Controller,
    /// Bytes of each output that stay held after its controller has written them.
    pub kept: u64,
    /// Record of the front.
    pub record: Octets,
    /// True if it is the built-in service that copies files.
    #[serde(default)]
    pub is_copy: bool,
    /// State of the process.
    pub status: Status,
    /// Reason of its end, if it is being ended.
    pub cause: Option<Cause>,
    /// Force with which the tree is ended after its leader.
    pub pending_force: Option<Force>,
    /// Last picture of its terminal.
    pub picture: Option<(u64, Window, Octets)>,
    /// True if it was requested at the prompt and another controller has attached to it.
    #[serde(default)]
    pub taken_from_prompt: bool,
    /// Its outputs are read after the end of the leader.
    pub draining: Option<Draining>,
    /// Reason for which its child was killed before it had executed its program.
    pub killed: Option<Killed>,
    /// The termination of its tree.
    pub ending: Option<EndingParts>,
    /// True if the front has forgotten it.
    pub forgotten: bool,
    /// Deadline of its start.
    pub start_deadline: Option<Instant>,
    /// Its process.
    pub child: Option<ChildState>,
    /// Its pipes.
    pub io: IoState,
}

/// State of a process.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChildState {
    /// Its tree.
    pub tree: TreeParts,
    /// Descriptor of the leader.
    pub pidfd: RawFd,
    /// Descriptor of the report of its start, and what is known of it, as long as it is being started.
    pub starting: Option<(RawFd, StartingParts)>,
    /// True if it is no child of this process, because the program that has started it has died.
    #[serde(default)]
    pub is_orphan: bool,
}

/// State of the pipes of a process.
#[derive(Debug, Serialize, Deserialize)]
pub struct IoState {
    /// Its outputs.
    pub outlets: [OutletState; 2],
    /// Its stdin.
    pub inlet: InletState,
    /// Descriptor of the slave of its terminal, as long as it is held.
    pub slave: Option<RawFd>,
    /// True if it runs on a terminal.
    pub on_terminal: bool,
    /// The end of terminal input, if it has begun: true if the program in raw mode has received its character.
    pub end_of_input: Option<bool>,
}

/// State of an output.
#[derive(Debug, Serialize, Deserialize)]
pub struct OutletState {
    /// Descriptor of the pipe.
    pub pipe: Option<RawFd>,
    /// Bytes read so far.
    pub end: u64,
    /// Offset below which nothing is needed any more.
    pub released: u64,
    /// Part of the ring that is in use.
    pub extent: Extent,
    /// True if it was closed on request.
    pub shut: bool,
    /// Bytes that may be held since the end of the leader.
    pub at_exit: Option<u64>,
}

/// State of stdin.
#[derive(Debug, Serialize, Deserialize)]
pub struct InletState {
    /// Descriptor of the pipe.
    pub pipe: Option<RawFd>,
    /// Bytes written so far.
    pub written: u64,
    /// Offset of the end of the bytes in the ring.
    pub accepted: u64,
    /// Base of the ring.
    pub base: u64,
    /// True if the input ends at `accepted`.
    pub eof: bool,
    /// True if nobody reads.
    pub broken: bool,
}

impl JobState {
    fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let child = self.child.iter().flat_map(|child| {
            let report = child.starting.as_ref().map(|starting| starting.0);
            [Some(child.pidfd), report]
        });
        let outlets = self.io.outlets.iter().map(|outlet| outlet.pipe);
        let pipes = outlets.chain([self.io.inlet.pipe, self.io.slave]);
        child.chain(pipes).flatten()
    }
}

impl State {
    /// Returns the descriptors that must stay open.
    #[must_use]
    pub fn descriptors(&self) -> Vec<RawFd> {
        let own = self.rings.into_iter().chain(self.guard).chain(self.lock);
        let jobs = self.jobs.iter().flat_map(JobState::descriptors);
        own.chain(self.sockets.iter().copied())
            .chain(jobs)
            .collect()
    }

    /// Writes the state: a line with the number of the format, and the values in JSON.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, mut writer: impl io::Write) -> io::Result<()> {
        writeln!(writer, "{FORMAT}")?;
        serde_json::to_writer(&mut writer, self)?;
        writer.flush()
    }

    /// Parses a state that was written.
    ///
    /// # Errors
    /// The format or the size of the rings is another one, or the text is not complete.
    pub fn parse(text: &[u8]) -> io::Result<Self> {
        let unsupported = |words: String| io::Error::new(io::ErrorKind::Unsupported, words);
        let mut parts = text.splitn(2, |&byte| byte == b'\n');
        let format = str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
        if format != FORMAT.to_string() {
            let words = format!("the state has format {format:?}, this program knows {FORMAT}");
            return Err(unsupported(words));
        }
        let state: Self = serde_json::from_slice(parts.next().unwrap_or_default())?;
        if state.ring_sizes != [OUTPUT_RING, INPUT_RING] {
            let words = "the running agent holds output and input in rings of other sizes";
            return Err(unsupported(words.to_owned()));
        }
        Ok(state)
    }
}
