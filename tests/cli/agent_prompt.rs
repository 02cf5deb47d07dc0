//! The agent on a terminal as its user sees it: the prompt of its chat, the question before running commands end, and the
//! mode of the terminal after any end.

mod exec;
mod log_lines;
mod member;
mod question;
mod reload;

use rustix::process::{Signal, kill_process};

use crate::harness::{Child, Terminal, User, eventually, helper, port_to_keep};

/// An agent in the terminal of its user.
struct Here {
    terminal: Terminal,
    target: String,
    /// Mode of the terminal before.
    mode: String,
}

impl Here {
    /// Starts an agent with its log elsewhere, and waits for its prompt.
    fn new(options: &str) -> Self {
        Self::of(User::new(), options)
    }

    fn of(user: User, options: &str) -> Self {
        let here = Self {
            target: format!("127.0.0.1:{}", port_to_keep()),
            mode: String::new(),
            terminal: Terminal::of(user),
        };
        let mode = here.mode();
        let here = Self { mode, ..here };
        here.start(options);
        here
    }

    fn start(&self, options: &str) {
        let target = &self.target;
        self.terminal.line(&format!(
            "clear; udpagent --name hall --bind {target} {options} 2>log"
        ));
        self.is_ready();
    }

    fn is_ready(&self) {
        self.terminal.is("the prompt", |screen| {
            screen.trim_end().lines().last() == Some(">")
        });
    }

