//! The controller's application in session scenarios: requests tasks and checks the answers.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use udpagent::crypto::PublicKey;
use udpagent::session::{
    Closed, Command, Connect, Event, Path, SessionHandle, StreamEvent, Ticket,
};
use udpagent::time::Instant;
use udpagent::wire::{CallId, Early, Lane, StreamId};

use crate::host::App;
use crate::invariants::Flow;
use crate::task::{Pattern, Reader, Task, Writer};

/// Reading speed of the application.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// At once.
    Eager,
    /// A number of bytes in each interval.
    Slow {
        /// Bytes.
        bytes: u64,
        /// Interval.
        every: Duration,
    },
    /// Not at all.
    Stopped,
}

/// Progress of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TaskState {
    /// Requested at this time, not finished.
    Asked(Instant),
    /// Complete, this long after the request.
    Done(Duration),
    /// Its session ended first.
    Failed(Closed),
}

struct Call {
    task: Task,
    lanes: HashMap<Lane, Reader>,
    stdin: Option<Writer>,
}

/// A session, as its application knows it.
#[derive(Default)]
pub struct Session {
    /// The ticket for later sessions, once connected.
    pub ticket: Option<Ticket>,
    /// The agent's answer to the early command.
    pub early: Option<Early>,
    /// The reason of its end.
    pub closed: Option<Closed>,
    /// Number of `Silent` events.
    pub silences: u32,
    /// Number of `Heard` events.
    pub returns: u32,
    next_call: u32,
    calls: HashMap<CallId, Call>,
    backlog: VecDeque<Task>,
}

/// The application.
pub struct Caller {
    /// All sessions, over and open.
    pub sessions: HashMap<SessionHandle, Session>,
    /// All tasks, by id.
    pub states: HashMap<u64, TaskState>,
    /// Reading speed.
    pub pace: Pace,
    /// Task whose lanes are not read, whatever the pace.
    pub stalled: Option<u64>,
    /// Maximum number of concurrent calls in a session.
    pub at_once: usize,
    next_connection: u64,
    unread: VecDeque<(SessionHandle, StreamId, u64)>,
    next_read: Option<Instant>,
}

impl Default for Caller {
    fn default() -> Self {
        Self {
            sessions: HashMap::new(),
            states: HashMap::new(),
            pace: Pace::Eager,
            stalled: None,
            at_once: 16,
            next_connection: 0,
            unread: VecDeque::new(),
            next_read: None,
        }
    }
}

impl Caller {
    /// Progress of a task.
    pub fn task_state(&self, id: u64) -> Option<&TaskState> {
        self.states.get(&id)
    }

    /// Number of complete tasks.
    pub fn done(&self) -> usize {
        let done = |task_state: &&TaskState| matches!(task_state, TaskState::Done(_));
        self.states.values().filter(done).count()
    }

    /// Number of tasks that are neither complete nor failed.
    pub fn pending(&self) -> usize {
        let asked = |task_state: &&TaskState| matches!(task_state, TaskState::Asked(_));
        self.states.values().filter(asked).count()
    }

    /// Bytes that were received and not consumed.
    pub fn unread(&self) -> u64 {
        self.unread.iter().map(|(_, _, bytes)| bytes).sum()
    }

    /// Changes the reading speed, also for bytes that already wait.
    pub fn wake(&mut self, pace: Pace) {
        self.pace = pace;
        self.next_read = Some(Instant::ZERO);
    }

    /// Opens a session, with a first command if there is one.
    pub fn connect(
        &mut self,
        now: Instant,
        (agent, to): (PublicKey, SocketAddr),
        ticket: Option<Ticket>,
        first: Option<Task>,
        timeout: Duration,
    ) -> (SessionHandle, Vec<Command>) {
        let session = SessionHandle(self.next_connection);
        self.next_connection += 1;
        self.sessions.insert(session, Session::default());
        let mut out = vec![Command::Connect(Connect {
            session,
            agent,
            path: Path {
                socket: 0,
                local: None,
                remote: to.into(),
            },
            further: Vec::new(),
            ticket,
            invite: None,
            first: first.map_or_else(Bytes::new, |task| task.encode()),
            timeout,
        })];
        if let Some(task) = first {
            self.states.insert(task.id, TaskState::Asked(now));
            self.open(session, task, Bytes::new(), &mut out);
        }
        (session, out)
    }

