//! How a chat's sessions come and go: addresses, a long sleep, an agent that is away.

use std::cmp::Ordering;
use std::time::Duration;

use super::{Action, ChatClient, End, Purpose, State, Wish};
use crate::control::limits;
use crate::message::{Lines, Request, to_line};
use crate::session::{Closed, Command, Connect};

impl ChatClient {
    /// Tries the next address.
    pub(super) fn connect(&mut self) {
        let path = self.config.paths[usize::from(self.attempts) % self.config.paths.len()];
        let timeout = self.connect_timeout();
        self.attempts += 1;
        self.lines = Lines::default();
        let first = match &self.config.purpose {
            Purpose::Chat { name } => Request::Chat { name: name.clone() },
            Purpose::Send { text } => Request::Say {
                number: 0,
                text: text.clone(),
            },
        };
        self.command(Command::Connect(Connect {
            session: self.session(),
            agent: self.config.agent,
            path,
            ticket: self.config.ticket,
            invite: None,
            first: to_line(&first).into(),
            timeout,
        }));
        // What was said while another address was tried.
        if matches!(self.config.purpose, Purpose::Chat { .. }) {
            let said: Vec<_> = self.unacknowledged.iter().cloned().collect();
            for (number, text) in said {
                self.write(&Request::Say { number, text });
            }
        }
    }

    /// Every address gets a short try, the last one half of the time, then the others what is left.
    fn connect_timeout(&self) -> Duration {
        let total = self.config.contact_timeout;
        let others = u32::try_from(self.config.paths.len() - 1).unwrap_or(u32::MAX);
        match u32::from(self.attempts).cmp(&others) {
            _ if others == 0 || self.rejoins.is_some() => total,
            Ordering::Less => limits::NEXT_ADDRESS,
            Ordering::Equal => total / 2,
            Ordering::Greater => total / 2 / others,
        }
    }

    pub(super) fn on_closed(&mut self, reason: Closed) {
        match reason {
            Closed::Lost | Closed::Unreachable if self.may_rejoin() => self.rejoin(),
            Closed::Unreachable if self.rejoins.is_some() => self.finish(End::Lost),
            // Each address but the last is tried twice, see connect_timeout().
            Closed::Unreachable if usize::from(self.attempts) < 2 * self.config.paths.len() - 1 => {
                self.connect();
            }
            reason => {
                let end = End::of(reason);
                self.finish(end);
            }
        }
    }

    /// Whether the agent has once let us into a chat, and it is worth to ask it again.
    fn may_rejoin(&self) -> bool {
        let been_there = self.joined || self.rejoins.is_some();
        let rejoins = self.rejoins.filter(|_| !self.joined).unwrap_or(0);
        been_there
            && self.wish == Wish::ChatClient
            && rejoins < limits::REJOINS
            && self.attempts < u16::MAX
    }

    fn rejoin(&mut self) {
        if self.joined {
            self.actions.push_back(Action::Silent);
            self.rejoins = None;
        }
        self.rejoins = Some(self.rejoins.map_or(1, |rejoins| rejoins + 1));
        self.state = State::Contacting;
        self.joined = false;
        self.connect();
    }
}
