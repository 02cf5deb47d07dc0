//! The record of a run in the journal, made before anything is sent.

use anyhow::{Context as _, Result};

use super::{ExecArgs, request};
use crate::cli::ctl::context::note;
use crate::control::exec::{Recorder, Task};
use crate::control::journal::{Journal, Known};

/// Records the requests, and sets the age of those that were made before.
///
/// A journal that cannot be written does not keep a command from running, unless its id was given: running it
/// once, whatever happens in between, is then what the user asked for, and that takes the journal.
pub(super) fn record(
    args: &ExecArgs,
    journal: &Journal,
    tasks: &mut [Task],
) -> Result<Option<Recorder>> {
    let known = if args.id.is_some() {
        Known::Before
    } else {
        Known::New
    };
    match Recorder::begin(journal, request::argv(args), known, tasks) {
        Ok(recorder) => Ok(Some(recorder)),
        Err(error) if known == Known::Before => Err(error).context(
            "the request cannot be recorded in the journal, so --id could not prevent a second start",
        ),
        Err(error) => {
            note(&format!("udpctl: the request is not recorded in the journal: {error}"));
            Ok(None)
        }
    }
}
