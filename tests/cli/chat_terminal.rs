//! The chat of both programs in a terminal that tmux draws: pasted lines, lines typed ahead, job control.

use crate::harness::{Agent, Child, Terminal};

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

/// Returns the lines `WORD 1` to `WORD COUNT`.
fn numbered(word: &str, count: usize) -> String {
    let lines: Vec<_> = (1..=count).map(|n| format!("{word} {n}\n")).collect();
    lines.concat()
}

/// Waits for the messages `WORD 1` to `WORD COUNT` in this order, and for no others.
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
    // Bracketed paste, as a terminal sends it while the program has enabled it.
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
    here.shows("status 130");
    here.shows("1");
}

#[test]
#[ignore = "needs tmux"]
fn lines_typed_while_a_stopped_agent_blocks_a_chat_wait_for_it() {
    let (here, mut agent) = at_a_chat();
    agent.stop();
    let lines = numbered("waiting", 600);
    let file = here.user.path("lines");
    std::fs::write(&file, lines).unwrap();
    here.tmux(&["load-buffer", file.to_str().unwrap()]);
    here.tmux(&["paste-buffer"]);
    here.is("the question", |screen| {
        screen.contains("* 600 lines at once: type \"y\" to send them, \"n\" to drop them")
    });
    here.line("y");
    here.is("as many as may be under way", |screen| {
        screen.contains("256 lines are not delivered yet, from: waiting 1")
    });
    agent.resume();
    said_in_order(&mut agent, "waiting", 600);
    // Ctrl-Z returns the terminal to the shell with its original modes.
    here.keys(&["C-z"]);
    here.prompt();
    here.line("stty -a | grep -c -- ' icanon'");
    here.shows("1");
    here.line("fg");
    here.line("back 1");
    said_in_order(&mut agent, "back", 1);
    agent.stop();
    here.line("lost");
    // Ctrl-C discards what was typed and not read.
    here.is("the next prompt", |screen| {
        screen.trim_end().ends_with("lost\n>")
    });
    here.keys(&["C-c"]);
    here.is("its end", |screen| {
        screen.contains("not delivered (no receipt): lost")
    });
    agent.resume();
    here.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn a_signal_after_ctrl_v_keeps_the_line_and_the_chat() {
    let (here, mut agent) = at_a_chat();
    for (word, keys) in [("abc", &["C-c", "C-z"][..]), ("xyz", &["C-z"])] {
        // One text, so that Ctrl-V is read once the line is shown: a signal discards what is not read.
        here.tmux(&["send-keys", "-l", &format!("{word}\x16")]);
        here.at(&format!("> {word}"));
        here.keys(keys);
        here.prompt();
        here.line("fg");
        here.at(&format!("> {word}"));
        here.line(" goes on");
        let said = format!("ann(owner): {word} goes on");
        agent.child.stdout_line(|line| line == said);
    }
    here.keys(&["C-d"]);
    here.prompt();
    here.line("echo status $?");
    here.shows("status 0");
}

#[test]
#[ignore = "needs tmux"]
fn every_line_typed_at_the_agent_is_a_message() {
    let here = Terminal::new();
    here.line("udpagent --bind 127.0.0.1:0 2>&1");
    here.is("where it listens", |screen| screen.contains(" listens on "));
    let screen = here.screen();
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

#[test]
#[ignore = "needs tmux"]
fn commands_of_a_chat_list_members_and_are_completed() {
    let (here, mut agent) = at_a_chat();
    let mut command = here.user.command("udpctl");
    command.args(["chat", &agent.target(), "--name", "zoe"]);
    let mut zoe = Child::start(command);
    zoe.stdout_seen();
    agent.child.stdout_line(|line| line.contains("zoe"));
    here.line("/who");
    here.is("the members", |screen| {
        screen.contains("* you are ann(owner); also here: zoe(owner)")
    });
    here.line("/help");
    here.is("the commands", |screen| {
        screen.contains("* /who") && screen.contains("* /quit") && screen.contains("* //TEXT")
    });
    here.line("/hlep");
    here.shows("* /hlep is no command; did you mean /help? /help lists the commands");
    // A command and a name, completed.
    here.tmux(&["send-keys", "-l", "hello z\tthere"]);
    here.keys(&["Enter"]);
    zoe.stdout_line(|line| line == "ann(owner): hello zoe(owner) there");
    here.tmux(&["send-keys", "-l", "/q\t"]);
    here.keys(&["Enter"]);
    here.prompt();
    // The lines of this chat are in the history of the next one, and private.
    here.line(&format!("clear; udpctl chat {} --name ann", agent.target()));
    here.is("the prompt", |screen| screen.trim_end().ends_with('>'));
    here.keys(&["Up", "Up", "Enter"]);
    zoe.stdout_line(|line| line == "ann(owner): hello zoe(owner) there");
    here.keys(&["C-d"]);
    here.prompt();
}
