//! The agent's application in session scenarios: answers each [`Task`] with its bytes.
//!
//! Like the real agent it keeps a register of started tasks until it restarts: a repeated request is
//! answered again and not started. Across restarts only the session layer prevents a second start.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use bytes::Bytes;
use udpagent::session::{
    Closed, Command, Event, InitFingerprint, ResetRecord, SessionHandle, StreamEvent,
};
use udpagent::time::Instant;
use udpagent::wire::{CallId, Lane, StreamId};

use crate::host::App;
use crate::invariants::Flow;
use crate::task::{Pattern, Reader, Task, Writer};

type Key = (SessionHandle, CallId);

struct Call {
    task: Task,
    stdin: Reader,
    writers: Vec<(Lane, Writer)>,
    credit: HashMap<Lane, (u64, u64)>,
    delivered: usize,
}

/// The application. One value for all incarnations of its host: it remembers every start.
#[derive(Default)]
pub struct Echo {
    requests: HashMap<Key, Vec<u8>>,
    early: HashMap<Key, Vec<(u64, Bytes, bool)>>,
    calls: HashMap<Key, Call>,
    due: BTreeSet<(Instant, Key)>,
    /// Number of requests for each task, over all incarnations.
    pub asked: HashMap<u64, u32>,
    /// Number of starts of each task, over all incarnations.
    pub starts: HashMap<u64, u32>,
    /// Tasks that the current incarnation has started.
    register: HashSet<u64>,
    /// Fingerprints of INITs, kept over a restart.
    pub seen: Vec<InitFingerprint>,
    /// The same with the times of their arrival, for an endpoint of the same run.
    pub seen_at: Vec<(Instant, InitFingerprint)>,
    /// Records of the open sessions.
    pub resets: HashMap<SessionHandle, ResetRecord>,
    /// Records of sessions whose endpoint is gone.
    pub lost: Vec<ResetRecord>,
    /// Sessions accepted.
    pub accepted: u64,
    /// Paths that peers moved to.
    pub moved: Vec<udpagent::session::Path>,
    /// Reasons of closed sessions.
    pub closed: Vec<Closed>,
}

impl Echo {
    /// Number of tasks that have started.
    pub fn started(&self) -> usize {
        self.starts.len()
    }

    /// The host's process ends. Running tasks are lost; what is on disk stays.
    pub fn crash(&mut self) {
        self.register.clear();
        self.resets.clear();
        self.end_sessions();
    }

    /// All sessions end with their endpoint.
    pub fn end_sessions(&mut self) {
        self.requests.clear();
        self.early.clear();
        self.calls.clear();
        self.due.clear();
    }

    /// Number of tasks whose answer is not yet delivered.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Bytes of output that the task's writers have handed to the endpoint.
    pub fn written(&self, id: u64) -> u64 {
        let calls = self.calls.values().filter(|call| call.task.id == id);
        calls
            .flat_map(|call| &call.writers)
            .map(|(_, writer)| writer.written())
            .sum()
    }

    fn on_stream(
        &mut self,
        now: Instant,
        session: SessionHandle,
        event: StreamEvent,
        out: &mut Vec<Command>,
    ) {
        match event {
            StreamEvent::Data {
                stream,
                offset,
                data,
                fin,
            } => {
                let key = (session, stream.call());
                match stream.lane() {
                    Lane::Control => {
                        out.push(Command::Consumed {
                            session,
                            stream,
                            bytes: data.len() as u64,
                        });
                        if !data.is_empty() {
                            self.on_control(now, key, &data, out);
                        }
                    }
                    Lane::Data => self.on_stdin(now, key, (offset, &data, fin), out),
                    Lane::Stderr => panic!("a controller writes to the stderr lane"),
                }
            }
            StreamEvent::Writable {
                stream,
                consumed,
                limit,
            } => {
                let Some(call) = self.calls.get_mut(&(session, stream.call())) else {
                    return;
                };
                call.credit.insert(stream.lane(), (consumed, limit));
                for (lane, writer) in &mut call.writers {
                    if *lane == stream.lane() {
                        writer.on_credit(consumed, limit);
                        writer.write(out);
                    }
                }
            }
            StreamEvent::Delivered { stream } => self.on_delivered((session, stream.call()), out),
            StreamEvent::Reset { .. }
            | StreamEvent::Stopped { .. }
            | StreamEvent::CallEnded { .. } => {}
        }
    }

    /// Releases the call once all three lanes are delivered.
    fn on_delivered(&mut self, key: Key, out: &mut Vec<Command>) {
        let call = self.calls.get_mut(&key).expect("delivered in an open call");
        call.delivered += 1;
        if call.delivered == 3 {
            self.calls.remove(&key);
            self.requests.remove(&key);
            let (session, call) = key;
            out.push(Command::Release { session, call });
        }
    }

