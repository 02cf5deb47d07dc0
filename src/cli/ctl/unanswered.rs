//! Likely causes of a missing answer, with what to run next, for a person at a terminal.
//!
//! Not the line that names the outcome, which programs read too. Invariant: without a terminal as standard error there is
//! no such explanation.

use std::io::IsTerminal as _;

use super::context::note;

/// A host that has not answered, and what is known about it.
#[derive(Clone, Copy, Debug)]
pub struct Unanswered<'a> {
    /// The target as the user typed it.
    pub label: &'a str,
    /// True if its agent has answered before, with the key that is known for it.
    pub is_met: bool,
    /// True if the network has reported that it is not reached.
    pub is_refused: bool,
}

/// Likely cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cause {
    Port,
    NotRunning,
    Firewall,
    NotAdmitted,
    OtherKey,
}

impl Unanswered<'_> {
    /// Prints the explanation, if standard error is a terminal.
    pub fn explain(self) {
        if std::io::stderr().is_terminal() {
            note(&self.words());
        }
    }

    /// Returns an error text with the explanation below it, if standard error is a terminal.
    pub fn explained(self, error: &str) -> String {
        if std::io::stderr().is_terminal() {
            format!("{error}\n{}", self.words())
        } else {
            error.to_owned()
        }
    }

    /// Returns the likely causes, the likeliest first.
    const fn causes(self) -> &'static [Cause] {
        match (self.is_refused, self.is_met) {
            (true, true) => &[Cause::NotRunning, Cause::Port],
            (true, false) => &[Cause::Port, Cause::NotRunning],
            // The port was right, and so was the key.
            (false, true) => &[
                Cause::NotRunning,
                Cause::Firewall,
                Cause::NotAdmitted,
                Cause::OtherKey,
            ],
            (false, false) => &[
                Cause::Port,
                Cause::NotRunning,
                Cause::Firewall,
                Cause::NotAdmitted,
                Cause::OtherKey,
            ],
        }
    }

    fn words(self) -> String {
        let causes = self.causes().iter();
        let lines: Vec<String> = causes.map(|cause| self.line(*cause)).collect();
        format!(
            "Likely causes:\n{}\n\"udpctl doctor {}\" checks them",
            lines.join("\n"),
            self.label
        )
    }

    fn line(self, cause: Cause) -> String {
        match cause {
            Cause::Port => {
                "  wrong address or port: \"udpagent status\" there names those in use".to_owned()
            }
            Cause::NotRunning => {
                "  udpagent is not running: \"systemctl status udpagent\" there".to_owned()
            }
            Cause::Firewall => "  a firewall drops UDP to that port".to_owned(),
            Cause::NotAdmitted => "  \
                this key is not admitted: add that of \"udpctl id\" to authorized_keys there,\n    \
                or run \"udpagent invite\" there and \"udpctl accept\" here"
                .to_owned(),
            Cause::OtherKey => format!(
                "  the agent's key has changed: \"udpagent key\" there prints it,\n    \
                 \"udpctl trust --replace {} KEY\" replaces it here",
                self.label
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn unanswered(is_met: bool, is_refused: bool) -> Unanswered<'static> {
        let label = "web3:7001";
        Unanswered {
            label,
            is_met,
            is_refused,
        }
    }

    #[test]
    fn each_cause_says_what_to_run_next() {
        assert_eq!(
            unanswered(false, false).words(),
            "Likely causes:\n\
             \x20 wrong address or port: \"udpagent status\" there names those in use\n\
             \x20 udpagent is not running: \"systemctl status udpagent\" there\n\
             \x20 a firewall drops UDP to that port\n\
             \x20 this key is not admitted: add that of \"udpctl id\" to authorized_keys there,\n\
             \x20   or run \"udpagent invite\" there and \"udpctl accept\" here\n\
             \x20 the agent's key has changed: \"udpagent key\" there prints it,\n\
             \x20   \"udpctl trust --replace web3:7001 KEY\" replaces it here\n\
             \"udpctl doctor web3:7001\" checks them"
        );
    }

    #[test]
    fn the_order_of_the_causes_depends_on_what_is_known() {
        use Cause::{Firewall, NotAdmitted, NotRunning, OtherKey, Port};
        let causes = |is_met, is_refused| unanswered(is_met, is_refused).causes();
        let of_silence = [Port, NotRunning, Firewall, NotAdmitted, OtherKey];
        assert_eq!(causes(false, false), of_silence);
        // An agent that answered before has the port.
        assert_eq!(causes(true, false), &of_silence[1..]);
        // What is refused has nothing to do with keys or silent firewalls.
        assert_eq!(causes(false, true), [Port, NotRunning]);
        assert_eq!(causes(true, true), [NotRunning, Port]);
    }
}
