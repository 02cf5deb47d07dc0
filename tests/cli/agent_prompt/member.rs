//! The agent's user as a member of the chat of others.

use super::Here;
use crate::harness::{Child, Terminal};

/// Starts a chat at a prompt of its own and waits for it.
fn at_a_chat(here: &Here, name: &str, options: &str) -> Terminal {
    let screen = Terminal::new();
    let of_user = |path| here.terminal.user.path(path).display().to_string();
    screen.line(&format!(
        "XDG_CONFIG_HOME={} XDG_STATE_HOME={}; export XDG_CONFIG_HOME XDG_STATE_HOME",
        of_user("config"),
        of_user("state")
    ));
    screen.line(&format!(
        "clear; udpctl chat {} --no-time --name {name} {options}",
        here.target
    ));
    here.told(&format!("{name}(owner) came"));
    screen.is("the prompt", |screen| {
        screen.contains("also here: ") && screen.trim_end().ends_with('>')
    });
    screen
}

#[test]
#[ignore = "needs tmux"]
fn the_user_of_an_agent_is_listed_completed_and_written_to_until_leaving() {
    let here = Here::new("--no-time");
    let mut json = {
        let mut command = here.terminal.user.command("udpctl");
        command.args(["chat", &here.target, "--name", "bob", "--json"]);
        Child::start(command)
    };
    here.told("bob(owner) came");
    json.stdout_line(|line| line.contains(r#""joined":{"name":"bob(owner)","members":["hall"]"#));
    let ann = at_a_chat(&here, "ann", "--room ops");
    ann.is("the list", |screen| {
        screen.contains("you are ann(owner) in #ops") && screen.contains("also here: hall")
    });
    ann.line("/who");
    ann.shows("* you are ann(owner) in #ops; also here: hall");
    ann.tmux(&["send-keys", "-l", "/msg ha\tpsst"]);
    ann.at("> /msg hall psst");
    ann.keys(&["Enter"]);
    here.told("#ops ann(owner) (private): psst");
    ann.tmux(&["send-keys", "-l", "ask ha\t"]);
    ann.at("> ask hall");
    ann.keys(&["C-u"]);
    // Another front, whose members join again.
    let reloaded = here.terminal.user.udpagent(["reload"]).outcome();
    assert_eq!(reloaded.status, 0, "{}", reloaded.stderr);
    json.stdout_line(|line| line.contains(r#""joined":{"name":"bob(owner)","members":["hall"#));
    let _command = here.runs(&["sleep", "611"]);
    here.terminal.line("quit");
    here.told("end / leave / stay?");
    here.terminal.line("leave");
    json.stdout_line(|line| line == r#"{"v":1,"left":{"name":"hall"}}"#);
    ann.shows("* hall left");
    ann.line("/who");
    ann.shows("* you are ann(owner) in #ops; also here: nobody else");
    // The next prompt.
    let reloaded = here.terminal.user.udpagent(["reload"]).outcome();
    assert_eq!(reloaded.status, 0, "{}", reloaded.stderr);
    ann.is("the members again", |screen| {
        screen.matches("also here: hall").count() >= 2
    });
    here.terminal.line("quit");
    here.told("end / leave / stay?");
    here.terminal.line("end");
    json.stdout_line(|line| line == r#"{"v":1,"left":{"name":"hall"}}"#);
}

#[test]
#[ignore = "needs tmux"]
fn a_line_typed_immediately_before_the_end_of_the_agent_reaches_every_member() {
    for round in 0..4 {
        let here = Here::new("--no-time");
        let mut members = ["ann", "bob"].map(|name| here.member(name, &[]));
        let last = format!("last words {round}");
        here.terminal
            .tmux(&["set-buffer", &format!("{last}\n/quit\n")]);
        here.terminal.tmux(&["paste-buffer"]);
        for member in &mut members {
            member.stdout_line(|line| line == format!("hall: {last}"));
            member.stderr_line(|line| line.ends_with(": the agent is shutting down"));
        }
        here.terminal.prompt();
    }
}

#[test]
#[ignore = "needs tmux"]
fn thousands_of_lines_that_are_pasted_at_an_agent_reach_each_member() {
    let here = Here::new("--no-time");
    let mut members = ["ann", "bob"].map(|name| here.member(name, &[]));
    let wanted: Vec<_> = (1..=4000).map(|number| format!("line {number}")).collect();
    let path = here.terminal.user.path("paste");
    std::fs::write(&path, wanted.join("\n") + "\n").unwrap();
    let path = path.display().to_string();
    here.terminal.tmux(&["load-buffer", &path]);
    here.terminal.tmux(&["paste-buffer"]);
    here.told("* 4000 lines at once: type \"y\" to send them");
    here.terminal.line("y");
    for member in &mut members {
        member.stdout_line(|line| line == "hall: line 4000");
        assert_eq!(super::reload::heard(member), wanted);
    }
    here.terminal.line("quit");
    here.terminal.prompt();
}
