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
#[derive(Clone, Copy, Debug)]
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
    fn words(self) -> String {
        let causes: &[Cause] = match (self.is_refused, self.is_met) {
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
        };
        let lines: Vec<String> = causes.iter().map(|cause| self.line(*cause)).collect();
        format!("Likely causes:\n{}", lines.join("\n"))
    }

    fn line(self, cause: Cause) -> String {
        match cause {
            Cause::Port => {
                "  wrong address or port: \"udpagent status\" there names them".to_owned()
            }
            Cause::NotRunning => {
                "  udpagent is not running: \"systemctl status udpagent\" there".to_owned()
            }
            Cause::Firewall => "  a firewall drops UDP to that port".to_owned(),
            Cause::NotAdmitted => "  \
                this key is not admitted: add \"udpctl id\" to authorized_keys there,\n    \
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

    fn words(is_met: bool, is_refused: bool) -> String {
        let label = "web3:7001";
        let unanswered = Unanswered {
            label,
            is_met,
            is_refused,
        };
        unanswered.words()
    }

    #[test]
    fn the_causes_for_a_host_that_never_answered_begin_with_its_port() {
        assert_eq!(
            words(false, false),
            "Likely causes:\n\
             \x20 wrong address or port: \"udpagent status\" there names them\n\
             \x20 udpagent is not running: \"systemctl status udpagent\" there\n\
             \x20 a firewall drops UDP to that port\n\
             \x20 this key is not admitted: add \"udpctl id\" to authorized_keys there,\n\
             \x20   or run \"udpagent invite\" there and \"udpctl accept\" here\n\
             \x20 the agent's key has changed: \"udpagent key\" there prints it,\n\
             \x20   \"udpctl trust --replace web3:7001 KEY\" replaces it here"
        );
    }

    #[test]
    fn a_host_that_answered_before_has_the_right_port() {
        let words = words(true, false);
        assert!(!words.contains("wrong address"), "{words}");
        let first = "Likely causes:\n  udpagent is not running";
        assert!(words.starts_with(first), "{words}");
    }

    #[test]
    fn a_refused_port_has_nothing_to_do_with_keys_or_silent_firewalls() {
        for is_met in [false, true] {
            let words = words(is_met, true);
            assert!(!words.contains("key"), "{words}");
            assert_eq!(words.lines().count(), 3, "{words}");
        }
    }
}
