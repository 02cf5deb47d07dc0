//! `udpctl send`: one message to one agent or many, with a receipt from each.
//!
//! A loop over at most [`limits::WINDOW`] [`ChatClient`]s at a time. Invariant: every host gets exactly one receipt, and
//! silence never counts as delivery.

use std::collections::{HashMap, VecDeque};

use crossbeam_channel::{Receiver, after, never, select};

use super::chat_client::{Action, ChatClient, Config, End, Purpose};
use super::client::Client;
use super::contact::{Contact, Reporters};
use super::host_resolver::{Host, HostResolver};
use super::limits;
use crate::crypto::PublicKey;
use crate::message::RoomName;
use crate::net::{Event, Refusal};

/// Settings of a transmission.
pub struct Options<'a> {
    /// Time after which an agent that does not answer is given up.
    pub contact_timeout: std::time::Duration,
    /// Room, which must exist; `None` is the default room.
    pub room: Option<&'a RoomName>,
    /// Signals that end the transmission.
    pub signals: &'a Receiver<i32>,
    /// Store of the agents' tickets.
    pub resolver: &'a HostResolver,
    /// Takes news about a host, by its label, that do not wait for its receipt.
    pub note: fn(label: &str, words: &str),
    /// True if a person waits at a terminal, who is told of a silence of [`limits::SILENCE_NOTED`].
    pub is_watched: bool,
}

/// Result for one host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The target as the user typed it.
    pub label: String,
    /// Number of members of the chat that the agent has passed the message on to, or the reason why it is not known.
    pub delivered: Result<u32, End>,
}

/// End of a transmission by a signal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interrupted {
    /// The signal.
    pub signal: i32,
    /// Labels of the hosts that were not contacted. They get no receipt.
    pub skipped: Vec<String>,
}

/// Sends `text` to all hosts and passes each receipt to `on_receipt` as it arrives. Contacted hosts without a receipt when
/// a signal arrives get [`End::Left`].
pub fn send(
    client: &Client,
    hosts: Vec<Host>,
    text: &str,
    options: &Options<'_>,
    mut on_receipt: impl FnMut(Receipt),
) -> Option<Interrupted> {
    let mut interrupted = None;
    let mut noted = if options.is_watched {
        after(limits::SILENCE_NOTED)
    } else {
        never()
    };
    let mut reporters = Reporters::default();
    for host in &hosts {
        reporters.add(&host.paths);
    }
    let mut transmission = Transmission {
        reporters: (hosts.len() > 1).then_some(reporters),
        client,
        text,
        options,
        waiting: (0..).zip(hosts).collect(),
        pending: HashMap::new(),
        receipts: Vec::new(),
    };
    loop {
        transmission.start();
        transmission.receipts.drain(..).for_each(&mut on_receipt);
        if transmission.pending.is_empty() && transmission.waiting.is_empty() {
            return interrupted;
        }
        select! {
            recv(client.events()) -> event => match event {
                Ok(Event::Session(event)) => {
                    client.taken();
                    transmission.on_event(event);
                }
                Ok(Event::Refused(refusal)) => {
                    client.taken();
                    transmission.on_refused(refusal);
                }
                Ok(Event::Failed { .. }
                    | Event::Plain { .. }
                    | Event::Suppressed { .. }
                    | Event::Counted { .. }) => {
                    client.taken();
                }
                Err(_) => transmission.fail(),
            },
            recv(noted) -> _ => {
                noted = never();
                transmission.note_silence();
            }
            recv(options.signals) -> signal => {
                let skipped = transmission.leave();
                if let Ok(signal) = signal {
                    interrupted.get_or_insert(Interrupted { signal, skipped });
                }
            }
        }
    }
}

struct Transmission<'a> {
    /// Addresses of several hosts; the only one is what every report is about.
    reporters: Option<Reporters>,
    client: &'a Client,
    text: &'a str,
    options: &'a Options<'a>,
    waiting: VecDeque<(u32, Host)>,
    pending: HashMap<u32, Pending>,
    receipts: Vec<Receipt>,
}

struct Pending {
    chat: ChatClient,
    label: String,
    agent: PublicKey,
    members: Option<u32>,
}

impl Transmission<'_> {
    fn start(&mut self) {
        while self.pending.len() < limits::WINDOW {
            let Some((slot, host)) = self.waiting.pop_front() else {
                return;
            };
            let chat = ChatClient::new(Config {
                slot,
                purpose: Purpose::Send {
                    room: self.options.room.cloned(),
                    text: self.text.to_owned(),
                },
                agent: host.agent,
                paths: host.paths,
                ticket: host.ticket,
                contact_timeout: self.options.contact_timeout,
                is_attended: false,
            });
            let pending = Pending {
                chat,
                label: host.label,
                agent: host.agent,
                members: None,
            };
            self.pending.insert(slot, pending);
            self.act(slot);
        }
    }

    fn on_event(&mut self, event: crate::session::Event) {
        let Some(session) = event.session() else {
            return;
        };
        let slot = Contact::slot_of(session);
        if let Some(pending) = self.pending.get_mut(&slot) {
            pending.chat.on_event(event);
            self.act(slot);
        }
    }

    fn note_silence(&self) {
        for pending in self.pending.values() {
            if let Some(words) = pending.chat.waiting() {
                (self.options.note)(&pending.label, &words);
            }
        }
    }

    /// Says that the only host is not reached; of several, the end of each says so.
    fn on_refused(&mut self, refusal: Refusal) {
        if let Some(reporters) = &self.reporters {
            if reporters.is_of_one(refusal) {
                for pending in self.pending.values_mut() {
                    pending.chat.on_refused_among(refusal);
                }
            }
            return;
        }
        for pending in self.pending.values_mut() {
            if let Some(words) = pending.chat.on_refused(refusal) {
                (self.options.note)(&pending.label, &words);
            }
        }
    }

    fn act(&mut self, slot: u32) {
        let Some(pending) = self.pending.get_mut(&slot) else {
            return;
        };
        while let Some(action) = pending.chat.poll() {
            match action {
                Action::Command(command) => self.client.send(command),
                Action::Learned(ticket) => self.options.resolver.learn(&pending.agent, &ticket),
                Action::Delivered { members, .. } => pending.members = Some(members),
                Action::Ended(end) => {
                    let pending = self.pending.remove(&slot).expect("found above");
                    self.receipts.push(Receipt {
                        label: pending.label,
                        delivered: pending.members.ok_or(end),
                    });
                    return;
                }
                Action::Heard(_)
                | Action::Refused { .. }
                | Action::Drained
                | Action::Silent { .. }
                | Action::Back => {}
            }
        }
    }

    /// Ends the transmission. Returns the labels of the hosts that were not contacted.
    fn leave(&mut self) -> Vec<String> {
        let slots: Vec<u32> = self.pending.keys().copied().collect();
        for slot in slots {
            if let Some(pending) = self.pending.get_mut(&slot) {
                pending.chat.leave_now();
            }
            self.act(slot);
        }
        self.waiting.drain(..).map(|(_, host)| host.label).collect()
    }

    /// Ends the transmission without a network.
    fn fail(&mut self) {
        let lost = self.leave().into_iter().map(|label| Receipt {
            label,
            delivered: Err(End::Lost),
        });
        self.receipts.extend(lost);
    }
}
