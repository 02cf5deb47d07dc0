//! Loop of a batch: one thread that takes lines, feeds the jobs of all requests and waits for the next event.
//!
//! The loop blocks only in its `select`. Invariants: a record is queued when its request ends, and written before anything
//! else is waited for, unless its reader is slow; while more than [`limits::BACKLOG`] waits for the reader, no request
//! begins.

mod interruption;
mod requests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, never, select};

use super::intake::Intake;
use super::ready::Pending;
use super::recorders::{Entry, Recorders};
use super::{Line, Lines, Member, output};
use crate::control::client::Client;
use crate::control::exec::summary::Tally;
use crate::control::exec::{Failure, Interruption, RemoteJob, Show, Style, Task};
use crate::control::host_resolver::{HostResolver, Resolved};
use crate::control::journal::Journal;
use crate::control::limits;
use crate::control::lookups::{LookupEvent, Lookups};
use crate::control::stdio::{Chunk, Streams, Writer, Written};
use crate::control::window::{Places, Window};
use crate::message::RequestId;
use crate::net;
use crate::session::Ticket;

/// Settings of a batch, the same for all requests.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Requests in progress at a time.
    pub places: Places,
    /// Time after which an agent that does not answer is given up.
    pub contact_timeout: Duration,
    /// Time for which a silent agent is retried.
    pub retry_for: Duration,
}

/// Surroundings of a batch.
pub struct Surroundings<'a> {
    /// Network.
    pub client: &'a Client,
    /// Known agents, and the store of their tickets.
    pub resolver: &'a HostResolver,
    /// Journal of requests.
    pub journal: &'a Journal,
    /// Standard streams, of which the input is not used.
    pub streams: Streams,
    /// Signals that interrupt the batch.
    pub signals: &'a Receiver<i32>,
}

/// Result of a batch.
#[derive(Default, Debug)]
pub struct Finish {
    /// Outcome classes of the requests.
    pub tally: Tally,
    /// Number of lines that could not be understood.
    pub bad_lines: usize,
    /// Reason for an early end.
    pub interruption: Option<Interruption>,
    /// Duration of the batch.
    pub took: Duration,
}

/// Request in progress.
struct Running {
    job: RemoteJob,
    pending: Pending,
    task: Task,
    entry: Option<Entry>,
    began: Instant,
    learned: Option<Ticket>,
    /// Input that was not passed to the job yet.
    input: Bytes,
}

struct Batch<'a> {
    client: &'a Client,
    resolver: &'a HostResolver,
    settings: Settings,
    intake: Intake,
    lookups: Lookups,
    window: Window,
    /// Requests in progress, by the slot of their sessions.
    running: HashMap<u32, Running>,
    /// Slots of those that may have actions to take.
    active: BTreeSet<u32>,
    show: Show,
    /// Requests in progress whose ids were given, each with its target: one more would displace it at the agent.
    given: HashSet<(RequestId, String)>,
    recorders: Recorders<'a>,
    /// True once it was said that requests are not recorded.
    is_unrecorded: bool,
    streams: [Writer<()>; 2],
    finish: Finish,
}

/// Acts on lines until the input ends and every request has ended.
#[must_use]
pub fn run(lines: &Lines, settings: Settings, surroundings: Surroundings<'_>) -> Finish {
    let began = Instant::now();
    let Surroundings {
        client,
        resolver,
        journal,
        streams,
        signals,
    } = surroundings;
    let mut batch = Batch {
        client,
        resolver,
        settings,
        intake: Intake::new(),
        lookups: Lookups::new(settings.contact_timeout),
        window: Window::new(settings.places).with_first_contacts(client.first_contacts()),
        running: HashMap::new(),
        active: BTreeSet::new(),
        show: Show::new(Style::Json(limits::CAPTURE_FLEET)),
        given: HashSet::new(),
        recorders: Recorders::new(journal),
        is_unrecorded: false,
        streams: [
            Writer::new(streams.stdout, None),
            Writer::new(streams.stderr, None),
        ],
        finish: Finish::default(),
    };
    batch.run(lines, signals);
    batch.recorders.close();
    batch.finish.took = began.elapsed();
    batch.finish
}

