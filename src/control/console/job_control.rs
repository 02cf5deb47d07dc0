//! Job control of the shell that runs this program (POSIX, "Job Control").
//!
//! Not the suspension itself. Invariant: true is returned only if another process of the session can resume this one.

use std::fs;

use nix::unistd::{Pid, getpgid, getpgrp, getpid, getppid, getsid};

/// Returns true if a stopped process of this group can be resumed: the parent of its leader, usually a shell, is in the same
/// session and another group. A terminal emulator that runs the program itself, as in `xterm -e`, could not resume it.
#[must_use]
pub fn can_be_resumed() -> bool {
    let group = getpgrp();
    let parent = if group == getpid() {
        getppid()
    } else {
        parent_of(group).unwrap_or_else(getppid)
    };
    // 0, a parent in another PID namespace, would be taken for this process.
    if parent.as_raw() == 0 {
        return false;
    }
    let is_in_session = getsid(Some(parent)).is_ok_and(|session| Ok(session) == getsid(None));
    is_in_session && getpgid(Some(parent)).is_ok_and(|other| other != group)
}

/// Returns the parent of a process, from proc_pid_stat(5).
fn parent_of(process: Pid) -> Option<Pid> {
    let stat = fs::read(format!("/proc/{process}/stat")).ok()?;
    // The name of the program, in parentheses, may have any bytes.
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(&stat[end + 1..]).ok()?;
    Some(Pid::from_raw(
        rest.split_ascii_whitespace().nth(1)?.parse().ok()?,
    ))
}
