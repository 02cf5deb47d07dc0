//! Ends of a run before all its hosts are done: signals, a user who leaves, rules that stop it.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::super::JobRequest;
use super::super::plan::Interruption;
use super::super::tally;
use super::Run;
use crate::control::fleet::Stop;
use crate::control::journal::State;
use crate::control::limits;
use crate::message::{Fate, OnDisconnect};

impl Run<'_> {
    /// Handles a signal. Returns true if the run has to end at once.
    pub(super) fn on_signal(&mut self, signal: i32) -> bool {
        match Signal::from_named_raw(signal) {
            Some(Signal::WINCH) => {
                self.on_window();
                return false;
            }
            Some(Signal::TSTP) => {
                self.suspend();
                return false;
            }
            Some(Signal::CONT) => {
                self.resume();
                return false;
            }
            _ => {}
        }
        if self.settings.forward.contains(&signal) && self.active > 0 {
            for index in 0..self.running.len() {
                if let Some(running) = &mut self.running[index] {
                    running.job.signal(signal);
                    self.ready.insert(index);
                }
            }
            return false;
        }
        // A terminal has to be restored at once.
        let is_dismissed = signal == Signal::USR1.as_raw() && self.terminal.console.is_none();
        let is_canceled = match Signal::from_named_raw(signal) {
            Some(Signal::INT | Signal::TERM) => true,
            Some(Signal::HUP) => !self.has_kept(),
            Some(Signal::USR1) => is_dismissed,
            _ => false,
        };
        if self.finish.interruption.is_none() && is_canceled {
            self.quiet |= is_dismissed;
            let words = self.words_of_interruption();
            self.say(&words);
            self.interrupt(Interruption::Signal(signal));
            if !self.is_fleet() {
                self.give_up_unanswered();
            }
            return false;
        }
        self.leave(Interruption::Signal(signal));
        true
    }

    fn words_of_interruption(&self) -> String {
        const AGAIN: &str = "press Ctrl-C again to leave at once";
        if self.active == 0 {
            // Output may still have to be written.
            return match self.schedule.waiting().count() {
                0 => format!("no host is running; {AGAIN}"),
                waiting => format!("no host is running, {waiting} not begun; {AGAIN}"),
            };
        }
        if self.is_fleet() {
            let pending = tally::names(&self.pending());
            return format!("canceling; {AGAIN}; pending: {pending}");
        }
        // Without an answer, the run of one host ends now.
        let mut running = self.running.iter().flatten();
        match running.find(|running| !running.job.is_answered()) {
            Some(running) if running.job.may_be_there() => {
                "no agent has answered yet; the request was sent, and may still be accepted"
                    .to_owned()
            }
            Some(_) => "no agent has answered yet".to_owned(),
            None => format!("canceling; {AGAIN}"),
        }
    }

    /// Ends the jobs of agents that have never answered: there is nothing to cancel, and nobody to wait for.
    fn give_up_unanswered(&mut self) {
        for index in 0..self.running.len() {
            if let Some(job) = self.job(index) {
                job.give_up_unanswered();
                self.ready.insert(index);
            }
        }
    }

    /// Returns the names of the hosts in progress.
    pub(super) fn pending(&self) -> Vec<String> {
        let running = std::iter::zip(&self.tasks, &self.running);
        let pending = running.filter(|(_, running)| running.is_some());
        pending.map(|(task, _)| task.label.clone()).collect()
    }

    /// Begins no further host, and cancels those in progress.
    pub(super) fn interrupt(&mut self, interruption: Interruption) {
        self.finish.interruption.get_or_insert(interruption);
        self.schedule.stop(Stop::Interrupted);
        self.cancel_all();
    }

    pub(super) fn cancel_all(&mut self) {
        for index in 0..self.running.len() {
            if let Some(job) = self.job(index) {
                job.cancel();
                self.ready.insert(index);
            }
        }
    }

    /// Ends the run at once and names the commands that may still run. Writes to stderr directly: the queue may be
    /// held up by a stopped terminal.
    pub(super) fn leave(&mut self, interruption: Interruption) {
        let has_terminal = self.terminal.console.is_some();
        self.restore_now();
        self.schedule.stop(Stop::Interrupted);
        self.conclude();
        self.drain(limits::LEAVE);
        let mut left = Vec::new();
        for index in 0..self.running.len() {
            let Some(running) = self.running[index].take() else {
                continue;
            };
            if !running.job.may_be_there() && self.attempts[index].0 == 0 {
                self.write_state(index, State::Void);
            }
            self.fates[index] = Some(Fate::Left);
            let label = &self.tasks[index].label;
            let id = running.job.id();
            if self.is_fleet() {
                left.push(label.clone());
            } else if has_terminal {
                let way_back = self.way_back(index);
                let words = match end_of_left(&self.tasks[index].request, running.is_kept) {
                    None => format!("left, and it goes on; {way_back}"),
                    Some(end) => format!("left; {way_back} while it runs{end}"),
                };
                self.say_now(&format!("{label}: {words}"));
            } else {
                self.say_now(&format!(
                    "{label}: left, and it may still run; request {id}"
                ));
            }
        }
        if !left.is_empty() {
            self.say_now(&format!(
                "left, and may still run; \"udpctl attach --run last\" comes back to them: {}",
                tally::names(&left)
            ));
        }
        self.finish.interruption = Some(interruption);
    }

    /// Returns the words about the command line that comes back to a task.
    pub(super) fn way_back(&self, index: usize) -> String {
        let task = &self.tasks[index];
        let (line, id) = (self.settings.way_back, task.request.id());
        format!("\"{line} {} {id}\" comes back to it", task.label)
    }

    /// Writes what is queued, for a limited time.
    pub(super) fn drain(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        for stream in &mut self.streams {
            stream.drain(deadline);
        }
    }
}

/// Returns what ends a command that was left, in words; `None` if nothing does.
fn end_of_left(request: &JobRequest, is_kept: bool) -> Option<String> {
    match request {
        JobRequest::Exec(exec) => match exec.on_disconnect {
            OnDisconnect::Keep => None,
            OnDisconnect::Kill => {
                let lease = exec.lease_ms.map(Duration::from_millis);
                let lease = lease.unwrap_or(limits::RETRY_FOR);
                Some(format!(", at most {lease:?} from now on"))
            }
        },
        JobRequest::Attach { .. } => {
            (!is_kept).then(|| ", for its lease from now on at most".to_owned())
        }
    }
}
