//! The supervisor: the process that starts, follows and ends the processes of jobs, and keeps what must survive the
//! front.
//!
//! It binds nothing to the network and parses nothing from it: the front, which serves the network, asks it by
//! [`ipc`](super::ipc) messages. It decides each start again by its own policy, records it before anything is
//! started, and starts each request once. It holds the output of jobs in rings until the front releases it, so that
//! the death of a front loses no byte.
//!
//! ```text
//!   front ──Start──► starts ──► process::start ──report──► Running ──exit──► Draining ──► Ended
//!     ▲                                                       │ pipes                        │
//!     └──────────── Report (states, never events) ◄───────────┴──────────────────────────────┘
//! ```
//!
//! Not sessions, calls, deadlines or chat. Invariants: it is single-threaded in a process of its own, so that a forked
//! child may do anything; no call blocks; a request id has at most one start.

mod cgroups;
mod changes;
pub mod chat_history;
mod child;
mod child_io;
mod descriptors;
mod end_of_input;
mod front_connection;
mod front_process;
pub mod guard;
pub mod handover;
mod held_output;
mod job;
mod lifecycle;
mod limits;
mod messages;
mod owner;
mod policy;
pub mod policy_worker;
mod readiness;
mod recording;
mod records;
mod redemptions;
mod refusals;
mod reload;
mod replay_log;
mod run;
mod serving;
mod sessions;
mod signals;
mod starts;
mod store;
mod table;
mod tally;
mod task_process;
mod terminal;
mod tokens;
pub mod typed_lines;
mod watch;

pub use chat_history::ChatHistorySettings;
pub use descriptors::possible_jobs;
pub use front_process::FrontProcess;
pub use owner::About;
pub use policy::{SharedPolicy, Trust, unix_now};
pub use replay_log::ReplayLog;
pub use run::Run;
pub use signals::{Signals, Stopper};
pub use store::Store;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use mio::{Poll, Registry};

use self::changes::Changes;
use self::chat_history::ChatHistory;
use self::child_io::Shared;
use self::descriptors::reserve_descriptors;
use self::guard::Guard;
use self::held_output::HeldOutput;
use self::owner::Owner;
use self::readiness::Part;
use self::recording::Recording;
use self::records::Records;
use self::redemptions::Redemptions;
use self::reload::{Reading, Reloads};
use self::sessions::Sessions;
use self::table::Table;
use self::tally::Tally;
use self::terminal::Terminal;
use self::watch::Watch;
use super::access::PolicySource as _;
use super::config::LogFormat;
use super::ipc::limits::{INPUT_RING, OUTPUT_RING};
use super::ipc::{
    ChatOutput, Feed, Frames, Plain, RingFile, Setup, SocketInterest, ToFront, ToSupervisor,
};
use super::jobs::{self, Force, JobId};
use super::limits::JOBS_ENDED;
use super::recorder::{AuditSender, LogSender, RecorderProcess};
use super::sandbox::{self, InForce};
use super::switch::Switch;
use crate::message::Cause;
use crate::net::Clock;
use crate::process::{
    CgroupLimits, CgroupParent, Cgroups, CgroupsLock, Endings, Limit, become_subreaper, has_procfs,
};
use crate::session::InitFingerprint;
use crate::time::Instant;

