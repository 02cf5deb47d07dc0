//! Input of the prompt of an agent while its front is replaced.

use rustix::process::{Signal, kill_process};

use super::Here;
use super::question::with_a_command;
use crate::harness::{Child, eventually, helper};

/// Returns the messages of the agent that a member has heard.
pub(super) fn heard(member: &mut Child) -> Vec<String> {
    let lines = member.stdout_seen();
    let said = lines.iter().filter_map(|line| line.strip_prefix("hall: "));
    said.map(str::to_owned).collect()
}

impl Here {
    /// Orders a reload and waits until the front of the next program has a prompt.
    fn reloaded(&self) {
        let reloaded = self.terminal.user.udpagent(["reload"]).outcome();
        assert_eq!(reloaded.status, 0, "{}", reloaded.stderr);
    }
}

#[test]
#[ignore = "needs tmux"]
fn a_draft_at_the_prompt_outlives_a_reload_with_its_cursor() {
    let here = Here::new("--no-time");
    let screen = &here.terminal;
    let mut ann = here.member("ann", &[]);
    screen.tmux(&["send-keys", "-l", "日本 draft | end"]);
    here.typed("日本 draft | end");
    screen.keys(&["Left", "Left", "Left"]);
    screen.tmux(&["send-keys", "-l", "x"]);
    here.typed("日本 draft | xend");
    screen.keys(&["BSpace", "Left", "Left"]);
    here.typed("日本 draft | end");
    here.reloaded();
    here.typed("日本 draft | end");
    screen.tmux(&["send-keys", "-l", "語 "]);
    here.typed("日本 draft 語 | end");
    screen.keys(&["Enter"]);
    ann.stdout_line(|line| line == "hall: 日本 draft 語 | end");
    // Of several rows; and what is typed while the front is replaced follows.
    let long = "漢字 and more ".repeat(20);
    screen.tmux(&["send-keys", "-l", &long]);
    screen.is("the draft", |screen| screen.matches('漢').count() == 20);
    let mut reload = Child::start({
        let mut command = screen.user.command("udpagent");
        command.arg("reload");
        command
    });
    for number in 0..20 {
        screen.tmux(&["send-keys", "-l", &format!("{number} ")]);
    }
    assert!(reload.wait().0.success());
    screen.tmux(&["send-keys", "-l", "last"]);
    screen.keys(&["Enter"]);
    let numbers: Vec<_> = (0..20).map(|number| format!("{number} ")).collect();
    let whole = format!("{long}{}last", numbers.concat());
    ann.stdout_line(|line| line == format!("hall: {whole}"));
    assert_eq!(heard(&mut ann), ["日本 draft 語 | end".to_owned(), whole]);
    screen.keys(&["C-d"]);
    screen.prompt();
    here.is_restored();
}

#[test]
#[ignore = "needs tmux"]
fn an_answer_over_a_reload_answers_the_question_or_is_refused_and_is_no_message() {
    let (here, command) = with_a_command();
    let screen = &here.terminal;
    let mut ann = here.member("ann", &[]);
    screen.tmux(&["send-keys", "-l", "half  日本"]);
    screen.keys(&["Left", "Left", "Left"]);
    here.typed("half  日本");
    // Not by a key, which would discard the line.
    kill_process(here.agent(), Signal::INT).unwrap();
    screen.at("end / leave / stay?");
    screen.tmux(&["send-keys", "-l", "sta"]);
    screen.at("end / leave / stay? sta");
    here.reloaded();
    here.asked(2);
    screen.at("end / leave / stay? sta");
    screen.line("y");
    here.told("* the agent goes on");
    here.typed("half  日本");
    screen.line("of");
    ann.stdout_line(|line| line == "hall: half of 日本");
    // Whole lines while no front reads.
    screen.line("quit");
    here.asked(3);
    screen.at("end / leave / stay?");
    let mut reload = Child::start({
        let mut command = screen.user.command("udpagent");
        command.arg("reload");
        command
    });
    for _ in 0..6 {
        screen.line("what");
    }
    assert!(reload.wait().0.success());
    // News may be printed after the first of these keys.
    eventually("the question alone", || {
        screen.keys(&["C-l"]);
        screen.screen().trim() == "end / leave / stay?"
    });
    screen.line("what");
    here.told("* type \"end\" to end them and the agent");
    screen.at("end / leave / stay?");
    // A question that was withdrawn stays in front of what was begun as its answer.
    screen.tmux(&["send-keys", "-l", "sta"]);
    screen.at("end / leave / stay? sta");
    command.end();
    here.told("* no command is running any more; the agent goes on");
    here.reloaded();
    screen.is("the words again", |screen| {
        screen.matches("* no command is running").count() == 2
            && screen.trim_end().ends_with("end / leave / stay? sta")
    });
    screen.line("y");
    here.told("* not sent: it was typed as an answer");
    here.typed("");
    screen.line("hello");
    ann.stdout_line(|line| line == "hall: hello");
    assert_eq!(heard(&mut ann), ["half of 日本", "hello"]);
    screen.line("quit");
    screen.prompt();
    here.is_restored();
}

