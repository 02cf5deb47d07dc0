//! `udpctl chat`: the chat of an agent, for a person or a script.
//!
//! A loop between a [`ChatClient`], the network thread and the screen. On a terminal lines are typed at a prompt, and
//! messages of others appear above it. Otherwise each line of standard input is a message, messages of others go to
//! standard output, and the program ends when everything is delivered and a time for answers is over. Invariant: a line that was not delivered is named
//! on standard error, and the exit status is not 0.

mod above_prompt;
mod age;
mod bot;
mod delivery;
mod exec;
mod input;
mod input_position;
mod news;
mod piped_lines;
mod plain;
mod screen;
mod unheard;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, at, never, select, tick};
use signal_hook::consts::{SIGCONT, SIGINT, SIGQUIT, SIGTSTP};

pub use plain::{PlainOptions, PlainSource, chat_plain};

use self::bot::ChatBot;
use self::delivery::Delivery;
use self::exec::Running;
use self::screen::Screen;
use super::chat_client::{Action, ChatClient, Config, End, Purpose};
use super::client::Client;
use super::host_resolver::{Host, HostResolver};
use super::limits;
use crate::escape;
use crate::message::limits::{CHAT_TEXT, NAME};
use crate::message::status::INTERRUPTED;
use crate::message::{RequestId, RoomName};
use crate::net::{self, Event};
use crate::prompt::completion::Members;
use crate::prompt::editor::{self, PromptOptions};
use crate::prompt::line_history::LineHistory;
use crate::prompt::paste::Paste;
use crate::prompt::style::Style;
use crate::saved_mode;

/// Exit status if everything was delivered and the chat was left as requested.
const DELIVERED: u8 = 0;

/// Exit status after any failure of the chat.
const FAILED: u8 = 255;

/// Settings of a chat.
pub struct Options<'a> {
    /// Name to ask for.
    pub name: Option<String>,
    /// Room; `None` is the default room.
    pub room: Option<RoomName>,
    /// Time after which an agent that does not answer is given up.
    pub contact_timeout: Duration,
    /// Signals that end the chat.
    pub signals: &'a Receiver<i32>,
    /// Store of the agents' tickets.
    pub resolver: &'a HostResolver,
    /// Time for which messages of others are awaited after the end of piped input, once everything is delivered.
    pub linger: Duration,
    /// Format of what is heard.
    pub format: Format,
    /// True if messages on a terminal have a time stamp.
    pub is_timed: bool,
    /// File of the lines typed before.
    pub history: PathBuf,
    /// Command that is run for each message of others. The chat then stays after the end of piped input.
    pub bot: Option<crate::bot::Command>,
    /// Called at the end if the agent has not answered; true if the network has reported that it is not reached.
    pub unanswered: &'a dyn Fn(bool),
}

/// Format of what is heard in a chat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Lines for people.
    Text,
    /// JSON objects, one on each line.
    Json,
}

/// Returns the signals that a chat handles beside those that end every program. At a prompt they are keys.
#[must_use]
pub fn signals() -> &'static [i32] {
    if editor::is_possible() {
        &[SIGINT, SIGQUIT, SIGTSTP, SIGCONT]
    } else {
        &[]
    }
}

/// Chats until one side leaves. Returns the exit status.
///
/// # Errors
/// If the terminal cannot be set up.
pub fn chat(client: &Client, host: Host, options: &Options<'_>) -> io::Result<u8> {
    let members = Members::default();
    let screen = Screen::open(PromptOptions {
        prompt: editor::PROMPT,
        members: members.clone(),
        history: Box::new(LineHistory::new(options.history.clone())),
    })?;
    // A script that reads text would take earlier messages for new ones.
    let wants_history = screen.is_terminal() || options.format == Format::Json;
    let chat = ChatClient::new(Config {
        slot: client.reserve(1),
        purpose: Purpose::Chat {
            id: RequestId(net::rng()?.bytes()),
            name: options.name.clone(),
            history: if wants_history { u32::MAX } else { 0 },
            room: options.room.clone(),
        },
        agent: host.agent,
        paths: host.paths.clone(),
        ticket: host.ticket,
        contact_timeout: options.contact_timeout,
        is_attended: screen.is_terminal(),
    });
    let style = if screen.is_terminal() {
        Style::of_terminal(options.is_timed)
    } else {
        Style::default()
    };
    let bot = options.bot.clone().map(ChatBot::start).transpose()?;
    let chat_loop = ChatLoop {
        client,
        style,
        paste: Paste::new(screen.activity()),
        delivery: Delivery::default(),
        screen,
        bot,
        members,
        own_name: None,
        chat,
        running: None,
        label: escape::line(host.label.as_bytes(), NAME).into_owned(),
        host,
        options,
        failed: false,
        interrupted: false,
        leaving: false,
        drained: None,
        deadline: None,
    };
    // The bot is started before, with the signals of any program.
    saved_mode::go_on_in_background();
    Ok(chat_loop.run())
}

