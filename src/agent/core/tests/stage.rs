//! The stage on which the stories play: a service, what it said on each lane, and what it did to processes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use crate::agent::access::policy_source::{Permission, Policy, Refused};
use crate::agent::audit::{Audit, Record, Unwritten};
use crate::agent::core::{Config, Service};
use crate::agent::jobs::{self, Exit, Force, JobId, Output, Processes, Spec};
use crate::agent::outbox::CallRef;
use crate::crypto::PublicKey;
use crate::message::{Exec, Lines, Reply, Request, RequestId, Window, to_line};
use crate::peer_addr::PeerAddr;
use crate::session::{Closed, Command, Event, SessionHandle, StreamEvent};
use crate::time::Instant;
use crate::wire::limits::INVITE;
use crate::wire::{CallId, Lane, StreamId};

pub const ALICE: PublicKey = PublicKey([1; 32]);
pub const BOB: PublicKey = PublicKey([2; 32]);
pub const GUEST: PublicKey = PublicKey([3; 32]);

/// What was done to processes.
#[derive(Default)]
pub struct Fake {
    pub spawned: Vec<(JobId, Spec)>,
    pub rooms: HashMap<(JobId, Output), u64>,
    pub stdin: HashMap<JobId, (Vec<u8>, bool)>,
    pub ended: Vec<(JobId, Force)>,
    pub signals: Vec<(JobId, i32)>,
    pub windows: Vec<(JobId, Window)>,
    pub closed: Vec<JobId>,
    pub left: Vec<JobId>,
    pub shut: Vec<(JobId, Output)>,
    pub fails: Option<i32>,
}

impl Processes for Fake {
    fn spawn(&mut self, job: JobId, spec: Spec) -> Result<i32, i32> {
        if let Some(errno) = self.fails {
            return Err(errno);
        }
        self.spawned.push((job, spec));
        Ok(1000 + i32::try_from(job.0).unwrap())
    }

    fn set_room(&mut self, job: JobId, output: Output, room: u64) {
        assert!(!self.closed.contains(&job));
        self.rooms.insert((job, output), room);
    }

    fn shut(&mut self, job: JobId, output: Output) {
        self.shut.push((job, output));
    }

    fn write_stdin(&mut self, job: JobId, data: Bytes, eof: bool) {
        assert!(!self.closed.contains(&job));
        let (bytes, ended) = self.stdin.entry(job).or_default();
        assert!(!*ended, "bytes after the end");
        bytes.extend_from_slice(&data);
        *ended = eof;
    }

    fn end(&mut self, job: JobId, force: Force) {
        self.ended.push((job, force));
    }

    fn leave(&mut self, job: JobId) {
        self.left.push(job);
    }

    fn signal(&mut self, job: JobId, signal: i32) -> bool {
        self.signals.push((job, signal));
        true
    }

    fn resize(&mut self, job: JobId, window: Window) {
        self.windows.push((job, window));
    }

    fn close(&mut self, job: JobId) {
        assert!(!self.closed.contains(&job));
        self.closed.push(job);
    }
}

/// Knows Alice and Bob, and a guest once it has registered.
pub struct Book {
    pub names: HashMap<PublicKey, String>,
    pub max_jobs: Option<usize>,
    pub only_from: Option<IpAddr>,
}

impl Policy for std::rc::Rc<std::cell::RefCell<Book>> {
    fn name(&self, key: &PublicKey, from: Option<PeerAddr>) -> Option<String> {
        let only = self.borrow().only_from;
        if only.is_some() && from.is_some_and(|from| from.ip() != only) {
            return None;
        }
        self.borrow().names.get(key).cloned()
    }

    fn permit(&self, _: &PublicKey, exec: &Exec) -> Option<Permission> {
        let user = exec.user.clone().unwrap_or_else(|| "ann".into());
        (exec.argv.first() != Some(&"forbidden".into())).then_some(Permission { user })
    }

    fn max_jobs(&self, _: &PublicKey) -> Option<usize> {
        self.borrow().max_jobs
    }

    fn register(
        &mut self,
        key: &PublicKey,
        invite: &[u8; INVITE],
        wish: &str,
    ) -> Result<String, Refused> {
        if *invite != [7; INVITE] {
            return Err(Refused);
        }
        self.borrow_mut().names.insert(*key, wish.into());
        Ok(wish.into())
    }
}

/// What was put on record: the name of each event and its request.
#[derive(Default)]
pub struct Records {
    pub lines: Mutex<Vec<(&'static str, RequestId)>>,
    /// From now on none can be.
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
        let line = (record.event.name(), record.request);
        self.lines.lock().unwrap().push(line);
        Ok(())
    }
}

/// What came on a lane.
#[derive(Default)]
pub struct Heard {
    pub bytes: Vec<u8>,
    pub fin: bool,
    pub lines: Lines,
    pub stopped: Option<u64>,
    pub consumed: u64,
    sent: u64,
}

