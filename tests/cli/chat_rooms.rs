//! Rooms of a chat.

use crate::harness::{Agent, Child, User};

const SERVE: [&str; 4] = ["--bind", "127.0.0.1:0", "--name", "hall"];

fn join(user: &User, agent: &Agent, args: &[&str]) -> Child {
    let mut command = user.command("udpctl");
    command.args(["chat", "--json", &agent.target()]).args(args);
    let mut member = Child::start(command);
    member.stdout_line(|line| line.starts_with(r#"{"v":1,"joined""#));
    member
}

#[test]
fn a_room_has_its_own_messages_members_and_history() {
    let user = User::new();
    let mut agent = Agent::start(&user, &SERVE);
    let target = agent.target();
    let outcome = user
        .udpctl(["send", "--room", "build", &target, "--", "x"])
        .outcome();
    assert_eq!(
        (outcome.status, &outcome.stderr[..]),
        (
            255,
            &format!(
                "udpctl: {target}: not delivered: the agent refuses: there is no room build\n"
            )[..]
        )
    );

    let mut hall = join(&user, &agent, &[]);
    let mut build = join(&user, &agent, &["--room", "build"]);
    assert_eq!(
        build.stdout_seen()[0],
        r#"{"v":1,"joined":{"name":"owner","members":[],"room":"build"}}"#
    );
    user.udpctl(["send", "--room", "build", &target, "--", "made"])
        .run();
    let made = r#"{"v":1,"said":{"from":"owner","text":"made","unverified":false,"room":"build"}}"#;
    build.stdout_line(|line| line == made);
    agent.child.stdout_line(|line| line == "#build owner: made");
    agent.child.type_in("to all\n");
    let to_all = r#"{"v":1,"said":{"from":"hall","text":"to all","unverified":false}}"#;
    hall.stdout_line(|line| line == to_all);
    assert_eq!(hall.stdout_seen().len(), 2, "{:?}", hall.stdout_seen());
    drop((hall, build, agent));

    let mut agent = Agent::start(&user, &["--json", SERVE[0], SERVE[1]]);
    let mut late = join(&user, &agent, &["--room", "build", "--name", "late"]);
    late.stdout_line(|line| line.contains(r#""text":"made""#) && line.contains(r#""age_ms":"#));

    agent
        .child
        .stdout_line(|line| line == r#"{"v":1,"came":{"name":"late(owner)","room":"build"}}"#);
}