/// Configuration of a supervisor.
pub struct Config {
    /// Origin of the policy.
    pub trust: Trust,
    /// Off if no key may run a command.
    pub exec: Switch,
    /// Upper bound of the running jobs.
    pub max_jobs: usize,
    /// Upper bound of the output of a job, both outputs together, in bytes.
    pub max_output: Option<u64>,
    /// Resource limits of each process of a command.
    pub resources: Vec<Limit>,
    /// File of the fingerprints of answered INITs, and those in it.
    pub replay_log: Option<(ReplayLog, Vec<InitFingerprint>)>,
    /// Sender of audit records, if any are kept.
    pub audit: Option<AuditSender>,
    /// Sender of log lines, if the log is that of a process of its own.
    pub log: Option<LogSender>,
    /// Process that ends the jobs if this one dies.
    pub guard: Option<Guard>,
    /// True if jobs of an earlier program are to be restored.
    pub takes_over: bool,
    /// The recorder, if it is a child of this process.
    pub recorder: Option<RecorderProcess>,
    /// Limits of the cgroup of each job, unless its key has others.
    pub cgroup_limits: CgroupLimits,
    /// Place of the cgroups of the jobs.
    pub cgroup_parent: CgroupParent,
    /// Random number that distinguishes the processes of this agent from all others.
    pub mark: u64,
    /// Random number of this run of the agent, not 0.
    pub epoch: u64,
}

/// State of the supervisor.
pub struct Supervisor {
    poll: Poll,
    registry: Registry,
    began: Instant,
    epoch: u64,
    mark: String,
    /// Number of slots of the rings.
    slots: u32,
    policy: SharedPolicy,
    watch: Option<Watch>,
    /// Time at which changed files are read.
    reload: Option<Instant>,
    reading: Reading,
    /// This program, if it may be executed for a task; `None` for an agent within another program.
    own_program: Option<PathBuf>,
    max_jobs: usize,
    max_output: Option<u64>,
    resources: Vec<Limit>,
    /// Limit of descriptors that the jobs get back, if that of this process was raised.
    original_descriptors: Option<u64>,
    /// Cgroups of the jobs, if they have any.
    cgroups: Option<Cgroups>,
    /// Lock on the cgroups of an earlier program, if they are in another place.
    earlier_cgroups: Option<CgroupsLock>,
    records: Records,
    /// Process that ends the jobs if this one dies.
    guard: Option<Guard>,
    /// Guard of the earlier program that could not be told to end.
    relieved: Option<Guard>,
    /// Descriptors in the service manager, if it keeps any.
    store: Option<Store>,
    replay_log: Option<ReplayLog>,
    chat_history: ChatHistory,
    /// Fingerprints of INITs that an earlier run has answered.
    seen_before: Vec<InitFingerprint>,
    /// Fingerprints of INITs that this run has answered, oldest first.
    seen: VecDeque<(Instant, InitFingerprint)>,
    table: Table,
    shared: Shared,
    endings: Endings<JobId>,
    /// Starts in progress, by deadline.
    starting: BTreeSet<(Instant, JobId)>,
    /// Jobs whose outputs are read after the end of the leader.
    draining: BTreeSet<JobId>,
    /// Jobs on a terminal with ended input.
    inputs: BTreeSet<JobId>,
    /// Parts that may have something to do.
    ready: VecDeque<(JobId, Part)>,
    /// Outputs that are read again after a pause, in the order of its end.
    paused: VecDeque<(Instant, JobId, Part)>,
    changes: Changes,
    held: HeldOutput,
    /// Jobs that have ended in this turn and are neither reaped nor recorded.
    finished: Vec<JobId>,
    sessions: Sessions,
    tally: Tally,
    redemptions: Redemptions,
    /// Answers to the owner's tools; `None` for an agent within another program.
    owner: Option<Owner>,
    front: Option<Frames<ToFront, ToSupervisor>>,
    /// Registration of its connection.
    front_interest: Option<SocketInterest>,
    /// True if its connection may be readable.
    front_ready: bool,
    /// Restriction that the front has reported last.
    in_force: Option<InForce>,
    /// The present front, once it serves.
    serving: Option<serving::Serving>,
    /// Restriction that a front of the earlier program has reported.
    reported: Option<InForce>,
    recording: Option<Recording>,
    /// Process ids of children that end on their own and are reaped then.
    predecessors: Vec<i32>,
    /// Orders to replace the program.
    reloads: Reloads,
    terminal: Terminal,
    /// True if it continues the work of an earlier program.
    has_taken_over: bool,
    /// True once nothing more is to be started.
    closed: bool,
}

