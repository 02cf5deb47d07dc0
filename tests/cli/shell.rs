//! `udpctl shell`: a login shell that is kept when its user leaves, and the modes of the user's terminal.

use std::process::Command;

use rustix::process::Signal;

use crate::harness::{Agent, Pty, User, eventually};

/// Starts `udpctl WORDS` on a terminal.
fn udpctl(user: &User, words: &[&str]) -> Pty {
    let mut command = user.command("udpctl");
    command.args(words);
    Pty::start(command)
}

/// Starts a shell and waits until it reads commands.
fn shell(user: &User, agent: &Agent) -> Pty {
    let mut pty = udpctl(user, &["shell", &agent.target()]);
    ready(&mut pty);
    pty
}

/// Waits until the shell reads commands.
fn ready(pty: &mut Pty) {
    pty.type_in("echo $((6 * 7))ready\r");
    pty.shows("42ready");
}

/// Starts a command on a terminal that has changed modes of the terminal.
fn full_screen(user: &User, agent: &Agent) -> Pty {
    let script = "printf '\\033[?1049h'; echo shown; exec sleep 600";
    let target = agent.target();
    let mut pty = udpctl(user, &["exec", "-t", &target, "--", "sh", "-c", script]);
    pty.shows("\x1b[?1049hshown");
    assert!(pty.is_raw());
    pty
}

/// Waits for the message about the way back.
fn left(pty: &mut Pty, agent: &Agent) {
    let target = agent.target();
    pty.shows(&format!(
        "udpctl: {target}: left, and it goes on; \"udpctl shell --attach {target} "
    ));
    pty.shows("\" comes back to it\r\n");
}

#[test]
fn a_shell_is_a_login_shell_on_a_terminal_and_ends_with_its_status() {
    let user = User::new();
    let agent = user.agent();
    let mut pty = shell(&user, &agent);
    assert!(pty.is_raw());
    pty.type_in("tty; stty size; shopt -q login_shell && echo log''in; exit 3\r");
    pty.shows("/dev/pts/");
    pty.shows("24 80");
    assert_eq!(pty.wait(), Some(3), "{}", pty.rest());
    assert!(pty.is_cooked());
    assert_eq!(pty.rest().contains("login"), is_bash(&user, &agent));
}

/// True if the login shell of this account is bash.
fn is_bash(user: &User, agent: &Agent) -> bool {
    let shell = user.udpctl(["ssh", &agent.target(), "echo $SHELL"]);
    shell.outcome().stdout.ends_with(b"/bash\n")
}

#[test]
fn a_shell_that_was_left_by_an_escape_is_there_when_its_user_comes_back() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let mut pty = shell(&user, &agent);
    pty.type_in("there=41\r~?");
    pty.shows("udpctl: ~. leaves, ~^Z suspends, ~~ is a tilde, ~? lists these\r\n");
    // What is typed before the escape goes to the shell.
    pty.type_in("echo be''fore\r~.");
    left(&mut pty, &agent);
    assert_eq!(pty.wait(), Some(255));
    assert!(pty.is_cooked());

    let mut pty = udpctl(&user, &["shell", "--attach", &target]);
    // The last screen.
    pty.shows("before");
    pty.type_in("~.");
    left(&mut pty, &agent);
    assert_eq!(pty.wait(), Some(255));

    let mut pty = udpctl(&user, &["shell", "--attach", &target]);
    pty.shows("before");
    pty.type_in("echo $((there + 1)); exit 5\r");
    pty.shows("42");
    assert_eq!(pty.wait(), Some(5), "{}", pty.rest());

    user.udpctl(["shell", "--attach", &target])
        .stderr(format!(
            "udpctl: {target}: no shell of \"udpctl shell\" on this machine is there; \"udpctl jobs {target}\" lists all jobs\n"
        ))
        .status(255)
        .run();
}

#[test]
fn a_command_that_is_not_kept_says_so_when_it_is_left_again() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let line = ["ssh", "-t", &target, "echo there; exec sleep 600"];
    let mut pty = udpctl(&user, &line);
    pty.shows("there");
    for words in [
        ", at most 60s from now on",
        ", for its lease from now on at most",
    ] {
        pty.type_in("~.");
        pty.shows(&format!(
            "udpctl: {target}: left; \"udpctl attach {target} "
        ));
        pty.shows(&format!("\" comes back to it while it runs{words}\r\n"));
        assert_eq!(pty.wait(), Some(255));
        pty = udpctl(&user, &["attach", &target]);
        pty.shows("there");
    }
}

#[test]
fn a_closed_window_keeps_the_shell() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    for by_signal in [false, true] {
        let mut pty = shell(&user, &agent);
        pty.type_in("there=41\r");
        ready(&mut pty);
        if by_signal {
            pty.signal(Signal::HUP);
            left(&mut pty, &agent);
        } else {
            // The program notices that the terminal is gone, without a signal.
            pty.close();
        }
        assert_eq!(pty.wait(), Some(129));

        let mut pty = udpctl(&user, &["shell", "--attach", &target]);
        pty.shows("ready");
        pty.type_in("echo $((there + 1)); exit 5\r");
        pty.shows("42");
        assert_eq!(pty.wait(), Some(5), "{}", pty.rest());
    }
}

