//! The first and the last replies of a call about a job.
//!
//! Not the decisions. Invariant: `exit` is the last line of its call, and all lanes end with it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use bytes::Bytes;

use super::job::Job;
use super::{Output, Started, lane_of};
use crate::agent::outbox::{CallRef, Outbox};
use crate::message::{Cause, OnDisconnect, OsText, Outcome, Reply};

/// Sends the first replies of an attached call: the offsets of its lanes, and the process.
pub(super) fn send_accepted(
    call: CallRef,
    job: &Job,
    begin: [u64; 2],
    screen: Option<Vec<u8>>,
    outbox: &mut Outbox,
) {
    outbox.reply(
        call,
        &Reply::Accepted {
            id: job.request,
            stdout: begin[0],
            stderr: begin[1],
            stdin: job.stdin.taken(),
            terminal: job.terminal,
            kept: job.on_disconnect == OnDisconnect::Keep,
            screen: screen.map(|bytes| OsText::from(OsString::from_vec(bytes))),
        },
    );
    if let Some(process) = job.started {
        outbox.reply(call, &started(process));
    }
}

/// Returns the reply about a process that was started.
pub(super) fn started(process: Started) -> Reply {
    Reply::Started {
        pid: process.pid.0,
        home: process.home.map(|errno| errno.0),
    }
}

/// Sends the result, if there is one, and ends all lanes.
pub(super) fn send_exit(call: CallRef, job: &Job, outbox: &mut Outbox) {
    if let Some(exit) = job.exit() {
        end_lanes(call, &exit, outbox);
    }
}

fn end_lanes(call: CallRef, exit: &Reply, outbox: &mut Outbox) {
    outbox.last_reply(call, exit);
    for output in Output::ALL {
        outbox.write(call, lane_of(output), Bytes::new(), true);
    }
}

/// Answers that nothing was started, or that it is unknown.
pub(super) fn send_refusal(
    call: CallRef,
    outcome: Outcome,
    cause: Option<Cause>,
    outbox: &mut Outbox,
) {
    end_lanes(call, &refusal(outcome, cause), outbox);
}

/// Returns the result of a job of which nothing was started.
pub(super) const fn refusal(outcome: Outcome, cause: Option<Cause>) -> Reply {
    Reply::Exit {
        outcome,
        stdout: 0,
        stderr: 0,
        streams_open: false,
        cause,
        still_running: false,
    }
}