impl Supervisor {
    /// Returns a supervisor without jobs and without a front. Processes of jobs become its children, also after their
    /// parents have ended.
    ///
    /// # Errors
    /// The system has no descriptor or memory left.
    pub fn new(mut config: Config) -> io::Result<Self> {
        adopt_orphans()?;
        let (max_jobs, original_descriptors) = reserve_descriptors(config.max_jobs);
        let slots = u32::try_from(max_jobs).unwrap_or(u32::MAX / 4);
        // Ended jobs keep their rings until they are forgotten.
        let slots = slots + u32::try_from(JOBS_ENDED).expect("a few thousand");
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let records = Records::new(config.audit, config.log, &registry)?;
        let policy = SharedPolicy::new(config.trust, config.exec, config.cgroup_limits);
        let (replay_log, seen_before) = config.replay_log.unzip();
        let watch = watch_files(&policy, &registry)?;
        let suspended = policy.policy().is_suspended();
        let mark = format!("{:016x}", config.mark);
        let cgroups = cgroups::open(&config.cgroup_parent, &mark, config.takes_over)?;
        if let (Some(guard), Some(cgroups)) = (&mut config.guard, &cgroups) {
            guard.follow_cgroups(cgroups.directory());
        }
        let mut supervisor = Self {
            poll,
            registry,
            began: Clock.now(),
            epoch: config.epoch,
            slots,
            mark,
            policy,
            watch,
            reload: suspended.then(|| Clock.now() + limits::POLICY_RETRY),
            reading: Reading::default(),
            own_program: None,
            max_jobs,
            max_output: config.max_output,
            resources: config.resources,
            original_descriptors,
            cgroups,
            earlier_cgroups: None,
            records,
            recording: config.recorder.map(Recording::new),
            predecessors: Vec::new(),
            guard: config.guard,
            relieved: None,
            store: None,
            replay_log,
            chat_history: ChatHistory::default(),
            seen_before: seen_before.unwrap_or_default(),
            seen: VecDeque::new(),
            table: Table::default(),
            shared: Shared {
                outputs: RingFile::create("udpagent-outputs", 2 * slots, OUTPUT_RING)?,
                inputs: RingFile::create("udpagent-inputs", slots, INPUT_RING)?,
                buffer: vec![0; limits::READ].into_boxed_slice(),
            },
            endings: Endings::new(),
            starting: BTreeSet::new(),
            draining: BTreeSet::new(),
            inputs: BTreeSet::new(),
            ready: VecDeque::new(),
            paused: VecDeque::new(),
            changes: Changes::default(),
            held: HeldOutput::default(),
            finished: Vec::new(),
            sessions: Sessions::default(),
            tally: Tally::new(),
            redemptions: Redemptions::default(),
            owner: None,
            front: None,
            front_interest: None,
            front_ready: false,
            in_force: None,
            serving: None,
            reported: None,
            reloads: Reloads::default(),
            terminal: Terminal::default(),
            has_taken_over: false,
            closed: false,
        };
        supervisor.watch_recorder()?;
        supervisor.enable_controllers();
        Ok(supervisor)
    }

    /// Lets a program, which is this one, be executed for tasks that may wait for a file system.
    pub fn set_program(&mut self, program: PathBuf) {
        self.own_program = Some(program);
    }

    /// Returns on if a job can be a built-in service, which is this program again.
    #[must_use]
    pub fn services(&self) -> Switch {
        match self.own_program {
            Some(_) => Switch::On,
            None => Switch::Off,
        }
    }