    /// Mode of the terminal, as stty(1) shows it.
    fn mode(&self) -> String {
        let name = self
            .terminal
            .tmux(&["display-message", "-p", "#{pane_tty}"]);
        let mut stty = self.terminal.user.command("stty");
        let output = stty.args(["-g", "-F", name.trim()]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits until the terminal has the mode from before.
    fn is_restored(&self) {
        eventually("the mode is restored", || self.mode() == self.mode);
    }

    /// Process id of the agent, the child of the shell.
    fn agent(&self) -> rustix::process::Pid {
        let shell = self
            .terminal
            .tmux(&["display-message", "-p", "#{pane_pid}"]);
        let shell = rustix::process::Pid::from_raw(shell.trim().parse().unwrap()).unwrap();
        helper(shell, "udpagent").expect("the agent runs")
    }

    /// Starts a command on the agent and waits until it runs.
    fn runs(&self, words: &[&str]) -> Child {
        let mut command = self.terminal.user.command("udpctl");
        command.args([
            "exec",
            &self.target,
            "--",
            "sh",
            "-c",
            "echo runs; exec \"$@\"",
            "sh",
        ]);
        command.args(words);
        let mut child = Child::start(command);
        child.stdout_line(|line| line == "runs");
        child
    }

    fn member(&self, name: &str, options: &[&str]) -> Child {
        let mut command = self.terminal.user.command("udpctl");
        command
            .args(["chat", &self.target, "--name", name])
            .args(options);
        let member = Child::start(command);
        self.told(&format!("{name}(owner) came"));
        member
    }

    /// Waits until the terminal shows a text, which may be wrapped.
    fn told(&self, text: &str) {
        let screen = || self.terminal.tmux(&["capture-pane", "-p", "-J"]);
        eventually(&format!("{text:?} on the screen"), || {
            screen().contains(text)
        });
    }

    /// Waits until the question was asked so many times.
    fn asked(&self, times: usize) {
        let screen = || self.terminal.tmux(&["capture-pane", "-p", "-J"]);
        let asked = || screen().matches(" with the agent: ").count();
        eventually("the question", || asked() == times);
    }

    /// Waits until the last row is a prompt with this text.
    fn typed(&self, text: &str) {
        let prompt = format!("> {text}");
        self.terminal.is(&prompt, |screen| {
            screen.trim_end().lines().last() == Some(prompt.trim_end())
        });
    }
}

#[test]
#[ignore = "needs tmux"]
fn the_agent_has_the_prompt_of_a_chat_with_messages_above_and_its_commands() {
    let here = Here::new("--no-time");
    let screen = &here.terminal;
    let mut ann = here.member("ann", &[]);
    let _zoe = here.member("zoe", &["--room", "ops"]);
    screen.tmux(&["send-keys", "-l", "half a "]);
    here.typed("half a");
    for number in 1..=5 {
        ann.type_in(&format!("from ann {number} \x1b[2J\n"));
    }
    here.told("ann(owner): from ann 5 \\u{1b}[2J");
    here.typed("half a");
    screen.line("sentence");
    ann.stdout_line(|line| line == "hall: half a sentence");
    screen.line("/who");
    here.told("* you are hall; also here: ann(owner), #ops zoe(owner)");
    screen.line("/help");
    here.told("* /quit          quit, as Ctrl-D does");
    here.told("* /exec ARGV     run a command on the agent; only you see its output");
    screen.line("/hlep");
    here.told("* /hlep is no command; did you mean /help? /help lists the commands");
    screen.line("/me waves");
    ann.stdout_line(|line| line == "-*- hall waves");
    screen.line("/msg ann(owner) psst");
    ann.stdout_line(|line| line == "hall (private): psst");
    screen.line("/msg bob psst");
    here.told("* not sent: nobody here is named \"bob\"");
    screen.line("//etc");
    ann.stdout_line(|line| line == "hall: /etc");
    screen.tmux(&["send-keys", "-l", "hello a\tthere"]);
    here.typed("hello ann(owner) there");
    screen.keys(&["Enter"]);
    ann.stdout_line(|line| line == "hall: hello ann(owner) there");
    screen.tmux(&["send-keys", "-l", "/e\t"]);
    here.typed("/exec");
    // A key that is no suspension, and drops nothing of what comes with it.
    screen.keys(&["C-u"]);
    screen.tmux(&["send-keys", "-l", "one piece\rof two\u{1a}\r"]);
    ann.stdout_line(|line| line == "hall: one piece");
    ann.stdout_line(|line| line == "hall: of two");
    screen.keys(&["C-z", "C-@", "C-u"]);
    screen.tmux(&["set-buffer", &"pasted\n".repeat(21)]);
    screen.tmux(&["paste-buffer"]);
    here.told("* 21 lines at once: type \"y\" to send them, \"n\" to drop them");
    screen.line("n");
    here.told("* 21 lines are not sent");
    screen.line("/quit");
    screen.prompt();
    here.is_restored();
    assert!(!ann.stdout_seen().iter().any(|line| line.contains("pasted")));
}

#[test]
#[ignore = "needs tmux"]
fn lines_typed_at_the_agent_are_there_after_a_restart_and_for_another_front() {
    let here = Here::new("");
    let screen = &here.terminal;
    let mut ann = here.member("ann", &[]);
    for line in ["first", "second"] {
        screen.line(line);
        ann.stdout_line(|said| said == format!("hall: {line}"));
    }
    let front = helper(here.agent(), "udpagent-front").unwrap();
    kill_process(front, Signal::KILL).unwrap();
    eventually("another front", || {
        helper(here.agent(), "udpagent-front").is_some_and(|other| other != front)
    });
    here.told("(owner) came\n>");
    screen.line("third");
    ann.stdout_line(|said| said == "hall: third");
    screen.keys(&["Up", "Up", "Up", "Enter"]);
    ann.stdout_line(|said| said == "hall: first");
    screen.line("quit");
    screen.prompt();
    let file = here.terminal.user.path("state/udpagent/prompt_history");
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let lines = std::fs::read_to_string(file).unwrap();
    assert_eq!(lines, "first\nsecond\nthird\nfirst\nquit\n");
    here.start("");
    screen.keys(&["Up", "Up"]);
    here.typed("first");
    screen.keys(&["C-u", "C-d"]);
    screen.prompt();
    here.is_restored();
}

#[test]
#[ignore = "needs tmux"]
fn lines_of_the_log_appear_above_the_prompt_of_an_agent() {
    let terminal = Terminal::new();
    let target = format!("127.0.0.1:{}", port_to_keep());
    terminal.line(&format!("clear; udpagent -v --name hall --bind {target}"));
    terminal.is("the prompt", |screen| {
        screen.trim_end().lines().last() == Some(">") && screen.contains(" sandbox: ")
    });
    terminal.tmux(&["send-keys", "-l", "half a line"]);
    let is_typed = |screen: &str| screen.trim_end().lines().last() == Some("> half a line");
    terminal.is("the line", is_typed);
    let ping = terminal.user.udpctl(["ping", &target]).outcome();
    assert_eq!(ping.status, 0, "{}", ping.stderr);
    terminal.is("the log above the line", |screen| {
        screen.contains("session ") && is_typed(screen) && screen.matches("half a").count() == 1
    });
    terminal.keys(&["C-u"]);
    terminal.line("quit");
    terminal.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn messages_at_the_agent_have_the_time_and_names_their_colour() {
    let here = Here::new("");
    let mut ann = here.member("ann", &[]);
    ann.type_in("hello\n");
    here.told("ann(owner): hello");
    let screen = here.terminal.tmux(&["capture-pane", "-p", "-e"]);
    let line = screen
        .lines()
        .find(|line| line.contains(": hello"))
        .unwrap();
    let (time, rest) = line.split_at(6);
    assert!(
        time.as_bytes()[2] == b':' && time.ends_with(' '),
        "{line:?}"
    );
    assert!(rest.starts_with("\x1b["), "{line:?}");
    here.terminal.keys(&["C-d"]);
    here.terminal.prompt();
    here.is_restored();
}

#[test]
#[ignore = "needs tmux"]
fn quit_asks_before_commands_end_and_stay_keeps_them() {
    let here = Here::new("");
    let screen = &here.terminal;
    let mut one = here.runs(&["sleep", "601"]);
    screen.line("quit");
    here.told(
        "* 1 command is running and ends with the agent: sh -c 'echo runs; exec \"$@\"' sh sleep 601",
    );
    screen.at("end / leave / stay?");
    screen.line("what");
    here.told(
        "* type \"end\" to end them and the agent, \"leave\" to close this prompt, or \"stay\"",
    );
    screen.line("stay");
    here.told("* the agent goes on");
    screen.keys(&["C-d"]);
    here.asked(2);
    screen.keys(&["Enter"]);
    screen.is("it goes on", |screen| {
        screen.matches("* the agent goes on").count() == 2
    });
    let mut two = here.runs(&["printf", "\\033[2J%s; sleep 602\\n", "x"]);
    assert!(two.wait().0.success());
    let mut two = here.runs(&["sleep", "602"]);
    screen.keys(&["C-d"]);
    here.told("* 2 commands are running and end with the agent: ");
    screen.line("end");
    screen.prompt();
    here.is_restored();
    for command in [&mut one, &mut two] {
        let (status, stderr) = command.wait();
        assert!(!status.success());
        assert!(
            stderr.contains("canceled: the agent was shut down"),
            "{stderr}"
        );
    }
}

#[test]
#[ignore = "needs tmux"]
fn after_leave_the_agent_runs_on_and_prints_lines_without_a_prompt() {
    let here = Here::new("--no-time");
    let screen = &here.terminal;
    let mut command = here.runs(&["sleep", "603"]);
    screen.line("quit");
    here.told("end / leave / stay?");
    screen.line("leave");
    here.told("* the agent goes on without a prompt");
    here.is_restored();
    let mut ann = here.member("ann", &[]);
    ann.type_in("anybody?\n");
    here.told("ann(owner): anybody?");
    screen.line("not said");
    // As before, also with another front.
    let (agent, name) = (here.agent(), "udpagent-front");
    let front = helper(agent, name).unwrap();
    kill_process(front, Signal::KILL).unwrap();
    eventually("another front", || {
        helper(agent, name).is_some_and(|other| other != front)
    });
    ann.type_in("still anybody?\n");
    here.told("ann(owner): still anybody?");
    screen.line("not said either");
    assert!(command.is_running());
    assert_eq!(here.mode(), here.mode);
    // The prompt of a reload does not say it either.
    screen.user.udpagent(["reload"]).outcome();
    here.typed("");
    screen.line("after the reload");
    ann.stdout_line(|line| line == "hall: after the reload");
    screen.line("quit");
    here.told("end / leave / stay?");
    screen.line("leave");
    here.is_restored();
    // Without a prompt Ctrl-C asks nothing.
    screen.keys(&["C-c"]);
    screen.prompt();
    here.is_restored();
    assert!(!command.wait().0.success());
    let is_said = |line: &String| line.contains("not said");
    assert!(!ann.stdout_seen().iter().any(is_said));
}

#[test]
#[ignore = "needs tmux"]
fn the_terminal_is_restored_after_signals_and_a_killed_front_has_a_successor() {
    let here = Here::new("");
    let screen = &here.terminal;
    let agent = here.agent();
    let front = helper(agent, "udpagent-front").unwrap();
    assert_ne!(here.mode(), here.mode);
    kill_process(front, Signal::KILL).unwrap();
    eventually("another front", || {
        helper(agent, "udpagent-front").is_some_and(|other| other != front)
    });
    let mut ann = here.member("ann", &[]);
    screen.line("still here");
    ann.stdout_line(|line| line == "hall: still here");
    here.terminal.user.udpagent(["reload"]).outcome();
    eventually("the front of the next program", || {
        helper(agent, "udpagent-front").is_some()
    });
    screen.line("clear");
    eventually("the prompt", || here.mode() != here.mode);
    screen.line("after the reload");
    ann.stdout_line(|line| line == "hall: after the reload");
    kill_process(agent, Signal::TERM).unwrap();
    screen.prompt();
    here.is_restored();
}

#[test]
#[ignore = "needs tmux"]
fn an_agent_in_the_background_has_no_prompt_and_is_never_stopped_by_its_terminal() {
    let here = Terminal::new();
    let target = format!("127.0.0.1:{}", port_to_keep());
    here.line(&format!(
        "set -m; udpagent --name hall --bind {target} 2>log &"
    ));
    let member = || {
        let mut command = here.user.command("udpctl");
        command.args(["chat", &target, "--name", "ann"]);
        Child::start(command)
    };
    eventually("it listens", || {
        std::fs::read_to_string(here.user.path("log")).is_ok_and(|log| log.contains("listens on"))
    });
    let mut ann = member();
    here.is("the member", |screen| screen.contains("* ann(owner) came"));
    here.line("echo still a shell");
    here.shows("still a shell");
    here.line("jobs");
    here.is("the job", |screen| screen.contains("Running"));
    here.line("fg");
    here.line("typed in the foreground");
    ann.stdout_line(|line| line == "hall: typed in the foreground");
    here.line("quit");
    here.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn ctrl_c_without_a_prompt_lets_the_sessions_be_closed() {
    let target = format!("127.0.0.1:{}", port_to_keep());
    let terminal = Terminal::of(User::new());
    terminal.line(&format!("udpagent --json --bind {target} 2>log"));
    eventually("the agent answers", || {
        terminal.user.udpctl(["ping", &target]).outcome().status == 0
    });
    let mut chat = terminal.user.command("udpctl");
    chat.args(["chat", &target, "--name", "ann"]);
    let mut ann = Child::start(chat);
    eventually("ann is a member", || {
        terminal.screen().contains("ann(owner)")
    });
    terminal.keys(&["C-c"]);
    ann.stderr_line(|line| line.ends_with(": the agent is shutting down"));
    terminal.prompt();
}
