//! The question about running commands while it is open: the text of the prompt, what is remembered, and its withdrawal.

use super::Here;
use crate::harness::helper;

/// An agent that runs a command, which ends once the file is opened for writing.
fn with_a_command() -> (Here, std::path::PathBuf) {
    let here = Here::new("--no-time");
    let gate = here.terminal.user.path("gate");
    let mut mkfifo = here.terminal.user.command("mkfifo");
    assert!(mkfifo.arg(&gate).status().unwrap().success());
    (here, gate)
}

#[test]
#[ignore = "needs tmux"]
fn an_answer_to_the_question_is_not_among_the_lines_typed_before() {
    let (here, gate) = with_a_command();
    let screen = &here.terminal;
    let wait = format!(": <{}", gate.display());
    let mut command = here.runs(&["sh", "-c", &wait]);
    screen.line("hello");
    screen.line("quit");
    screen.at("end / leave / stay?");
    screen.line("what");
    here.told("* type end to end them and the agent, leave to close this prompt, or stay");
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
    std::fs::File::create(&gate).unwrap();
    assert!(command.wait().0.success());
    screen.line("quit");
    screen.prompt();
    let lines = screen.user.path("state/udpagent/prompt_history");
    assert_eq!(std::fs::read_to_string(lines).unwrap(), "hello\nquit\n");
    here.is_restored();
}

#[test]
#[ignore = "needs tmux"]
fn the_question_is_withdrawn_when_the_last_command_ends() {
    let (here, gate) = with_a_command();
    let screen = &here.terminal;
    let mut ann = here.member("ann", &[]);
    let wait = format!(": <{}", gate.display());
    let mut command = here.runs(&["sh", "-c", &wait]);
    screen.line("quit");
    screen.at("end / leave / stay?");
    screen.tmux(&["send-keys", "-l", "sta"]);
    screen.at("end / leave / stay? sta");
    std::fs::File::create(&gate).unwrap();
    assert!(command.wait().0.success());
    here.told("* no command is running any more; the agent goes on");
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
    let (here, gate) = with_a_command();
    let screen = &here.terminal;
    let wait = format!(": <{}", gate.display());
    let mut first = here.runs(&["sh", "-c", &wait]);
    screen.line("quit");
    screen.at("end / leave / stay?");
    let mut second = here.runs(&["sleep", "605"]);
    std::fs::File::create(&gate).unwrap();
    assert!(first.wait().0.success());
    here.told("* the commands of the question have ended; the agent goes on");
    here.typed("");
    screen.line("quit");
    screen.at("end / leave / stay?");
    let mut third = here.runs(&["sleep", "606"]);
    screen.line("end");
    // The new one first.
    here.told("* 2 commands are running and end with the agent: sh -c echo runs; exec \"$@\" sh sleep 606; sh -c");
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
    let (here, gate) = with_a_command();
    let screen = &here.terminal;
    let wait = format!(": <{}", gate.display());
    let mut command = here.runs(&["sh", "-c", &wait]);
    screen.line("quit");
    screen.at("end / leave / stay?");
    screen.tmux(&["send-keys", "-l", "sta"]);
    screen.at("end / leave / stay? sta");
    std::fs::File::create(&gate).unwrap();
    assert!(command.wait().0.success());
    here.told("* no command is running any more; the agent goes on");
    screen.at("end / leave / stay? sta");
    screen.keys(&["C-u", "Enter"]);
    here.typed("");
    screen.line("quit");
    screen.prompt();
    here.is_restored();
}
