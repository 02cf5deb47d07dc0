//! `udpctl jobs --mine --forget`: requests that are removed from the journal without a result.
//!
//! Nothing is sent about them: a command that runs goes on. Invariant: a request in progress on this machine is kept, and
//! each one that is removed is printed.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::str::FromStr;

use anyhow::{Result, bail};

use super::outstanding::{Request, view};
use crate::cli::ctl::context::{note, print};
use crate::cli::ctl::job::{JobPrefix, command_line};
use crate::control::journal::Journal;

/// Name of the requests without an answer, in the place of a job.
const UNANSWERED: &str = "unanswered";

/// Bytes of a command that is shown.
const COMMAND: usize = 80;

/// Requests to forget.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Forget {
    /// Those of which no agent says anything.
    Unanswered,
    /// The one with this id.
    Job(JobPrefix),
}

impl FromStr for Forget {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == UNANSWERED {
            return Ok(Self::Unanswered);
        }
        let job = text.parse().map(Self::Job);
        job.map_err(
            |_| "neither a request id, which has 32 hexadecimal digits, nor the beginning of one, nor \"unanswered\"",
        )
    }
}

/// Returns the only request with this id, or this beginning of it.
pub(super) fn only<'a>(requests: &'a [Request], job: &JobPrefix) -> Result<&'a Request> {
    let is_meant = |request: &&Request| job.is_of(request.record.id);
    let mut found = requests.iter().filter(is_meant);
    match (found.next(), found.count()) {
        (Some(request), 0) => Ok(request),
        (None, _) => bail!(
            "no request without a result has this id; \"udpctl jobs --mine\" lists those that there are"
        ),
        (Some(_), others) => bail!(
            "{} requests have ids that begin so; \"udpctl jobs --mine\" lists them",
            others + 1
        ),
    }
}

/// Removes requests, and prints each of them.
pub(super) fn forget(journal: &Journal, requests: &[&Request]) -> Result<()> {
    let (mut gone, mut text) = (HashSet::new(), String::new());
    for request in requests {
        let record = &request.record;
        let host = request.hosts.join(", ");
        if record.live {
            note(&format!(
                "udpctl: {host}: request {} is in progress here and is kept",
                record.id
            ));
            continue;
        }
        let command = command_line(&view(journal, record), COMMAND);
        let _ = writeln!(text, "forgotten: {} at {host}, {command}", record.id);
        gone.insert((record.id, record.agent));
    }
    print(&text)?;
    journal.settle(&gone);
    Ok(())
}
