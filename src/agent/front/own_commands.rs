//! `/exec` and `/cancel` at the agent's prompt.
//!
//! A command is a job of the key of the agent's own user, requested in a session that no network carries: the policy, the
//! limits and the audit are those of any job of this key, and the supervisor decides about it as about these. Invariants:
//! at most one command is requested at a time; its output is taken as it comes, so that it never holds up sessions and
//! chat, and is shown at this terminal only.

use super::thread::Thread;
use crate::agent::access::{Denied, OwnUser, PolicySource as _, own_address};
use crate::agent::core::is_own;
use crate::agent::own_command::{OwnCommand, ToShow};
use crate::message::report::{Report, words};
use crate::message::{Exec, OsText, Outcome, RequestId};
use crate::net;
use crate::prompt::exec;
use crate::session::{Command, SessionHandle};
use crate::time::Instant;

impl Thread {
    /// Runs a command line of the agent's user.
    pub(super) fn exec(&mut self, now: Instant, line: &str) {
        if !self.own.is_empty() {
            return self.note(exec::BUSY.into());
        }
        let argv = match exec::argv(line) {
            Ok(argv) => argv,
            Err(words) => return self.note(words.into()),
        };
        let id = match net::rng() {
            Ok(mut rng) => RequestId(rng.bytes()),
            Err(error) => return self.note(format!("/exec: {error}")),
        };
        let session = self.next_own_session();
        let policy = self.policy.policy();
        let opened = match policy.own_key() {
            Some(key) => self.service.open_own(now, session, key),
            None => Err(Denied::NotListed),
        };
        if let Err(denied) = opened {
            let reason = reason(policy.own_user(), &denied);
            if let Some(key) = policy.own_key() {
                let denials = self.policy.denials();
                denials.push(now, &policy, &key, own_address(), denied);
            }
            return self.deny(&argv[0], id, reason);
        }
        let words = argv.iter().map(|word| OsText::from(word.as_str()));
        let request = Exec::new(id, words.collect());
        let command = OwnCommand::new(session, &argv[0], request);
        self.own.push(command);
        self.proceed_own(now);
    }

    /// Cancels the command that runs.
    pub(super) fn cancel(&mut self, now: Instant) {
        if self.own.is_empty() {
            return self.note(exec::NONE.into());
        }
        self.own.iter_mut().for_each(OwnCommand::cancel);
        self.proceed_own(now);
    }

    /// Attaches to the commands of an earlier front, if there is a terminal on which they can be shown.
    pub(super) fn restore_own(&mut self, now: Instant) {
        if self.printer.is_none() {
            return;
        }
        for request in self.service.own_requests() {
            let session = self.next_own_session();
            // The command of a key that may not connect is being ended.
            if self.service.open_own(now, session, request.key).is_ok() {
                let command = OwnCommand::attach(session, &request.program, request.id);
                self.own.push(command);
            }
        }
        self.proceed_own(now);
        self.execute_commands();
    }

    /// Shows all output that has come, before another front takes the place of this one.
    pub(super) fn leave_own(&mut self, now: Instant) {
        self.own.iter_mut().for_each(OwnCommand::flush);
        self.proceed_own(now);
    }

    /// Returns the handle of a new session.
    const fn next_own_session(&mut self) -> SessionHandle {
        let session = SessionHandle(self.own_sessions);
        self.own_sessions += 1;
        session
    }

    /// Processes a command of the service for a session of the prompt. Returns it if it is for another session.
    pub(super) fn on_own(&mut self, now: Instant, command: Command) -> Option<Command> {
        let session = command.session();
        if !is_own(session) {
            return Some(command);
        }
        let mut running = self.own.iter_mut();
        if let Some(own) = running.find(|own| own.session() == session) {
            own.on_command(command);
            self.proceed_own(now);
        }
        None
    }

    /// Passes events on to the service, and lines to the terminal.
    fn proceed_own(&mut self, now: Instant) {
        for own in &mut self.own {
            while let Some(event) = own.poll_event() {
                self.service.on_session_event(now, event);
            }
            while let Some(lines) = own.poll_lines() {
                match (&self.printer, lines) {
                    (Some(printer), ToShow::Output(lines)) => printer.output(lines),
                    (Some(printer), ToShow::Note(words)) => printer.note(words),
                    (None, _) => {}
                }
            }
        }
        self.own.retain(|own| !own.is_over());
    }

    /// Says why a command may not run.
    fn deny(&self, program: &str, id: RequestId, reason: String) {
        let mut report = Report::new(id, Some(Outcome::Denied {}));
        report.note = Some(reason);
        let last = exec::Running::new(program).end(&report, &words(&report, false));
        for note in last.notes {
            self.note(note);
        }
    }
}

/// Returns the reason why the controller of the agent's user is denied.
fn reason(own_user: &OwnUser, denied: &Denied) -> String {
    match own_user {
        OwnUser::Admitted | OwnUser::Listed => denied.to_string(),
        OwnUser::NoKey
        | OwnUser::KeyUnusable(_)
        | OwnUser::KeysUnusable(_)
        | OwnUser::UnknownKey(..) => {
            format!("the controller of the agent's user is {own_user}")
        }
    }
}
