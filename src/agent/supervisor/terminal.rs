//! The agent's terminal while the front has a prompt on it: its mode, and Ctrl-C.
//!
//! Not what is typed, which the front reads. Invariants: the mode from before a front is in force again when that front is
//! gone, whatever has ended it; a second Ctrl-C soon after the first does not depend on the front.

use rustix::stdio::stdin;
use rustix::termios::{
    InputModes, LocalModes, OutputModes, QueueSelector, Termios, tcflush, tcgetattr,
};

use super::typed_lines::TypedLines;
use super::{Supervisor, limits};
use crate::agent::ipc::{ToFront, TypedBefore};
use crate::agent::switch::Switch;
use crate::prompt::unsent::Unsent;
use crate::saved_mode;
use crate::time::Instant;

/// State of the terminal.
#[derive(Default)]
pub(super) struct Terminal {
    /// Mode from before the present front.
    before: Option<Termios>,
    /// True while the front has a prompt.
    has_prompt: bool,
    /// On while the front, without a prompt, holds lines that its user is asked about.
    lines_asked: Switch,
    /// True if the user has left the prompt and the agent goes on.
    is_left: bool,
    /// True if the user was asked because of Ctrl-C, and has not answered.
    is_asked: bool,
    /// Time of the last Ctrl-C.
    interrupted: Option<Instant>,
    pardon: Pardon,
    /// Lines typed at the prompt.
    pub(super) typed: TypedLines,
    /// Input of the front that has ended, until the next one serves.
    left: Left,
}

/// Exception for a Ctrl-C that has discarded a line.
#[derive(Clone, Copy, Default, Debug)]
struct Pardon {
    /// True if the last one has.
    is_given: bool,
    /// Number of them in quick succession.
    given: u32,
}

/// Remains of the input of a front that it has not processed.
#[derive(Default)]
enum Left {
    /// There is none, or it had no prompt.
    #[default]
    Nothing,
    /// It has handed this over.
    Unsent(Unsent),
    /// It has ended without that.
    Lost,
}

impl Terminal {
    /// Returns on if a front may open a prompt.
    pub(super) fn prompt(&self) -> Switch {
        Switch::from(!self.is_left)
    }

    /// Returns true while the front has a prompt.
    pub(super) const fn has_prompt(&self) -> bool {
        self.has_prompt
    }

    /// Keeps the mode before a front is started. In the background the terminal has the mode of another program, as of a shell
    /// that edits a line: the one from before an earlier front is kept then, or else one with what every program expects.
    pub(super) fn keep_mode(&mut self) {
        let mode = tcgetattr(stdin()).ok();
        self.before = match self.before.take() {
            kept @ Some(_) if mode.is_some() && saved_mode::is_in_background() => kept,
            _ if saved_mode::is_in_background() => mode.map(cooked),
            _ => mode,
        };
    }

    /// Notes that the front has a prompt, or that its user has left it. A prompt without a terminal, or of a front that was
    /// to open none, is ignored.
    pub(super) fn on_prompt(&mut self, prompt: Switch) {
        let is_possible = self.before.is_some() && !self.is_left;
        self.is_asked = false;
        self.has_prompt = prompt == Switch::On && is_possible;
        self.is_left |= prompt == Switch::Off;
        saved_mode::set(self.before.clone().filter(|_| self.has_prompt));
    }

    /// Notes that a front without a prompt holds lines that its user is asked about, or does not any more.
    pub(super) fn on_lines_asked(&mut self, asked: Switch) {
        self.lines_asked = Switch::from(asked == Switch::On && self.before.is_some());
    }

    /// Notes that the user was asked, and that the agent goes on.
    pub(super) const fn on_stays(&mut self) {
        self.is_asked = false;
    }

    /// Notes Ctrl-C. Returns true if it is a second one: the first one has no answer, or came just before, whatever the
    /// front has said since, unless that has discarded a line, and so once.
    fn is_second_interrupt(&mut self, now: Instant) -> bool {
        let is_asked = std::mem::replace(&mut self.is_asked, true);
        let before = self.interrupted.replace(now);
        let is_soon = before.is_some_and(|before| now.since(before) <= limits::SECOND_INTERRUPT);
        let is_pardoned = std::mem::take(&mut self.pardon.is_given);
        if !is_soon {
            self.pardon.given = 0;
        }
        is_asked || is_soon && !is_pardoned
    }

    /// Notes that the last Ctrl-C has discarded a line, so that the next one is no second one. Of many in quick succession
    /// only the first ones are believed: a front cannot keep the agent from being ended.
    pub(super) fn on_discarded(&mut self) {
        self.is_asked = false;
        if self.pardon.given < limits::DISCARDS {
            self.pardon.given += 1;
            self.pardon.is_given = true;
        }
    }

