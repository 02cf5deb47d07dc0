//! A member of an agent's chat above an endpoint, which says lines at given times.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use udpagent::control::chat_client::{Action, ChatClient, Config, End, Purpose};
use udpagent::control::contact::Contact;
use udpagent::message::{Reply, RequestId};
use udpagent::session::{Command, Event, Path};
use udpagent::time::Instant;

use super::agent::WholeAgent;
use crate::contract::session_of;
use crate::host::App;
use crate::invariants::Role;
use crate::network::HostId;
use crate::simulation::Simulation;

/// The only chat of its host.
const SLOT: u32 = 1;

/// The application of its host.
#[derive(Default)]
pub struct Talker {
    chat: Option<ChatClient>,
    /// Lines to say, with their times by the clock of the host.
    planned: VecDeque<(Instant, String)>,
    /// Texts of others, in the order in which they were heard.
    pub heard: Vec<String>,
    /// Names of other members that came or left, in their order.
    pub came_and_left: Vec<String>,
    /// Own name at each time that the agent took it as a member.
    pub names: Vec<String>,
    /// Messages that the agent has reported as missing.
    pub missed: u64,
    /// Number of messages with a receipt.
    pub delivered: u64,
    /// End of the chat.
    pub end: Option<End>,
}

/// A whole member of a chat in the simulation.
#[derive(Clone)]
pub struct WholeMember {
    /// Its host.
    pub host: HostId,
    /// Its application.
    pub app: Rc<RefCell<Talker>>,
}

impl WholeMember {
    /// Adds a controller that joins the chat of an agent. A person sits before it if `is_attended`.
    pub fn new(sim: &mut Simulation, agent: &WholeAgent, is_attended: bool) -> Self {
        let app = Rc::new(RefCell::new(Talker::default()));
        let (host, ..) = sim.add_host(Role::Controller, Box::new(Rc::clone(&app)));
        let path = |remote: &std::net::SocketAddr| Path {
            socket: 0,
            local: None,
            remote: (*remote).into(),
        };
        let chat = ChatClient::new(Config {
            slot: SLOT,
            purpose: Purpose::Chat {
                id: RequestId((1 + host.0 as u128).to_be_bytes()),
                name: None,
                history: 0,
                room: None,
            },
            agent: agent.key,
            paths: agent.addresses.iter().map(path).collect(),
            ticket: None,
            contact_timeout: Duration::from_secs(30),
            is_attended,
        });
        let mut out = Vec::new();
        app.borrow_mut().chat = Some(chat);
        app.borrow_mut().act(&mut out);
        sim.act(host, out);
        Self { host, app }
    }

    /// Plans to say a line after a time.
    pub fn plan(&self, sim: &mut Simulation, after: Duration, text: &str) {
        let at = sim.local(self.host) + after;
        let mut app = self.app.borrow_mut();
        app.planned.push_back((at, text.to_owned()));
        drop(app);
        sim.act(self.host, Vec::new());
    }
}

impl Talker {
    /// Returns true once the agent has taken it as a member.
    pub fn is_member(&self) -> bool {
        !self.names.is_empty()
    }

    fn act(&mut self, out: &mut Vec<Command>) {
        let chat = self.chat.as_mut().expect("created with its host");
        while let Some(action) = chat.poll() {
            match action {
                Action::Command(command) => out.push(command),
                Action::Heard(Reply::Joined { name, .. }) => self.names.push(name),
                Action::Heard(Reply::Said { text, .. }) => self.heard.push(text),
                Action::Heard(Reply::Came { name, .. } | Reply::Left { name, .. }) => {
                    self.came_and_left.push(name);
                }
                Action::Heard(Reply::Missed { messages }) => self.missed += messages,
                Action::Delivered { .. } => self.delivered += 1,
                Action::Refused { text, reason, .. } => panic!("{text}: {reason}"),
                Action::Ended(end) => self.end = Some(end),
                Action::Heard(_)
                | Action::Learned(_)
                | Action::Drained
                | Action::Silent { .. }
                | Action::Back => {}
            }
        }
    }
}

impl App for Rc<RefCell<Talker>> {
    fn on_event(&mut self, _: Instant, event: Event, out: &mut Vec<Command>) {
        if session_of(&event).map(Contact::slot_of) != Some(SLOT) {
            return;
        }
        let mut app = self.borrow_mut();
        let chat = app.chat.as_mut().expect("created with its host");
        chat.on_event(event);
        app.act(out);
    }

    fn on_time(&mut self, now: Instant, out: &mut Vec<Command>) {
        let mut app = self.borrow_mut();
        while app.planned.front().is_some_and(|(at, _)| *at <= now) {
            let (_, text) = app.planned.pop_front().expect("just seen");
            let chat = app.chat.as_mut().expect("created with its host");
            chat.say(text).expect("a short line");
        }
        app.act(out);
    }

    fn next_time(&self) -> Option<Instant> {
        let app = self.borrow();
        app.planned.front().map(|(at, _)| *at)
    }
}
