//! Actions and private messages, by the library and at the prompt.

use udpagent::client::{Chat, Client, Error, Host, Message};
use udpagent::crypto::key_file;

use crate::harness::{Agent, Child, DEADLINE, Terminal, User};

const SERVE: [&str; 4] = ["--bind", "127.0.0.1:0", "--name", "hall"];

fn client(user: &User, agent: &Agent) -> (Client, Host) {
    let identity = key_file::load(&user.path("config/udpctl/identity")).unwrap();
    let client = Client::new(identity).unwrap();
    let key = agent.key().trim().parse().unwrap();
    let host = client.host(&agent.target(), key).unwrap();
    (client, host)
}

/// A member whose output is JSON or text, as the options have it.
fn member(user: &User, agent: &mut Agent, name: &str, options: &[&str]) -> Child {
    let mut command = user.command("udpctl");
    command.args(["chat", &agent.target(), "--name", name]);
    command.args(options);
    let child = Child::start(command);
    let came = format!("{name}(owner)");
    agent
        .child
        .stdout_line(|line| line.contains(&came) && line.ends_with(" came"));
    child
}

/// Sends an action, private messages of several kinds, and a message to all.
fn say_all(ann: &mut Chat<'_>) {
    ann.send_action("waves\u{1b}[2J").unwrap();
    ann.send_private("bob(owner)", "to the first").unwrap();
    ann.send_private("bob(owner)#2", "to the second").unwrap();
    ann.send_private("zoe(owner)", "to zoe").unwrap();
    // Its user is not there: its output may go to a journal.
    for to in ["bob", "hall"] {
        match ann.send_private(to, "to nobody") {
            Err(Error::MessageRefused(reason)) => {
                assert_eq!(reason, format!("nobody here is named \"{to}\""));
            }
            other => panic!("{other:?}"),
        }
    }
    for (to, text) in [
        ("x".repeat(201), "x".into()),
        ("bob".into(), "x".repeat(1 << 15)),
    ] {
        let sent = ann.send_private(&to, &text);
        assert!(matches!(sent, Err(Error::MessageTooLong)), "{sent:?}");
    }
    ann.send("the last").unwrap();
}

#[test]
fn actions_and_private_messages_of_a_program_reach_their_audience_in_a_room() {
    let user = User::new();
    user.udpctl(["id"]).outcome();
    let mut agent = Agent::start(&user, &SERVE);
    let room = ["--room", "build"];
    let mut bob = member(&user, &mut agent, "bob", &room);
    let mut json = member(&user, &mut agent, "bob", &[&room[..], &["--json"]].concat());
    let mut hall = member(&user, &mut agent, "bob", &[]);
    let (mut anns, host) = client(&user, &agent);
    let (mut zoes, _) = client(&user, &agent);
    let build = || "build".parse().unwrap();
    let mut ann = anns.chat_in(&host, build(), Some("ann")).unwrap();
    assert_eq!(ann.members(), ["bob(owner)", "bob(owner)#2"]);
    let mut zoe = zoes.chat_in(&host, build(), Some("zoe")).unwrap();

    say_all(&mut ann);
    let from = || ann.name().to_owned();
    let said = |text: &str, action| Message::Said {
        from: from(),
        text: text.into(),
        verified: true,
        action,
    };
    let private = Message::Private {
        from: from(),
        text: "to zoe".into(),
    };
    for message in [
        said("waves\u{1b}[2J", true),
        private,
        said("the last", false),
    ] {
        assert_eq!(zoe.receive(DEADLINE).unwrap(), Some(message));
    }
    bob.stdout_line(|line| line == "ann(owner): the last");
    assert_eq!(
        bob.stdout_seen(),
        [
            "-*- ann(owner) waves\\u{1b}[2J",
            "ann(owner) (private): to the first",
            "ann(owner): the last"
        ]
    );
    json.stdout_line(|line| line.contains("the last"));
    let seen = json.stdout_seen().iter();
    let seen: Vec<_> = seen.filter(|line| line.contains("\"from\"")).collect();
    assert_eq!(
        seen[..2],
        [
            r#"{"v":1,"said":{"from":"ann(owner)","text":"waves\u001b[2J","unverified":false,"room":"build","action":true}}"#,
            r#"{"v":1,"whispered":{"from":"ann(owner)","text":"to the second","room":"build"}}"#
        ]
    );
    agent
        .child
        .stdout_line(|line| line == "#build ann(owner): the last");
    let shown = agent.child.stdout_seen().iter();
    let shown: Vec<_> = shown.filter(|line| !line.starts_with("* ")).collect();
    assert_eq!(
        shown,
        [
            "#build -*- ann(owner) waves\\u{1b}[2J",
            "#build ann(owner): the last"
        ]
    );
    agent.child.type_in("typed\n");
    hall.stdout_line(|line| line == "hall: typed");
    assert_eq!(hall.stdout_seen(), ["hall: typed"]);
}

