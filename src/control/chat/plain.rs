//! `udpctl chat --plain`: datagrams of plain text, to netcat, a script, or an agent.
//!
//! Without encryption, authentication and receipts. Invariants: every line that was received is marked as unverified; a
//! report that a line was not delivered is shown with every address and the lines that it may be about, and changes the exit
//! status.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, after, at, never, select};
use signal_hook::consts::{SIGCONT, SIGINT};

use super::screen::Screen;
use super::unheard::{Lost, Unheard};
use super::{DELIVERED, FAILED, undelivered};
use crate::control::client::Client;
use crate::control::contact::refusal_words;
use crate::control::{limits, signals};
use crate::escape;
use crate::message::status::INTERRUPTED;
use crate::net::limits::PLAIN;
use crate::net::{self, Event, PlainSink, Refusal, RefusalReason};
use crate::peer_addr::PeerAddr;
use crate::prompt::command::{Command, Typed};
use crate::prompt::completion::Members;
use crate::prompt::editor::PromptOptions;
use crate::prompt::line_history::LineHistory;
use crate::prompt::paste::{Decision, Paste};
use crate::prompt::style::Style;
use crate::saved_mode;
use crate::session::Path;
use crate::time;

/// Admits plain text from these addresses only.
#[derive(Clone, Debug)]
pub struct PlainSource(Vec<PeerAddr>);

impl PlainSource {
    /// Creates a filter for the datagrams of these peers.
    #[must_use]
    pub fn new(addresses: &[SocketAddr]) -> Self {
        Self(addresses.iter().copied().map(PeerAddr::from).collect())
    }
}

impl PlainSink for PlainSource {
    fn admit(&mut self, _now: time::Instant, path: &Path, _text: &[u8]) -> bool {
        self.0.contains(&path.remote)
    }
}

/// Settings of a chat in plain text.
pub struct PlainOptions<'a> {
    /// Signals that end the chat.
    pub signals: &'a Receiver<i32>,
    /// Time for which answers are awaited after the end of input.
    pub linger: Duration,
    /// True if messages on a terminal have a time stamp.
    pub is_timed: bool,
    /// File of the lines typed before.
    pub history: PathBuf,
}

/// Sends each line in a datagram of its own and shows the answers until the user leaves. `paths` are the addresses of the
/// peer, best first and not empty; the next one is used when one is refused before anything was heard. Returns the exit
/// status.
///
/// # Errors
/// If the terminal cannot be set up.
pub fn chat_plain(client: &Client, paths: Vec<Path>, options: &PlainOptions<'_>) -> io::Result<u8> {
    saved_mode::go_on_in_background();
    let mut screen = Screen::open(PromptOptions {
        prompt: "(unverified) > ",
        members: Members::default(),
        history: Box::new(LineHistory::new(options.history.clone())),
    })?;
    let shown = paths[0].remote;
    if screen.is_terminal() {
        screen.note(&format!(
            "plain text to {shown}: anybody may read, change or forge it, and nothing tells whether \
             it arrives"
        ));
    }
    let style = if screen.is_terminal() {
        Style::of_terminal(options.is_timed)
    } else {
        Style::default()
    };
    let mut chat = PlainChat {
        client,
        style,
        paste: Paste::new(screen.activity()),
        screen,
        path: paths[0],
        further: paths.into_iter().skip(1).collect(),
        is_heard: false,
        is_settled: false,
        refused: Vec::new(),
        unheard: Unheard::default(),
        status: DELIVERED,
    };
    let deadline = chat.run(options);
    if let Some(words) = chat.screen.unread() {
        chat.screen.note(&words);
        if chat.status == DELIVERED {
            chat.status = FAILED;
        }
    }
    chat.screen.finish(options.signals, deadline);
    if chat.screen.has_failed() {
        chat.status = FAILED;
    }
    Ok(chat.status)
}

struct PlainChat<'a> {
    client: &'a Client,
    screen: Screen,
    style: Style,
    /// Lines that were typed and not sent yet.
    paste: Paste,
    /// Address in use.
    path: Path,
    /// Addresses that were not tried.
    further: VecDeque<Path>,
    /// True once a datagram of the peer has arrived.
    is_heard: bool,
    /// True once the time has passed in which the address in use would have refused the first lines.
    is_settled: bool,
    /// Addresses that were refused since the last line was named, each with the reason in words.
    refused: Vec<String>,
    /// Lines that the peer may not have.
    unheard: Unheard,
    status: u8,
}