    /// Requests a task in an open session, as soon as a call is free.
    pub fn ask(&mut self, now: Instant, session: SessionHandle, task: Task) -> Vec<Command> {
        let mut out = Vec::new();
        self.states.insert(task.id, TaskState::Asked(now));
        let state = self.sessions.get_mut(&session).expect("a session");
        if let Some(reason) = &state.closed {
            self.states
                .insert(task.id, TaskState::Failed(reason.clone()));
            return out;
        }
        state.backlog.push_back(task);
        self.open_next(session, &mut out);
        out
    }

    fn open_next(&mut self, session: SessionHandle, out: &mut Vec<Command>) {
        while let Some(state) = self.sessions.get_mut(&session)
            && state.calls.len() < self.at_once
            && let Some(task) = state.backlog.pop_front()
        {
            self.open(session, task, task.encode(), out);
        }
    }

    fn open(&mut self, session: SessionHandle, task: Task, request: Bytes, out: &mut Vec<Command>) {
        let state = self.sessions.get_mut(&session).expect("a session");
        let call = CallId(state.next_call);
        state.next_call += 1;
        out.push(Command::Write {
            session,
            stream: StreamId::new(call, Lane::Control),
            data: request,
            fin: true,
        });
        let mut stdin = (task.stdin > 0).then(|| {
            let stream = StreamId::new(call, Lane::Data);
            Writer::new(session, stream, Pattern::stdin(task.id), task.stdin).bounded(task.bound)
        });
        if let Some(stdin) = &mut stdin {
            stdin.write(out);
        }
        let reader = |lane, total| (lane, Reader::new(Pattern::output(task.id, lane), total));
        let lanes = HashMap::from([
            reader(Lane::Control, 8),
            reader(Lane::Data, task.out),
            reader(Lane::Stderr, task.err),
        ]);
        state.calls.insert(call, Call { task, lanes, stdin });
    }

    fn on_data(
        &mut self,
        now: Instant,
        (session, stream): (SessionHandle, StreamId),
        (offset, data, fin): (u64, &[u8], bool),
        out: &mut Vec<Command>,
    ) {
        let bytes = data.len() as u64;
        let task = self.sessions[&session].calls[&stream.call()].task;
        let pace = if self.stalled == Some(task.id) {
            Pace::Stopped
        } else {
            self.pace
        };
        match pace {
            Pace::Eager => out.push(Command::Consumed {
                session,
                stream,
                bytes,
            }),
            Pace::Slow { every, .. } => {
                self.unread.push_back((session, stream, bytes));
                self.next_read.get_or_insert(now + every);
            }
            Pace::Stopped => self.unread.push_back((session, stream, bytes)),
        }
        let state = self.sessions.get_mut(&session).expect("a session");
        let call = state.calls.get_mut(&stream.call()).expect("an open call");
        let lane = call.lanes.get_mut(&stream.lane()).expect("one of three");
        lane.read(offset, data, fin);
        self.finish(now, session, stream.call(), out);
    }

    /// A call is over when every lane has ended and is consumed.
    fn finish(
        &mut self,
        now: Instant,
        session: SessionHandle,
        call: CallId,
        out: &mut Vec<Command>,
    ) {
        let state = self.sessions.get_mut(&session).expect("a session");
        let Some(open) = state.calls.get(&call) else {
            return;
        };
        let unread = |(c, s, bytes): &(SessionHandle, StreamId, u64)| {
            *c == session && s.call() == call && *bytes > 0
        };
        if !open.lanes.values().all(Reader::is_ended) || self.unread.iter().any(unread) {
            return;
        }
        let id = open.task.id;
        state.calls.remove(&call);
        out.push(Command::Release { session, call });
        let Some(TaskState::Asked(asked)) = self.states.get(&id) else {
            panic!("task {id} is finished twice");
        };
        let took = now.since(*asked);
        self.states.insert(id, TaskState::Done(took));
        self.open_next(session, out);
    }

