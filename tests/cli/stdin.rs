//! Standard input of commands that stop reading, read late, or do not read at all, and the note about input that udpctl
//! has not read.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::process::ChildStdin;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use crate::harness::{Child, DEADLINE, Test, User};

/// A pipe that takes nothing for this time is stuck. Progress takes microseconds.
const STUCK: Duration = Duration::from_millis(700);

/// Bound of the bytes between a producer and a command that does not read: the pipes of both ends, the
/// credit of the lane, and the read-ahead of udpctl.
const UNDER_WAY: usize = 2 << 20;

const PIECE: [u8; 4096] = [b'x'; 4096];

/// True if a pipe takes something in time.
fn takes(pipe: &ChildStdin, timeout: Duration) -> bool {
    let timeout = timeout.try_into().unwrap();
    let mut fds = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::OUT)];
    rustix::io::retry_on_intr(|| poll(&mut fds, Some(&timeout))).unwrap() > 0
}

/// Writes until nothing more is taken, and returns the number of bytes. The pipe is non-blocking after that.
fn fill(pipe: &mut ChildStdin) -> usize {
    rustix::io::ioctl_fionbio(&*pipe, true).unwrap();
    let mut taken = 0;
    while takes(pipe, STUCK) {
        taken += pipe.write(&PIECE).unwrap();
        assert!(taken < UNDER_WAY, "{taken} bytes were read for nobody");
    }
    taken
}

#[test]
fn an_endless_producer_ends_when_the_command_stops_reading() {
    let user = User::new();
    let agent = user.agent();
    let line = format!(
        "yes | {} exec {} -i -- head -c 1; echo \"${{PIPESTATUS[@]}}\"",
        env!("CARGO_BIN_EXE_udpctl"),
        agent.target(),
    );
    let mut shell = user.command("bash");
    shell.args(["-c", &line]);
    Test::new(shell).stdout("y141 0\n").run();
}

#[test]
fn a_command_that_reads_late_blocks_the_producer_and_gets_every_byte() {
    let user = User::new();
    let agent = user.agent();
    // Opening a named pipe waits for the other end.
    let go = user.path("go");
    rustix::fs::mkfifoat(rustix::fs::CWD, &go, rustix::fs::Mode::RWXU).unwrap();
    let script = format!("cat {}; wc -c", go.display());
    let mut command = user.command("udpctl");
    command.args(["exec", &agent.target(), "-i", "--", "sh", "-c", &script]);
    let mut udpctl = Child::start(command);
    let taken = fill(udpctl.stdin());
    assert!(taken > 64 << 10, "{taken}: no more than a pipe");
    std::fs::write(&go, "").unwrap();
    let mut more = 1000 * PIECE.len();
    let whole = taken + more;
    while more > 0 {
        assert!(takes(udpctl.stdin(), DEADLINE), "it is stuck");
        let length = more.min(PIECE.len());
        more -= udpctl.stdin().write(&PIECE[..length]).unwrap();
    }
    let (status, stderr) = udpctl.wait();
    assert!(status.success(), "{stderr}");
    assert_eq!(udpctl.stdout_seen(), [whole.to_string()]);
}

#[test]
fn udpctl_stops_reading_when_the_command_closes_stdin() {
    let user = User::new();
    let agent = user.agent();
    // Opening a named pipe waits for the other end.
    let go = user.path("go");
    rustix::fs::mkfifoat(rustix::fs::CWD, &go, rustix::fs::Mode::RWXU).unwrap();
    let script = format!("exec <&-; cat {}; echo end", go.display());
    let mut command = user.command("udpctl");
    command.args(["exec", &agent.target(), "-i", "--", "sh", "-c", &script]);
    let mut udpctl = Child::start(command);
    fill(udpctl.stdin());
    std::fs::write(&go, "").unwrap();
    let (status, stderr) = udpctl.wait();
    assert!(status.success(), "{stderr}");
    assert_eq!(udpctl.stdout_seen(), ["end"]);
}

#[test]
fn a_shell_loop_runs_once_for_each_line_also_where_a_command_would_read() {
    let user = User::new();
    let agent = user.agent();
    let loops = format!(
        "while read host word; do {} exec $host -- sh -c \"cat; echo $word\"; done",
        env!("CARGO_BIN_EXE_udpctl")
    );
    let mut shell = user.command("sh");
    shell.args(["-c", &loops]);
    let target = agent.target();
    Test::new(shell)
        .stdin(format!("{target} one\n{target} two\n{target} three\n"))
        .stdout("one\ntwo\nthree\n")
        .run();
}

