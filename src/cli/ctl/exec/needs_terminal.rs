//! Note about a command that needs a terminal: `udpctl exec web1 -- top` fails without `-t`.
//!
//! Not a decision about the command, which runs as it was asked for. Invariant: a script never sees the note, as the user
//! has to have all three standard streams on a terminal.

use std::ffi::OsString;
use std::io::{IsTerminal as _, stderr};
use std::path::Path;

use super::ExecArgs;
use crate::cli::ctl::context::note;
use crate::control::console;
use crate::control::exec::Finish;
use crate::message::Outcome;

/// Well-known programs that use the whole screen and fail without a terminal.
const FULL_SCREEN: &[&str] = &[
    "atop", "btop", "dialog", "emacs", "htop", "iotop", "joe", "less", "man", "mc", "more", "mutt",
    "nano", "ncdu", "nvim", "screen", "tmux", "top", "vi", "view", "vim", "vimdiff", "watch",
    "whiptail",
];

/// Beginnings of the lines by which programs refuse to ask for a password, in lower case: those of sudo, sudo-rs and su.
const REFUSALS: &[(&str, &str)] = &[
    ("sudo: a terminal is required to ", "sudo"),
    ("sudo: no tty present and no askpass program", "sudo"),
    ("sudo: sorry, you must have a tty to run sudo", "sudo"),
    ("su: must be run from a terminal", "su"),
];

/// The same of the su of util-linux, which reads the password from the input, if that is empty.
const REFUSAL_ON_EMPTY_INPUT: (&str, &str) = ("password: su: authentication failure", "su");

/// Prints the note after a run in which a command on one host has failed, if it is due.
pub(super) fn note_needs_terminal(args: &ExecArgs, finish: &Finish) {
    let outcome = match (&finish.fates[..], &finish.report) {
        ([_], Some(report)) => report.outcome,
        _ => None,
    };
    let has_failed = matches!(outcome, Some(Outcome::Exited { code: 1.. }));
    let is_plain = !args.terminal && !args.detach && !args.output.json && !args.output.jsonl;
    if has_failed
        && is_plain
        && finish.interruption.is_none()
        && let Some(name) =
            full_screen(&args.argv).or_else(|| refusing(&finish.stderr_end, !args.stdin))
        && console::is_interactive()
        && stderr().is_terminal()
    {
        note(&format!("udpctl: {name} needs a terminal; use -t"));
    }
}

/// Returns the name of the program if it is known to use the whole screen.
fn full_screen(argv: &[OsString]) -> Option<&'static str> {
    let program = Path::new(argv.first()?).file_name()?;
    FULL_SCREEN.iter().copied().find(|name| program == *name)
}

/// Returns the name of the program that has refused to ask for a password, by the end of the standard error.
fn refusing(stderr: &[u8], is_input_empty: bool) -> Option<&'static str> {
    let on_empty_input = is_input_empty.then_some(&REFUSAL_ON_EMPTY_INPUT);
    let name = |line: &[u8]| {
        let begins = |text: &str| {
            line.get(..text.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(text.as_bytes()))
        };
        let mut refusals = REFUSALS.iter().chain(on_empty_input);
        let found = refusals.find(|(text, _)| begins(text));
        found.map(|&(_, name)| name)
    };
    stderr.split(|&byte| byte == b'\n').find_map(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_to_ask_for_a_password_is_known_by_its_line() {
        for (stderr, name) in [
            (
                "sudo: a terminal is required to read the password; either use the -S option to read from standard \
                 input or configure an askpass helper\nsudo: a password is required\n",
                "sudo",
            ),
            (
                "make: start\nsudo: no tty present and no askpass program specified\n",
                "sudo",
            ),
            ("sudo: sorry, you must have a tty to run sudo\n", "sudo"),
            ("sudo: A terminal is required to authenticate\n", "sudo"),
            ("su: must be run from a terminal\n", "su"),
            ("Password: su: Authentication failure\n", "su"),
        ] {
            assert_eq!(refusing(stderr.as_bytes(), true), Some(name), "{stderr}");
        }
        for other in [
            "",
            "sudo: a password is required\n",
            "sudo: make: command not found\n",
            "su: Authentication failure\n",
            "log: su: must be run from a terminal\n",
        ] {
            assert_eq!(refusing(other.as_bytes(), true), None, "{other}");
        }
        let wrong = b"Password: su: Authentication failure\n";
        assert_eq!(refusing(wrong, false), None, "a password was passed");
    }

    #[test]
    fn a_program_is_known_by_its_name_alone() {
        let known = |argv: &[&str]| {
            let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
            full_screen(&argv)
        };
        assert_eq!(known(&["vim", "notes"]), Some("vim"));
        assert_eq!(known(&["/usr/bin/top"]), Some("top"));
        for other in [&[][..], &["topology"], &["cat", "top"], &["/"]] {
            assert_eq!(known(other), None, "{other:?}");
        }
    }
}