    fn on_control(&mut self, now: Instant, key: Key, data: &[u8], out: &mut Vec<Command>) {
        let request = self.requests.entry(key).or_default();
        request.extend_from_slice(data);
        let Ok(bytes) = <&[u8; Task::SIZE]>::try_from(request.as_slice()) else {
            assert!(request.len() < Task::SIZE, "a request has one size");
            return;
        };
        let task = Task::decode(bytes);
        *self.asked.entry(task.id).or_default() += 1;
        if self.register.insert(task.id) {
            let starts = self.starts.entry(task.id).or_default();
            *starts += 1;
            assert_eq!(*starts, 1, "task {} starts twice", task.id);
        }
        let call = Call {
            task,
            stdin: Reader::new(Pattern::stdin(task.id), task.stdin),
            writers: Vec::new(),
            credit: HashMap::new(),
            delivered: 0,
        };
        self.calls.insert(key, call);
        if task.stdin == 0 {
            self.start(now, key, out);
        }
        for (offset, data, fin) in self.early.remove(&key).unwrap_or_default() {
            self.on_stdin(now, key, (offset, &data, fin), out);
        }
    }

    fn on_stdin(
        &mut self,
        now: Instant,
        key: Key,
        (offset, data, fin): (u64, &[u8], bool),
        out: &mut Vec<Command>,
    ) {
        let Some(call) = self.calls.get_mut(&key) else {
            // Streams are independent: stdin may overtake the request it belongs to.
            let chunk = (offset, Bytes::copy_from_slice(data), fin);
            self.early.entry(key).or_default().push(chunk);
            return;
        };
        call.stdin.read(offset, data, fin);
        out.push(Command::Consumed {
            session: key.0,
            stream: StreamId::new(key.1, Lane::Data),
            bytes: data.len() as u64,
        });
        if call.stdin.is_ended() && call.task.stdin > 0 {
            self.start(now, key, out);
        }
    }

    fn start(&mut self, now: Instant, key: Key, out: &mut Vec<Command>) {
        let takes = self.calls[&key].task.takes;
        if takes.is_zero() {
            self.answer(key, out);
        } else {
            self.due.insert((now + takes, key));
        }
    }

    fn answer(&mut self, key: Key, out: &mut Vec<Command>) {
        let Some(call) = self.calls.get_mut(&key) else {
            return;
        };
        let task = call.task;
        for (lane, total) in [
            (Lane::Control, 8),
            (Lane::Data, task.out),
            (Lane::Stderr, task.err),
        ] {
            let stream = StreamId::new(key.1, lane);
            let pattern = Pattern::output(task.id, lane);
            let mut writer = Writer::new(key.0, stream, pattern, total).bounded(task.bound);
            let (consumed, limit) = call.credit.get(&lane).copied().unwrap_or((0, 0));
            writer.on_credit(consumed, limit);
            writer.write(out);
            call.writers.push((lane, writer));
        }
    }
}

impl App for Rc<RefCell<Echo>> {
    fn on_event(&mut self, now: Instant, event: Event, out: &mut Vec<Command>) {
        let mut echo = self.borrow_mut();
        match event {
            Event::Accepted { session, reset, .. } => {
                echo.accepted += 1;
                echo.resets.insert(session, *reset);
            }
            Event::InitSeen { fingerprint } => {
                echo.seen.push(fingerprint);
                echo.seen_at.push((now, fingerprint));
            }
            Event::Moved { session, path } => {
                echo.moved.push(path);
                if let Some(reset) = echo.resets.get_mut(&session) {
                    reset.path = path;
                }
            }
            Event::Stream { session, event } => echo.on_stream(now, session, event, out),
            Event::Closed { session, reason } => {
                echo.calls.retain(|key, _| key.0 != session);
                echo.requests.retain(|key, _| key.0 != session);
                echo.early.retain(|key, _| key.0 != session);
                echo.resets.remove(&session);
                echo.closed.push(reason);
            }
            Event::Connected { .. } => panic!("an agent connects"),
            Event::Confirmed { .. } | Event::Silent { .. } | Event::Heard { .. } => {}
            Event::DatagramSize { .. } => panic!("nobody asked for the size of datagrams"),
        }
    }

    fn on_time(&mut self, now: Instant, out: &mut Vec<Command>) {
        let mut echo = self.borrow_mut();
        while let Some(&(at, key)) = echo.due.first() {
            if at > now {
                return;
            }
            echo.due.remove(&(at, key));
            echo.answer(key, out);
        }
    }

    fn flows(&self) -> Vec<Flow> {
        let echo = self.borrow();
        let reading = |call: &&Call| call.task.stdin > 0 && !call.stdin.is_ended();
        let calls = echo.calls.iter().map(|(key, call)| (*key, call));
        calls
            .filter(|(_, call)| reading(call))
            .map(|((session, call), state)| Flow {
                session,
                stream: StreamId::new(call, Lane::Data),
                received: state.stdin.received(),
            })
            .collect()
    }

    fn next_time(&self) -> Option<Instant> {
        self.borrow().due.first().map(|(at, _)| *at)
    }
}
