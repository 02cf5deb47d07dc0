//! Test harness: a service, the bytes it has sent on each lane, and the calls it has made on processes.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use crate::agent::access::testing::TestAccounts;
use crate::agent::access::{Accounts, InviteRefused, Policy, PolicyBuilder, PolicySource, Registration};
use crate::agent::audit::{Audit, Record, Unwritten};
use crate::agent::core::{Config, Service};
use crate::agent::jobs::{
    self, Errno, Exit, Force, JobId, Origin, Output, Phase, Pid, Processes, Restored, Spec, Start,
    Started, Status,
};
use crate::agent::limits;
use crate::agent::outbox::CallRef;
use crate::agent::switch::Switch;
use crate::crypto::{InviteToken, PublicKey};
use crate::message::{Cause, Exec, Lines, Outcome, Reply, Request, RequestId, Window, to_line};
use crate::session::{Closed, Command, Event, ResetRecord, SessionHandle, StreamEvent};
use crate::time::Instant;
use crate::wire::limits::INVITE;
use crate::wire::{CallId, Lane, StreamId};

pub const ALICE: PublicKey = PublicKey([1; 32]);
pub const BOB: PublicKey = PublicKey([2; 32]);
pub const GUEST: PublicKey = PublicKey([3; 32]);

/// Token that the guest shows.
const INVITATION: [u8; INVITE] = [7; INVITE];

/// A supervisor without processes: it records the calls and holds the output that a test writes.
#[derive(Default)]
pub struct FakeProcesses {
    pub spawned: Vec<(JobId, Spec)>,
    pub starts: Vec<(JobId, Start)>,
    /// Started and not yet reported.
    pub pending: Vec<JobId>,
    /// True if starts are not reported before [`Harness::report`].
    pub slow: bool,
    pub statuses: HashMap<JobId, Status>,
    pub written: HashMap<(JobId, Output), Vec<u8>>,
    pub released: HashMap<(JobId, Output), u64>,
    pub eof: HashSet<(JobId, Output)>,
    pub exits: HashMap<JobId, Exit>,
    pub stdin: HashMap<JobId, (Vec<u8>, bool)>,
    pub ended: Vec<(JobId, Force)>,
    pub causes: Vec<(JobId, Cause)>,
    pub signals: Vec<(JobId, i32)>,
    pub windows: Vec<(JobId, Window)>,
    pub pictures: HashMap<JobId, (u64, Window, Vec<u8>)>,
    pub forgotten: Vec<JobId>,
    pub left: Vec<JobId>,
    pub shut: Vec<(JobId, Output)>,
    pub fails: Option<Errno>,
    pub refuses: Option<Outcome>,
}

impl FakeProcesses {
    pub fn released(&self, job: JobId, output: Output) -> u64 {
        self.released
            .get(&(job, output))
            .copied()
            .unwrap_or_default()
    }

    /// Returns a job as a supervisor passes it to a later agent.
    pub fn restored(&self, job: JobId, start: &Start) -> Restored {
        let (stdin, stdin_eof) = self.stdin.get(&job).cloned().unwrap_or_default();
        let cause = self.causes.iter().find(|cause| cause.0 == job);
        Restored {
            job,
            request: start.request,
            owner: start.owner.clone(),
            record: start.record.clone(),
            status: self.statuses[&job],
            released: Output::ALL.map(|output| self.released(job, output)),
            shut: Output::ALL.map(|output| self.shut.contains(&(job, output))),
            stdin_accepted: stdin.len() as u64,
            stdin_eof,
            cause: cause.map(|cause| cause.1),
            picture: self.pictures.get(&job).cloned(),
        }
    }

    /// Free space for an output.
    pub fn room(&self, job: JobId, output: Output) -> u64 {
        let held =
            self.statuses[&job].outputs[output as usize].saturating_sub(self.released(job, output));
        limits::LANE.saturating_sub(held)
    }
}

