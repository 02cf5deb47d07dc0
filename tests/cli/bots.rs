//! Bots: a command that answers the messages of a chat, at the agent and at a member.

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Agent, Child, User, children, eventually, helper};

/// The bot of these tests, as a command line. It appends a line to `runs` each time.
fn bot(user: &User) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/bot/echo.py");
    let runs = user.path("runs");
    format!("python3 '{script}' '{}' 'a word'", runs.display())
}

/// The lines that the bot has noted.
fn runs(user: &User) -> Vec<String> {
    let text = std::fs::read_to_string(user.path("runs")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn chat(user: &User, agent: &Agent, name: &str, options: &[&str]) -> Child {
    let mut command = user.command("udpctl");
    command.args(["chat", &agent.target(), "--name", name]);
    command.args(options);
    Child::start(command)
}

/// A member that is in the chat.
fn member(user: &User, agent: &mut Agent, name: &str, options: &[&str]) -> Child {
    let child = chat(user, agent, name, options);
    let came = format!("* {name}(owner) came");
    agent.child.stdout_line(|line| line == came);
    child
}

#[test]
fn the_bot_of_an_agent_answers_the_messages_of_members_and_nothing_else() {
    let user = User::new();
    let command = bot(&user);
    let mut agent = Agent::start(&user, &["--bind", "127.0.0.1:0", "--on-message", &command]);
    let mut ann = member(&user, &mut agent, "ann", &[]);
    let mut bob = member(&user, &mut agent, "bob", &["--json"]);
    // Neither a line that is typed at the agent nor plain text starts it.
    agent.child.type_in("typed\n");
    ann.stdout_line(|line| line.ends_with(": typed"));
    let plain = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    plain.send_to(b"plain\n", agent.target()).unwrap();
    ann.stdout_line(|line| line.ends_with(" (unverified): plain"));

    let hostile = "$(touch x) ; `y` \x1b[2J";
    ann.type_in(&format!("{hostile}\n"));
    let answer = "(bot): ann(owner) says $(touch x) ; `y` \\u{1b}[2J";
    ann.stdout_line(|line| line.ends_with(answer));
    agent.child.stdout_line(|line| line.ends_with(answer));
    let line = bob.stdout_line(|line| line.contains("ann(owner) says"));
    assert!(
        line.ends_with(r#""unverified":false,"bot":true}}"#),
        "{line}"
    );
    user.udpctl(["send", &agent.target(), "--", "sent"]).run();
    ann.stdout_line(|line| line.ends_with("(bot): owner says sent"));
    let runs = runs(&user);
    assert_eq!(runs.len(), 2, "{runs:#?}");
    assert!(
        runs[0].starts_with(
            r#"{"from": "ann(owner)", "text": "$(touch x) ; `y` \u001b[2J", "unverified": false} ['a word'] "#
        ),
        "{runs:#?}"
    );
    // The chat sends nothing of it to plain-text peers.
    plain
        .set_read_timeout(Some(std::time::Duration::from_millis(50)))
        .unwrap();
    assert!(plain.recv_from(&mut [0; 100]).is_err());
}

#[test]
fn the_bot_of_an_agent_answers_in_the_room_of_the_message() {
    let user = User::new();
    let command = bot(&user);
    let mut agent = Agent::start(&user, &["--bind", "127.0.0.1:0", "--on-message", &command]);
    let mut ann = member(&user, &mut agent, "ann", &[]);
    let mut bob = chat(&user, &agent, "bob", &["--room", "build"]);
    agent
        .child
        .stdout_line(|line| line.ends_with(" bob(owner) came"));
    let mut cy = chat(&user, &agent, "cy", &["--room", "build", "--json"]);
    agent
        .child
        .stdout_line(|line| line.ends_with(" cy(owner) came"));
    bob.type_in("hello\n");
    bob.stdout_line(|line| line.ends_with("(bot): bob(owner) says hello"));
    let answer = cy.stdout_line(|line| line.contains("bob(owner) says hello"));
    assert!(
        answer.ends_with(r#""unverified":false,"room":"build","bot":true}}"#),
        "{answer}"
    );
    ann.type_in("last\n");
    ann.stdout_line(|line| line.ends_with("(bot): ann(owner) says last"));
    assert_eq!(ann.stdout_seen().len(), 1);
    assert!(runs(&user)[0].contains(r#""room": "build""#));
}

#[test]
fn a_bot_that_crashes_hangs_or_floods_is_logged_and_the_next_message_starts_anew() {
    let user = User::new();
    let command = bot(&user);
    let bot = ["--on-message", &command, "--on-message-timeout", "2s"];
    let mut agent = Agent::start(&user, &[&["--bind", "127.0.0.1:0"], &bot[..]].concat());
    let mut ann = member(&user, &mut agent, "ann", &[]);
    ann.type_in("CRASH\nSLEEP\nNOTHING\nFLOOD\nlast\n");
    for failure in [
        "on-message: exit status 1: no luck \\u{1b}[2J",
        "on-message: no answer within 2s; killed",
        "on-message: the answer was cut",
    ] {
        agent.child.stderr_line(|line| line.ends_with(failure));
    }
    ann.stdout_line(|line| line.ends_with("(bot): ann(owner) says last"));
    let said = ann.stdout_seen().iter();
    let answers: Vec<&String> = said.filter(|line| line.contains("(bot): ")).collect();
    // Twenty messages, and the last answer.
    assert_eq!(answers.len(), 21);
    for answer in &answers[..20] {
        let (_, text) = answer.split_once("(bot): ").unwrap();
        assert!(text.len() == 3_000 && text.bytes().all(|byte| byte == b'y'));
    }
}

#[test]
fn a_bot_that_is_slow_delays_nobody_and_what_it_leaves_out_is_counted() {
    let user = User::new();
    let release = user.path("go");
    // Reads the message, then waits until the file is there.
    let script = format!(
        r#"sh -c 'read line; while ! test -e "{}"; do sleep 0.01; done; echo done'"#,
        release.display()
    );
    let mut agent = Agent::start(&user, &["--bind", "127.0.0.1:0", "--on-message", &script]);
    let mut ann = member(&user, &mut agent, "ann", &[]);
    let mut bob = member(&user, &mut agent, "bob", &[]);
    // One with the command, sixty-four that wait, and five too many.
    for number in 0..70 {
        ann.type_in(&format!("{number}\n"));
        let text = format!(": {number}");
        bob.stdout_line(|line| line.ends_with(&text));
    }
    let dropped = |line: &str| -> Option<u32> {
        let (_, count) = line.split_once("messages came too fast; not answered: ")?;
        count.parse().ok()
    };
    // The first at once, the others at the latest when none waits.
    let first = agent.child.stderr_line(|line| dropped(line).is_some());
    assert_eq!(dropped(&first), Some(1));
    std::fs::write(release, "").unwrap();
    let mut all = 1;
    while all < 5 {
        let line = agent.child.stderr_line(|line| dropped(line).is_some());
        all += dropped(&line).unwrap();
    }
    assert_eq!(all, 5);
    ann.type_in("more\n");
    for _ in 0..66 {
        ann.stdout_line(|line| line.ends_with("(bot): done"));
    }
}

#[test]
fn a_chat_with_a_bot_stays_after_the_end_of_its_input_and_ends_by_a_signal() {
    let user = User::new();
    let command = bot(&user);
    let mut agent = user.agent();
    let options = ["--on-message", &command, "--on-message-timeout", "600s"];
    let mut bot = member(&user, &mut agent, "bot", &options);
    bot.type_in("I am here\n");
    bot.close_stdin();
    agent
        .child
        .stdout_line(|line| line == "bot(owner): I am here");
    let mut ann = member(&user, &mut agent, "ann", &[]);
    let stuck = ["--on-message", "sleep 600", "--on-message-timeout", "1s"];
    let mut stuck = member(&user, &mut agent, "stuck", &stuck);
    ann.type_in("CRASH\nhello\n");
    bot.stderr_line(|line| line == "* --on-message: exit status 1: no luck \\u{1b}[2J");
    stuck.stderr_line(|line| line == "* --on-message: no answer within 1s; killed");
    ann.stdout_line(|line| line == "bot(owner) (bot): ann(owner) says hello");
    agent.child.type_in("from the agent\n");
    ann.stdout_line(|line| line.ends_with(" says from the agent"));
    // Plain text does not start it.
    let plain = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    plain.send_to(b"plain\n", agent.target()).unwrap();
    bot.stdout_line(|line| line.ends_with(" (unverified): plain"));
    ann.type_in("bye\n");
    ann.stdout_line(|line| line == "bot(owner) (bot): ann(owner) says bye");
    assert_eq!(runs(&user).len(), 4);

    // Its command ends with it.
    ann.type_in("SLEEP\n");
    eventually("the command runs", || runs(&user).len() == 5);
    let running = children(bot.pid());
    assert_eq!(running.len(), 1, "{running:?}");
    bot.signal(Signal::TERM);
    let (status, stderr) = bot.wait();
    assert!(status.success(), "{stderr}");
    let pid = running[0].pid;
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    let usage = ["chat", "--plain", "--on-message", "cat", "localhost"];
    assert_eq!(user.udpctl(usage).outcome().status, 2);
}

#[test]
fn two_bots_that_answer_each_other_fall_silent_at_once() {
    let user = User::new();
    let command = bot(&user);
    let options = ["--on-message", &command];
    let mut agent = Agent::start(&user, &[&["--bind", "127.0.0.1:0"], &options[..]].concat());
    let mut one = member(&user, &mut agent, "one", &options);
    let mut other = member(&user, &mut agent, "other", &options);
    let mut ann = member(&user, &mut agent, "ann", &[]);
    ann.type_in("hello\n");
    // In any order. Each has run once then, and the next message is the second of each.
    let answer = " (bot): ann(owner) says hello";
    let bots = [(); 3].map(|()| ann.stdout_line(|line| line.ends_with(answer)));
    for member in ["one(owner)", "other(owner)"] {
        assert!(bots.contains(&format!("{member}{answer}")), "{bots:?}");
    }
    ann.type_in("again\n");
    one.stdout_line(|line| line == "other(owner) (bot): ann(owner) says again");
    other.stdout_line(|line| line == "one(owner) (bot): ann(owner) says again");
    for _ in 0..3 {
        ann.stdout_line(|line| line.ends_with("(bot): ann(owner) says again"));
    }
    assert_eq!(runs(&user).len(), 6, "{:#?}", runs(&user));
}

#[test]
fn the_bot_of_an_agent_goes_on_after_a_reload_and_after_the_death_of_its_process() {
    let user = User::new();
    let command = bot(&user);
    let file = user.path("config/udpagent/udpagent.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, format!("on-message = \"{command}\"\n")).unwrap();
    let mut agent = Agent::start(&user, &["--bind", "127.0.0.1:0"]);
    let words = user.udpagent(["check"]).outcome().stdout;
    let words = String::from_utf8(words).unwrap();
    let line = words.lines().nth(2).unwrap_or_default();
    let (begin, end) = (
        "runs python3 /",
        " 'a word' for each message of the chat, for 10s at most",
    );
    assert!(line.starts_with(begin) && line.ends_with(end), "{words}");
    let words = user.udpagent(["status"]).outcome().stdout;
    let words = String::from_utf8(words).unwrap();
    assert!(words.contains("\non-message python3 "), "{words}");
    let other_than = |agent: &Agent, old: Option<Pid>| {
        let mut found = None;
        eventually("the process of the bot runs", || {
            found = helper(agent.child.pid(), "udpagent-bot");
            found.is_some() && found != old
        });
        found
    };
    let mut ann = member(&user, &mut agent, "ann", &[]);
    let mut ask = |text: &str| {
        ann.type_in(&format!("{text}\n"));
        let answer = format!("(bot): ann(owner) says {text}");
        ann.stdout_line(|line| line.ends_with(&answer));
    };
    ask("one");
    let first = other_than(&agent, None);
    assert_eq!(user.udpagent(["reload"]).outcome().status, 0);
    ask("two");
    // Neither the front nor a session ends with it.
    let front = helper(agent.child.pid(), "udpagent-front");
    let mut last = other_than(&agent, first);
    for text in ["three", "four"] {
        kill_process(last.unwrap(), Signal::KILL).unwrap();
        agent.child.stderr_line(|line| {
            line.ends_with("on-message: its process has ended; starting it anew")
        });
        ask(text);
        last = other_than(&agent, last);
    }
    assert_eq!(helper(agent.child.pid(), "udpagent-front"), front);
    eventually("the process that has ended is reaped", || {
        children(agent.child.pid()).is_empty()
    });
}

#[test]
fn earlier_messages_are_shown_to_a_member_and_start_no_bot_of_its() {
    let user = User::new();
    let command = bot(&user);
    let mut agent = user.agent();
    let mut ann = member(&user, &mut agent, "ann", &[]);
    ann.type_in("before\n");
    agent.child.stdout_line(|line| line == "ann(owner): before");
    let options = ["--json", "--on-message", &command];
    let mut bot = member(&user, &mut agent, "bot", &options);
    let before = bot.stdout_line(|line| line.contains("before"));
    assert!(before.contains("\"age_ms\":"), "{before}");
    ann.type_in("after\n");
    ann.stdout_line(|line| line == "bot(owner) (bot): ann(owner) says after");
    let runs = runs(&user);
    assert_eq!(runs.len(), 1, "{runs:#?}");
}

#[test]
fn a_stubborn_command_of_the_bot_ends_with_the_front_and_with_the_agent() {
    let user = User::new();
    let script = format!(
        r#"sh -c 'trap "" HUP INT TERM; read line; echo $$ >>"{}"; while :; do sleep 600; done'"#,
        user.path("runs").display()
    );
    let options = ["--bind", "127.0.0.1:0", "--on-message", &script];
    let mut agent = Agent::start(&user, &options);
    let mut ann = member(&user, &mut agent, "ann", &[]);
    let processes = |agent: &Agent, ann: &mut Child| {
        let before = runs(&user).len();
        ann.type_in("hello\n");
        eventually("the command runs", || runs(&user).len() > before);
        let bot = helper(agent.child.pid(), "udpagent-bot").expect("it runs the command");
        let command = runs(&user).pop().unwrap();
        [bot.as_raw_pid().to_string(), command]
    };
    let end = |processes: [String; 2]| {
        eventually("both have ended", || {
            processes.iter().all(|pid| {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
                stat.map_or(true, |stat| stat.contains(") Z "))
            })
        });
    };

    let running = processes(&agent, &mut ann);
    let front = helper(agent.child.pid(), "udpagent-front").unwrap();
    kill_process(front, Signal::KILL).unwrap();
    end(running);

    let running = processes(&agent, &mut ann);
    agent.child.signal(Signal::TERM);
    let (status, stderr) = agent.child.wait();
    assert!(status.success(), "{stderr}");
    end(running);

    let mut agent = Agent::start(&user, &options);
    let mut ann = member(&user, &mut agent, "ann", &[]);
    let running = processes(&agent, &mut ann);
    agent.child.kill();
    end(running);
}

#[test]
fn what_the_command_of_a_bot_leaves_in_another_session_ends_with_the_command_and_with_its_process()
{
    let user = User::new();
    let left =
        r#"setsid sh -c "echo \$\$ >>RUNS; exec sleep 600" & while ! test -s RUNS; do :; done"#
            .replace("RUNS", &user.path("runs").display().to_string());
    let script = format!("read line; {left}; case $line in *WAIT*) sleep 600;; esac; echo done");
    let command = format!("sh -c '{script}'");
    let mut agent = Agent::start(&user, &["--bind", "127.0.0.1:0", "--on-message", &command]);
    let mut ann = member(&user, &mut agent, "ann", &[]);
    let has_ended = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z "))
    };
    ann.type_in("hello\n");
    ann.stdout_line(|line| line.ends_with("(bot): done"));
    let first = runs(&user).pop().unwrap();
    assert!(first.parse::<u32>().is_ok() && has_ended(&first), "{first}");

    // Its process is killed while the command runs. The message is not answered, and the next one is.
    ann.type_in("WAIT\n");
    eventually("the command has left something", || runs(&user).len() == 2);
    let left = runs(&user).pop().unwrap();
    assert!(!has_ended(&left));
    let process = helper(agent.child.pid(), "udpagent-bot").unwrap();
    kill_process(process, Signal::KILL).unwrap();
    let failure = "on-message: the process that runs it has ended";
    agent.child.stderr_line(|line| line.ends_with(failure));
    eventually("what it has left has ended", || has_ended(&left));
    ann.type_in("again\n");
    ann.stdout_line(|line| line.ends_with("(bot): done"));
    eventually("nothing is left", || children(agent.child.pid()).is_empty());
}

#[test]
fn the_process_of_the_bot_has_no_descriptor_and_no_service_variable_of_the_agent() {
    let user = User::new();
    let notified = user.path("notify");
    let manager = UnixDatagram::bind(&notified).unwrap();
    let mut command = user.command("udpagent");
    command.args(["--bind", "127.0.0.1:0", "--on-message", &bot(&user)]);
    command.env("NOTIFY_SOCKET", &notified);
    command.envs([
        ("LISTEN_FDS", "1"),
        ("LISTEN_PID", "1"),
        ("LISTEN_FDNAMES", "x"),
        ("WATCHDOG_USEC", "60000000"),
        ("WATCHDOG_PID", "1"),
        ("FDSTORE", "1"),
        ("OWN", "kept"),
    ]);
    let mut agent = Agent::from(command);
    let mut ann = member(&user, &mut agent, "ann", &[]);
    ann.type_in("hello\n");
    ann.stdout_line(|line| line.ends_with("(bot): ann(owner) says hello"));
    // It has its three pipes, the folder that it lists, and what every child of this test inherits. What its parent had
    // inherited of the agent would be there, too.
    let listed = user.command("ls").arg("/proc/self/fd").output().unwrap();
    let mut inherited: Vec<_> = std::str::from_utf8(&listed.stdout)
        .unwrap()
        .lines()
        .collect();
    inherited.sort_unstable();
    let list = format!(" ['{}']", inherited.join("', '"));
    let runs = runs(&user);
    assert!(runs[0].ends_with(&list), "{runs:#?}");
    for name in ["HOME", "OWN", "PATH", "USER", "XDG_STATE_HOME"] {
        assert!(runs[0].contains(&format!("'{name}'")), "{runs:#?}");
    }
    for name in ["NOTIFY", "LISTEN", "WATCHDOG", "FDSTORE"] {
        assert!(!runs[0].contains(name), "{runs:#?}");
    }
    drop(manager);

    // Its process has its socket, which it has three times, /proc, and the standard error of the agent.
    let opened = |pid: Pid, number: &str| {
        let path = format!("/proc/{}/fd/{number}", pid.as_raw_pid());
        std::fs::read_link(path).unwrap()
    };
    let process = helper(agent.child.pid(), "udpagent-bot").unwrap();
    assert_eq!(opened(process, "1").to_str(), Some("/dev/null"));
    assert_eq!(opened(process, "2"), opened(agent.child.pid(), "2"));
    let folder = format!("/proc/{}/fd", process.as_raw_pid());
    let all = std::fs::read_dir(folder).unwrap().flatten();
    inherited.retain(|number| !["0", "3"].contains(number));
    let others = all.filter(|entry| !inherited.iter().any(|number| entry.file_name() == *number));
    let others: BTreeSet<_> = others
        .map(|entry| std::fs::read_link(entry.path()).unwrap())
        .collect();
    assert_eq!(
        others,
        BTreeSet::from([opened(process, "0"), "/proc".into()])
    );
}