    /// Drops what was typed after the user had left the prompt, when nothing read it: the next prompt is not to say it.
    pub(super) fn forget_unread(&self) {
        if self.is_left && !saved_mode::is_in_background() {
            let _ = tcflush(stdin(), QueueSelector::IFlush);
        }
    }

    /// Keeps what was typed at the terminal of a front that ends, with a prompt or without one.
    pub(super) fn on_unsent(&mut self, unsent: Unsent) {
        let may_read = self.has_prompt || self.before.is_some() && !self.is_left;
        if may_read && unsent.is_bounded() {
            self.left = Left::Unsent(unsent.without_controls());
        }
    }

    /// Returns what the next front needs of what was typed.
    pub(super) fn typed_before(&self) -> TypedBefore {
        TypedBefore {
            lines: self.typed.all(),
            unsent: self.unsent().cloned().unwrap_or_default(),
            is_draft_lost: self.is_draft_lost(),
        }
    }

    /// Returns what was typed and not processed, while no front has taken it.
    pub(super) const fn unsent(&self) -> Option<&Unsent> {
        match &self.left {
            Left::Unsent(unsent) => Some(unsent),
            Left::Nothing | Left::Lost => None,
        }
    }

    /// Returns true if a front has ended with what was typed at its prompt, and none has served since.
    pub(super) const fn is_draft_lost(&self) -> bool {
        matches!(self.left, Left::Lost)
    }

    /// Restores what was typed from the state of an earlier program.
    pub(super) fn restore_unsent(&mut self, unsent: Option<Unsent>, is_draft_lost: bool) {
        self.left = match unsent {
            Some(unsent) => Left::Unsent(unsent.without_controls()),
            None if is_draft_lost => Left::Lost,
            None => Left::Nothing,
        };
    }

    /// Forgets what was typed, which a front has taken.
    pub(super) fn on_serving(&mut self) {
        self.left = Left::Nothing;
    }

    /// Notes the end of a front. If it has kept nothing of its prompt or of the lines that it held for the next one, the beginning
    /// of a line or the lines are lost: what is typed and not read is dropped, so that the rest or the answer is not said as a
    /// line.
    pub(super) fn on_front_lost(&mut self) {
        let holds_lines = std::mem::take(&mut self.lines_asked) == Switch::On;
        if (self.has_prompt || holds_lines) && self.unsent().is_none() {
            self.left = Left::Lost;
            if !saved_mode::is_in_background() {
                let _ = tcflush(stdin(), QueueSelector::IFlush);
            }
        }
    }

    /// Logs what was typed and nothing has processed.
    pub(super) fn report_unsent(&self) {
        if let Some(unsent) = self.unsent().filter(|unsent| !unsent.is_empty()) {
            let words = unsent.words();
            tracing::warn!("not sent, as the agent ends: what was typed at its terminal: {words}");
        }
    }

    /// Restores the mode after the end of a front.
    pub(super) fn restore(&mut self) {
        if std::mem::take(&mut self.has_prompt) {
            saved_mode::restore();
            saved_mode::set(None);
        }
        self.is_asked = false;
    }
}

/// Returns a mode with lines, echo and keys of signals.
fn cooked(mut mode: Termios) -> Termios {
    mode.local_modes |=
        LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN | LocalModes::ISIG;
    mode.input_modes |= InputModes::ICRNL;
    mode.output_modes |= OutputModes::OPOST | OutputModes::ONLCR;
    mode
}

