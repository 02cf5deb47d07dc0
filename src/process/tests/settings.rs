//! Processes on a terminal, as another user and under resource limits.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use rustix::io::Errno;
use rustix::process::geteuid;

use super::child::user_database;
use super::*;

const SIZE: WindowSize = WindowSize {
    rows: 33,
    columns: 111,
};

fn terminal() -> Terminal {
    Terminal {
        size: SIZE,
        term: "vt100".into(),
    }
}

fn on_terminal(script: &str) -> Process {
    spawn(&Spec {
        terminal: Some(terminal()),
        ..shell(script)
    })
    .unwrap()
}

fn finish(mut process: Process) -> (String, Exit) {
    // Without the slave, the output ends when the last process closes the terminal.
    process.slave = None;
    let output = read_to_end(process.stdout.take().unwrap());
    wait_readable(process.pidfd());
    let exit = process.reap().unwrap().expect("its pidfd is readable");
    (String::from_utf8(output).unwrap(), exit)
}

#[test]
fn a_process_gets_a_controlling_terminal_of_the_given_size() {
    let script = "test -t 0 && test -t 1 && test -t 2 && stty size && echo here > /dev/tty";
    let process = on_terminal(script);
    assert!(process.stderr.is_none());
    let (output, exit) = finish(process);
    assert_eq!(output, "33 111\r\nhere\r\n");
    assert_eq!(exit, Exit::Code(0));
}

#[test]
fn resizing_the_window_sends_sigwinch() {
    let script = "trap 'stty size; exit 5' WINCH; echo ready; while :; do sleep 0.01; done";
    let mut process = on_terminal(script);
    assert_eq!(read_line(process.stdout.as_mut().unwrap()), "ready\r");
    let size = WindowSize {
        rows: 50,
        columns: 132,
    };
    process.stdin.as_ref().unwrap().resize(size).unwrap();
    assert_eq!(finish(process), ("50 132\r\n".to_owned(), Exit::Code(5)));
}

#[test]
fn resizing_a_pipe_fails_with_enotty() {
    let process = spawn(&spec(&["true"])).unwrap();
    let refused = process.stdout.as_ref().unwrap().resize(SIZE).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(Errno::NOTTY.raw_os_error()));
}

#[test]
fn control_c_on_a_terminal_interrupts_the_process() {
    let mut process = on_terminal("echo ready; read line");
    assert_eq!(read_line(process.stdout.as_mut().unwrap()), "ready\r");
    process.stdin.take().unwrap().write_all(b"\x03").unwrap();
    let interrupted = Exit::Signal {
        signal: 2,
        core: false,
    };
    assert_eq!(finish(process).1, interrupted);
}

#[test]
fn control_d_on_a_terminal_ends_the_input() {
    let mut process = on_terminal("stty -echo; echo ready; cat; echo done");
    assert_eq!(read_line(process.stdout.as_mut().unwrap()), "ready\r");
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(b"one\n\x04").unwrap();
    drop(stdin);
    assert_eq!(
        finish(process),
        ("one\r\ndone\r\n".to_owned(), Exit::Code(0))
    );
}

#[test]
fn output_to_a_terminal_before_exit_is_complete() {
    let (output, exit) = finish(on_terminal("head -c 300000 /dev/zero | tr '\\0' x; exit 7"));
    assert_eq!((output.len(), exit), (300_000, Exit::Code(7)));
}

#[test]
fn a_resource_limit_applies_and_never_exceeds_the_agents_own() {
    let mut limited = shell("ulimit -Sn; ulimit -Hn; ulimit -Hc; ulimit -Sc");
    let own = rustix::process::getrlimit(Resource::Nofile).maximum;
    let limit = |resource, at_most| Limit { resource, at_most };
    limited.limits = vec![limit(Resource::Nofile, 77), limit(Resource::Core, 0)];
    assert_eq!(run(&limited).0, b"77\n77\n0\n0\n");
    limited.limits = vec![limit(Resource::Nofile, u64::MAX)];
    let text = String::from_utf8(run(&limited).0).unwrap();
    let own = own.map_or("unlimited".to_owned(), |limit| limit.to_string());
    assert_eq!(text.lines().nth(1), Some(own.as_str()));
}

#[test]
fn a_file_beyond_its_limit_ends_the_process_by_sigxfsz() {
    let mut limited = spec(&["head", "-c", "100000", "/dev/zero"]);
    let directory = tempfile::tempdir().unwrap();
    limited.cwd = Some(directory.path().into());
    limited.argv = ["sh", "-c", "exec head -c 100000 /dev/zero > big"]
        .map(OsString::from)
        .to_vec();
    limited.limits = vec![Limit {
        resource: Resource::Fsize,
        at_most: 1000,
    }];
    let (_, _, exit) = run(&limited);
    assert!(matches!(exit, Exit::Signal { signal: 25, .. }), "{exit:?}");
    assert_eq!(
        std::fs::metadata(directory.path().join("big"))
            .unwrap()
            .len(),
        1000
    );
}

/// The unprivileged user that every system has.
fn nobody() -> User {
    User::Named("nobody".into())
}

fn ids_of_nobody() -> (u32, u32) {
    let entry = user_database::by_name(c"nobody").unwrap().unwrap();
    (entry.uid, entry.gid)
}

/// Checks the refusal if the test does not run as root.
#[test]
fn a_process_runs_as_its_user_with_the_users_groups_only() {
    let mut other =
        shell("id -u; id -g; id -G; grep ^Uid /proc/self/status; echo $USER; umask; pwd");
    other.user = nobody();
    if !geteuid().is_root() {
        let error = spawn(&other).unwrap_err();
        assert_eq!(
            (error.stage, error.errno()),
            (Stage::User, Errno::PERM.raw_os_error())
        );
        return;
    }
    let (stdout, ..) = run(&other);
    let (uid, gid) = ids_of_nobody();
    assert_eq!(
        String::from_utf8(stdout).unwrap(),
        format!("{uid}\n{gid}\n{gid}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nnobody\n0022\n/\n")
    );
}

#[test]
fn the_working_directory_is_entered_with_the_users_rights() {
    if !geteuid().is_root() {
        return;
    }
    let closed = tempfile::tempdir().unwrap();
    let owner_only = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(closed.path(), owner_only).unwrap();
    let mut other = shell("pwd");
    other.user = nobody();
    other.cwd = Some(closed.path().into());
    let error = spawn(&other).unwrap_err();
    assert_eq!(
        (error.stage, error.errno()),
        (Stage::Directory, Errno::ACCESS.raw_os_error())
    );
}

#[test]
fn the_terminal_belongs_to_the_processs_user() {
    if !geteuid().is_root() {
        return;
    }
    let process = spawn(&Spec {
        terminal: Some(terminal()),
        user: nobody(),
        ..shell("stat -c %u $(tty) && echo reopened $TERM > $(tty)")
    });
    let (output, exit) = finish(process.unwrap());
    let (uid, _) = ids_of_nobody();
    assert_eq!(output, format!("{uid}\r\nreopened vt100\r\n"));
    assert_eq!(exit, Exit::Code(0));
}

#[test]
fn a_user_that_does_not_exist_is_named_as_the_reason() {
    let mut other = spec(&["true"]);
    other.user = User::Named("no-such-user".into());
    let error = spawn(&other).unwrap_err();
    assert_eq!(error.stage, Stage::User);
    assert_eq!(error.cause, Cause::Account(AccountError::NoSuchUser));
    assert_eq!(
        error.to_string(),
        "cannot become its user: there is no such user"
    );
}