    fn on_closed(&mut self, session: SessionHandle, reason: &Closed) {
        let state = self.sessions.get_mut(&session).expect("a session");
        state.closed = Some(reason.clone());
        let open = state.calls.drain().map(|(_, call)| call.task);
        for task in open.chain(state.backlog.drain(..)) {
            self.states
                .insert(task.id, TaskState::Failed(reason.clone()));
        }
        self.unread.retain(|(c, _, _)| *c != session);
    }
}

impl App for Rc<RefCell<Caller>> {
    fn on_event(&mut self, now: Instant, event: Event, out: &mut Vec<Command>) {
        let mut caller = self.borrow_mut();
        match event {
            Event::Connected {
                session,
                ticket,
                early,
                ..
            } => {
                let state = caller.sessions.get_mut(&session).expect("a session");
                (state.ticket, state.early) = (Some(ticket), Some(early));
            }
            Event::Stream {
                session,
                event:
                    StreamEvent::Data {
                        stream,
                        offset,
                        data,
                        fin,
                    },
            } => caller.on_data(now, (session, stream), (offset, &data, fin), out),
            Event::Stream {
                session,
                event:
                    StreamEvent::Writable {
                        stream,
                        consumed,
                        limit,
                    },
            } => {
                let state = caller.sessions.get_mut(&session).expect("a session");
                if let Some(call) = state.calls.get_mut(&stream.call())
                    && let (Lane::Data, Some(stdin)) = (stream.lane(), &mut call.stdin)
                {
                    stdin.on_credit(consumed, limit);
                    stdin.write(out);
                }
            }
            Event::Silent { session } => {
                caller.sessions.entry(session).or_default().silences += 1;
            }
            Event::Heard { session } => {
                caller.sessions.entry(session).or_default().returns += 1;
            }
            Event::Closed { session, reason } => caller.on_closed(session, &reason),
            Event::Accepted { .. } | Event::Confirmed { .. } => panic!("a controller accepts"),
            Event::Stream {
                event:
                    StreamEvent::Delivered { .. }
                    | StreamEvent::Reset { .. }
                    | StreamEvent::Stopped { .. }
                    | StreamEvent::CallEnded { .. },
                ..
            }
            | Event::Moved { .. }
            | Event::InitSeen { .. } => {}
            Event::DatagramSize { .. } => panic!("nobody asked for the size of datagrams"),
        }
    }

    fn on_time(&mut self, now: Instant, out: &mut Vec<Command>) {
        let mut caller = self.borrow_mut();
        let Pace::Slow { bytes, every } = caller.pace else {
            return;
        };
        if caller.next_read.is_none_or(|at| at > now) {
            return;
        }
        let mut allowance = bytes;
        let mut touched = Vec::new();
        while allowance > 0
            && let Some((session, stream, waiting)) = caller.unread.front_mut()
        {
            let read = allowance.min(*waiting);
            (*waiting, allowance) = (*waiting - read, allowance - read);
            let (session, stream, rest) = (*session, *stream, *waiting);
            out.push(Command::Consumed {
                session,
                stream,
                bytes: read,
            });
            touched.push((session, stream.call()));
            if rest == 0 {
                caller.unread.pop_front();
            }
        }
        caller.next_read = (!caller.unread.is_empty()).then(|| now + every);
        for (session, call) in touched {
            caller.finish(now, session, call, out);
        }
    }

    fn flows(&self) -> Vec<Flow> {
        let caller = self.borrow();
        if matches!(caller.pace, Pace::Stopped) {
            return Vec::new();
        }
        let mut flows = Vec::new();
        for (&session, state) in &caller.sessions {
            for (&call, open) in &state.calls {
                let stalled = caller.stalled == Some(open.task.id) || !open.task.takes.is_zero();
                // The agent writes nothing before it has read all of stdin.
                if stalled || open.stdin.as_ref().is_some_and(|stdin| !stdin.is_ended()) {
                    continue;
                }
                let lanes = open.lanes.iter().filter(|(_, reader)| !reader.is_ended());
                flows.extend(lanes.map(|(&lane, reader)| Flow {
                    session,
                    stream: StreamId::new(call, lane),
                    received: reader.received(),
                }));
            }
        }
        flows
    }

    fn next_time(&self) -> Option<Instant> {
        self.borrow().next_read
    }
}