/// Course of a chat after some input.
enum Next {
    Continue,
    /// The user leaves.
    Leave,
    /// The input has ended.
    End,
}

impl PlainChat<'_> {
    /// Runs the chat. Returns, after a signal, the deadline for output that is not shown yet.
    fn run(&mut self, options: &PlainOptions<'_>) -> Option<Instant> {
        let mut typed = self.screen.typed.clone();
        let mut over = never();
        let nothing = never();
        let no_input = never();
        loop {
            let mut waits = self.waits_until();
            while waits.is_none()
                && let Some(next) = self.paste.next()
            {
                match self.on_typed(next) {
                    Next::Continue => {}
                    Next::Leave => return None,
                    // Answers to piped lines may still arrive.
                    Next::End => {
                        typed = never();
                        over = after(options.linger);
                    }
                }
                waits = self.waits_until();
            }
            let waiting = waits.map_or_else(never, at);
            // A pipe is read no further meanwhile.
            let taken = if waits.is_some() && !self.screen.is_terminal() {
                &no_input
            } else {
                &typed
            };
            let pasted = self.paste.deadline().map_or_else(never, at);
            let checks = self.screen.checks();
            let events = if self.screen.is_full() {
                &nothing
            } else {
                self.client.events()
            };
            select! {
                recv(events) -> event => if let Ok(event) = event {
                    self.client.taken();
                    if self.on_event(event).is_err() {
                        return None;
                    }
                } else {
                    self.status = FAILED;
                    return None;
                },
                recv(taken) -> input => {
                    let mut next = self.screen.taken(input);
                    if !self.screen.is_terminal() {
                        next = self.paste.or_end(next, Typed::End);
                    }
                    let decision = self.paste.push(Instant::now(), next);
                    self.on_decision(decision);
                }
                recv(pasted) -> _ => {
                    let has_more = || self.screen.has_more();
                    let decision = self.paste.on_deadline(Instant::now(), has_more);
                    self.on_decision(decision);
                }
                recv(over) -> _ => return None,
                recv(waiting) -> _ => {}
                recv(checks) -> _ => self.screen.take_back(),
                recv(options.signals) -> signal => {
                    if !signal.is_ok_and(|signal| self.on_signal(signal)) {
                        self.drop_unsent();
                        return Some(Instant::now() + limits::CHAT_LEAVE);
                    }
                }
                recv(self.screen.shown) -> more => if more.is_err() || self.screen.flush().is_err() {
                    return None;
                },
            }
        }
    }

    fn on_decision(&mut self, decision: Decision) {
        if matches!(decision, Decision::TooMany(_)) {
            self.status = FAILED;
        }
        if let Some(words) = decision.words(self.paste.len()) {
            self.screen.note(&words);
        }
        if decision.is_question() {
            self.screen.park();
        }
    }

    /// Handles a signal. Returns false if it ends the chat.
    fn on_signal(&mut self, signal: i32) -> bool {
        if self.screen.on_job_control(signal) {
            if signal == SIGCONT {
                self.screen.ask_again(&self.paste);
            }
            return true;
        }
        // Between two lines, where the line editor does not take it.
        let is_refused = signal == SIGINT && self.paste.question().is_some();
        if is_refused {
            let decision = self.paste.push(Instant::now(), Typed::Refused);
            self.on_decision(decision);
        } else if signal == SIGINT {
            self.on_interrupted();
        }
        is_refused
    }

    /// Sets the status after Ctrl-C, unless something has failed.
    const fn on_interrupted(&mut self) {
        if self.status == DELIVERED {
            self.status = INTERRUPTED;
        }
    }

    /// Tells of lines that are held when a signal ends the chat.
    fn drop_unsent(&mut self) {
        let lines = self.paste.len();
        if lines > 0 {
            self.status = FAILED;
            self.on_decision(Decision::Dropped(lines));
        }
    }

    /// Carries out input whose turn it is.
    fn on_typed(&mut self, typed: Typed) -> Next {
        match typed {
            Typed::Line(text) => self.say(text),
            Typed::Command(Command::Help) => self.screen.help(),
            Typed::Command(Command::Who) => {
                let address = self.path.remote;
                self.screen
                    .note(&format!("plain text has no members; sent to {address}"));
            }
            Typed::Command(Command::Exec(_) | Command::Cancel) => {
                self.screen
                    .note("plain text runs no commands; see udpctl exec");
            }
            Typed::Command(Command::Me(_) | Command::Msg { .. }) => {
                self.screen
                    .note("plain text has neither actions nor private messages; not sent");
            }
            Typed::Unknown(command) => self.screen.unknown(&command),
            Typed::Failed(error) => {
                self.screen
                    .note(&format!("cannot read what is typed: {error}"));
                self.status = FAILED;
                return Next::Leave;
            }
            // It is decided before.
            Typed::Refused | Typed::Discarded => {}
            Typed::Interrupted => {
                signals::set_interrupted();
                self.on_interrupted();
                return Next::Leave;
            }
            Typed::Leave => return Next::Leave,
            Typed::End => return Next::End,
        }
        Next::Continue
    }

    fn say(&mut self, text: String) {
        if text.len() >= PLAIN {
            let most = PLAIN - 1;
            self.screen
                .note(&format!("not sent: plain text has at most {most} bytes"));
            self.status = FAILED;
            return;
        }
        self.client.send_plain(self.path, datagram(&text));
        self.unheard.push(text, Instant::now());
    }

    /// Returns the time until which further lines wait, if they do: as long as the address in use may refuse more lines than are
    /// kept for the next one.
    fn waits_until(&mut self) -> Option<Instant> {
        if self.further.is_empty() || self.is_heard || self.is_settled {
            return None;
        }
        let until = self.unheard.full_until()?;
        self.is_settled = until <= Instant::now();
        Some(until).filter(|_| !self.is_settled)
    }

    fn on_event(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Plain { path, text, length } => {
                self.is_heard = true;
                self.unheard.on_heard(Instant::now());
                let from = path.remote.to_string();
                let (time, from) = (self.style.time(None), self.style.name(&from, &from));
                let line = net::PlainText {
                    text: &text,
                    length,
                };
                self.screen
                    .show(&format!("{time}{from} (unverified): {line}"))
            }
            Event::Refused(refusal) => {
                self.on_refused(refusal);
                Ok(())
            }
            Event::Suppressed { .. } | Event::Session(_) | Event::Counted { .. } => Ok(()),
            Event::Failed { address, error } => {
                self.screen.note(&format!("{address}: {error}"));
                Ok(())
            }
        }
    }

    /// Handles a report that a datagram was not delivered.
    fn on_refused(&mut self, refusal: Refusal) {
        let address = self.path.remote;
        let is_late = |reporter: IpAddr| address.ip() != Some(reporter);
        if refusal.reason == RefusalReason::Port && refusal.reporter.is_some_and(is_late) {
            // About an address that was tried before.
            return;
        }
        let words = format!("{address}: {}", refusal_words(address, refusal));
        let next = self.further.pop_front().filter(|_| !self.is_heard);
        if let (Some(next), true) = (next, self.screen.is_terminal()) {
            let using = format!("{words}; using {}", next.remote);
            self.screen.note(&using);
        }
        self.refused.push(words);
        let reason = self.refused.join(", ");
        let Some(next) = next else {
            self.status = FAILED;
            self.refused.clear();
            let words = match self.unheard.take_all() {
                Lost::Lines(lost) => undelivered(&lost, &reason),
                Lost::Doubtful(lost) => perhaps_undelivered(&lost, &reason),
                Lost::Unknown => format!("an earlier line may not have arrived ({reason})"),
                Lost::Named => return,
            };
            self.screen.note(&words);
            return;
        };
        // The next address gets the lines that are kept.
        if let Some(lost) = self.unheard.take_excess() {
            self.screen.note(&undelivered(&lost, &reason));
            self.status = FAILED;
        }
        self.path = next;
        self.is_settled = false;
        let (client, path) = (self.client, self.path);
        for text in self.unheard.again(Instant::now()) {
            client.send_plain(path, datagram(text));
        }
    }
}

fn datagram(text: &str) -> Bytes {
    format!("{text}\n").into()
}

fn perhaps_undelivered(text: &str, reason: &str) -> String {
    let text = escape::line(text.as_bytes(), limits::UNDELIVERED_TEXT);
    format!("may not have arrived ({reason}): {text}")
}
