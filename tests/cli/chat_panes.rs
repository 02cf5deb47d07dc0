//! A chat as several people use it at once, each in a pane of a terminal: typing while messages arrive, other sizes of the
//! window, long lines, wide characters, job control.

use crate::harness::{Agent, Terminal, User, eventually};

const NAMES: [&str; 3] = ["ann", "bob", "zoe"];

/// Three members of one chat, each in a terminal.
fn three() -> (Agent, Vec<Terminal>) {
    let user = User::new();
    let mut agent = user.agent();
    let mut panes = vec![Terminal::of(user)];
    for name in &NAMES[1..] {
        let invite = panes[0]
            .user
            .udpagent(["invite", "--host", &agent.target()])
            .outcome()
            .stdout;
        let invite = String::from_utf8(invite).unwrap();
        let pane = Terminal::new();
        let accept = ["accept", invite.split('\'').nth(1).unwrap(), "--name", name];
        assert_eq!(pane.user.udpctl(accept).outcome().status, 0);
        panes.push(pane);
    }
    for (pane, name) in panes.iter().zip(NAMES) {
        let target = agent.target();
        pane.line(&format!(
            "clear; udpctl chat {target} --no-time --name {name}"
        ));
        agent
            .child
            .stdout_line(|line| line.starts_with(&format!("* {name}")) && line.ends_with(" came"));
        pane.is("the prompt", |screen| screen.trim_end().ends_with('>'));
    }
    (agent, panes)
}

/// Waits until the last row of a pane is a prompt with this text.
fn typed(pane: &Terminal, text: &str) {
    let prompt = format!("> {text}");
    pane.is(&prompt, |screen| {
        screen.trim_end().lines().last() == Some(prompt.trim_end())
    });
}

/// Resizes a window and waits until its program is told: tmux does so later.
fn resize(pane: &Terminal, columns: &str) {
    pane.tmux(&["resize-window", "-x", columns, "-y", "24"]);
    let tty = pane.tmux(&["display-message", "-p", "#{pane_tty}"]);
    eventually("the size", || {
        let mut stty = pane.user.command("stty");
        let size = stty.args(["-F", tty.trim(), "size"]).output().unwrap();
        String::from_utf8(size.stdout).unwrap().trim() == format!("24 {columns}")
    });
}

#[test]
#[ignore = "needs tmux"]
fn a_wider_window_erases_no_message_above_a_line_of_several_rows() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    let target = agent.target();
    resize(&here, "40");
    here.line(&format!("clear; udpctl chat {target} --no-time --name ann"));
    agent.child.stdout_line(|line| line == "* ann(owner) came");
    typed(&here, "");
    let say = |text: &str| {
        let words = ["send", &target, "--", text];
        assert_eq!(here.user.udpctl(words).outcome().status, 0);
        here.is(text, |screen| screen.contains(&format!(": {text}")));
    };
    let draft: String = ('a'..='z').cycle().take(190).collect();
    for (number, keys) in [&["C-e"][..], &["C-a"]].into_iter().enumerate() {
        for part in ["one", "two", "three", "four", "five"] {
            say(&format!("{part} {number}"));
        }
        here.tmux(&["send-keys", "-l", &draft]);
        here.keys(keys);
        let row = |from: usize, to: usize| draft[from..to].to_owned();
        here.is("five rows", |screen| {
            let (_, shown) = screen.rsplit_once("> ").unwrap_or_default();
            shown.split_whitespace().collect::<String>() == draft
        });
        resize(&here, "100");
        // Two rows: the prompt and 98 characters, and the others.
        let wanted = format!(
            "five {number}
> {}
{}
",
            row(0, 98),
            row(98, 190)
        );
        here.is("two rows", |screen| {
            format!(
                "{}
",
                screen.trim_end()
            )
            .ends_with(&wanted)
        });
        let screen = here.screen();
        for part in ["one", "two", "three", "four", "five"] {
            let shown = format!(
                ": {part} {number}
"
            );
            assert!(screen.contains(&shown), "{shown}{screen}");
        }
        say(&format!("after {number}"));
        here.keys(&["C-e", "C-u"]);
        typed(&here, "");
        resize(&here, "40");
    }
    here.keys(&["C-d"]);
    here.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn three_people_type_while_messages_arrive_and_windows_change() {
    let (mut agent, panes) = three();
    let [ann, bob, zoe] = &panes[..] else {
        panic!("three panes")
    };
    // What ann types stays where it is, whatever arrives meanwhile.
    ann.tmux(&["send-keys", "-l", "half a "]);
    typed(ann, "half a");
    for number in 1..=5 {
        bob.line(&format!("from bob {number}"));
        zoe.line(&format!("from zoe {number}"));
    }
    for word in ["bob: from bob 5", "zoe: from zoe 5"] {
        ann.shows(word);
    }
    typed(ann, "half a");
    ann.line("sentence");
    for pane in [bob, zoe] {
        pane.shows("ann(owner): half a sentence");
    }
    // Wide characters, on a narrow window, in the middle of a line.
    resize(ann, "40");
    let wide = "日本語の文字".repeat(5);
    ann.tmux(&["send-keys", "-l", &wide]);
    ann.is("two rows", |screen| {
        let rows: Vec<_> = screen.trim_end().lines().collect();
        matches!(rows[..], [.., first, last] if first.starts_with("> 日本") && !last.is_empty())
    });
    bob.line("into the narrow window");
    ann.shows("bob: into the narrow window");
    resize(ann, "80");
    zoe.line("and into the wide one");
    ann.shows("zoe: and into the wide one");
    typed(ann, &wide);
    ann.keys(&["Enter"]);
    let line = format!("ann(owner): {wide}");
    bob.shows(&line);
    agent.child.stdout_line(|shown| shown == line);
    // A long line, pasted, with other messages around it.
    let long: String = ('a'..='z').cycle().take(3000).collect();
    bob.tmux(&["set-buffer", &format!("{long}\n")]);
    bob.tmux(&["paste-buffer"]);
    let line = format!("bob: {long}");
    agent.child.stdout_line(|shown| shown == line);
    zoe.line("after it");
    for pane in [ann, bob] {
        pane.shows("zoe: after it");
        typed(pane, "");
    }
    // Stopped and continued, with a line that is half typed.
    ann.tmux(&["send-keys", "-l", "before and "]);
    typed(ann, "before and");
    ann.keys(&["C-z"]);
    ann.prompt();
    zoe.line("meanwhile");
    bob.shows("zoe: meanwhile");
    ann.line("clear; fg");
    ann.shows("zoe: meanwhile");
    typed(ann, "before and");
    // The same with nothing to show.
    ann.keys(&["C-z"]);
    ann.prompt();
    ann.line("clear; fg");
    typed(ann, "before and");
    ann.line("after");
    agent
        .child
        .stdout_line(|line| line == "ann(owner): before and after");
    for pane in &panes {
        pane.keys(&["C-d"]);
        pane.prompt();
    }
}
