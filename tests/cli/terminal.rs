//! Interactive programs run with `exec -t` and `attach`, in a terminal that tmux draws.

use crate::harness::{Terminal, User, eventually};

#[test]
#[ignore = "needs tmux, vim, less and top"]
fn a_remote_shell_has_keys_window_size_and_exit_status() {
    let here = Terminal::new();
    let agent = here.user.agent();
    here.remote_shell(&agent, "");
    here.line("tty | cut -c1-8; stty size; echo $TERM");
    here.shows("/dev/pts");
    here.shows("24 80");
    here.is("the type of terminal", |screen| {
        screen.contains("tmux-") || screen.contains("screen")
    });
    // The command gets Ctrl-C, and udpctl does not.
    here.line("sh -c 'echo asleep; exec sleep 600'");
    here.at("asleep");
    here.keys(&["C-c"]);
    here.at("there>");
    here.line("echo status $?");
    here.shows("status 130");
    here.line("until [ \"$(stty size)\" = '30 100' ]; do sleep 0.05; done; echo resized");
    here.tmux(&["resize-window", "-x", "100", "-y", "30"]);
    here.shows("resized");
    here.at("there>");
    here.line("exit 7");
    here.prompt();
    here.line("echo status $?");
    here.shows("status 7");
    here.line("stty -a | grep -c -- ' icanon'");
    here.shows("1");
}

#[test]
#[ignore = "needs tmux, vim, less and top"]
fn attach_shows_the_last_screenful_after_a_disconnect() {
    let here = Terminal::new();
    let agent = here.user.agent();
    here.remote_shell(&agent, "");
    here.line("echo before");
    here.shows("before");
    here.at("there>");
    here.keys(&["~", "."]);
    here.is("the way back", |screen| {
        screen.contains("left, and it goes on; \"udpctl attach")
    });
    here.prompt();
    here.line("clear");
    here.is("an empty screen", |screen| !screen.contains("before"));
    here.line(&format!("udpctl attach {}", agent.target()));
    here.shows("before");
    here.line("echo after; exit 3");
    here.shows("after");
    here.prompt();
    here.line("echo status $?");
    here.shows("status 3");
}

#[test]
#[ignore = "needs tmux, vim, less and top"]
fn an_editor_a_pager_and_a_monitor_are_usable() {
    let here = Terminal::new();
    let agent = here.user.agent();
    let (target, file) = (agent.target(), here.user.path("text"));
    let path = file.display();

    here.line(&format!("udpctl exec -t {target} -- vim -u NONE {path}"));
    here.is("an empty buffer", |screen| screen.contains("[New File]"));
    here.keys(&["i", "first", "Enter", "second", "Escape"]);
    here.shows("second");
    // The user detaches in the middle of it, and attaches again.
    here.keys(&["Enter", "~", "."]);
    here.is("the way back", |screen| {
        screen.contains("left, and it goes on; \"udpctl attach")
    });
    here.prompt();
    here.is("the shell's own screen", |screen| {
        !screen.contains("second")
    });
    here.line(&format!("udpctl attach {target}"));
    here.shows("second");
    here.tmux(&["resize-window", "-x", "60", "-y", "20"]);
    here.is("as many empty lines as fit", |screen| {
        screen.lines().filter(|line| *line == "~").count() == 17
    });
    here.keys(&["g", "g", "d", "d", ":wq", "Enter"]);
    here.prompt();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "second\n");

    let lines: Vec<String> = (1..=200).map(|line| format!("line {line}")).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    here.line(&format!("udpctl exec -t {target} -- less {path}"));
    here.shows("line 19");
    here.keys(&["G"]);
    here.shows("line 200");
    here.keys(&["/line 42$", "Enter"]);
    here.keys(&["g", "/", "line 42$", "Enter"]);
    here.shows("line 42");
    here.keys(&["q"]);
    here.prompt();
    here.is("the pager's screen is gone", |screen| {
        !screen.contains("line 42")
    });

    here.line(&format!("udpctl exec -t {target} -- top -d 0.2"));
    here.is("a list of processes", |screen| {
        screen.contains("load average") && screen.contains("PID USER")
    });
    here.keys(&["q"]);
    here.prompt();
    here.line("echo status $?");
    here.shows("status 0");
}

#[test]
#[ignore = "needs tmux, vim, less and top"]
fn the_terminal_is_restored_after_udpctl_is_killed_in_an_editor() {
    let here = Terminal::new();
    let agent = here.user.agent();
    let target = agent.target();
    here.line(&format!("udpctl exec -t {target} -- vim -u NONE"));
    here.is("the editor", |screen| screen.contains("VIM - Vi IMproved"));
    let killed = here.user.udpctl(["kill", &target, "-s", "KILL"]).outcome();
    assert_eq!(killed.status, 0, "{}", killed.stderr);
    here.prompt();
    here.line("echo status $?");
    here.shows("status 137");
    assert!(!here.screen().contains("VIM - Vi IMproved"));
}

