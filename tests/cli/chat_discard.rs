//! Ctrl-C at both prompts: it discards a line, and leaves where there is none.

use crate::harness::{Child, Terminal, port_to_keep};

#[test]
#[ignore = "needs tmux"]
fn ctrl_c_discards_a_line_of_a_chat_and_leaves_at_an_empty_prompt() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    here.line(&format!(
        "clear; udpctl chat {} --name ann --no-time",
        agent.target()
    ));
    // Not between a line and what it becomes.
    here.is("the list of members", |screen| {
        screen.contains("nobody else") && screen.trim_end().ends_with('>')
    });
    discards(&here);
    here.line("said");
    agent
        .child
        .stdout_line(|line| line.starts_with("ann(owner): "));
    assert_eq!(
        agent.child.stdout_seen().last().unwrap(),
        "ann(owner): 日本 not said said"
    );
    here.keys(&["C-c"]);
    here.prompt();
    // What was discarded is not among the lines of the next chat.
    here.line(&format!("clear; udpctl chat {} --name ann", agent.target()));
    here.is("the list of members", |screen| {
        screen.contains("nobody else") && screen.trim_end().ends_with('>')
    });
    here.keys(&["Up", "Up"]);
    here.at("> 日本 not said said");
    here.keys(&["C-c"]);
    here.is("that it is discarded", |screen| {
        screen.trim_end().ends_with("said said^C\n>")
    });
    here.keys(&["C-c"]);
    here.prompt();
    here.line("echo status $?");
    here.shows("status 130");
    // So does plain text.
    here.line("clear; udpctl chat --plain 127.0.0.1:9");
    here.at("(unverified) >");
    here.keys(&["C-c"]);
    here.prompt();
    here.line("echo status $?");
    here.shows("status 130");
}

#[test]
#[ignore = "needs tmux"]
fn ctrl_c_discards_a_line_at_an_agent_and_ends_it_at_an_empty_prompt() {
    let here = Terminal::new();
    let target = format!("127.0.0.1:{}", port_to_keep());
    here.line(&format!(
        "clear; udpagent --name hall --no-time --bind {target} 2>log"
    ));
    here.at(">");
    let mut command = here.user.command("udpctl");
    command.args(["chat", &target, "--name", "ann"]);
    let mut ann = Child::start(command);
    here.shows("* ann(owner) came");
    discards(&here);
    here.line("said");
    ann.stdout_line(|line| line == "hall: 日本 not said said");
    // So does the question about a paste.
    let pasted = "pasted\n".repeat(21);
    here.tmux(&["set-buffer", &pasted]);
    here.tmux(&["paste-buffer"]);
    here.is("the question", |screen| {
        screen.contains("* 21 lines at once")
    });
    here.keys(&["C-c"]);
    here.shows("* 21 lines are not sent");
    here.line("still here");
    ann.stdout_line(|line| line == "hall: still here");
    here.tmux(&["send-keys", "-l", "a draft"]);
    here.at("> a draft");
    here.keys(&["C-c"]);
    here.is("that it is discarded", |screen| {
        screen.trim_end().ends_with("> a draft^C\n>")
    });
    here.keys(&["C-c"]);
    here.prompt();
    assert!(!ann.stdout_seen().iter().any(|line| line.contains("pasted")));
}

/// Discards lines at a prompt, and has one of them back.
fn discards(here: &Terminal) {
    // After Esc, too, which begins the sequence of a key.
    here.keys(&["x", "Escape"]);
    here.at("> x");
    here.keys(&["C-c"]);
    here.is("that it is discarded", |screen| {
        screen.trim_end().ends_with("x^C\n>")
    });
    here.is("the prompt", |screen| screen.trim_end().ends_with('>'));
    here.tmux(&["send-keys", "-l", "日本 not said "]);
    here.at("> 日本 not said");
    here.keys(&["Left", "Left", "C-c"]);
    here.is("that it is discarded", |screen| {
        screen.trim_end().ends_with("> 日本 not said ^C\n>")
    });
    let rows = "ö ".repeat(100);
    here.tmux(&["send-keys", "-l", &rows]);
    here.is("the line", |screen| screen.matches('ö').count() == 100);
    here.keys(&["C-c"]);
    here.is("that it is discarded", |screen| {
        screen.trim_end().ends_with("ö ^C\n>")
    });
    here.keys(&["Up", "Up"]);
    here.at("> 日本 not said");
}
