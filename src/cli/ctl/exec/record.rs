//! The record of a run in the journal, made before anything is sent.

use anyhow::{Context as _, Result};

use super::{ExecArgs, request};
use crate::cli::ctl::context::note;
use crate::control::exec::{JobRequest, Task};
use crate::control::journal::{History, Journal, Keeping, Known, Live, Offsets, Plan, Request};

/// Records the requests, and sets the age of those that were made before.
///
/// A journal that cannot be written does not keep a command from running, unless its id was given: running it
/// once, whatever happens in between, is then what the user asked for, and that takes the journal.
pub(super) fn record(
    args: &ExecArgs,
    journal: &Journal,
    tasks: &mut [Task],
) -> Result<Option<Live>> {
    let known = if args.id.is_some() {
        Known::Before
    } else {
        Known::New
    };
    let history = (known == Known::Before).then(|| journal.history());
    if let Some(history) = &history {
        for task in &mut *tasks {
            if let (Ok(host), JobRequest::Exec(exec)) = (&task.host, &mut task.request) {
                exec.age_ms = history.age(exec.id, &host.agent).map_or(0, request::millis);
            }
        }
    }
    let begun = journal.begin(Plan {
        argv: request::argv(args),
        keeping: match known {
            Known::New => Keeping::UntilSettled,
            Known::Before => Keeping::UntilOld,
        },
        requests: tasks
            .iter()
            .map(|task| entry(history.as_ref(), task))
            .collect(),
        known,
    });
    match begun {
        Ok(live) => Ok(Some(live)),
        Err(error) if known == Known::Before => Err(error).context(
            "the request cannot be recorded in the journal, so --id could not prevent a second start",
        ),
        Err(error) => {
            note(&format!("udpctl: the request is not recorded in the journal: {error}"));
            Ok(None)
        }
    }
}

/// Returns the journal's entry for a task. A history of `None`: all requests are new.
fn entry(history: Option<&History>, task: &Task) -> Option<Request> {
    let host = task.host.as_ref().ok()?;
    let id = task.request.id();
    Some(Request {
        id,
        host: task.label.clone(),
        agent: host.agent,
        offsets: history.map_or_else(Default::default, |history| {
            history
                .find(id, &host.agent)
                .map_or([Offsets::UNKNOWN; 2], |before| before.offsets)
        }),
    })
}
