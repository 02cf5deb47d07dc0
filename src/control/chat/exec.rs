//! `/exec` in a chat: a command on the agent, whose output is shown at this prompt only.
//!
//! A [`RemoteJob`] on a session of its own, driven by the loop of the chat. Not the meaning of outcomes. Invariants: at most
//! one command runs; its output is taken as it comes, so that it never holds up the chat, and a bounded part is shown.

use std::time::Instant;

use super::ChatLoop;
use crate::control::contact::Contact;
use crate::control::exec::{
    Action, Config as JobConfig, Goal, JobRequest, RemoteJob, Report, summary,
};
use crate::control::limits;
use crate::message::{Exec, OsText, Outcome, RequestId};
use crate::net::{self, Clock, Event};
use crate::prompt::exec;
use crate::session;

/// Command that runs.
pub(super) struct Running {
    slot: u32,
    job: RemoteJob,
    shown: exec::Running,
}

impl ChatLoop<'_> {
    /// Runs a command line of the user.
    pub(super) fn exec(&mut self, line: &str) {
        if self.running.is_some() {
            return self.screen.note(exec::BUSY);
        }
        let argv = match exec::argv(line) {
            Ok(argv) => argv,
            Err(words) => return self.screen.note(words),
        };
        let shown = exec::Running::new(&argv[0]);
        let argv = argv
            .iter()
            .map(|word| OsText::from(word.as_str()))
            .collect();
        let mut rng = match net::rng() {
            Ok(rng) => rng,
            Err(error) => return self.screen.note(&format!("/exec: {error}")),
        };
        let slot = self.client.reserve(1);
        let job = RemoteJob::new(JobConfig {
            slot,
            request: JobRequest::Exec(Exec::new(RequestId(rng.bytes()), argv)),
            goal: Goal::Result,
            agent: self.host.agent,
            paths: self.host.paths.clone(),
            ticket: self.host.ticket,
            begun: Clock.now(),
            contact_timeout: self.options.contact_timeout,
            retry_for: limits::RETRY_FOR,
        });
        self.running = Some(Running { slot, job, shown });
        self.proceed();
    }

    /// Passes an event to the command that runs. Returns it if it is not about that.
    pub(super) fn on_event_of_command(&mut self, event: session::Event) -> Option<session::Event> {
        let slot = event.session().map(Contact::slot_of);
        match &mut self.running {
            Some(running) if slot == Some(running.slot) => {
                running.job.on_event(event);
                self.proceed();
                None
            }
            Some(_) | None => Some(event),
        }
    }

    /// Passes on a report that datagrams do not reach the agent. The chat says so.
    pub(super) fn on_command_refused(&mut self, refusal: net::Refusal) {
        if let Some(running) = &mut self.running {
            running.job.on_refused(refusal);
            self.proceed();
        }
    }

    /// Cancels the command that runs, as the user requests.
    pub(super) fn cancel(&mut self) {
        if self.running.is_none() {
            return self.screen.note(exec::NONE);
        }
        self.cancel_because("");
    }

    /// Cancels the command that runs, because the chat is left.
    pub(super) fn cancel_command(&mut self) {
        self.cancel_because(", as the chat is left");
    }

    fn cancel_because(&mut self, reason: &str) {
        if let Some(running) = &mut self.running
            && let Some(words) = running.shown.cancel(reason)
        {
            running.job.cancel();
            self.screen.note(&words);
            self.proceed();
        }
    }

    /// Waits, after the end of the chat, for the end of the command, at most [`limits::CHAT_LEAVE`].
    pub(super) fn await_command(&mut self) {
        self.cancel_command();
        let deadline = Instant::now() + limits::CHAT_LEAVE;
        while self.running.is_some()
            && let Ok(event) = self.client.events().recv_deadline(deadline)
        {
            self.client.taken();
            if let Event::Session(event) = event {
                let _ = self.on_event_of_command(event);
            }
        }
        if let Some(running) = &self.running {
            let (label, id) = (running.shown.label(), running.job.id());
            self.screen
                .note(&format!("{label}: not known to have ended; request {id}"));
        }
    }

    /// Takes the actions of the command that runs.
    fn proceed(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        while let Some(action) = running.job.poll() {
            match action {
                Action::Command(command) => self.client.send(command),
                Action::Learned(ticket) => {
                    self.options.resolver.learn(&self.host.agent, &ticket);
                    self.host.ticket = Some(ticket);
                }
                Action::Output(output, _, data) => {
                    self.show_output(running.shown.push(output, &data));
                    running.job.on_written(output, data.len() as u64);
                }
                Action::Ended(report) => return self.on_command_end(running, &report),
                // The report counts what is missing.
                Action::Gap(..)
                | Action::Answered(_)
                | Action::Accepted { .. }
                | Action::Screen(_)
                | Action::Flush => {}
            }
        }
        self.running = Some(running);
    }

    fn on_command_end(&mut self, mut running: Running, report: &Report) {
        let words = match report.outcome {
            Some(Outcome::Unreachable {}) => summary::words_of_one(report),
            Some(_) | None => summary::words(report, summary::is_open(report)),
        };
        let last = running.shown.end(report, &words);
        self.show_output(last.output);
        for note in last.notes {
            self.screen.note(&note);
        }
    }

    fn show_output(&mut self, lines: Vec<String>) {
        for line in lines {
            if self.screen.show(&line).is_err() {
                self.leaving = true;
                self.chat.leave();
            }
        }
    }
}