impl Processes for FakeProcesses {
    fn start(&mut self, job: JobId, start: Start) {
        let mut status = Status::STARTING;
        if let Some(errno) = self.fails {
            let lingering = false;
            status.phase = Phase::Failed { errno, lingering };
        } else if let Some(outcome) = self.refuses {
            status.phase = Phase::Refused(outcome);
        } else {
            status.phase = Phase::Running;
            let pid = Pid(1000 + i32::try_from(job.0).unwrap());
            status.started = Some(Started { pid, home: None });
            self.spawned.push((job, start.spec.clone()));
        }
        assert!(self.statuses.insert(job, status).is_none(), "a new number");
        self.starts.push((job, start));
        self.pending.push(job);
    }

    fn output(&mut self, job: JobId, output: Output, from: u64, to: u64) -> Vec<Bytes> {
        assert!(from >= self.released(job, output), "released bytes");
        let [from, to] = [from, to].map(|offset| usize::try_from(offset).unwrap());
        vec![Bytes::copy_from_slice(
            &self.written[&(job, output)][from..to],
        )]
    }

    fn release(&mut self, job: JobId, output: Output, offset: u64) {
        assert!(!self.forgotten.contains(&job));
        assert!(offset > self.released(job, output), "released anew");
        self.released.insert((job, output), offset);
    }

    fn shut(&mut self, job: JobId, output: Output) {
        self.shut.push((job, output));
    }

    fn write_stdin(&mut self, job: JobId, data: Bytes, eof: bool) {
        assert!(!self.forgotten.contains(&job));
        let (bytes, ended) = self.stdin.entry(job).or_default();
        assert!(!*ended, "bytes after the end");
        bytes.extend_from_slice(&data);
        *ended = eof;
        let waiting = bytes.len() as u64 - self.statuses[&job].stdin_written;
        assert!(waiting <= limits::STDIN);
    }

    fn end(&mut self, job: JobId, cause: Cause, force: Force) {
        self.causes.push((job, cause));
        self.ended.push((job, force));
    }

    fn detach(&mut self, job: JobId) {
        self.left.push(job);
    }

    fn signal(&mut self, job: JobId, signal: i32) -> bool {
        self.signals.push((job, signal));
        true
    }

    fn resize(&mut self, job: JobId, window: Window) {
        self.windows.push((job, window));
    }

    fn keep_picture(&mut self, job: JobId, offset: u64, size: Window, picture: Vec<u8>) {
        self.pictures.insert(job, (offset, size, picture));
    }

    fn forget(&mut self, job: JobId) {
        assert!(!self.forgotten.contains(&job));
        self.forgotten.push(job);
    }
}

/// Lines of `authorized_keys` for Alice and Bob, and for the guest once it has registered. [`INVITATION`]
/// is open.
pub struct TestPolicy {
    lines: HashMap<PublicKey, String>,
    exec: Switch,
    invitation: Switch,
}

impl TestPolicy {
    /// Lists a key; `line` is its name and options.
    pub fn list(&mut self, key: PublicKey, line: &str) {
        self.lines.insert(key, line.into());
    }

    /// Removes a key.
    pub fn remove(&mut self, key: PublicKey) {
        self.lines.remove(&key);
    }

    /// Lets the invitation expire.
    pub fn expire_invitation(&mut self) {
        self.invitation = Switch::Off;
    }

    /// Switches commands off for all keys.
    pub fn switch_exec_off(&mut self) {
        self.exec = Switch::Off;
    }
}

impl PolicySource for Rc<RefCell<TestPolicy>> {
    fn policy(&self) -> Arc<Policy> {
        let lines = &self.borrow().lines;
        let lines = lines.iter().map(|(key, line)| format!("{key} {line}\n"));
        let hash = InviteToken::from_bytes(INVITATION).hash();
        let mut builder = PolicyBuilder::default();
        builder.add_keys(lines.collect::<String>(), Path::new("authorized_keys"));
        if self.borrow().invitation == Switch::On {
            builder.add_invites(format!("{hash} 600\n"), Path::new("invites"));
        }
        let (policy, problems) = builder.finish();
        assert!(problems.is_empty(), "{problems:?}");
        Arc::new(policy.with_exec(self.borrow().exec))
    }