impl Batch<'_> {
    fn run(&mut self, lines: &Lines, signals: &Receiver<i32>) {
        let events = self.client.events().clone();
        let found = self.lookups.events().clone();
        let reports = [0, 1].map(|stream| self.streams[stream].reports().clone());
        let no_line = never();
        loop {
            self.find_hosts();
            self.begin_some();
            self.skip_some();
            self.act();
            for stream in &mut self.streams {
                stream.flush();
            }
            if self.intake.is_done() && self.streams.iter().all(Writer::is_idle) {
                return;
            }
            let wanted = self.has_room() && self.intake.wants_line();
            let lines = if wanted { lines.events() } else { &no_line };
            let wait = self.wait();
            select! {
                recv(lines) -> line => match line {
                    Ok(Ok(line)) => self.on_line(line),
                    Ok(Err(error)) => self.input_failed(error),
                    Err(_) => self.intake.end(),
                },
                recv(events) -> event => if let Ok(event) = event {
                    self.on_event(event);
                    // Events that are already there are handled before their actions are taken, up to a limit.
                    for event in events.try_iter().take(limits::EVENTS_AT_ONCE) {
                        self.on_event(event);
                    }
                } else {
                    self.say_now(&Failure::Network.to_string());
                    self.finish.interruption = Some(Interruption::Failed);
                    return;
                },
                recv(reports[0]) -> report => self.on_written(0, &report.expect("the writer holds its sender")),
                recv(reports[1]) -> report => self.on_written(1, &report.expect("the writer holds its sender")),
                recv(signals) -> signal => if let Ok(signal) = signal && self.on_signal(signal) {
                    return;
                },
                recv(found) -> event => self.on_lookup(event.expect("the lookups hold its sender")),
                default(wait) => self.on_timeout(),
            }
        }
    }

    fn on_line(&mut self, line: Line) {
        let Line {
            number,
            tag,
            content,
        } = line;
        let content = content.and_then(|(request, members)| {
            let is_given = |member: &Member| self.given.contains(&key(member));
            if request.exec.retain && members.iter().any(is_given) {
                return Err("\"id\": a request with this id is in progress there".into());
            }
            Ok((request, members))
        });
        match content {
            Ok((request, members)) => {
                if request.exec.retain {
                    self.given.extend(members.iter().map(key));
                }
                self.intake.take(number, tag, request, members);
            }
            Err(error) => {
                self.finish.bad_lines += 1;
                self.print(output::error(number, tag.as_ref(), &error));
            }
        }
    }

    /// Handles an input that cannot be read. Requests in progress go on.
    fn input_failed(&mut self, error: io::Error) {
        let name = "input";
        self.say(&Failure::Stream { name, error }.to_string());
        self.finish.interruption.get_or_insert(Interruption::Failed);
        self.intake.end();
    }

    /// Finds the hosts of requests, or begins to look up their names.
    fn find_hosts(&mut self) {
        while let Some(pending) = self.intake.next() {
            let target = pending.member.target.clone();
            if target.is_name() {
                let index = self.intake.look_up(pending);
                self.lookups.add(index, target);
            } else {
                let found = self.resolver.host(&target, target.resolve(), self.client);
                self.intake.ready(pending, found);
            }
        }
    }

    fn on_lookup(&mut self, event: LookupEvent) {
        if let Some((index, addresses)) = self.lookups.on_event(event, Instant::now()) {
            self.found(index, addresses);
        }
    }

    fn on_timeout(&mut self) {
        while let Some((index, addresses)) = self.lookups.overdue(Instant::now()) {
            self.found(index, addresses);
        }
    }

    fn found(&mut self, index: usize, addresses: Resolved) {
        if let Some(pending) = self.intake.looked_up(index) {
            let target = &pending.member.target;
            let found = self.resolver.host(target, addresses, self.client);
            self.intake.ready(pending, found);
        }
    }

    /// Returns true if no more waits for the reader of the records than may.
    fn has_room(&self) -> bool {
        self.streams[0].queued() < limits::BACKLOG
    }

    /// Returns the time until something is due without an event.
    fn wait(&mut self) -> Duration {
        let now = net::Clock.now();
        let begin = self.intake.next_begin().and_then(|begin| {
            if self.window.has_room(now) {
                // What frees the output is an event.
                self.has_room().then_some(begin)
            } else {
                self.window.next_deadline()
            }
        });
        let begin = begin.map(|begin| begin.since(now));
        let lookup = self.lookups.deadline();
        let lookup = lookup.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let due = begin.into_iter().chain(lookup).min();
        due.unwrap_or(limits::NO_WAIT)
    }

    fn on_written(&mut self, stream: usize, report: &Written<()>) {
        self.streams[stream].on_report(report);
        let Some(error) = &report.error else { return };
        if self.finish.interruption.is_some() {
            return;
        }
        let is_broken = error.kind() == io::ErrorKind::BrokenPipe;
        if is_broken {
            self.finish.interruption = Some(Interruption::BrokenPipe);
        } else {
            let name = ["standard output", "standard error"][stream];
            self.say(&format!("{name}: {error}"));
            self.finish.interruption = Some(Interruption::Failed);
        }
        self.cancel();
    }

    fn print(&mut self, text: String) {
        self.push(0, text);
    }

    /// Queues a message of `udpctl` on stderr.
    fn say(&mut self, line: &str) {
        if !matches!(self.finish.interruption, Some(Interruption::BrokenPipe)) {
            self.push(1, format!("udpctl: {line}\n"));
        }
    }

    /// Writes a message of `udpctl` to stderr without the queue, which may be held up by a stopped terminal.
    fn say_now(&self, line: &str) {
        self.streams[1].write_now(format!("udpctl: {line}\n").as_bytes());
    }

    fn push(&mut self, stream: usize, text: String) {
        // After a failure nothing is written, which was said.
        let _ = self.streams[stream].push(Chunk {
            tag: (),
            data: text.into(),
        });
    }
}

/// Returns the id of a request with its target.
fn key(member: &Member) -> (RequestId, String) {
    (member.id, member.target.label().to_owned())
}
