//! Test harness: a service, the bytes it has sent on each lane, and the calls it has made on processes.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::policy::{INVITATION, TestPolicy};
use super::processes::FakeProcesses;
use crate::agent::audit::{Audit, Record, Unwritten};
use crate::agent::core::{Config, Service};
use crate::agent::jobs::{self, Exit, JobId, Origin, Output, Phase, Restored, Start, Status};
use crate::agent::outbox::CallRef;
use crate::crypto::{PublicKey, ResetToken};
use crate::message::{Exec, Lines, Reply, Request, RequestId, to_line};
use crate::peer_addr::PeerAddr;
use crate::session::{Closed, Command, Event, Path, ResetRecord, SessionHandle, StreamEvent};
use crate::time::Instant;
use crate::wire::{CallId, Lane, SessionId, StreamId};

pub const ALICE: PublicKey = PublicKey([1; 32]);
pub const BOB: PublicKey = PublicKey([2; 32]);
pub const GUEST: PublicKey = PublicKey([3; 32]);

/// Returns the record of a session that no endpoint has.
pub fn reset_record(remote: PeerAddr) -> ResetRecord {
    ResetRecord {
        agent: SessionId(1),
        controller: SessionId(2),
        token: ResetToken::from_bytes([3; 16]),
        path: Path {
            socket: 0,
            local: None,
            remote,
        },
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
    pub received: u64,
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
        let policy = Rc::new(RefCell::new(TestPolicy::new(lines.into())));
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
                Command::Reset { .. } | Command::FindDatagramSize { .. } | Command::Connect(_) => {
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

    /// Opens a session and confirms it.
    pub fn open(&mut self, number: u64, key: PublicKey) -> SessionHandle {
        let session = self.open_unconfirmed(number, key);
        self.event(Event::Confirmed { session });
        session
    }

    pub fn open_unconfirmed(&mut self, number: u64, key: PublicKey) -> SessionHandle {
        let session = SessionHandle(number);
        let remote = std::net::SocketAddr::from(([127, 0, 0, 1], 4444)).into();
        self.event(Event::Accepted {
            session,
            key,
            remote,
            invite: (key == GUEST).then_some(INVITATION),
            reset: Box::new(reset_record(remote)),
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

    /// Resets a call, as its controller does.
    pub fn reset(&mut self, call: CallRef) {
        self.event(Event::Stream {
            session: call.session,
            event: StreamEvent::Reset {
                stream: StreamId::new(call.call, Lane::Control),
                code: 0,
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
