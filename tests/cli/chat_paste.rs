//! The question about a paste, at both prompts and without one: the line that it leaves unfinished, job control, and the keys that
//! refuse it.

use rustix::process::{Signal, kill_process};

use crate::harness::{Agent, Child, Terminal, eventually, helper, port_to_keep};

const QUESTION: &str = "* 21 lines at once: type \"y\" to send them, \"n\" to drop them";

/// Starts a chat with a new agent and waits for its prompt.
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

/// Starts an agent at a prompt, with a member.
fn at_an_agent() -> (Terminal, Child) {
    let here = Terminal::new();
    let target = format!("127.0.0.1:{}", port_to_keep());
    here.line(&format!(
        "clear; udpagent --name hall --no-time --bind {target} 2>log"
    ));
    here.at(">");
    let mut command = here.user.command("udpctl");
    command.args(["chat", &target, "--name", "ann"]);
    let ann = Child::start(command);
    here.shows("* ann(owner) came");
    (here, ann)
}

/// Starts an agent without a prompt, with a member.
fn without_a_prompt() -> (Terminal, Child) {
    let here = Terminal::new();
    let target = format!("127.0.0.1:{}", port_to_keep());
    here.line(&format!(
        "clear; TERM=dumb udpagent --name hall --bind {target} 2>log"
    ));
    eventually("it listens", || {
        std::fs::read_to_string(here.user.path("log")).is_ok_and(|log| log.contains("listens on"))
    });
    let mut command = here.user.command("udpctl");
    command.args(["chat", &target, "--name", "ann"]);
    let ann = Child::start(command);
    here.shows("* ann(owner) came");
    (here, ann)
}

/// Pastes 21 lines, and what follows them, and waits until the question was asked so many times.
fn paste(here: &Terminal, behind: &str, times: usize) {
    let lines: Vec<_> = (1..=21).map(|n| format!("pasted {n}\n")).collect();
    here.tmux(&["set-buffer", &format!("{}{behind}", lines.concat())]);
    here.tmux(&["paste-buffer"]);
    asked(here, times);
}

fn asked(here: &Terminal, times: usize) {
    here.is("the question", |screen| {
        screen.matches(QUESTION).count() == times
    });
}

/// Waits until so many pastes are not sent.
fn dropped(here: &Terminal, times: usize) {
    here.is("the number of lines", |screen| {
        screen.matches("\n* 21 lines are not sent").count() == times
    });
}

/// Returns the messages that somebody has heard, without the names before them.
fn heard(listener: &mut Child) -> Vec<String> {
    let lines = listener.stdout_seen();
    let said = lines.iter().filter_map(|line| line.split_once(": "));
    said.map(|(_, said)| said.to_owned()).collect()
}

/// Pastes lines with an unfinished one behind, and answers.
fn answers(here: &Terminal, listener: &mut Child) {
    let mut wanted: Vec<_> = (1..=21).map(|n| format!("pasted {n}")).collect();
    paste(here, "unfinished 日本", 1);
    here.at(">");
    here.line("y");
    here.at("> unfinished 日本");
    here.line(" and its end");
    wanted.push("unfinished 日本 and its end".into());
    listener.stdout_line(|line| line.ends_with(": unfinished 日本 and its end"));
    assert_eq!(heard(listener), wanted);
    here.tmux(&["send-keys", "-R"]);
    here.tmux(&["clear-history"]);
    here.keys(&["C-l"]);
    here.at(">");
    paste(here, "another", 1);
    here.at(">");
    here.line("n");
    dropped(here, 1);
    here.at("> another");
    here.line(" one");
    wanted.push("another one".into());
    listener.stdout_line(|line| line.ends_with(": another one"));
    assert_eq!(heard(listener), wanted);
    // Neither an answer nor a line that was put aside is among the lines typed before.
    here.keys(&["Up", "Up"]);
    here.at("> pasted 21");
    here.keys(&["C-u"]);
}

