//! Arguments of `--shell` and `--script` without their `--`, which would be taken for hosts.
//!
//! Not what clap refuses, whose hints are in [`usage`]. Invariant: it is found before anything is sent, and a line that has
//! `--` is taken as it is.

use std::ffi::OsString;

use super::ExecArgs;
use crate::cli::ctl::context::Context;
use crate::cli::ctl::usage;
use crate::control::targets::Expression;
use crate::net::Target;

/// Returns the fault of a line on which a word behind the first host is none, with what to type instead.
pub(super) fn misplaced(args: &ExecArgs, context: &Context) -> Option<String> {
    if args.shell.is_none() && args.script.is_none() || !args.argv.is_empty() {
        return None;
    }
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    usage::arguments_hint(&words, |word| is_host(word, context))
}

/// True if a word may be a host: it is a set, a name of the inventory, or has an address.
fn is_host(word: &str, context: &Context) -> bool {
    // The resolver takes a bare number for an address.
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let Ok(expression) = word.parse::<Expression>() else {
        return false;
    };
    let Ok(targets) = context.targets_of(&[expression]) else {
        return true;
    };
    let [target] = &targets[..] else {
        return true;
    };
    let label = target.label().parse::<Target>();
    label.is_ok_and(|label| label != *target) || target.resolve().is_ok()
}
