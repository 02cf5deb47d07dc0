//! `/exec` in a chat: a command on the agent, whose output is shown at this prompt only.
//!
//! A [`RemoteJob`] on a session of its own, driven by the loop of the chat. Not the meaning of outcomes. Invariants: at most
//! one command runs; its output is taken as it comes, so that it never holds up the chat, and a bounded part is shown.

use std::time::Instant;

use super::ChatLoop;
use super::output_lines::OutputLines;
use crate::control::contact::Contact;
use crate::control::exec::{
    Action, Config as JobConfig, Goal, JobRequest, Output, RemoteJob, Report, summary,
};
use crate::control::limits;
use crate::escape;
use crate::message::limits::NAME;
use crate::message::{Exec, OsText, Outcome, RequestId};
use crate::net::{self, Clock, Event};
use crate::session;

/// Precedes each line of output: no name of a member contains a space.
const MARK: &str = "| ";

/// Command that runs.
pub(super) struct Running {
    slot: u32,
    job: RemoteJob,
    /// Its first word, escaped.
    program: String,
    output: OutputLines,
    /// True once it was canceled.
    is_canceled: bool,
}

impl ChatLoop<'_> {
    /// Runs a command line of the user.
    pub(super) fn exec(&mut self, line: &str) {
        if self.running.is_some() {
            let words = "a command is running; /exec again when it has ended, or /cancel it";
            return self.screen.note(words);
        }
        let Some(argv) = shlex::split(line) else {
            let words = "/exec: a quote is not closed, or nothing follows a backslash; not run";
            return self.screen.note(words);
        };
        let Some(program) = argv.first() else {
            let words = "/exec needs a command behind it, as in /exec uptime";
            return self.screen.note(words);
        };
        let program = escape::line(program.as_bytes(), NAME).into_owned();
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
        self.running = Some(Running {
            slot,
            job,
            program,
            output: OutputLines::default(),
            is_canceled: false,
        });
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
            return self.screen.note("no command of /exec is running");
        }
        self.cancel_because("");
    }

    /// Cancels the command that runs, because the chat is left.
    pub(super) fn cancel_command(&mut self) {
        self.cancel_because(", as the chat is left");
    }

    fn cancel_because(&mut self, reason: &str) {
        if let Some(running) = &mut self.running
            && !std::mem::replace(&mut running.is_canceled, true)
        {
            running.job.cancel();
            let words = format!("/exec {}: canceling{reason}", running.program);
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
            let (program, id) = (&running.program, running.job.id());
            self.screen.note(&format!(
                "/exec {program}: not known to have ended; request {id}"
            ));
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
                    self.show_output(running.output.push(output, &data));
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
        for output in Output::ALL {
            self.show_output(running.output.finish(output));
        }
        let hidden = running.output.hidden();
        if hidden > 0 {
            self.screen
                .note(&format!("{hidden} further bytes of output are not shown"));
        }
        let program = format!("/exec {}", running.program);
        let words = match report.outcome {
            Some(Outcome::Unreachable {}) => summary::words_of_one(report),
            Some(_) | None => summary::words(report, summary::is_open(report)),
        };
        self.screen.note(&format!("{program}: {words}"));
        for notice in summary::notices(&program, report) {
            self.screen.note(&notice);
        }
    }

    fn show_output(&mut self, lines: Vec<Vec<u8>>) {
        for line in lines {
            let line = escape::message(&line, limits::CHAT_OUTPUT_LINE);
            if self.screen.show(&format!("{MARK}{line}")).is_err() {
                self.leaving = true;
                self.chat.leave();
            }
        }
    }
}
