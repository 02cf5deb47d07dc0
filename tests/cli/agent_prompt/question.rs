//! The question about running commands while it is open: the text of the prompt, what is remembered, and its withdrawal.

use std::fs::File;
use std::path::PathBuf;

use rustix::process::{Signal, kill_process};

use super::Here;
use crate::harness::{Child, helper};

/// Command that ends once a file is opened for writing, and its controller.
pub(super) struct Command {
    gate: PathBuf,
    udpctl: Child,
}

impl Command {
    pub(super) fn end(mut self) {
        File::create(self.gate).unwrap();
        assert!(self.udpctl.wait().0.success());
    }
}

/// An agent that runs a command.
pub(super) fn with_a_command() -> (Here, Command) {
    let here = Here::new("--no-time");
    let gate = here.terminal.user.path("gate");
    let mut mkfifo = here.terminal.user.command("mkfifo");
    assert!(mkfifo.arg(&gate).status().unwrap().success());
    let wait = format!(": <{}", gate.display());
    let udpctl = here.runs(&["sh", "-c", &wait]);
    (here, Command { gate, udpctl })
}

/// The same, with the question and the beginning of an answer, which is still there after the command has ended.
fn with_a_late_answer() -> Here {
    let (here, command) = with_a_command();
    let screen = &here.terminal;
    screen.line("quit");
    screen.at("end / leave / stay?");
    screen.tmux(&["send-keys", "-l", "sta"]);
    screen.at("end / leave / stay? sta");
    command.end();
    here.told("* no command is running any more; the agent goes on");
    here
}

#[test]
#[ignore = "needs tmux"]
fn a_line_that_was_begun_before_the_question_goes_on_after_the_answer() {
    let here = Here::new("--no-time");
    let screen = &here.terminal;
    let mut ann = here.member("ann", &[]);
    let _command = here.runs(&["sleep", "609"]);
    screen.tmux(&["send-keys", "-l", "half a  日本"]);
    screen.keys(&["Left", "Left", "Left"]);
    here.typed("half a  日本");
    // Not by a key, which would discard the line.
    kill_process(here.agent(), Signal::INT).unwrap();
    screen.at("end / leave / stay?");
    screen.line("stay");
    here.typed("half a  日本");
    screen.line("line of");
    ann.stdout_line(|line| line == "hall: half a line of 日本");
}

#[test]
#[ignore = "needs tmux"]
fn an_answer_to_the_question_is_not_among_the_lines_typed_before() {
    let (here, command) = with_a_command();
    let screen = &here.terminal;
    screen.line("hello");
    screen.line("quit");
    screen.at("end / leave / stay?");
    screen.line("what");
    here.told(
        "* type \"end\" to end them and the agent, \"leave\" to close this prompt, or \"stay\"",
    );
    screen.at("end / leave / stay?");
    screen.line("stay");
    here.typed("");
    // As after Ctrl-C.
    screen.keys(&["C-c"]);
    screen.at("end / leave / stay?");
    screen.line("stay");
    here.typed("");
    screen.keys(&["Up"]);
    here.typed("quit");
    screen.keys(&["Up"]);
    here.typed("hello");
    screen.keys(&["C-u"]);
    command.end();
    screen.line("quit");
    screen.prompt();
    let lines = screen.user.path("state/udpagent/prompt_history");
    assert_eq!(std::fs::read_to_string(lines).unwrap(), "hello\nquit\n");
    here.is_restored();
}

#[test]
#[ignore = "needs tmux"]
fn the_question_is_withdrawn_when_the_last_command_ends() {
    let here = with_a_late_answer();
    let screen = &here.terminal;
    let mut ann = here.member("ann", &[]);
    // What was typed as an answer is no message, and neither is the rest of it.
    screen.line("y");
    here.told("* not sent: it was typed as an answer");
    here.typed("");
    screen.line("hello");
    ann.stdout_line(|line| line.starts_with("hall: "));
    assert_eq!(ann.stdout_seen().last().unwrap(), "hall: hello");
    assert!(helper(here.agent(), "udpagent-front").is_some());
    screen.keys(&["C-c"]);
    screen.prompt();
    here.is_restored();
}

