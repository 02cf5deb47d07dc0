//! Changed files of the policy: when they are loaded, and what is recorded of it. And whether SIGHUP means that, or that
//! the terminal was closed.

use rustix::io::Errno;
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::tcgetattr;

use super::watch::Watch;
use super::{Supervisor, limits};
use crate::agent::access::PolicySource as _;
use crate::agent::audit::{Event, Record, key_changes};
use crate::agent::log;
use crate::net::Clock;

impl Supervisor {
    /// Schedules a load of changed files. A file that is being replaced is missing or empty for a moment, which
    /// must revoke no key.
    pub(super) fn check_files(&mut self) {
        if self.watch.as_mut().is_some_and(Watch::has_changed) {
            let settled = Clock.now() + limits::SETTLED;
            self.reload.get_or_insert(settled);
        }
    }

    /// Loads the files of the policy again.
    pub(super) fn reload_policy(&mut self) {
        self.reload = None;
        self.tally.reloads += 1;
        let before = self.policy.policy();
        let errors = self.policy.reload();
        self.enable_controllers();
        let after = self.policy.policy();
        for change in key_changes(&before, &after) {
            log::write_key_change(&change);
            let event = change.change.event();
            self.records
                .send(&Record::of_key(change.key, &change.name, event));
        }
        let keys = after.members().count();
        log::write_reload(keys, errors);
        self.records
            .send(&Record::of_agent(Event::Reloaded { keys, errors }));
        self.send_policy();
    }
}

/// True if a standard stream is a terminal that was hung up.
pub(super) fn is_hung_up() -> bool {
    let (stdin, stdout, stderr) = (stdin(), stdout(), stderr());
    [stdin, stdout, stderr]
        .into_iter()
        .any(|stream| matches!(tcgetattr(stream), Err(Errno::IO)))
}
