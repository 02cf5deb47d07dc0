//! Chat both ways, and single messages with receipts.

use crate::harness::{Agent, Child, User};

fn chat(user: &User, agent: &Agent, name: &str) -> Child {
    let mut command = user.command("udpctl");
    command.args(["chat", &agent.target(), "--name", name]);
    Child::start(command)
}

#[test]
fn what_one_member_says_shows_at_the_agent_and_at_the_others() {
    let user = User::new();
    let mut agent = user.agent();
    let mut ann = chat(&user, &agent, "ann");
    agent.child.stdout_line(|line| line.contains("ann"));
    let mut bob = chat(&user, &agent, "bob");
    agent.child.stdout_line(|line| line.contains("bob"));

    ann.type_in("hello from ann\n");
    agent
        .child
        .stdout_line(|line| line == "ann(owner): hello from ann");
    bob.stdout_line(|line| line == "ann(owner): hello from ann");

    agent.child.type_in("hello from the agent\n");
    for member in [&mut ann, &mut bob] {
        member.stdout_line(|line| line.ends_with(": hello from the agent"));
    }

    ann.type_in("quit\n");
    let (status, stderr) = ann.wait();
    assert!(status.success(), "{stderr}");
    assert!(
        !ann.stdout_seen()
            .iter()
            .any(|line| line.contains("hello from ann")),
        "nobody hears themselves"
    );
    // The end of input leaves, too, once everything is delivered.
    bob.type_in("last words\x1b[31m\n");
    let (status, stderr) = bob.wait();
    assert!(status.success(), "{stderr}");
    agent
        .child
        .stdout_line(|line| line == "bob(owner): last words\\u{1b}[31m");
}

#[test]
fn a_message_is_delivered_or_its_failure_is_named() {
    let user = User::new();
    let mut agents = [user.agent(), user.agent()];
    let targets = [agents[0].target(), agents[1].target()];
    user.udpctl(["send", &targets[0], "one line"]).run();
    agents[0]
        .child
        .stdout_line(|line| line.ends_with(": one line"));
    user.udpctl(["send", &targets[0], &targets[1], "-"])
        .stdin("to both\n")
        .stderr("2 ok of 2 in TIME\n")
        .run();
    for agent in &mut agents {
        agent.child.stdout_line(|line| line.ends_with(": to both"));
    }
    let outcome = user
        .udpctl(["send", "192.0.2.1", &targets[1], "again"])
        .outcome();
    assert_eq!(outcome.status, 4);
    assert!(
        outcome
            .stderr
            .contains("udpctl: 192.0.2.1: not delivered: "),
        "{}",
        outcome.stderr
    );
}
