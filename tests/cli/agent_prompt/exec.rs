//! `/exec` and `/cancel` at the prompt of the agent.

use std::path::Path;

use rustix::process::{Signal, kill_process};

use super::Here;
use crate::harness::{Child, User, eventually, helper};

/// Returns the words of a command that writes `first`, waits until a file is there, and writes `second`.
fn waits_for(file: &Path, first: &str, second: &str) -> String {
    let file = file.display();
    format!(
        "/exec sh -c 'printf \"{first}\"; until test -e {file}; do sleep 0.05; done; echo {second}'"
    )
}

/// Kills the process that serves the prompt and waits for the next one.
fn replace_front(here: &Here) {
    let (agent, name) = (here.agent(), "udpagent-front");
    let front = helper(agent, name).unwrap();
    kill_process(front, Signal::KILL).unwrap();
    eventually("another front", || {
        helper(agent, name).is_some_and(|other| other != front)
    });
}

impl Here {
    /// Waits until the screen shows a whole line.
    fn shows(&self, line: &str) {
        self.terminal.shows(line);
    }
}

#[test]
#[ignore = "needs tmux"]
fn exec_at_the_agent_shows_escaped_output_and_the_outcome_at_its_prompt_only() {
    let here = Here::new("--no-time");
    let screen = &here.terminal;
    let mut ann = here.member("ann", &[]);
    screen.line(r"/exec printf 'bob: a\033[2Jb\n%s' 'two  words'");
    here.shows("* /exec printf: exited with status 0");
    let shown = screen.screen();
    assert!(
        shown.contains("\n| bob: a\\u{1b}[2Jb\n| two  words\n* /exec printf: exited"),
        "{shown}"
    );
    screen.line("/exec sh -c 'echo oops >&2; exit 3'");
    here.shows("* /exec sh: exited with status 3");
    here.shows("| oops");
    // Standard input is empty.
    screen.line("/exec sh -c 'cat; kill -9 $$'");
    here.shows("* /exec sh: ended by signal 9 (KILL)");
    screen.line("/exec no-such-program");
    here.shows("* /exec no-such-program: could not be started: No such file or directory");
    screen.line("/exec echo 'half");
    here.shows("* /exec: a quote is not closed, or nothing follows a backslash; not run");
    screen.line("/exec");
    here.shows("* /exec needs a command behind it, as in /exec uptime");
    screen.line("/cancel");
    here.shows("* no command of /exec is running");
    screen.line("clear of all this");
    ann.stdout_line(|line| line == "hall: clear of all this");
    assert_eq!(ann.stdout_seen(), ["hall: clear of all this"]);
    screen.line("/quit");
    screen.prompt();
    here.is_restored();
}

#[test]
#[ignore = "needs tmux"]
fn exec_at_the_agent_goes_on_beside_chat_and_sessions_is_bounded_and_is_canceled() {
    let here = Here::new("--no-time");
    let screen = &here.terminal;
    let mut ann = here.member("ann", &[]);
    screen.line("/exec seq 1 20000");
    here.shows("* 105001 further bytes of output are not shown");
    here.shows("* /exec seq: exited with status 0");
    assert!(screen.screen().contains("\n| 1000\n* 105001 further"));
    // Output without end holds up neither the prompt nor the chat nor a session.
    screen.line("/exec yes");
    screen.is("the output", |screen| screen.contains("\n| y\n"));
    screen.line("/exec true");
    here.shows("* a command is running; /exec again when it has ended, or /cancel it");
    screen.line("still here");
    ann.stdout_line(|line| line == "hall: still here");
    ann.type_in("and here\n");
    here.told("ann(owner): and here");
    let jobs = screen.user.udpctl(["jobs", &here.target]).outcome();
    assert!(String::from_utf8_lossy(&jobs.stdout).contains("yes"));
    screen.line("/cancel");
    here.shows("* /exec yes: canceling");
    here.shows("* /exec yes: canceled");
    screen.line("/exec echo next");
    here.shows("| next");
    here.shows("* /exec echo: exited with status 0");
    let jobs = screen.user.udpctl(["jobs", &here.target]).outcome();
    assert!(!String::from_utf8_lossy(&jobs.stdout).contains("yes"));
    screen.line("/exec sleep 605");
    screen.line("quit");
    here.told("* 1 command is running and ends with the agent: sleep 605");
    screen.at("end / leave / stay?");
    screen.line("stay");
    here.told("* the agent goes on");
    screen.keys(&["C-d"]);
    here.asked(2);
    screen.line("end");
    screen.prompt();
    here.told("* /exec sleep: canceled: the agent was shut down");
    here.is_restored();
}

