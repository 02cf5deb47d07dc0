//! The end of the agent: of its front, of the process trees that are left, and of its records.
//!
//! Not the end of one job. Invariant: it takes a bounded time.

use super::{Phase, Run};
use crate::agent::audit::Record;
use crate::agent::ipc::ToFront;
use crate::agent::jobs::{Force, JobId};
use crate::agent::log;
use crate::agent::supervisor::front_process::FrontProcess;
use crate::agent::supervisor::{Supervisor, limits};
use crate::message::Cause;
use crate::net::Clock;
use crate::time::Instant;

impl Run {
    /// Starts the shutdown.
    pub(super) fn shut_down(&mut self, now: Instant) {
        if self.phase != Phase::Working {
            return;
        }
        self.replacement = None;
        self.supervisor.close_store(now);
        self.phase = Phase::Ending(now + limits::FRONT_ENDS);
        self.supervisor.closed = true;
        if self.supervisor.front.is_some() {
            self.supervisor.send(&ToFront::ShutDown);
        } else {
            self.on_front_lost(now);
        }
    }

    /// Kills what is left after the front has ended.
    pub(super) fn end_trees(&mut self, now: Instant) {
        if matches!(self.phase, Phase::LastTrees(_)) {
            return;
        }
        self.replacement = None;
        self.phase = Phase::LastTrees(now + limits::LAST_TREES);
        self.supervisor.closed = true;
        if let Some(process) = &mut self.process {
            process.end_bot(now);
        }
        let left = self.supervisor.table.iter();
        let left = left.filter(|(_, job)| job.child.is_some());
        let left: Vec<JobId> = left.map(|(id, _)| id).collect();
        for id in left {
            self.supervisor.end(now, id, Cause::Shutdown, Force::Kill);
        }
    }

    /// True if the front has ended and no process tree is left, or the time for them is over.
    pub(super) fn has_ended(&self) -> bool {
        let has_no_bot = || self.process.as_ref().is_none_or(FrontProcess::has_no_bot);
        match self.phase {
            Phase::Working | Phase::Ending(_) => false,
            Phase::LastTrees(at) => {
                self.supervisor.endings.is_empty() && has_no_bot() || at <= Clock.now()
            }
        }
    }
}

impl Supervisor {
    /// Records the end of the agent, after that of its commands.
    pub(super) fn record_end_of_agent(&mut self) {
        self.finish_chat_history(Clock.now());
        self.terminal.typed.finish();
        self.terminal.report_unsent();
        let counts = self.records.counts;
        log::write_end(counts);
        self.records.send(&Record::of_agent(counts.event()));
        self.records.finish();
        if let Some(cgroups) = &mut self.cgroups {
            cgroups.close();
        }
        if let Some(guard) = &mut self.guard {
            guard.end();
        }
    }
}
