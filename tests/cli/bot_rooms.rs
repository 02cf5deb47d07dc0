//! The bot of an agent in several rooms.

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Agent, Child, User, eventually, helper};

/// The process ids that the bot has noted.
fn runs(user: &User) -> Vec<String> {
    let text = std::fs::read_to_string(user.path("runs")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// True if a process is gone, or a zombie.
fn has_ended(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

/// A member of a room that is in the chat.
fn member(user: &User, agent: &mut Agent, name: &str, options: &[&str]) -> Child {
    let mut command = user.command("udpctl");
    command.args(["chat", &agent.target(), "--name", name]);
    command.args(options);
    let child = Child::start(command);
    let came = format!(" {name}(owner) came");
    agent.child.stdout_line(|line| line.ends_with(&came));
    child
}

#[test]
fn a_command_of_a_bot_that_hangs_in_one_room_delays_no_other_room() {
    let user = User::new();
    let script = format!(
        r#"sh -c 'read line; case $line in *HANG*) echo $$ >>"{}"; exec sleep 600;; esac; echo done'"#,
        user.path("runs").display()
    );
    let options = ["--on-message", &script, "--on-message-timeout", "600s"];
    let mut agent = Agent::start(&user, &[&["--bind", "127.0.0.1:0"], &options[..]].concat());
    let mut ann = member(&user, &mut agent, "ann", &[]);
    let mut bob = member(&user, &mut agent, "bob", &["--room", "build"]);
    let is_answer = |line: &str| line.ends_with("(bot): done");
    let hangs = |bob: &mut Child| {
        let before = runs(&user).len();
        bob.type_in("HANG\nafter\n");
        eventually("the command hangs", || runs(&user).len() > before);
        runs(&user).pop().unwrap()
    };
    let pid = hangs(&mut bob);
    for _ in 0..3 {
        ann.type_in("hello\n");
        ann.stdout_line(is_answer);
    }
    // In its own room, the next message waits.
    assert!(!bob.stdout_seen().iter().any(|line| is_answer(line)));
    kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    let failure = "on-message in room build: ended by signal 9";
    agent.child.stderr_line(|line| line.ends_with(failure));
    bob.stdout_line(is_answer);

    // All its processes end by a reload, and with the agent.
    let pid = hangs(&mut bob);
    ann.type_in("hello\n");
    ann.stdout_line(is_answer);
    assert_eq!(user.udpagent(["reload"]).outcome().status, 0);
    let unanswered = "on-message: not answered, as the agent is reloaded or ends: 2";
    agent.child.stderr_line(|line| line.ends_with(unanswered));
    eventually("the command ends by a reload", || has_ended(&pid));
    ann.type_in("hello\n");
    ann.stdout_line(is_answer);
    let pid = hangs(&mut bob);
    ann.type_in("hello\n");
    ann.stdout_line(is_answer);
    agent.child.signal(Signal::TERM);
    let (status, stderr) = agent.child.wait();
    assert!(status.success(), "{stderr}");
    assert!(stderr.contains(unanswered), "{stderr}");
    eventually("the command ends with the agent", || has_ended(&pid));
}

#[test]
fn a_stopped_process_of_a_bot_and_its_command_end_with_the_agent() {
    let user = User::new();
    let script = format!(
        r#"sh -c 'read line; echo $$ >>"{}"; exec sleep 600'"#,
        user.path("runs").display()
    );
    let options = ["--on-message", &script, "--on-message-timeout", "600s"];
    let mut agent = Agent::start(&user, &[&["--bind", "127.0.0.1:0"], &options[..]].concat());
    let mut ann = member(&user, &mut agent, "ann", &[]);
    ann.type_in("hello\n");
    eventually("the command runs", || !runs(&user).is_empty());
    let command = runs(&user).pop().unwrap();
    let bot = helper(agent.child.pid(), "udpagent-bot").unwrap();
    kill_process(bot, Signal::STOP).unwrap();
    agent.child.signal(Signal::TERM);
    let (status, stderr) = agent.child.wait();
    assert!(status.success(), "{stderr}");
    assert!(!stderr.contains("starting it anew"), "{stderr}");
    for pid in [&bot.as_raw_pid().to_string(), &command] {
        eventually("the bot and its command end", || has_ended(pid));
    }
}