impl Supervisor {
    /// Lets the front decide about Ctrl-C: it discards a line, asks about running commands, or orders the end. Returns false if
    /// there is no prompt, or it is the second Ctrl-C: the agent must end.
    pub(super) fn asks_at_prompt(&mut self, now: Instant) -> bool {
        if !self.terminal.has_prompt || self.front.is_none() {
            return false;
        }
        // The signal is from kill(1), and the question would not be seen.
        if saved_mode::is_in_background() {
            return false;
        }
        if self.terminal.is_second_interrupt(now) {
            return false;
        }
        self.send(&ToFront::Interrupted);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::agent::access::{Controller, own_address};
    use crate::agent::jobs::{Program, Spec, Start};
    use crate::agent::supervisor::refusals::request_of;
    use crate::agent::supervisor::{Config, Trust};
    use crate::crypto::PublicKey;
    use crate::message::RequestId;
    use crate::process::{CgroupLimits, CgroupParent};

    const KEY: PublicKey = PublicKey([1; 32]);

    fn supervisor() -> Supervisor {
        let config = Config {
            trust: Trust::Keys(vec![KEY]),
            exec: Switch::On,
            max_jobs: 1,
            max_output: None,
            resources: Vec::new(),
            replay_log: None,
            audit: None,
            log: None,
            guard: None,
            takes_over: false,
            recorder: None,
            cgroup_limits: CgroupLimits::default(),
            cgroup_parent: CgroupParent::Off,
            mark: 1,
            epoch: 1,
        };
        Supervisor::new(config).unwrap()
    }

    #[test]
    fn a_front_without_a_prompt_starts_no_command_as_typed_at_the_prompt() {
        let mut supervisor = supervisor();
        let user = supervisor.policy.account().name.clone();
        let mut start = Start {
            request: RequestId([1; 16]),
            digest: [0; 8],
            owner: Controller {
                key: KEY,
                name: Some("ann".into()),
                remote: std::net::SocketAddr::from(([127, 0, 0, 1], 4444)).into(),
            },
            spec: Spec {
                program: Program::Argv(vec!["true".into()]),
                env: Vec::new(),
                cwd: None,
                user: user.to_string_lossy().into_owned(),
                stdin: false,
                terminal: None,
            },
            kept: 0,
            record: Vec::new(),
        };
        let is_granted = |supervisor: &Supervisor, start: &Start| {
            supervisor.decide(start, &request_of(start)).is_ok()
        };
        assert!(is_granted(&supervisor, &start));
        start.owner.remote = own_address();
        assert!(!is_granted(&supervisor, &start));
        // There is no terminal that it could be on.
        supervisor.terminal.before = None;
        supervisor.terminal.on_prompt(Switch::On);
        assert!(!is_granted(&supervisor, &start));
        supervisor.terminal.has_prompt = true;
        assert!(is_granted(&supervisor, &start));
    }

    #[test]
    fn a_second_ctrl_c_soon_after_the_first_ends_the_agent_whatever_the_front_says() {
        let says: [fn(&mut Terminal); 4] = [
            |_| {},
            Terminal::on_stays,
            |terminal| terminal.on_prompt(Switch::On),
            Terminal::restore,
        ];
        for say in says {
            let mut terminal = Terminal::default();
            assert!(!terminal.is_second_interrupt(Instant::ZERO));
            say(&mut terminal);
            let soon = Instant::ZERO + limits::SECOND_INTERRUPT;
            assert!(terminal.is_second_interrupt(soon));
        }
    }

    #[test]
    fn a_ctrl_c_long_after_the_answer_asks_again_and_one_without_an_answer_does_not() {
        let mut terminal = Terminal::default();
        let mut now = Instant::ZERO;
        for _ in 0..3 {
            now += limits::SECOND_INTERRUPT + Duration::from_millis(1);
            assert!(!terminal.is_second_interrupt(now));
            terminal.on_stays();
        }
        now += Duration::from_secs(60);
        assert!(!terminal.is_second_interrupt(now));
        assert!(terminal.is_second_interrupt(now + Duration::from_secs(60)));
    }

    #[test]
    fn what_was_typed_is_kept_from_a_front_with_a_prompt_until_the_next_one_serves() {
        let unsent = || Unsent {
            draft: ("draft \u{1b}".into(), String::new()),
            ..Unsent::default()
        };
        let mut terminal = Terminal::default();
        // Without a terminal.
        terminal.on_unsent(unsent());
        assert!(terminal.unsent().is_none());
        terminal.on_front_lost();
        assert!(!terminal.is_draft_lost());
        terminal.has_prompt = true;
        terminal.on_unsent(unsent());
        terminal.on_front_lost();
        terminal.restore();
        assert_eq!(terminal.unsent().unwrap().draft.0, "draft \u{fffd}");
        assert!(!terminal.is_draft_lost());
        terminal.on_serving();
        assert!(terminal.unsent().is_none());
        // Lines that wait for an answer where there is no prompt.
        for is_asked in [Switch::On, Switch::Off] {
            let mut terminal = Terminal {
                lines_asked: Switch::On,
                ..Terminal::default()
            };
            if is_asked == Switch::Off {
                terminal.on_lines_asked(is_asked);
            }
            terminal.on_front_lost();
            assert_eq!(Switch::from(terminal.is_draft_lost()), is_asked);
            terminal.on_serving();
            terminal.on_front_lost();
            assert!(!terminal.is_draft_lost(), "by another front");
        }
    }

    #[test]
    fn a_ctrl_c_that_has_discarded_a_line_is_no_first_one_and_not_time_and_again() {
        let mut terminal = Terminal::default();
        let mut now = Instant::ZERO;
        for _ in 0..2 {
            now += limits::SECOND_INTERRUPT + Duration::from_millis(1);
            for _ in 0..=limits::DISCARDS {
                assert!(!terminal.is_second_interrupt(now));
                terminal.on_discarded();
                now += limits::SECOND_INTERRUPT;
            }
        }
        assert!(terminal.is_second_interrupt(now));
    }
}