    /// Returns the registry of its poll.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns descriptors of the rings of outputs, for reading, and of the rings of inputs.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn rings(&self) -> io::Result<(OwnedFd, OwnedFd)> {
        let inputs = self.shared.inputs.file().try_clone_to_owned()?;
        Ok((self.shared.outputs.read_only()?, inputs))
    }

    /// Returns its part of the first message to a front. The rest is empty.
    #[must_use]
    pub fn setup(&self) -> Setup {
        Setup {
            identity: String::new(),
            name: String::new(),
            jobs: jobs::Config::default(),
            sessions_per_key: 0,
            exec: Switch::Off,
            log: (LogFormat::Text, 0),
            chat: ChatOutput {
                format: LogFormat::Text,
                is_timed: true,
            },
            prompt: self.terminal.prompt(),
            typed: self.terminal.typed_before(),
            plain: Plain::Off,
            policy: match self.policy.files() {
                Some(files) => Feed::Files(Box::new(files)),
                None => Feed::Keys(self.policy.keys()),
            },
            account: self.policy.account().clone(),
            began: self.began,
            epoch: self.epoch,
            history: self.chat_history.shared(),
            next_job: self.table.next(),
            slots: self.slots,
            seen: replay_log::left(&self.seen_before, self.seen.len()),
            resets: self.sessions.lost().collect(),
            sandbox: sandbox::Plan::OFF,
            seen_by_run: self.seen.iter().map(|&(at, seen)| (at, seen.0)).collect(),
        }
    }

    /// True if nothing is under way that its state does not contain.
    fn can_be_replaced(&self) -> bool {
        let is_read = self.reload.is_none() && !self.reading.is_active();
        // What a recorder that has died has left is written by the next one.
        let has_recorder = self
            .recording
            .as_ref()
            .is_none_or(|one| one.pid().is_some());
        let is_recorded = self.records.is_settled() && self.finished.is_empty() && has_recorder;
        let is_known = self.guard.as_ref().is_none_or(Guard::is_idle);
        is_read && self.redemptions.is_idle() && is_recorded && is_known
    }

    /// Returns the process ids of the recorder and of the guard.
    fn helpers(&self) -> impl Iterator<Item = i32> {
        let guard = self.guard.as_ref().and_then(Guard::pid);
        let guard = guard.and_then(|pid| i32::try_from(pid).ok());
        let recorder = self.recording.as_ref().and_then(Recording::pid);
        recorder.into_iter().chain(guard)
    }

    /// Numbers of audit records and of log lines of the supervisor that were lost.
    fn lost(&self) -> [u64; 2] {
        let taken = self.recording.as_ref().map_or(0, Recording::lost);
        let [records, lines] = self.records.lost();
        [records.saturating_add(taken), lines]
    }

    /// Reaps children that end on their own.
    fn reap_predecessors(&mut self) {
        task_process::reap(&mut self.predecessors);
    }

    /// Marks the state of a job as changed.
    fn note(&mut self, id: JobId) {
        self.touch(id);
        self.count_held(id);
        self.changes.add(id);
    }

    /// Ends all running jobs and starts no more.
    fn end_all(&mut self, now: Instant, cause: Cause) {
        self.closed = true;
        let running = self.table.iter().filter(|(_, job)| !job.is_settled());
        let running: Vec<JobId> = running.map(|(id, _)| id).collect();
        for id in running {
            self.end(now, id, cause, Force::Terminate);
        }
    }
}

/// Makes orphans of jobs children of this process, and says if others cannot be found.
fn adopt_orphans() -> io::Result<()> {
    if !has_procfs() {
        tracing::warn!(
            "there is no /proc of this pid namespace: processes that leave the process group of their command are not \
             ended"
        );
    }
    become_subreaper()
}

/// Watches the files of a policy, if it has any.
fn watch_files(policy: &SharedPolicy, registry: &Registry) -> io::Result<Option<Watch>> {
    let Some(sources) = policy.sources() else {
        return Ok(None);
    };
    let mut watch = Watch::new(registry, tokens::WATCH, sources.paths())?;
    watch.renew();
    // Files may have changed between the first load and the start of the watch.
    policy.load();
    Ok(Some(watch))
}