struct ChatLoop<'a> {
    client: &'a Client,
    screen: Screen,
    style: Style,
    /// Lines that were typed and not sent yet.
    paste: Paste,
    delivery: Delivery,
    bot: Option<ChatBot>,
    /// Names of the other members.
    members: Members,
    /// Own name, once a member.
    own_name: Option<String>,
    chat: ChatClient,
    /// Command of `/exec`.
    running: Option<Running>,
    host: Host,
    label: String,
    options: &'a Options<'a>,
    /// True if a message was not delivered.
    failed: bool,
    /// True if SIGINT has ended the chat.
    interrupted: bool,
    /// True if no further input is taken.
    leaving: bool,
    /// Time at which the chat is left after the end of piped input.
    drained: Option<Instant>,
    /// Time at which the chat ends without receipts, after a signal.
    deadline: Option<Instant>,
}

impl ChatLoop<'_> {
    fn run(mut self) -> u8 {
        let (nothing, no_events) = (never(), never());
        let is_terminal = self.screen.is_terminal();
        let noted = is_terminal.then(|| after(limits::SILENCE_NOTED));
        let mut noted = noted.unwrap_or_else(never);
        let ticks = is_terminal.then(|| tick(limits::CHAT_TICK));
        let ticks = ticks.unwrap_or_else(never);
        let bot = self.bot.as_ref();
        let woken = bot.map_or_else(never, |bot| bot.woken().clone());
        let end = loop {
            while !self.leaving
                && self.chat.has_room()
                && let Some(typed) = self.paste.next()
            {
                self.on_typed(typed);
            }
            self.on_bot();
            if let Some(end) = self.act() {
                break end;
            }
            // Events are taken only while the screen accepts lines, so that credit follows what is shown.
            let events = if self.screen.is_full() {
                &no_events
            } else {
                self.client.events()
            };
            let checks = self.screen.checks();
            let is_ended = self.bot.as_ref().is_some_and(|bot| bot.input_ended);
            let typed = if self.leaving || is_ended || !self.paste.has_room() {
                &nothing
            } else {
                &self.screen.typed
            };
            let deadline = self.deadline.map_or_else(never, at);
            let pasted = self.paste.deadline().map_or_else(never, at);
            let drained = self.drained.map_or_else(never, at);
            select! {
                recv(events) -> event => match event {
                    Ok(event) => {
                        self.client.taken();
                        self.on_event(event);
                    }
                    Err(_) => break End::Lost,
                },
                recv(typed) -> input => self.on_received(input),
                recv(pasted) -> _ => self.on_paste_complete(),
                recv(ticks) -> _ => self.on_tick(),
                recv(checks) -> _ => self.screen.take_back(),
                recv(self.screen.shown) -> more => {
                    if more.is_err() {
                        self.screen.on_output_gone();
                    }
                    if self.screen.flush().is_err() {
                        // A closed output ends the chat without a message, as it ends a filter.
                        self.leave();
                    }
                }
                // The answer is taken in the next turn.
                recv(woken) -> _ => {}
                recv(noted) -> _ => {
                    noted = never();
                    if let Some(words) = self.chat.waiting() {
                        self.screen.note(&format!("{}: {words}", self.label));
                    }
                }
                recv(self.options.signals) -> signal => self.on_signal(signal.unwrap_or(SIGINT)),
                recv(deadline) -> _ => self.chat.leave_now(),
                recv(drained) -> _ => {
                    self.drained = None;
                    self.chat.leave();
                }
            }
        };
        if let Some(bot) = self.bot.take() {
            bot.end();
        }
        self.await_command();
        self.screen.finish(self.options.signals, self.deadline);
        self.report(&end)
    }

    fn on_signal(&mut self, signal: i32) {
        if self.screen.on_job_control(signal) {
            if signal == SIGCONT {
                self.screen.ask_again(&self.paste);
            }
            return;
        }
        // Between two lines, where the line editor does not take it.
        if signal == SIGINT && self.refuse_paste() {
            return;
        }
        let is_contacted = self.chat.is_contacted();
        self.interrupted |= signal == SIGINT;
        // The second signal does not wait for receipts, and the first one not for an agent that owes none.
        if self.leaving || !is_contacted && self.chat.undelivered().next().is_none() {
            self.chat.leave_now();
        }
        self.leave();
        self.deadline = Some(Instant::now() + limits::CHAT_LEAVE);
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Session(event) => {
                if let Some(event) = self.on_event_of_command(event) {
                    self.chat.on_event(event);
                }
            }
            Event::Failed { address, error } => {
                self.screen.note(&format!("{address}: {error}"));
            }
            Event::Refused(refusal) => {
                self.on_command_refused(refusal);
                if let Some(words) = self.chat.on_refused(refusal) {
                    self.screen.note(&format!("{}: {words}", self.label));
                }
            }
            Event::Plain { .. } | Event::Suppressed { .. } | Event::Counted { .. } => {}
        }
    }

    fn leave(&mut self) {
        self.leaving = true;
        self.cancel_command();
        self.chat.leave();
    }

    /// Takes the actions of the chat. Returns its end, if it has ended.
    fn act(&mut self) -> Option<End> {
        while let Some(action) = self.chat.poll() {
            match action {
                Action::Command(command) => self.client.send(command),
                Action::Heard(reply) => {
                    if let Some(bot) = &mut self.bot {
                        bot.hear(&reply);
                    }
                    self.show(reply);
                }
                Action::Learned(ticket) => {
                    self.options.resolver.learn(&self.host.agent, &ticket);
                    self.host.ticket = Some(ticket);
                }
                Action::Delivered { .. } => self.on_receipt(),
                Action::Refused {
                    number,
                    text,
                    reason,
                } => {
                    self.delivery.on_refused(number);
                    let reason = escape::line(reason.as_bytes(), CHAT_TEXT).into_owned();
                    self.undelivered(&text, &reason);
                    self.on_receipt();
                }
                Action::Drained => {
                    // A time that cannot be represented never comes.
                    self.drained = Instant::now().checked_add(self.options.linger);
                }
                Action::Silent { silence } => self.on_silent(silence),
                Action::Back => self.on_back(),
                Action::Ended(end) => return Some(end),
            }
        }
        None
    }

    fn undelivered(&mut self, text: &str, reason: &str) {
        self.failed = true;
        self.screen.note(&undelivered(text, reason));
    }

    /// Names the messages that were not delivered. Returns the exit status.
    fn report(mut self, end: &End) -> u8 {
        let unread = self.screen.unread();
        self.failed |= self.screen.has_failed();
        // Ends the prompt first: lines printed above it may be lost with it.
        drop(self.screen);
        let mut stderr = io::stderr().lock();
        let mut failed = self.failed;
        for text in self.chat.undelivered() {
            failed = true;
            let _ = writeln!(stderr, "* {}", undelivered(&text, "no receipt"));
        }
        for text in self.paste.unsent() {
            failed = true;
            let _ = writeln!(stderr, "* {}", undelivered(&text, "not sent"));
        }
        if let Some(words) = &unread {
            let _ = writeln!(stderr, "* {words}");
        }
        if !end.is_clean() {
            failed = true;
            let _ = writeln!(stderr, "udpctl: {}: {end}", self.label);
        }
        drop(stderr);
        if let End::Unreachable { is_refused, .. } = end {
            (self.options.unanswered)(*is_refused);
        }
        // Of an agent that never answered, nobody expects a receipt.
        let is_failure = failed && self.chat.is_contacted();
        let failed = failed || unread.is_some();
        match (self.interrupted && end.is_clean() && !is_failure, failed) {
            (true, _) => INTERRUPTED,
            (false, true) => FAILED,
            (false, false) => DELIVERED,
        }
    }
}

fn undelivered(text: &str, reason: &str) -> String {
    let text = escape::line(text.as_bytes(), limits::UNDELIVERED_TEXT);
    format!("not delivered ({reason}): {text}")
}