    fn accounts(&self) -> &dyn Accounts {
        &TestAccounts
    }

    fn unix_now(&self) -> u64 {
        0
    }

    fn register(
        &mut self,
        key: &PublicKey,
        invite: &[u8; INVITE],
        requested: &str,
    ) -> Registration {
        if *invite != INVITATION {
            return Registration::Decided(Err(InviteRefused));
        }
        self.borrow_mut().list(*key, requested);
        Registration::Decided(Ok(requested.into()))
    }
}

/// Audit records: the name of each event and its request.
#[derive(Default)]
pub struct Records {
    pub lines: Mutex<Vec<(&'static str, RequestId)>>,
    /// True if no further record can be written.
    pub full: AtomicBool,
}

impl Records {
    pub fn take(&self) -> Vec<(&'static str, RequestId)> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

impl Audit for Arc<Records> {
    fn put(&mut self, record: &Record<'_>) -> Result<(), Unwritten> {
        if self.full.load(Ordering::Relaxed) {
            return Err(Unwritten);
        }
        let request = record.request.unwrap_or(id(0));
        let line = (record.event.name(), request);
        self.lines.lock().unwrap().push(line);
        Ok(())
    }
}

/// Bytes and commands of the service for one lane.
#[derive(Default)]
pub struct SentLane {
    pub bytes: Vec<u8>,
    pub fin: bool,
    pub lines: Lines,
    pub stopped: Option<u64>,
    pub consumed: u64,
    received: u64,
}

pub struct Harness {
    pub service: Service<FakeProcesses>,
    pub policy: Rc<RefCell<TestPolicy>>,
    pub records: Arc<Records>,
    pub now: Instant,
    /// Start of the supervisor.
    pub began: Instant,
    pub lanes: BTreeMap<(CallRef, u8), SentLane>,
    pub released: HashSet<CallRef>,
    pub closed: HashMap<SessionHandle, u64>,
    pub watched: HashMap<SessionHandle, Duration>,
}

impl Harness {
    pub fn new() -> Self {
        Self::with(jobs::Config {
            max_jobs: 4,
            ..jobs::Config::default()
        })
    }

    pub fn with(jobs: jobs::Config) -> Self {
        let lines = [(ALICE, "alice".into()), (BOB, "bob".into())];
        let policy = Rc::new(RefCell::new(TestPolicy {
            lines: lines.into(),
            exec: Switch::On,
            invitation: Switch::On,
        }));
        let now = Instant::from_micros(1_000_000_000);
        let records = Arc::new(Records::default());
        let config = core_config(jobs);
        Self {
            service: Service::new(
                config,
                Box::new(Rc::clone(&policy)),
                FakeProcesses::default(),
                Box::new(Arc::clone(&records)),
                jobs::Origin::new(now),
            ),
            records,
            policy,
            now,
            began: now,
            lanes: BTreeMap::new(),
            released: HashSet::new(),
            closed: HashMap::new(),
            watched: HashMap::new(),
        }
    }

    /// Replaces the agent by a later one over the same processes. Sessions are gone.
    pub fn crash(&mut self, config: jobs::Config) {
        let old = std::mem::take(self.service.processes());
        let next_job = old.starts.iter().map(|start| start.0.0 + 1).max();
        let origin = Origin {
            began: self.began,
            next_job: JobId(next_job.unwrap_or_default()),
        };
        let restored: Vec<Restored> = old
            .starts
            .iter()
            .filter(|(job, _)| !old.forgotten.contains(job))
            .map(|(job, start)| old.restored(*job, start))
            .collect();
        let forgotten = old.starts.iter();
        let forgotten: Vec<Start> = forgotten
            .filter(|(job, _)| old.forgotten.contains(job))
            .map(|(_, start)| start.clone())
            .collect();
        self.service = Service::new(
            core_config(config),
            Box::new(Rc::clone(&self.policy)),
            old,
            Box::new(Arc::clone(&self.records)),
            origin,
        );
        for start in forgotten {
            let (key, digest) = (start.owner.key, start.digest);
            self.service
                .remember(key, start.request, digest, self.began);
        }
        for job in restored {
            self.service.restore(self.now, job);
        }
        self.lanes.clear();
        self.released.clear();
        self.drain();
    }

    pub fn event(&mut self, event: Event) {
        self.service.on_session_event(self.now, event);
        self.drain();
        if !self.service.processes().slow {
            for job in std::mem::take(&mut self.service.processes().pending) {
                self.report(job);
            }
        }
    }

    pub fn drain(&mut self) {
        while let Some(command) = self.service.poll_command() {
            match command {
                Command::Write {
                    session,
                    stream,
                    data,
                    fin,
                } => {
                    let sent_lane = self.lane(session, stream);
                    assert!(!sent_lane.fin, "bytes after the end of a lane");
                    sent_lane.bytes.extend_from_slice(&data);
                    sent_lane.fin = fin;
                    sent_lane.lines.push(&data);
                }
                Command::Consumed {
                    session,
                    stream,
                    bytes,
                } => self.lane(session, stream).consumed += bytes,
                Command::Stop {
                    session,
                    stream,
                    code,
                } => self.lane(session, stream).stopped = Some(code),
                Command::Release { session, call } => {
                    self.released.insert(CallRef { session, call });
                }
                Command::Close { session, code, .. } => {
                    self.closed.insert(session, code);
                }
                Command::Watch {
                    session, silence, ..
                } => {
                    self.watched.insert(session, silence);
                }
                Command::Reset { .. } | Command::Connect(_) => {
                    panic!("an agent sends no such command")
                }
            }
        }
        while self.service.poll_note().is_some() {}
    }

    fn lane(&mut self, session: SessionHandle, stream: StreamId) -> &mut SentLane {
        let call = stream.call();
        let call = CallRef { session, call };
        self.lanes.entry((call, stream.lane() as u8)).or_default()
    }

    pub fn sent(&mut self, call: CallRef, lane: Lane) -> &mut SentLane {
        self.lanes.entry((call, lane as u8)).or_default()
    }

    pub fn open(&mut self, number: u64, key: PublicKey) -> SessionHandle {
        let session = SessionHandle(number);
        let remote = std::net::SocketAddr::from(([127, 0, 0, 1], 4444)).into();
        self.event(Event::Accepted {
            session,
            key,
            remote,
            invite: (key == GUEST).then_some(INVITATION),
            reset: Box::new(ResetRecord::for_test(remote)),
        });
        session
    }

    pub fn close(&mut self, session: SessionHandle, reason: Closed) {
        self.event(Event::Closed { session, reason });
    }

    pub fn data(&mut self, call: CallRef, lane: Lane, data: &[u8], fin: bool) {
        let stream = StreamId::new(call.call, lane);
        let sent_lane = self.sent(call, lane);
        let offset = sent_lane.received;
        sent_lane.received += data.len() as u64;
        self.event(Event::Stream {
            session: call.session,
            event: StreamEvent::Data {
                stream,
                offset,
                data: Bytes::copy_from_slice(data),
                fin,
            },
        });
    }

    pub fn say(&mut self, call: CallRef, request: &Request) {
        self.data(call, Lane::Control, &to_line(request), false);
    }

    /// Opens a call with a request.
    pub fn call(&mut self, session: SessionHandle, number: u32, request: &Request) -> CallRef {
        let call = CallId(number);
        let call = CallRef { session, call };
        self.say(call, request);
        call
    }

    /// Returns the next reply in a call.
    pub fn reply(&mut self, call: CallRef) -> Option<Reply> {
        self.sent(call, Lane::Control)
            .lines
            .next()
            .map(Result::unwrap)
    }

    pub fn replies(&mut self, call: CallRef) -> Vec<Reply> {
        std::iter::from_fn(|| self.reply(call)).collect()
    }

    /// Reports that the controller has consumed a lane up to `consumed`.
    pub fn consume(&mut self, call: CallRef, lane: Lane, consumed: u64) {
        self.event(Event::Stream {
            session: call.session,
            event: StreamEvent::Writable {
                stream: StreamId::new(call.call, lane),
                consumed,
                limit: consumed + (1 << 20),
            },
        });
    }

    pub fn delivered(&mut self, call: CallRef) {
        self.event(Event::Stream {
            session: call.session,
            event: StreamEvent::Delivered {
                stream: StreamId::new(call.call, Lane::Control),
            },
        });
    }

    /// Reports the present state of a job.
    pub fn report(&mut self, job: JobId) {
        let status = self.service.processes().statuses[&job];
        self.service.on_status(self.now, job, status);
        self.drain();
    }

    /// Changes the state of a job and reports it.
    pub fn change(&mut self, job: JobId, change: impl FnOnce(&mut Status)) {
        let status = self.service.processes().statuses.get_mut(&job);
        change(status.expect("the job was started"));
        self.report(job);
    }

    pub fn write(&mut self, job: JobId, output: Output, data: &[u8]) {
        let written = &mut self.service.processes().written;
        let written = written.entry((job, output)).or_default();
        written.extend_from_slice(data);
        let length = written.len() as u64;
        self.change(job, |status| status.outputs[output as usize] = length);
    }

    /// Writes as long as there is room for output. Returns the number of bytes.
    pub fn flood(&mut self, job: JobId, output: Output) -> u64 {
        let mut written = 0;
        while let room @ 1.. = self.room(job, output) {
            let size = usize::try_from(room.min(64 << 10)).unwrap();
            self.write(job, output, &vec![b'x'; size]);
            written += size as u64;
        }
        written
    }

    pub fn room(&mut self, job: JobId, output: Output) -> u64 {
        self.service.processes().room(job, output)
    }

    /// Reports bytes of stdin that the pipe has taken.
    pub fn take_stdin(&mut self, job: JobId, written: u64) {
        self.change(job, |status| status.stdin_written = written);
    }

    /// Ends both outputs.
    pub fn eof(&mut self, job: JobId) {
        for output in Output::ALL {
            self.service.processes().eof.insert((job, output));
        }
        self.finish(job);
    }

    /// Ends the leader.
    pub fn exit(&mut self, job: JobId, exit: Exit) {
        self.service.processes().exits.insert(job, exit);
        self.finish(job);
    }

    fn finish(&mut self, job: JobId) {
        let processes = self.service.processes();
        let open = |output| {
            !processes.eof.contains(&(job, output)) && !processes.shut.contains(&(job, output))
        };
        if let Some(&exit) = processes.exits.get(&job)
            && !Output::ALL.into_iter().any(open)
        {
            let streams_open = false;
            self.change(job, |status| {
                status.stdin_closed = true;
                status.phase = Phase::Ended { exit, streams_open };
            });
        }
    }

    /// Lets time pass, and calls the service at each of its deadlines.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.service.poll_timeout().filter(|&at| at <= end) {
            self.now = at.max(self.now);
            self.service.on_timeout(self.now);
            self.drain();
            assert_ne!(
                self.service.poll_timeout(),
                Some(at),
                "the deadline did not change"
            );
        }
        self.now = end;
    }

    pub fn last_job(&mut self) -> JobId {
        self.service.processes().spawned.last().unwrap().0
    }
}

fn core_config(jobs: jobs::Config) -> Config {
    Config {
        name: "tower".into(),
        jobs,
        reply: None,
    }
}

pub fn id(number: u8) -> RequestId {
    RequestId([number; 16])
}

pub fn exec(number: u8) -> Exec {
    Exec::new(id(number), vec!["prog".into(), "arg".into()])
}
