//! Arguments of `--shell` and `--script` without their `--`, which would be taken for hosts.
//!
//! Not what clap refuses, whose hints are in [`usage`]. Invariants: it is found before anything is sent and without a lookup
//! of names; a line that has `--` is taken as it is.

use std::ffi::OsString;

use super::ExecArgs;
use crate::cli::ctl::usage;

/// Returns the fault of a line on which arguments stand where hosts do, with what to type instead.
pub(super) fn misplaced(args: &ExecArgs) -> Option<String> {
    if args.shell.is_none() && args.script.is_none() || !args.argv.is_empty() {
        return None;
    }
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    usage::arguments_hint(&words)
}