#[test]
#[ignore = "needs tmux"]
fn a_command_of_the_prompt_survives_its_front_and_a_reload_and_its_output_goes_on() {
    let here = Here::new("--no-time");
    let screen = &here.terminal;
    let (one, two) = (screen.user.path("one"), screen.user.path("two"));
    screen.line(&waits_for(&one, r"before\n", "after"));
    here.shows("| before");
    replace_front(&here);
    eventually("the prompt", || here.mode() != here.mode);
    std::fs::write(&one, "").unwrap();
    here.shows("| after");
    here.shows("* /exec sh: exited with status 0");
    assert_eq!(screen.screen().matches("\n| before\n").count(), 1);
    // The part of a line that has come is shown before the reload.
    screen.line("clear");
    screen.line(&waits_for(&two, r"whole\nhalf", "rest"));
    here.shows("| whole");
    screen.user.udpagent(["reload"]).outcome();
    here.shows("| half");
    std::fs::write(&two, "").unwrap();
    here.shows("| rest");
    screen.is("the end", |screen| {
        screen.matches("* /exec sh: exited with status 0").count() == 2
    });
    // The next prompt cancels the command of the one before.
    screen.line("/exec sleep 606");
    screen.line("/exec true");
    here.told("* a command is running; ");
    screen.user.udpagent(["reload"]).outcome();
    here.typed("");
    screen.line("/cancel");
    here.shows("* /exec sleep: canceled");
    screen.line("quit");
    screen.prompt();
    here.is_restored();
}

#[test]
#[ignore = "needs tmux"]
fn a_command_of_the_prompt_that_was_attached_to_is_left_to_that_controller_by_the_next_prompt() {
    let here = Here::new("--no-time");
    let screen = &here.terminal;
    let file = screen.user.path("file");
    screen.line(&waits_for(&file, r"before\n", "after"));
    here.shows("| before");
    let mut command = screen.user.command("udpctl");
    command.args(["attach", &here.target]);
    let mut attached = Child::start(command);
    here.told("another controller has attached to it");
    // It comes back to the next front only after the end of the command.
    attached.signal(Signal::STOP);
    replace_front(&here);
    screen.user.udpagent(["reload"]).outcome();
    std::fs::write(&file, "").unwrap();
    eventually("the result", || {
        let jobs = screen.user.udpctl(["jobs", &here.target]).outcome();
        String::from_utf8_lossy(&jobs.stdout).contains("exited with status 0")
    });
    attached.signal(Signal::CONT);
    let (status, stderr) = attached.wait();
    assert!(status.success(), "{stderr}");
    assert_eq!(attached.stdout_seen(), ["after"]);
    let shown = screen.screen();
    assert!(!shown.contains("| after"), "{shown}");
    assert_eq!(shown.matches("/exec sh: lost").count(), 1, "{shown}");
    here.is_ready();
    screen.line("quit");
    screen.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn after_leave_the_output_of_the_command_of_the_prompt_is_still_printed() {
    let here = Here::new("--no-time");
    let screen = &here.terminal;
    let file = screen.user.path("file");
    screen.line(&waits_for(&file, r"before\n", "after"));
    here.shows("| before");
    screen.line("quit");
    here.told("end / leave / stay?");
    screen.line("leave");
    here.told("* the agent goes on without a prompt");
    here.is_restored();
    replace_front(&here);
    std::fs::write(&file, "").unwrap();
    here.shows("| after");
    here.shows("* /exec sh: exited with status 0");
    // The terminal shows the key before the prompt of the shell.
    screen.keys(&["C-c"]);
    screen.is("the shell", |screen| screen.trim_end().ends_with("here>"));
}

#[test]
#[ignore = "needs tmux"]
fn exec_at_the_agent_has_the_rules_of_the_owners_key_and_is_recorded() {
    let user = User::new();
    let id = user.udpctl(["id"]).outcome().stdout;
    user.write_line(id.trim_ascii_end(), "allow='echo **'");
    let audit = user.path("audit");
    user.write_config(&format!("audit-file = '{}'", audit.display()));
    let here = Here::of(user, "");
    let screen = &here.terminal;
    let file = screen.user.path("touched");
    screen.line(&format!("/exec touch {}", file.display()));
    here.shows("* /exec touch: denied");
    screen.line("/exec echo allowed");
    here.shows("| allowed");
    here.shows("* /exec echo: exited with status 0");
    assert!(!file.exists());
    let events = |event: &str| {
        let records = std::fs::read_to_string(&audit).unwrap();
        let event = format!("\"event\":\"{event}\"");
        let lines = records.lines().filter(|line| line.contains(&event));
        lines.filter(|line| line.contains("127.0.0.1:0")).count()
    };
    for event in ["denied", "accepted", "started", "ended"] {
        eventually(event, || events(event) == 1);
    }
    screen.line("quit");
    screen.prompt();
}