pub struct Stage {
    pub service: Service<Fake>,
    pub book: std::rc::Rc<std::cell::RefCell<Book>>,
    pub records: Arc<Records>,
    pub now: Instant,
    pub heard: BTreeMap<(CallRef, u8), Heard>,
    pub released: HashSet<CallRef>,
    pub closed: HashMap<SessionHandle, u64>,
    pub watched: HashMap<SessionHandle, Duration>,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(jobs::Config {
            max_jobs: 4,
            ..jobs::Config::default()
        })
    }

    pub fn with(jobs: jobs::Config) -> Self {
        let names = [(ALICE, "alice".into()), (BOB, "bob".into())];
        let book = Book {
            names: names.into(),
            max_jobs: None,
            only_from: None,
        };
        let book = std::rc::Rc::new(std::cell::RefCell::new(book));
        let now = Instant::from_micros(1_000_000_000);
        let records = Arc::new(Records::default());
        let name = "tower".into();
        let reply = None;
        let config = Config { name, jobs, reply };
        Self {
            service: Service::new(
                config,
                Box::new(book.clone()),
                Fake::default(),
                Box::new(Arc::clone(&records)),
                now,
            ),
            records,
            book,
            now,
            heard: BTreeMap::new(),
            released: HashSet::new(),
            closed: HashMap::new(),
            watched: HashMap::new(),
        }
    }

    pub fn event(&mut self, event: Event) {
        self.service.on_session_event(self.now, event);
        self.drain();
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
                    let heard = self.lane(session, stream);
                    assert!(!heard.fin, "bytes after the end of a lane");
                    heard.bytes.extend_from_slice(&data);
                    heard.fin = fin;
                    heard.lines.push(&data);
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
                Command::Reset { .. } | Command::Connect(_) => panic!("not of an agent"),
            }
        }
        while self.service.poll_note().is_some() {}
    }

    fn lane(&mut self, session: SessionHandle, stream: StreamId) -> &mut Heard {
        let call = stream.call();
        let call = CallRef { session, call };
        self.heard.entry((call, stream.lane() as u8)).or_default()
    }

    pub fn heard(&mut self, call: CallRef, lane: Lane) -> &mut Heard {
        self.heard.entry((call, lane as u8)).or_default()
    }

    pub fn open(&mut self, number: u64, key: PublicKey) -> SessionHandle {
        let session = SessionHandle(number);
        self.event(Event::Accepted {
            session,
            key,
            remote: std::net::SocketAddr::from(([127, 0, 0, 1], 4444)).into(),
            invite: (key == GUEST).then_some([7; INVITE]),
        });
        session
    }

    pub fn close(&mut self, session: SessionHandle, reason: Closed) {
        self.event(Event::Closed { session, reason });
    }

    pub fn data(&mut self, call: CallRef, lane: Lane, data: &[u8], fin: bool) {
        let stream = StreamId::new(call.call, lane);
        let heard = self.heard(call, lane);
        let offset = heard.sent;
        heard.sent += data.len() as u64;
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

    /// The next line that was said in a call.
    pub fn reply(&mut self, call: CallRef) -> Option<Reply> {
        self.heard(call, Lane::Control)
            .lines
            .next()
            .map(Result::unwrap)
    }

    pub fn replies(&mut self, call: CallRef) -> Vec<Reply> {
        std::iter::from_fn(|| self.reply(call)).collect()
    }

    /// The controller has written out what it received of a lane.
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

    pub fn write(&mut self, job: JobId, output: Output, data: &[u8]) {
        let data = Bytes::copy_from_slice(data);
        self.service.on_output(self.now, job, output, data);
        self.drain();
    }

    /// Writes as long as there is room; returns how much there was.
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
        self.service.processes().rooms[&(job, output)]
    }

    pub fn eof(&mut self, job: JobId) {
        for output in Output::ALL {
            self.service.on_eof(self.now, job, output);
        }
        self.drain();
    }

    pub fn exit(&mut self, job: JobId, exit: Exit) {
        self.service.on_exit(self.now, job, exit);
        self.drain();
    }

    /// Lets time pass, stopping wherever the service asked for it.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.service.poll_timeout().filter(|&at| at <= end) {
            self.now = at.max(self.now);
            self.service.on_timeout(self.now);
            self.drain();
            assert_ne!(
                self.service.poll_timeout(),
                Some(at),
                "a deadline that stays"
            );
        }
        self.now = end;
    }

    pub fn last_job(&mut self) -> JobId {
        self.service.processes().spawned.last().unwrap().0
    }
}

pub fn id(number: u8) -> RequestId {
    RequestId([number; 16])
}

pub fn exec(number: u8) -> Exec {
    Exec::new(id(number), vec!["prog".into(), "arg".into()])
}
