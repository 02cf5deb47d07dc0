//! The chat on a terminal as a person sees it: colours, times, commands, and what is said about a silent agent.

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
fn a_delivered_line_has_a_mark() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    chat(&here, &mut agent, "ann", "NO_COLOR=1", "--no-time");
    for line in ["hello", "/me waves", "//etc"] {
        here.line(line);
        let marked = format!("\n> {line} \u{2713}\n>");
        here.is("the mark", |screen| screen.contains(&marked));
    }
    // One of several rows stays as it is, and is named below.
    here.line(&"long ".repeat(40));
    here.is("its name", |screen| {
        screen.contains("\n* delivered: long long")
    });
    here.line("/msg nobody hello");
    here.shows("* not delivered (nobody here is named \"nobody\"): /msg nobody hello");
    assert!(!here.screen().contains("hello \u{2713}\n* not"));
    here.keys(&["C-d"]);
    here.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn the_keys_that_stop_and_continue_the_output_do_so_and_are_not_typed() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    chat(&here, &mut agent, "ann", "NO_COLOR=1", "--no-time");
    here.tmux(&["send-keys", "-l", "dra"]);
    here.at("> dra");
    here.keys(&["C-s"]);
    let sent = here.user.udpctl(["send", &agent.target(), "--", "hello"]);
    assert_eq!(sent.outcome().status, 0);
    here.tmux(&["send-keys", "-l", "ft"]);
    assert!(!here.screen().contains("hello"), "{}", here.screen());
    here.keys(&["C-q"]);
    here.is("the message and the line", |screen| {
        screen.contains("hello") && screen.trim_end().ends_with("> draft")
    });
    here.keys(&["C-u", "C-d"]);
    here.prompt();
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

#[test]
#[ignore = "needs tmux"]
fn a_paste_of_more_than_twenty_lines_asks_before_it_is_sent() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    chat(&here, &mut agent, "ann", "", "");
    let question = |count: usize| {
        format!("* {count} lines at once: type \"y\" to send them, \"n\" to drop them")
    };
    let pasted = |word: &str, count: usize| {
        let lines: Vec<_> = (1..=count).map(|n| format!("{word} {n}\n")).collect();
        here.tmux(&["set-buffer", &lines.concat()]);
        here.tmux(&["paste-buffer"]);
    };
    pasted("refused", 21);
    here.shows(&question(21));
    here.line("n");
    here.shows("* 21 lines are not sent");
    pasted("accepted", 30);
    here.shows(&question(30));
    here.line("y");
    agent
        .child
        .stdout_line(|line| line == "ann(owner): accepted 30");
    // As a terminal marks it.
    let marked: Vec<_> = (1..=21).map(|n| format!("marked {n}")).collect();
    let marked = format!("\x1b[200~{}\x1b[201~", marked.join("\r"));
    here.tmux(&["send-keys", "-l", &marked]);
    here.keys(&["Enter"]);
    here.shows(&question(21));
    here.line("y");
    agent
        .child
        .stdout_line(|line| line == "ann(owner): marked 21");
    let said = agent.child.stdout_seen().iter();
    let said: Vec<_> = said
        .filter_map(|line| line.strip_prefix("ann(owner): "))
        .collect();
    let numbered = |word: &str, count: usize| -> Vec<_> {
        (1..=count).map(|n| format!("{word} {n}")).collect()
    };
    assert_eq!(
        said,
        [numbered("accepted", 30), numbered("marked", 21)].concat()
    );
    here.keys(&["C-d"]);
    here.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn a_chat_tells_how_long_the_agent_is_silent_and_which_lines_it_lacks() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    chat(&here, &mut agent, "ann", "", "");
    agent.stop();
    here.line("one");
    here.shows("* not delivered yet: one");
    here.tmux(&["send-keys", "-l", "dra"]);
    // A second may pass between two turns of the chat, so that it is not shown.
    for least in [12, 14] {
        here.is("the silence", |screen| {
            let mut told = screen.lines().filter_map(|line| {
                let (_, heard) = line.split_once("last heard ")?;
                heard.split_once(" s ago")?.0.parse::<u64>().ok()
            });
            told.next().is_some_and(|seconds| seconds >= least) && told.next().is_none()
        });
        assert!(here.screen().trim_end().ends_with("\n> dra"));
    }
    agent.resume();
    here.is("its end", |screen| {
        screen.contains(" answers again, after ") && screen.contains("* the line is delivered now")
    });
    here.line("ft");
    agent.child.stdout_line(|line| line == "ann(owner): draft");
    here.keys(&["C-d"]);
    here.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn a_person_stays_in_the_chat_of_an_agent_that_is_started_again() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    let target = agent.target();
    chat(&here, &mut agent, "ann", "", "--contact-timeout 1s");
    agent.child.signal(rustix::process::Signal::TERM);
    let (status, stderr) = agent.child.wait();
    assert!(status.success(), "{stderr}");
    here.is("the silence", |screen| screen.contains(": last heard "));
    here.line("meanwhile");
    here.shows("* not delivered yet: meanwhile");
    let mut agent = Agent::start(&here.user, &["--bind", &target]);
    agent
        .child
        .stdout_line(|line| line == "ann(owner): meanwhile");
    here.is("its end", |screen| {
        screen.contains(" answers again, after ")
    });
    here.keys(&["C-d"]);
    here.prompt();
    here.line("echo status $?");
    here.shows("status 0");
}