#[test]
fn one_of_several_shells_has_to_be_named() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    // Another command on a terminal is no shell.
    let mut other = full_screen(&user, &agent);
    other.type_in("~.");
    assert_eq!(other.wait(), Some(255));
    for number in 1..=2 {
        let mut pty = shell(&user, &agent);
        pty.type_in(&format!("there={number}\r"));
        ready(&mut pty);
        pty.type_in("~.");
        left(&mut pty, &agent);
        pty.wait();
    }
    let outcome = user.udpctl(["shell", "--attach", &target]).outcome();
    assert_eq!(outcome.status, 2, "{}", outcome.stderr);
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(
        lines[0],
        format!("udpctl: {target}: 2 shells could be meant; name one of them:")
    );
    // The newest first.
    for (line, number) in [(lines[1], 2), (lines[2], 1)] {
        let (command, state) = line.trim().split_once("   ").unwrap();
        assert!(state.starts_with("running, started "), "{line}");
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        let mut pty = udpctl(&user, &words);
        ready(&mut pty);
        pty.type_in("exit $there\r");
        assert_eq!(pty.wait(), Some(number), "{}", pty.rest());
    }
}

#[test]
fn a_signal_restores_the_terminal_before_it_ends_udpctl() {
    let user = User::new();
    let agent = user.agent();
    for (signal, status) in [
        (Signal::TERM, 143),
        (Signal::INT, 130),
        (Signal::HUP, 129),
        (Signal::QUIT, 131),
        (Signal::USR1, 138),
        (Signal::ABORT, 134),
    ] {
        let mut pty = full_screen(&user, &agent);
        pty.signal(signal);
        pty.shows("\x1b[?1049l");
        assert_eq!(pty.wait(), Some(status), "{signal:?}: {}", pty.rest());
        assert!(pty.is_cooked(), "{signal:?}");
    }
}

#[test]
fn a_reason_follows_the_restoration_of_the_terminal() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let mut pty = full_screen(&user, &agent);
    user.udpctl(["kill", &target, "-s", "KILL"]).run();
    pty.shows("\x1b[?1049l");
    pty.shows(&format!(
        "udpctl: {target}: ended by signal 9 (KILL); request "
    ));
    assert_eq!(pty.wait(), Some(137));
}

#[test]
fn a_suspended_udpctl_has_given_the_terminal_back_and_draws_it_again() {
    let user = User::new();
    let agent = user.agent();
    for by_key in [false, true] {
        let mut pty = full_screen(&user, &agent);
        if by_key {
            pty.type_in("~\x1a");
        } else {
            pty.signal(Signal::TSTP);
        }
        pty.waits_for_a_stop();
        assert!(pty.is_cooked());
        pty.shows("\x1b[?1049l");
        pty.signal(Signal::CONT);
        // The alternate screen with what was there.
        pty.shows("\x1b[?1049h");
        pty.shows("shown");
        assert!(pty.is_raw());
        pty.type_in("~.");
        pty.shows("left, and it goes on; \"udpctl attach ");
        assert_eq!(pty.wait(), Some(255));
        assert!(pty.is_cooked());
    }
}

#[test]
fn a_shell_whose_link_is_lost_is_kept_and_the_way_back_is_named() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let times = ["--lease", "500ms", "--contact-timeout", "2s"];
    let mut pty = udpctl(&user, &[&["shell"], &times[..], &[&target]].concat());
    ready(&mut pty);
    agent.stop();
    pty.shows(&format!(
        "udpctl: {target}: lost: accepted, but its result is not known: the agent does not answer; request "
    ));
    pty.shows(&format!(
        "udpctl: {target}: \"udpctl shell --attach {target} "
    ));
    assert_eq!(pty.wait(), Some(255));
    assert!(pty.is_cooked());
    agent.resume();
    let mut pty = udpctl(&user, &["shell", "--attach", &target]);
    ready(&mut pty);
    pty.type_in("exit 6\r");
    assert_eq!(pty.wait(), Some(6), "{}", pty.rest());
}

#[test]
fn a_terminal_of_ssh_ends_with_its_window() {
    let user = User::new();
    let agent = user.agent();
    let mut pty = udpctl(&user, &["ssh", "-t", &agent.target(), "exec sleep 600"]);
    eventually("the command runs", || !agent.jobs().left().is_empty());
    eventually("it has the terminal", || pty.is_raw());
    pty.close();
    pty.signal(Signal::HUP);
    pty.wait();
    eventually("the command is gone", || agent.jobs().left().is_empty());
}

#[test]
fn a_udpctl_whose_session_began_outside_of_its_pid_namespace_is_not_suspended() {
    const NAMESPACE: [&str; 5] = ["--pid", "--fork", "--kill-child", "sh", "-c"];
    let run = |script| Command::new("unshare").args(NAMESPACE).arg(script).status();
    if !run("true").is_ok_and(|status| status.success()) {
        println!("skipped: no PID namespaces here");
        return;
    }
    let user = User::new();
    let agent = user.agent();
    let mut command = user.command("unshare");
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let udpctl = env!("CARGO_BIN_EXE_udpctl");
    let target = agent.target();
    let script = format!("{udpctl} exec -t {target} -- sh -c 'echo ready; exec cat'; exit $?");
    let mut pty = Pty::start({
        command.args(NAMESPACE).arg(script);
        command
    });
    pty.shows("ready\r\n");
    assert!(pty.is_raw());
    // An escape stands at the beginning of a line.
    pty.type_in("here\r");
    pty.shows("here\r\nhere\r\n");
    pty.type_in("~\x1a");
    pty.shows("udpctl: not suspended: no shell could resume this process\r\n");
    pty.type_in("still\r");
    pty.shows("still\r\nstill\r\n");
    pty.type_in("\x04");
    assert_eq!(pty.wait(), Some(0), "{}", pty.rest());
}