#[test]
fn a_command_sees_eof_on_stdin_and_still_writes() {
    let user = User::new();
    let agent = user.agent();
    let mut command = user.command("udpctl");
    command.args(["exec", &agent.target(), "-i", "--", "sh", "-c"]);
    command.arg("while read line; do echo got $line; done; echo end; exit 4");
    let mut udpctl = Child::start(command);
    for word in ["one", "two"] {
        udpctl.type_in(&format!("{word}\n"));
        udpctl.stdout_line(|line| line == format!("got {word}"));
    }
    let (status, stderr) = udpctl.wait();
    assert_eq!(status.code(), Some(4), "{stderr}");
    assert_eq!(udpctl.stdout_seen().last().unwrap(), "end");
}

#[test]
fn a_child_in_the_background_delays_the_result_by_less_than_a_second() {
    let user = User::new();
    let mut agent = user.agent();
    agent.leaves_something_behind();
    let args = [
        "exec",
        &agent.target(),
        "--",
        "sh",
        "-c",
        "sleep 60 & echo hi",
    ];
    // The machine may be busy: one success in a few tries is enough.
    let quick = (0..5).any(|_| {
        let began = Instant::now();
        let outcome = user.udpctl(args).outcome();
        assert_eq!((&outcome.stdout[..], outcome.status), (&b"hi\n"[..], 0));
        began.elapsed() < Duration::from_secs(1)
    });
    assert!(quick);
}

/// Note about input that was not read.
const UNREAD: &str = "udpctl: standard input was not read; to pass it to the command, use -i\n";

/// Runs a script of bash in which UDPCTL is a call of `udpctl exec` with a target, and compares its outputs.
#[track_caller]
fn assert_script(user: &User, target: &str, script: &str, stdout: &str, stderr: &str) {
    let call = format!("{} exec {target}", env!("CARGO_BIN_EXE_udpctl"));
    let mut shell = user.command("bash");
    shell.args(["-c", &script.replace("UDPCTL", &call)]);
    Test::new(shell).stdout(stdout).stderr(stderr).run();
}

#[test]
fn input_that_was_not_read_is_named_and_left_alone() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    // Descriptor 3 keeps what is in the pipe, which nobody writes to any more.
    let pipe = "mkfifo p; exec 3<>p; echo hi >&3;";
    assert_script(
        &user,
        &target,
        &format!("{pipe} UDPCTL -- cat <p; read -u 3 line; echo $line"),
        "hi\n",
        UNREAD,
    );
    for (call, stdout) in [
        ("UDPCTL -- cat <list", ""),
        ("UDPCTL -- sh -c 'echo out; exit 0' <list", "out\n"),
        ("UDPCTL --shell 'echo out' <list", "out\n"),
    ] {
        let script = format!("echo hi >list; {call}; cat list >/dev/null");
        assert_script(&user, &target, &script, stdout, UNREAD);
    }
}

#[test]
fn there_is_no_note_about_input_that_is_empty_read_or_meant_for_a_loop() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    for (script, stdout) in [
        ("UDPCTL -- echo a </dev/null", "a\n"),
        ("UDPCTL -- echo a <&-", "a\n"),
        (": >empty; UDPCTL -- echo a <empty", "a\n"),
        ("true | UDPCTL -- echo a", "a\n"),
        ("mkfifo p; exec 3<>p; UDPCTL -- echo a <p", "a\n"),
        ("echo hi >list; UDPCTL -i -- cat <list", "hi\n"),
        ("echo hi >list; UDPCTL -i -- true <list", ""),
        // The position behind the last byte.
        ("echo hi >list; { cat; UDPCTL -- echo a; } <list", "hi\na\n"),
        (
            "seq 3 >list; while read n; do UDPCTL -- echo $n; done <list",
            "1\n2\n3\n",
        ),
        (
            "seq 3 | while read n; do UDPCTL -- echo $n; done",
            "1\n2\n3\n",
        ),
        (
            "seq 3 | while read n; do (UDPCTL -- echo $n); done",
            "1\n2\n3\n",
        ),
        (
            "seq 3 | sh -c 'read n; UDPCTL -- echo $n; cat'",
            "1\n2\n3\n",
        ),
    ] {
        let home = tempfile::tempdir().unwrap();
        let script = format!("cd {}; {script}", home.path().display());
        assert_script(&user, &target, &script, stdout, "");
    }
}
