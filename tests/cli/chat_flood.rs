//! A member of a chat that never stops: it is slowed down, and nobody else is.

use std::process::{Child as Process, Command, Stdio};
use std::time::Instant;

use udpagent::agent::limits::{CHAT_BURST, CHAT_MESSAGE_PRICE};

use crate::harness::{Child, User, helper, resident};

/// Growth of a process's memory, in bytes.
const GROWTH: u64 = 16 << 20;

/// Messages of the flood that are seen before the others come.
const SEEN: usize = 2000;

/// `yes | udpctl chat`, killed when dropped.
struct Flood([Process; 2]);

impl Flood {
    fn start(user: &User, target: &str) -> Self {
        let mut yes = Command::new("yes").stdout(Stdio::piped()).spawn().unwrap();
        let mut chat = user.command("udpctl");
        chat.args(["chat", target])
            .stdin(yes.stdout.take().unwrap())
            .stdout(Stdio::null());
        Self([yes, chat.spawn().unwrap()])
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        for process in &mut self.0 {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

#[test]
fn a_member_that_never_stops_delays_no_other_and_no_command_and_floods_neither_output_nor_memory() {
    let (user, ann) = (User::new(), User::new());
    let key = ann.udpctl(["id"]).outcome().stdout;
    user.write_line(&key, "");
    let mut agent = user.agent();
    let target = agent.target();
    ann.udpctl(["trust", &target, agent.key()]).outcome();
    let mut command = ann.command("udpctl");
    command.args(["chat", &target]);
    let mut chat = Child::start(command);
    agent.child.stdout_line(|line| line == "* me came");
    let parent = agent.child.pid();
    let processes = [parent, helper(parent, "udpagent-front").unwrap()];
    let before = processes.map(resident);

    let began = Instant::now();
    let flood = Flood::start(&user, &target);
    for _ in 0..SEEN {
        agent.child.stdout_line(|line| line == "owner: y");
    }
    for number in 0..10 {
        let text = format!("number {number}");
        chat.type_in(&format!("{text}\n"));
        let said = format!("me: {text}");
        agent.child.stdout_line(|line| line == said);
        ann.udpctl(["exec", &target, "--", "true"]).run();
        user.udpctl(["exec", &target, "--", "true"]).run();
    }
    chat.stdout_line(|line| line == "owner: y");
    let lines = agent.child.stdout_seen();
    let flooded = lines.iter().filter(|line| *line == "owner: y").count();
    let rate = |time: std::time::Duration| time.as_micros() / CHAT_MESSAGE_PRICE.as_micros();
    let most = rate(CHAT_BURST + began.elapsed()) + 1;
    assert!(
        flooded as u128 <= most,
        "{flooded} messages, at most {most}"
    );
    for (process, before) in processes.into_iter().zip(before) {
        let grown = resident(process).saturating_sub(before);
        assert!(grown < GROWTH, "{grown} bytes more");
    }
    drop(flood);
}
