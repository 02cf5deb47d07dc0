//! What a person sees in a chat on a terminal: colours, times, commands, and what is said about a silent agent.

use crate::harness::{Agent, Child, Terminal};

/// Starts a chat of `name` with an agent, and waits for its prompt. `variables` precede the command.
fn chat(here: &Terminal, agent: &mut Agent, name: &str, variables: &str, options: &str) {
    let target = agent.target();
    here.line(&format!(
        "clear; {variables} udpctl chat {target} --name {name} {options}"
    ));
    let came = format!("* {name}(owner) came");
    agent.child.stdout_line(|line| line == came);
    here.is("the prompt", |screen| screen.trim_end().ends_with('>'));
}

/// Returns the local time in a zone, as `HH:MM`.
fn time_in(here: &Terminal, zone: &str) -> String {
    let mut date = here.user.command("date");
    let output = date.env("TZ", zone).arg("+%H:%M").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
#[ignore = "needs tmux"]
fn names_have_colours_and_messages_the_local_time_on_a_terminal() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    let zone = "XYZ+4:30";
    chat(&here, &mut agent, "ann", &format!("TZ={zone}"), "");
    let before = time_in(&here, zone);
    let mut command = here.user.command("udpctl");
    command.args(["chat", &agent.target(), "--name", "bob"]);
    let mut bob = Child::start(command);
    bob.type_in("hello\n");
    here.is("the message", |screen| {
        screen.contains(" bob(owner): hello")
    });
    let after = time_in(&here, zone);
    let screen = here.tmux(&["capture-pane", "-p", "-e"]);
    let shown = |time: &str| format!("\n{time} \x1b[33mbob(owner)\x1b[39m: hello");
    assert!(
        [before, after]
            .iter()
            .any(|time| screen.contains(&shown(time))),
        "{screen:?}"
    );
    here.keys(&["C-d"]);
    here.prompt();
    // Neither, where the user does not want them.
    chat(&here, &mut agent, "ann", "NO_COLOR=1", "--no-time");
    bob.type_in("again\n");
    here.shows("bob(owner): again");
    let screen = here.tmux(&["capture-pane", "-p", "-e"]);
    assert!(!screen.contains('\x1b'), "{screen:?}");
    here.keys(&["C-d"]);
    here.prompt();
    // A terminal that cannot move the cursor has no prompt, and a chat.
    let target = agent.target();
    here.line(&format!("clear; TERM=dumb udpctl chat {target} --name ann"));
    agent.child.stdout_line(|line| line == "* ann(owner) came");
    bob.type_in("a third time\n");
    here.shows("bob(owner): a third time");
    here.line("heard");
    bob.stdout_line(|line| line == "ann(owner): heard");
    here.keys(&["C-d"]);
    here.prompt();
}