#[test]
#[ignore = "needs tmux"]
fn a_session_that_a_reload_replaces_at_once_is_no_silence() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    chat(&here, &mut agent, "ann", "", "");
    assert_eq!(here.user.udpagent(["reload"]).outcome().status, 0);
    here.is("the next session", |screen| {
        screen.matches("* you are ann(owner) at ").count() == 2
    });
    let screen = here.screen();
    assert!(!screen.contains(" 0 s"), "{screen}");
    here.keys(&["C-d"]);
    here.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn exec_in_a_chat_shows_escaped_output_and_the_outcome_only_to_the_one_who_asked() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    let mut command = here.user.command("udpctl");
    command.args(["chat", &agent.target(), "--name", "zoe"]);
    let mut zoe = Child::start(command);
    agent.child.stdout_line(|line| line.contains("zoe"));
    chat(&here, &mut agent, "ann", "", "");
    here.line(r"/exec printf 'bob: a\033[2Jb\n%s' 'two  words'");
    here.shows("* /exec printf: exited with status 0");
    let screen = here.screen();
    assert!(
        screen.contains("\n| bob: a\\u{1b}[2Jb\n| two  words\n* /exec printf: exited"),
        "{screen}"
    );
    here.line("/exec sh -c 'echo oops >&2; exit 3'");
    here.shows("* /exec sh: exited with status 3");
    assert!(here.screen().contains("\n| oops\n"));
    // Standard input is empty.
    here.line("/exec sh -c 'cat; kill -9 $$'");
    here.shows("* /exec sh: ended by signal 9 (KILL)");
    here.line("/exec no-such-program");
    here.shows("* /exec no-such-program: could not be started: No such file or directory");
    here.line("/exec echo 'half");
    here.shows("* /exec: a quote is not closed, or nothing follows a backslash; not run");
    here.line("/exec");
    here.shows("* /exec needs a command behind it, as in /exec uptime");
    here.line("clear of all this");
    zoe.stdout_line(|line| line == "ann(owner): clear of all this");
    assert_eq!(zoe.stdout_seen(), ["ann(owner): clear of all this"]);
    here.keys(&["C-d"]);
    here.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn exec_in_a_chat_goes_on_beside_messages_is_bounded_and_is_canceled_on_leaving() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    let target = agent.target();
    chat(&here, &mut agent, "ann", "", "");
    here.line("/exec seq 1 20000");
    here.shows("* 105001 further bytes of output are not shown");
    here.shows("* /exec seq: exited with status 0");
    assert!(here.screen().contains("\n| 1000\n* 105001 further"));
    for leave in ["C-d", "C-c"] {
        // Its endless output does not hold up the chat.
        here.line("clear");
        here.line("/exec yes");
        here.is("the output", |screen| screen.contains("\n| y\n"));
        here.line("/exec true");
        here.shows("* a command is running; /exec again when it has ended, or /cancel it");
        here.line(&format!("still here {leave}"));
        let said = format!("ann(owner): still here {leave}");
        agent.child.stdout_line(|line| line == said);
        here.keys(&[leave]);
        here.shows("* /exec yes: canceling, as the chat is left");
        here.shows("* /exec yes: canceled");
        here.prompt();
        let jobs = here.user.udpctl(["jobs", &target]).outcome();
        assert!(!String::from_utf8_lossy(&jobs.stdout).contains("yes"));
        chat(&here, &mut agent, "ann", "", "");
    }
    here.line("/cancel");
    here.shows("* no command of /exec is running");
    here.line("/exec yes");
    here.is("the output", |screen| screen.contains("\n| y\n"));
    here.line("/cancel");
    here.shows("* /exec yes: canceled");
    here.line("/exec echo next");
    here.shows("* /exec echo: exited with status 0");
    here.keys(&["C-d"]);
    here.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn exec_in_a_chat_of_a_key_without_rights_is_denied_and_the_chat_goes_on() {
    let here = Terminal::new();
    let id = here.user.udpctl(["id"]).outcome().stdout;
    here.user.write_line(id.trim_ascii_end(), "chat-only");
    let mut agent = here.user.agent();
    here.line(&format!("udpctl chat {}", agent.target()));
    agent.child.stdout_line(|line| line == "* me came");
    here.is("the prompt", |screen| screen.trim_end().ends_with('>'));
    let file = here.user.path("touched");
    here.line(&format!("/exec touch {}", file.display()));
    here.shows("* /exec touch: denied");
    here.line("still here");
    agent.child.stdout_line(|line| line == "me: still here");
    assert!(!file.exists());
    here.keys(&["C-d"]);
    here.prompt();
}