#[test]
#[ignore = "needs tmux"]
fn the_question_about_running_commands_is_asked_again_after_a_reload_and_end_ends_them() {
    let here = Here::new("--no-time");
    let screen = &here.terminal;
    let mut command = here.runs(&["sleep", "607"]);
    screen.line("quit");
    screen.at("end / leave / stay?");
    here.reloaded();
    here.asked(2);
    screen.at("end / leave / stay?");
    screen.tmux(&["send-keys", "-l", "en"]);
    screen.at("end / leave / stay? en");
    here.reloaded();
    here.asked(3);
    screen.at("end / leave / stay? en");
    assert!(command.is_running());
    screen.line("d");
    screen.prompt();
    here.is_restored();
    assert!(!command.wait().0.success());
}

#[test]
#[ignore = "needs tmux"]
fn a_command_that_the_question_before_a_reload_is_not_about_is_asked_about_before_it_ends() {
    let here = Here::new("--no-time");
    let screen = &here.terminal;
    let mut asked = here.runs(&["sleep", "611"]);
    screen.line("quit");
    screen.at("end / leave / stay?");
    let mut later = here.runs(&["sleep", "612"]);
    screen.tmux(&["send-keys", "-l", "end"]);
    screen.at("end / leave / stay? end");
    here.reloaded();
    screen.at("end / leave / stay? end");
    screen.keys(&["Enter"]);
    here.told("* 2 commands are running and end with the agent: ");
    screen.at("end / leave / stay?");
    assert!(asked.is_running() && later.is_running());
    screen.line("end");
    screen.prompt();
    here.is_restored();
    for command in [&mut asked, &mut later] {
        assert!(!command.wait().0.success());
    }
}

#[test]
#[ignore = "needs tmux"]
fn each_line_typed_while_the_front_is_replaced_is_a_message_once() {
    let here = Here::new("--no-time");
    let screen = &here.terminal;
    let mut ann = here.member("ann", &[]);
    let mut wanted = Vec::new();
    for round in 0..3 {
        let mut reload = Child::start({
            let mut command = screen.user.command("udpagent");
            command.arg("reload");
            command
        });
        for number in 0..6 {
            let line = format!("line {round}.{number}");
            screen.line(&line);
            wanted.push(line);
        }
        assert!(reload.wait().0.success());
        let last = format!("hall: {}", wanted.last().unwrap());
        ann.stdout_line(|line| line == last);
    }
    assert_eq!(heard(&mut ann), wanted);
    // Lines that wait for an answer wait for it at the next prompt.
    let paste = format!("{}be", "pasted\n".repeat(21));
    screen.tmux(&["set-buffer", &paste]);
    screen.tmux(&["paste-buffer"]);
    here.told("* 21 lines at once: type \"y\" to send them");
    here.reloaded();
    screen.is("the question again", |screen| {
        screen.matches("* 21 lines at once").count() == 2
    });
    screen.line("y");
    wanted.extend(vec!["pasted".to_owned(); 21]);
    // What was not finished is the draft after the answer.
    here.typed("be");
    screen.line("hind");
    wanted.push("behind".into());
    ann.stdout_line(|line| line == "hall: behind");
    assert_eq!(heard(&mut ann), wanted);
    screen.line("quit");
    screen.prompt();
    here.is_restored();
}

#[test]
#[ignore = "needs tmux"]
fn a_draft_at_a_front_that_is_killed_is_said_to_be_lost_and_its_rest_is_not_sent() {
    let here = Here::new("--no-time");
    let screen = &here.terminal;
    let mut ann = here.member("ann", &[]);
    screen.tmux(&["send-keys", "-l", "/msg ann(owner) half a "]);
    here.typed("/msg ann(owner) half a");
    let front = helper(here.agent(), "udpagent-front").unwrap();
    kill_process(front, Signal::STOP).unwrap();
    screen.line("secret");
    kill_process(front, Signal::KILL).unwrap();
    eventually("another front", || {
        helper(here.agent(), "udpagent-front").is_some_and(|other| other != front)
    });
    here.told(
        "* the process of this prompt was started anew: a line that was not finished is lost",
    );
    screen.is("the member is back", |screen| {
        screen.matches("ann(owner) came").count() == 2
    });
    screen.line("whole");
    ann.stdout_line(|line| line == "hall: whole");
    assert_eq!(heard(&mut ann), ["whole"]);
    screen.line("quit");
    screen.prompt();
    here.is_restored();
}
