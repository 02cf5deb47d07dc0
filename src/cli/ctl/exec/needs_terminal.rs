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
        && let Some(name) = full_screen(&args.argv)
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

#[cfg(test)]
mod tests {
    use super::*;

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