#[test]
fn exec_with_a_terminal_works_without_a_local_terminal() {
    let user = User::new();
    let mut agent = user.agent();
    let script = "test -t 0 && test -t 1 && test -t 2 && stty size; read line; echo \"<$line>\"; cat; exit 4";
    let outcome = user
        .udpctl(["exec", "-t", &agent.target(), "--", "sh", "-c", script])
        .stdin("typed\n")
        .outcome();
    let stdout = String::from_utf8(outcome.stdout).unwrap();
    assert_eq!((outcome.status, &outcome.stderr[..]), (4, ""), "{stdout}");
    // The remote terminal echoes input when it is typed.
    assert!(
        stdout.contains("24 80\r\n") && stdout.contains("typed\r\n"),
        "{stdout}"
    );
    assert!(stdout.ends_with("<typed>\r\n"), "{stdout}");
    agent.child.signal(rustix::process::Signal::TERM);
    let (_, log) = agent.child.wait();
    assert!(
        !log.contains("cannot be read"),
        "its end is no error: {log}"
    );
}

#[test]
fn a_terminal_for_several_hosts_is_refused() {
    let user = User::new();
    user.udpctl(["exec", "-t", "web[1-2]", "--", "true"])
        .stderr("udpctl: -t takes one host, not 2\n")
        .status(2)
        .run();
}

#[test]
fn the_end_of_stdin_is_eof_for_every_program_in_a_terminal() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    // If EOF is sent only once, these hang; if the terminal is closed too early, SIGHUP ends them (129).
    for (typed, script, shown) in [
        ("", "exec cat", ""),
        ("x\n", "exec cat", "x\r\nx\r\n"),
        ("x", "exec cat", "xx"),
        ("x", "cat; echo; cat; cat; echo done", "xx\r\ndone\r\n"),
        ("x", "stty eof z; exec cat", "xx"),
        // EOF is a key while the terminal is raw (one sent earlier is read as NUL), and EOF again after that.
        (
            "",
            "stty raw -echo; until [ \"$(head -c 1 | od -An -tx1)\" = ' 04' ]; do :; done; stty cooked; exec cat",
            "",
        ),
        // The program closes its terminal and continues.
        (
            "",
            "exec 0<&- 1>&- 2>&-; sleep 0.2; echo back >/dev/tty",
            "back\r\n",
        ),
    ] {
        for _ in 0..5 {
            let outcome = user
                .udpctl(["exec", "-t", &target, "--", "sh", "-c", script])
                .stdin(typed)
                .outcome();
            let stdout = String::from_utf8(outcome.stdout).unwrap();
            // One that was meant as EOF and arrived after a change of the modes is a key for the next program.
            let stdout = if script.starts_with("stty") {
                stdout.replace("^D", "").replace('\u{4}', "")
            } else {
                stdout
            };
            let result = (outcome.status, &outcome.stderr[..], &stdout[..]);
            // Where the echo of the line stands depends on when it is typed.
            assert_eq!(result, (0, "", shown), "{typed:?} {script}");
        }
    }
}

#[test]
#[ignore = "needs tmux"]
fn a_second_signal_ends_udpctl_although_its_terminal_is_stopped() {
    let here = Terminal::new();
    let agent = here.user.agent();
    let pid = here.user.path("pid").display().to_string();
    let target = agent.target();
    here.line(&format!(
        "sh -c 'echo $$ > {pid}; exec udpctl exec {target} -- seq 1 1000000000'"
    ));
    here.is("output", |screen| {
        screen.contains("\n9999\n") || screen.contains("00\n")
    });
    here.keys(&["C-s"]);
    let number = std::fs::read_to_string(&pid).unwrap();
    let udpctl = rustix::process::Pid::from_raw(number.trim().parse().unwrap()).unwrap();
    let stat = format!("/proc/{}/stat", number.trim());
    let mut before = String::new();
    eventually("no more output", || {
        let screen = here.screen();
        screen == std::mem::replace(&mut before, screen.clone())
    });
    let terminate = || {
        rustix::process::kill_process(udpctl, rustix::process::Signal::TERM).unwrap();
    };
    terminate();
    eventually("the end of the command", || {
        let jobs = here.user.udpctl(["jobs", &target]).outcome().stdout;
        String::from_utf8_lossy(&jobs).contains("canceled, seq")
    });
    terminate();
    eventually("the end of udpctl", || {
        std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
    });
}
