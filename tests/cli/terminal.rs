//! Programs that a person sits at, through `exec -t` and `attach`, and the chat, in a real terminal: tmux draws the screen and
//! presses the keys.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Agent, Child, User, eventually};

/// A terminal with a shell in it, as the user would have.
struct Terminal {
    user: User,
    socket: PathBuf,
}

impl Terminal {
    fn new() -> Self {
        let user = User::new();
        let terminal = Self {
            socket: user.path("tmux"),
            user,
        };
        let shell = "PS1='here> ' exec sh";
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            shell,
        ]);
        terminal.shows("here>");
        terminal
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.user.command("tmux");
        let bin = PathBuf::from(env!("CARGO_BIN_EXE_udpctl"));
        let path = format!("{}:/usr/bin:/bin", bin.parent().unwrap().display());
        command
            .env("PATH", path)
            .env("LC_ALL", "C.UTF-8")
            .arg("-S")
            .arg(&self.socket)
            .args(args);
        command
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("tmux is installed");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Presses keys, by their names in tmux.
    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn line(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.keys(&["Enter"]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until some line is this.
    fn shows(&self, wanted: &str) {
        let mut last = String::new();
        eventually(&format!("{wanted:?} on the screen"), || {
            let screen = self.screen();
            if screen != last {
                last = screen;
                eprintln!("{last}");
            }
            last.lines().any(|line| line.trim_end() == wanted)
        });
    }

    /// Waits until the screen is so.
    fn is(&self, what: &str, so: impl Fn(&str) -> bool) {
        let mut last = String::new();
        eventually(what, || {
            let screen = self.screen();
            if screen != last {
                last = screen;
                eprintln!("{last}");
            }
            so(&last)
        });
    }

    /// Waits until the shell here has the keyboard again: what is typed before may go elsewhere.
    fn prompt(&self) {
        self.at("here>");
    }

    /// Waits until the last line is this.
    fn at(&self, wanted: &str) {
        self.is(wanted, |screen| {
            screen.trim_end().lines().last() == Some(wanted)
        });
    }

    /// A shell there, at its prompt.
    fn remote_shell(&self, agent: &Agent, options: &str) {
        self.line(&format!(
            "udpctl exec -t {options} {} -- env 'PS1=there> ' sh",
            agent.target()
        ));
        self.shows("there>");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The shell and what runs in it get SIGHUP.
        let _ = self.command(&["kill-server"]).output();
    }
}

#[test]
#[ignore = "needs tmux, vim, less and top"]
fn a_shell_with_its_keys_its_window_and_its_status() {
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
fn who_leaves_comes_back_to_the_last_screenful() {
    let here = Terminal::new();
    let agent = here.user.agent();
    here.remote_shell(&agent, "--on-disconnect keep");
    here.line("echo before");
    here.shows("before");
    here.at("there>");
    here.keys(&["~", "."]);
    here.is("the way back", |screen| {
        screen.contains("left; \"udpctl attach")
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

    here.line(&format!(
        "udpctl exec -t --on-disconnect keep {target} -- vim -u NONE {path}"
    ));
    here.is("an empty buffer", |screen| screen.contains("[New File]"));
    here.keys(&["i", "first", "Enter", "second", "Escape"]);
    here.shows("second");
    // The link is left in the middle of it, and taken up again.
    here.keys(&["Enter", "~", "."]);
    here.is("the way back", |screen| {
        screen.contains("left; \"udpctl attach")
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
fn a_terminal_that_is_killed_in_an_editor_is_put_right() {
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
fn without_a_terminal_here_there_is_one_there() {
    let user = User::new();
    let agent = user.agent();
    let script = "test -t 0 && test -t 1 && test -t 2 && stty size; read line; echo \"<$line>\"; cat; exit 4";
    let outcome = user
        .udpctl(["exec", "-t", &agent.target(), "--", "sh", "-c", script])
        .stdin("typed\n")
        .outcome();
    let stdout = String::from_utf8(outcome.stdout).unwrap();
    assert_eq!((outcome.status, &outcome.stderr[..]), (4, ""), "{stdout}");
    // The echo of what is typed comes when it is typed.
    assert!(
        stdout.contains("24 80\r\n") && stdout.contains("typed\r\n"),
        "{stdout}"
    );
    assert!(stdout.ends_with("<typed>\r\n"), "{stdout}");
}

#[test]
fn one_terminal_is_not_for_many_hosts() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    user.udpctl(["exec", "-t", &target, &target, "--", "true"])
        .stderr("udpctl: -t takes one host, not 2\n")
        .status(255)
        .run();
}

#[test]
fn the_end_of_input_is_the_end_for_every_program_of_a_terminal() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    // Each is a hang, or a hang-up (129), where the end is told once, or the terminal closed too early.
    for (typed, script, shown) in [
        ("", "exec cat", ""),
        ("x\n", "exec cat", "x\r\nx\r\n"),
        ("x", "exec cat", "xx"),
        ("x", "cat; echo; cat; cat; echo done", "xx\r\ndone\r\n"),
        ("x", "stty eof z; exec cat", "xx"),
        // A key while the terminal is raw (one that was sent before is NUL then), and the end after it.
        (
            "",
            "stty raw -echo; until [ \"$(head -c 1 | od -An -tx1)\" = ' 04' ]; do :; done; stty cooked; exec cat",
            "",
        ),
        // It lets go of its terminal, and goes on.
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
            let told = (outcome.status, &outcome.stderr[..], &stdout[..]);
            // Where the echo of the line stands depends on when it is typed.
            assert_eq!(told, (0, "", shown), "{typed:?} {script}");
        }
    }
}

/// A chat at a prompt, and what the agent is told in it.
fn at_a_chat() -> (Terminal, Agent) {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    here.line(&format!("udpctl chat {} --name ann", agent.target()));
    agent.child.stdout_line(|line| line.contains("ann"));
    here.is("the prompt", |screen| {
        screen.contains("nobody else") && screen.trim_end().ends_with('>')
    });
    (here, agent)
}

/// Lines `WORD 1` to `WORD COUNT`.
fn numbered(word: &str, count: usize) -> String {
    let lines: Vec<_> = (1..=count).map(|n| format!("{word} {n}\n")).collect();
    lines.concat()
}

/// Waits for messages `WORD 1` to `WORD COUNT`, and looks that nothing else was said.
fn said_in_order(agent: &mut Agent, word: &str, count: usize) {
    let before = agent.child.stdout_seen().len();
    let last = format!(": {word} {count}");
    agent.child.stdout_line(|line| line.ends_with(&last));
    let said: Vec<_> = agent.child.stdout_seen()[before..]
        .iter()
        .filter_map(|line| Some(line.split_once("): ")?.1.to_owned()))
        .collect();
    let wanted: Vec<_> = (1..=count).map(|n| format!("{word} {n}")).collect();
    assert_eq!(said, wanted);
}

#[test]
#[ignore = "needs tmux"]
fn every_pasted_and_typed_ahead_line_of_a_chat_is_a_message() {
    let (here, mut agent) = at_a_chat();
    for (count, option) in [(3, ""), (20, ""), (3, "-p"), (20, "-p")] {
        let word = format!("pasted{option}{count}");
        let lines = numbered(&word, count);
        here.tmux(&["set-buffer", &lines]);
        let paste = [
            &["paste-buffer"][..],
            &[option][..usize::from(!option.is_empty())],
        ];
        here.tmux(&paste.concat());
        said_in_order(&mut agent, &word, count);
    }
    // As a terminal marks what is pasted while the program wishes that.
    here.tmux(&[
        "send-keys",
        "-l",
        "\x1b[200~marked 1\rmarked 2\rmarked 3\x1b[201~",
    ]);
    here.keys(&["Enter"]);
    said_in_order(&mut agent, "marked", 3);
    let mut keys = vec!["send-keys".to_owned()];
    for number in 1..=20 {
        keys.extend([format!("ahead {number}"), "Enter".to_owned()]);
    }
    here.tmux(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    said_in_order(&mut agent, "ahead", 20);
    here.keys(&["C-c"]);
    here.prompt();
    here.line("echo status $?; stty -a | grep -c -- ' icanon'");
    here.shows("status 0");
    here.shows("1");
}

#[test]
#[ignore = "needs tmux"]
fn lines_typed_while_a_stopped_agent_blocks_a_chat_wait_for_it() {
    let (here, mut agent) = at_a_chat();
    agent.child.signal(rustix::process::Signal::STOP);
    let lines = numbered("waiting", 600);
    let file = here.user.path("lines");
    std::fs::write(&file, lines).unwrap();
    here.tmux(&["load-buffer", file.to_str().unwrap()]);
    here.tmux(&["paste-buffer"]);
    here.is("as many as may be under way", |screen| {
        screen.contains("waiting 25")
    });
    agent.child.signal(rustix::process::Signal::CONT);
    said_in_order(&mut agent, "waiting", 600);
    // Ctrl-Z gives the terminal to the shell as it was.
    here.keys(&["C-z"]);
    here.prompt();
    here.line("stty -a | grep -c -- ' icanon'");
    here.shows("1");
    here.line("fg");
    here.line("back 1");
    said_in_order(&mut agent, "back", 1);
    agent.child.signal(rustix::process::Signal::STOP);
    here.line("lost");
    here.keys(&["C-c"]);
    here.is("its end", |screen| {
        screen.contains("not delivered (no receipt): lost")
    });
    agent.child.signal(rustix::process::Signal::CONT);
    here.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn every_line_typed_at_the_agent_is_a_message() {
    let here = Terminal::new();
    here.line("udpagent --bind 127.0.0.1:0 2>&1");
    here.is("where it listens", |screen| screen.contains(" listens on "));
    let screen = here.screen().replace('\n', "");
    let address = screen.split(" listens on ").nth(1).unwrap();
    let digits = address.split_once("127.0.0.1:").unwrap().1;
    let port: String = digits.chars().take_while(char::is_ascii_digit).collect();
    let mut command = here.user.command("udpctl");
    command.args(["chat", &format!("127.0.0.1:{port}"), "--name", "ear"]);
    let mut ear = Child::start(command);
    here.is("the member", |screen| screen.contains("ear"));
    let lines = numbered("typed", 20);
    here.tmux(&["set-buffer", &lines]);
    here.tmux(&["paste-buffer"]);
    ear.stdout_line(|line| line.ends_with(": typed 20"));
    let said: Vec<_> = ear
        .stdout_seen()
        .iter()
        .filter_map(|line| Some(line.split_once(": ")?.1.to_owned()))
        .collect();
    let wanted: Vec<_> = (1..=20).map(|n| format!("typed {n}")).collect();
    assert_eq!(said, wanted);
    here.line("quit");
    here.prompt();
}