#[test]
#[ignore = "needs tmux"]
fn the_unfinished_line_of_a_paste_is_the_draft_after_the_answer() {
    let (here, mut agent) = at_a_chat();
    answers(&here, &mut agent.child);
    here.keys(&["C-d"]);
    here.prompt();
    let (here, mut ann) = at_an_agent();
    answers(&here, &mut ann);
    here.keys(&["C-d"]);
    here.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn the_question_about_a_paste_is_asked_again_after_fg_and_ctrl_c_or_ctrl_d_refuses_the_lines() {
    let (here, mut agent) = at_a_chat();
    paste(&here, "behind", 1);
    here.keys(&["C-z"]);
    here.prompt();
    here.line("fg");
    asked(&here, 2);
    here.at(">");
    here.keys(&["C-d"]);
    dropped(&here, 1);
    here.at("> behind");
    here.line(" it");
    agent
        .child
        .stdout_line(|line| line == "ann(owner): behind it");
    here.tmux(&["send-keys", "-R"]);
    here.keys(&["C-l"]);
    here.at(">");
    paste(&here, "", 1);
    here.keys(&["C-c"]);
    dropped(&here, 1);
    here.line("still here");
    agent
        .child
        .stdout_line(|line| line == "ann(owner): still here");
    assert_eq!(heard(&mut agent.child), ["behind it", "still here"]);
    here.keys(&["C-d"]);
    here.prompt();
    here.line("echo status $?");
    here.shows("status 0");
    let (here, mut ann) = at_an_agent();
    paste(&here, "behind", 1);
    here.keys(&["C-d"]);
    dropped(&here, 1);
    here.at("> behind");
    here.line(" it");
    ann.stdout_line(|line| line == "hall: behind it");
    assert_eq!(heard(&mut ann), ["behind it"]);
    here.keys(&["C-d"]);
    here.prompt();
    eventually("the end of the member", || !ann.is_running());
}

/// Waits until the last row is this.
fn last_row(here: &Terminal, wanted: &str) {
    here.is(wanted, |screen| {
        screen.trim_end().lines().last() == Some(wanted)
    });
}

/// Pastes so many numbered lines.
fn paste_lines(here: &Terminal, word: &str, count: usize) -> Vec<String> {
    let lines: Vec<_> = (1..=count).map(|n| format!("{word} {n}")).collect();
    here.tmux(&["set-buffer", &format!("{}\n", lines.join("\n"))]);
    here.tmux(&["paste-buffer"]);
    lines
}

/// Pastes lines at a terminal without a prompt. Returns those that are sent.
fn pastes_without_a_prompt(here: &Terminal, listener: &mut Child) -> Vec<String> {
    let mut wanted = paste_lines(here, "unasked", 20);
    listener.stdout_line(|line| line.ends_with(": unasked 20"));
    let asked = paste_lines(here, "asked", 21);
    last_row(here, QUESTION);
    here.line("y");
    wanted.extend(asked);
    listener.stdout_line(|line| line.ends_with(": asked 21"));
    for refusal in ["n", "C-d"] {
        paste_lines(here, "refused", 21);
        last_row(here, QUESTION);
        if refusal == "n" {
            here.line(refusal);
        } else {
            here.keys(&[refusal]);
        }
        last_row(here, "* 21 lines are not sent");
    }
    here.line("still here");
    wanted.push("still here".into());
    listener.stdout_line(|line| line.ends_with(": still here"));
    assert_eq!(heard(listener), wanted);
    wanted
}

#[test]
#[ignore = "needs tmux"]
fn more_than_twenty_lines_at_once_are_asked_about_at_a_terminal_without_a_prompt() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    let target = agent.target();
    here.line(&format!("clear; TERM=dumb udpctl chat {target} --name ann"));
    agent.child.stdout_line(|line| line == "* ann(owner) came");
    pastes_without_a_prompt(&here, &mut agent.child);
    here.keys(&["C-d"]);
    here.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn more_than_twenty_lines_at_once_are_asked_about_at_an_agent_without_a_prompt() {
    let (here, mut ann) = without_a_prompt();
    let mut wanted = pastes_without_a_prompt(&here, &mut ann);
    // Lines that wait for an answer wait for it at the next front.
    let asked = paste_lines(&here, "  quit\nreloaded", 20);
    let asked = asked.join("\n");
    let asked = asked.lines().map(str::to_owned);
    let question = QUESTION.replace("21", "40");
    last_row(&here, &question);
    here.tmux(&["send-keys", "-R"]);
    let reloaded = here.user.udpagent(["reload"]).outcome();
    assert_eq!(reloaded.status, 0, "{}", reloaded.stderr);
    here.shows(&question);
    here.shows("* ann(owner) came");
    here.line("y");
    wanted.extend(asked);
    ann.stdout_line(|line| line.ends_with(": reloaded 20"));
    assert_eq!(heard(&mut ann), wanted);
    // Nobody has agreed to these.
    paste_lines(&here, "unanswered", 21);
    last_row(&here, QUESTION);
    here.line("quit");
    here.prompt();
    assert!(here.screen().contains("* 21 lines are not sent"));
    assert_eq!(heard(&mut ann), wanted);
}

#[test]
#[ignore = "needs tmux"]
fn lines_held_by_a_front_without_a_prompt_that_is_killed_are_said_to_be_lost_and_the_answer_is_not_sent()
 {
    let (here, mut ann) = without_a_prompt();
    paste_lines(&here, "lost", 21);
    last_row(&here, QUESTION);
    let shell = here.tmux(&["display-message", "-p", "#{pane_pid}"]);
    let shell = rustix::process::Pid::from_raw(shell.trim().parse().unwrap()).unwrap();
    let agent = helper(shell, "udpagent").unwrap();
    let front = helper(agent, "udpagent-front").unwrap();
    // What is typed now is read by nobody.
    kill_process(front, Signal::STOP).unwrap();
    here.line("y");
    kill_process(front, Signal::KILL).unwrap();
    here.shows("* the lines that waited for an answer are lost, and none of them was sent");
    here.line("hello");
    ann.stdout_line(|line| line.ends_with(": hello"));
    assert_eq!(heard(&mut ann), ["hello"]);
    here.line("quit");
    here.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn ctrl_d_together_with_the_answer_sends_the_lines_and_ends_a_program_without_a_prompt() {
    let (agent, mut ann) = without_a_prompt();
    let chat = Terminal::new();
    let mut other = chat.user.agent();
    let target = other.target();
    chat.line(&format!("clear; TERM=dumb udpctl chat {target} --name ann"));
    other.child.stdout_line(|line| line == "* ann(owner) came");
    for (here, listener) in [(&agent, &mut ann), (&chat, &mut other.child)] {
        let wanted = paste_lines(here, "asked", 21);
        last_row(here, QUESTION);
        here.tmux(&["set-buffer", "y\n\u{4}"]);
        here.tmux(&["paste-buffer"]);
        here.prompt();
        listener.stdout_line(|line| line.ends_with(": asked 21"));
        assert_eq!(heard(listener), wanted);
    }
}

#[test]
#[ignore = "needs tmux"]
fn lines_behind_the_one_that_leaves_a_program_without_a_prompt_are_counted_and_no_shell_runs_them()
{
    let (agent, mut ann) = without_a_prompt();
    let chat = Terminal::new();
    let mut other = chat.user.agent();
    let target = other.target();
    chat.line(&format!("clear; TERM=dumb udpctl chat {target} --name ann"));
    other.child.stdout_line(|line| line == "* ann(owner) came");
    for (here, listener) in [(&agent, &mut ann), (&chat, &mut other.child)] {
        let ran = here.user.path("ran");
        let paste = format!("before\n/quit\n: >{0}\n: >>{0}\n", ran.display());
        here.tmux(&["set-buffer", &paste]);
        here.tmux(&["paste-buffer"]);
        listener.stdout_line(|line| line.ends_with(": before"));
        here.prompt();
        let log = std::fs::read_to_string(here.user.path("log")).unwrap_or_default();
        let shown = format!("{log}{}", here.screen());
        assert!(
            shown.contains("2 lines behind the one that leaves are not sent"),
            "{shown}"
        );
        assert!(!ran.exists());
    }
}