#[test]
fn the_history_has_actions_as_such_and_no_private_message() {
    let user = User::new();
    user.udpctl(["id"]).outcome();
    let mut agent = Agent::start(&user, &SERVE);
    let room = ["--room", "build"];
    let bob = member(&user, &mut agent, "bob", &room);
    let twin = member(&user, &mut agent, "bob", &room);
    let zoe = member(&user, &mut agent, "zoe", &room);
    let (mut anns, host) = client(&user, &agent);
    let build = "build".parse().unwrap();
    let mut ann = anns.chat_in(&host, build, Some("ann")).unwrap();
    say_all(&mut ann);
    drop((bob, twin, zoe, agent));
    let lines = std::fs::read_to_string(user.path("state/udpagent/chat")).unwrap();
    assert!(!lines.contains("to the"), "{lines}");
    let mut agent = Agent::start(&user, &SERVE);
    let mut late = member(
        &user,
        &mut agent,
        "late",
        &[&room[..], &["--json"]].concat(),
    );
    late.stdout_line(|line| line.contains("the last"));
    let seen = late.stdout_seen();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen[1].contains("waves") && seen[1].ends_with(r#","action":true}}"#));
    assert!(!seen[2].contains("action"));
}

#[test]
fn a_bot_gets_actions_as_such_and_no_private_message() {
    let user = User::new();
    user.udpctl(["id"]).outcome();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/bot/echo.py");
    let runs = user.path("runs");
    let command = format!("python3 '{script}' '{}'", runs.display());
    let bot = ["--on-message", &command];
    let mut agent = Agent::start(&user, &[&SERVE[..], &bot].concat());
    let mut rob = member(&user, &mut agent, "rob", &bot);
    let (mut anns, host) = client(&user, &agent);
    let mut ann = anns.chat(&host, Some("ann")).unwrap();
    let absent = ann.send_private("hall", "one");
    assert!(
        matches!(absent, Err(Error::MessageRefused(_))),
        "{absent:?}"
    );
    ann.send_private("rob(owner)", "two").unwrap();
    ann.send_action("waves").unwrap();
    rob.stdout_line(|line| line == "ann(owner) (private): two");
    for _ in 0..2 {
        let answer = loop {
            match ann.receive(DEADLINE).unwrap() {
                Some(Message::Said { text, .. }) => break text,
                Some(_) => {}
                None => panic!("no answer"),
            }
        };
        assert_eq!(answer, "ann(owner) says waves");
    }
    let runs = std::fs::read_to_string(runs).unwrap();
    assert_eq!(runs.lines().count(), 2, "{runs}");
    for run in runs.lines() {
        assert!(run.contains(r#""text": "waves""#) && run.contains(r#""action": true"#));
    }
}

/// Starts a chat of `name` at the prompt.
fn at_prompt(here: &Terminal, agent: &mut Agent, name: &str) {
    let target = agent.target();
    here.line(&format!(
        "clear; udpctl chat {target} --no-time --name {name}"
    ));
    let came = format!("* {name}(owner) came");
    agent.child.stdout_line(|line| line == came);
    here.is("the prompt", |screen| screen.trim_end().ends_with('>'));
}

#[test]
#[ignore = "needs tmux"]
fn a_person_says_what_they_do_and_writes_to_one_member() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    let mut zoe = member(&here.user, &mut agent, "zoe", &[]);
    let mut zed = member(&here.user, &mut agent, "zed", &[]);
    at_prompt(&here, &mut agent, "ann");
    here.line("/help");
    here.shows("* /me TEXT       say what you do, as in /me waves");
    here.shows("* /msg NAME TEXT send a message to NAME only");
    // Nothing is sent by mistake.
    here.line("/me");
    here.shows("* /me needs a text behind it, as in /me waves; nothing is sent");
    for mistake in ["/msg", "/msg zoe(owner)"] {
        here.line("clear");
        here.line(mistake);
        here.shows(
            "* /msg needs a name and a text behind it, as in /msg ann hello; nothing is sent",
        );
    }
    here.line("/msg zoe secret");
    here.is("the refusal", |screen| {
        screen.contains(
            "* not delivered (nobody here is named \"zoe\"; did you mean \"zoe(owner)\"?)",
        )
    });
    here.line("/me waves");
    // A name is completed.
    here.tmux(&["send-keys", "-l", "/msg zo\tonly  you"]);
    here.keys(&["Enter"]);
    zoe.stdout_line(|line| line == "ann(owner) (private): only  you");
    here.line("to all");
    for member in [&mut zoe, &mut zed] {
        member.stdout_line(|line| line == "ann(owner): to all");
    }
    let seen = ["-*- ann(owner) waves", "ann(owner): to all"];
    let said = |member: &mut Child| -> Vec<String> {
        let seen = member.stdout_seen().iter();
        seen.filter(|line| !line.ends_with(": clear"))
            .cloned()
            .collect()
    };
    assert_eq!(said(&mut zed), seen);
    let private = "ann(owner) (private): only  you";
    assert_eq!(said(&mut zoe), [seen[0], private, seen[1]]);
    agent.child.stdout_line(|line| line == "ann(owner): to all");
    assert!(!agent.child.stdout_seen().concat().contains("only"));
    // Those of others at a prompt.
    let (mut bobs, host) = client(&here.user, &agent);
    let mut bob = bobs.chat(&host, Some("bob")).unwrap();
    bob.send_private("ann(owner)", "and\u{1b}[2J you").unwrap();
    here.shows("bob(owner) (private): and\\u{1b}[2J you");
    bob.send_action("leaves").unwrap();
    here.shows("-*- bob(owner) leaves");
    here.keys(&["C-d"]);
    here.prompt();
    here.line("echo status $?");
    // One line was not delivered.
    here.shows("status 255");
    at_prompt(&here, &mut agent, "ann");
    here.is("the history", |screen| {
        screen.contains("-*- (") && screen.contains("s ago) ann(owner) waves")
    });
    assert!(!here.screen().contains("only  you"));
    here.keys(&["C-d"]);
    here.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn a_command_that_a_person_types_without_a_prompt_is_no_message() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    here.line(&format!(
        "clear; udpctl chat {} --name ann | cat",
        agent.target()
    ));
    agent.child.stdout_line(|line| line == "* ann(owner) came");
    here.line("/msg nobody secret");
    here.shows("* not delivered (nobody here is named \"nobody\"): /msg nobody secret");
    here.line("//etc");
    agent.child.stdout_line(|line| line == "ann(owner): /etc");
    assert!(!agent.child.stdout_seen().concat().contains("secret"));
    here.line("/quit");
    here.prompt();
}