#[test]
#[ignore = "needs tmux"]
fn an_answer_ends_no_command_that_the_question_did_not_name() {
    let (here, first) = with_a_command();
    let screen = &here.terminal;
    screen.line("quit");
    screen.at("end / leave / stay?");
    let mut second = here.runs(&["sleep", "605"]);
    first.end();
    here.told("* the commands of the question have ended; the agent goes on");
    here.typed("");
    screen.line("quit");
    screen.at("end / leave / stay?");
    let mut third = here.runs(&["sleep", "606"]);
    screen.line("end");
    // The new one first.
    here.told("* 2 commands are running and end with the agent: sh -c 'echo runs; exec \"$@\"' sh sleep 606; sh -c");
    screen.at("end / leave / stay?");
    assert!(second.is_running() && third.is_running());
    screen.line("end");
    screen.prompt();
    here.is_restored();
    assert!(!second.wait().0.success());
    assert!(!third.wait().0.success());
}

#[test]
#[ignore = "needs tmux"]
fn a_line_that_is_emptied_after_the_withdrawal_shows_the_prompt_again() {
    let here = with_a_late_answer();
    let screen = &here.terminal;
    screen.at("end / leave / stay? sta");
    screen.keys(&["C-u", "Enter"]);
    here.typed("");
    screen.line("quit");
    screen.prompt();
    here.is_restored();
}

#[test]
#[ignore = "needs tmux"]
fn ctrl_c_at_the_prompt_of_an_agent_asks_once() {
    let here = Here::new("");
    let screen = &here.terminal;
    let mut command = here.runs(&["sleep", "604"]);
    screen.line("/quit");
    here.told("end / leave / stay?");
    screen.line("stay");
    here.told("* the agent goes on");
    screen.tmux(&["send-keys", "-l", "dropped"]);
    here.typed("dropped");
    screen.keys(&["C-c"]);
    here.told("> dropped^C");
    here.typed("");
    here.asked(1);
    screen.keys(&["C-c"]);
    here.asked(2);
    screen.keys(&["C-c"]);
    screen.prompt();
    here.is_restored();
    assert!(!command.wait().0.success());
    // Nothing runs: nothing is asked.
    here.start("");
    screen.keys(&["C-c"]);
    screen.prompt();
    here.is_restored();
}

#[test]
#[ignore = "needs tmux"]
fn lines_that_are_pasted_behind_quit_at_an_agent_are_counted_and_not_sent() {
    let here = Here::new("--no-time");
    let mut ann = here.member("ann", &[]);
    let screen = &here.terminal;
    screen.line("said");
    ann.stdout_line(|line| line == "hall: said");
    screen.tmux(&["set-buffer", "/help\n/quit\nbehind it\nand more\n"]);
    screen.tmux(&["paste-buffer"]);
    screen.shows("* 2 lines behind the one that leaves are not sent");
    screen.prompt();
    here.is_restored();
    assert!(!ann.stdout_seen().iter().any(|line| line.contains("behind")));
}

#[test]
#[ignore = "needs tmux"]
fn lines_that_are_pasted_behind_ctrl_c_at_an_agent_are_counted_and_not_sent() {
    let here = Here::new("--no-time");
    let mut ann = here.member("ann", &[]);
    let screen = &here.terminal;
    screen.line("said");
    ann.stdout_line(|line| line == "hall: said");
    screen.tmux(&["set-buffer", "\u{3}secret\nmore\n"]);
    screen.tmux(&["paste-buffer"]);
    screen.shows("* 2 lines behind the one that leaves are not sent");
    screen.prompt();
    here.is_restored();
    ann.wait();
    let heard = ann.stdout_seen().join("\n");
    assert!(
        !heard.contains("secret") && !heard.contains("more"),
        "{heard}"
    );
}
