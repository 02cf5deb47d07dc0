//! Note about standard input that nobody has read: `echo hi | udpctl exec web1 -- cat` prints nothing without `-i`.
//!
//! Not a reader: the input stays as it is, and nothing waits for it. The data may be meant for others. In
//! `while read host; do udpctl exec $host -- true; done <list` it is the rest of the list, which the shell reads next.
//! The two cases differ in who else has the input: a pipe or file that is meant for udpctl alone is not the standard
//! input of its parent as well. Whether the command has read its own, empty input is not known here.
//! Invariant: in doubt there is no note.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{FileType, SeekFrom, fstat, seek};
use rustix::io::ioctl_fionread;
use rustix::process::getppid;
use rustix::stdio::stdin;

use super::ExecArgs;
use crate::cli::ctl::context::note;
use crate::control::exec::Finish;
use crate::message::Fate;

/// Prints the note after a run in which a command has ended by itself, if it is due.
pub(super) fn note_unread_input(args: &ExecArgs, finish: &Finish) {
    let is_read = args.stdin || args.terminal || args.hosts.reads_stdin();
    let has_run = |fate: &Fate| match fate {
        Fate::Ok | Fate::Failed => true,
        Fate::Stopped
        | Fate::Denied
        | Fate::Lost
        | Fate::Left
        | Fate::Unreachable
        | Fate::Skipped => false,
    };
    if !is_read
        && !args.detach
        && finish.interruption.is_none()
        && finish.fates.iter().any(has_run)
        && has_data()
        && is_for_this_process_alone()
    {
        note("udpctl: standard input was not read; to pass it to the command, use -i");
    }
}

/// True if standard input is a pipe or file with bytes that can be read at once.
fn has_data() -> bool {
    let Ok(input) = fstat(stdin()) else {
        return false;
    };
    match FileType::from_raw_mode(input.st_mode) {
        FileType::Fifo => ioctl_fionread(stdin()).is_ok_and(|bytes| bytes > 0),
        FileType::RegularFile => {
            let length = u64::try_from(input.st_size).unwrap_or_default();
            seek(stdin(), SeekFrom::Current(0)).is_ok_and(|offset| offset < length)
        }
        _ => false,
    }
}

/// True if the parent is known to have another standard input.
fn is_for_this_process_alone() -> bool {
    let Some(parent) = getppid() else {
        return false;
    };
    let parent = fs::metadata(format!("/proc/{}/fd/0", parent.as_raw_nonzero()));
    match (parent, fstat(stdin())) {
        (Ok(parent), Ok(input)) => (parent.dev(), parent.ino()) != (input.st_dev, input.st_ino),
        _ => false,
    }
}
