//! Keys: unknown controllers, invitations, changed keys, file permissions.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{Agent, User, eventually};

/// The output of `udpagent invite`, with the agent's real address.
fn invite(host: &User, agent: &Agent) -> String {
    let outcome = host
        .udpagent(["invite", "--host", &agent.target()])
        .outcome();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    String::from_utf8(outcome.stdout).unwrap()
}

/// The invitation alone.
fn bare(command: &str) -> String {
    command.split('\'').nth(1).unwrap().to_owned()
}

#[test]
fn the_agent_of_the_same_user_needs_no_setup() {
    let user = User::new();
    let agent = Agent::start(&user, &["--bind", ":0"]);
    for host in ["127.0.0.1", "127.0.0.2", "[::1]", "localhost"] {
        let target = format!("{host}:{}", agent.port_of(host));
        user.udpctl(["exec", &target, "--", "echo", "hi"])
            .stdout("hi\n")
            .run();
    }
}

#[test]
fn an_invitation_is_redeemed_when_the_lock_is_free_and_nobody_else_waits_for_it() {
    use rustix::fs::{FlockOperation, flock};

    let (host, guest) = (User::new(), User::new());
    let agent = host.agent();
    let target = agent.target();
    let invitation = bare(&invite(&host, &agent));
    let lock = host.path("config/udpagent/authorized_keys.lock");
    let lock = std::fs::File::open(lock).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let mut command = guest.command("udpctl");
    command.args(["accept", &invitation, "--name", "ann"]);
    let mut accept = crate::harness::Child::start(command);
    // Its session is there, and the request for registration with it.
    eventually("the guest has come", || {
        let status = host.udpagent(["status"]).outcome();
        String::from_utf8(status.stdout)
            .unwrap()
            .contains("\nsessions   1 open")
    });
    for _ in 0..5 {
        host.udpctl(["exec", &target, "--", "true"]).run();
        let ping = host.udpctl(["ping", &target]).outcome();
        assert_eq!(ping.status, 0, "{}", ping.stderr);
    }
    let keys = host.path("config/udpagent/authorized_keys");
    assert!(!keys.exists() && accept.is_running());
    drop(lock);
    let (status, stderr) = accept.wait();
    assert!(status.success(), "{stderr}");
    assert!(std::fs::read_to_string(keys).unwrap().ends_with(" ann\n"));
    guest.udpctl(["exec", &target, "--", "true"]).run();
}

#[test]
fn an_unknown_controller_gets_no_answer_until_invited() {
    let (host, guest) = (User::new(), User::new());
    let agent = host.agent();
    let target = agent.target();
    // Not even if it knows the agent's key.
    guest
        .udpctl(["trust", &target, agent.key()])
        .stdout(format!("{target} is trusted now\n"))
        .run();
    guest
        .udpctl([
            "exec",
            &target,
            "--contact-timeout",
            "300ms",
            "--",
            "touch",
            host.path("ran").to_str().unwrap(),
        ])
        .stderr(format!("udpctl: {target}: no answer (is udpagent running there, and does it know this controller's key?); request ID\n"))
        .status(255)
        .run();
    assert!(!host.path("ran").exists());

    let invitation = bare(&invite(&host, &agent));
    let mut accept = guest.command("udpctl");
    accept.args(["accept", &invitation]).env_remove("USER");
    let outcome = accept.output().unwrap();
    assert!(outcome.status.success(), "{outcome:?}");
    let stdout = String::from_utf8(outcome.stdout).unwrap();
    assert!(
        stdout.starts_with(&format!("{target} is trusted now; ")),
        "{stdout}"
    );
    // Without USER, the name is that of the password database.
    let user = udpagent::process::Account::current().name;
    let user = user.to_str().unwrap();
    assert!(
        stdout.contains(&format!(" calls this controller {user}@")),
        "{stdout}"
    );
    guest
        .udpctl(["exec", &target, "--", "echo", "hi"])
        .stdout("hi\n")
        .run();

    // An invitation works once.
    let third = User::new();
    let outcome = third
        .udpctl(["accept", &invitation, "--contact-timeout", "300ms"])
        .outcome();
    assert_eq!(outcome.status, 1);
    assert!(
        outcome
            .stderr
            .contains("run \"udpagent invite\" there again"),
        "{}",
        outcome.stderr
    );
    assert!(!third.path("config/udpctl/known_agents").exists());
}

#[test]
fn an_expired_invitation_does_not_work() {
    let (host, guest) = (User::new(), User::new());
    let agent = host.agent();
    let invitation = bare(&invite(&host, &agent));
    // Let the invitation expire by changing its record.
    let records = host.path("config/udpagent/invites");
    let record = std::fs::read_to_string(&records).unwrap();
    let (hash, until) = record.trim_end().rsplit_once(' ').unwrap();
    let until: u64 = until.parse().unwrap();
    std::fs::write(&records, format!("{hash} {}\n", until - 601)).unwrap();
    let outcome = guest
        .udpctl(["accept", &invitation, "--contact-timeout", "300ms"])
        .outcome();
    assert_eq!(outcome.status, 1, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("older than ten minutes"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn an_invitation_comes_through_a_pipe_with_other_text_around_it() {
    let (host, guest) = (User::new(), User::new());
    let agent = host.agent();
    let line = format!("Welcome!\n{}", invite(&host, &agent));
    let outcome = guest.udpctl(["accept", "-"]).stdin(line).outcome();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    guest.udpctl(["exec", &agent.target(), "--", "true"]).run();
}

#[test]
fn keys_can_be_exchanged_by_hand() {
    let (host, guest) = (User::new(), User::new());
    let id = guest.udpctl(["id"]).outcome();
    let id = String::from_utf8(id.stdout).unwrap();
    assert!(id.starts_with("ua1:") && id.len() == 48, "{id}");
    std::fs::create_dir_all(host.path("config/udpagent")).unwrap();
    std::fs::write(
        host.path("config/udpagent/authorized_keys"),
        format!("{} guest\n", id.trim()),
    )
    .unwrap();
    let agent = host.agent();
    host.udpagent(["key"])
        .stdout(format!("{}\n", agent.key()))
        .run();
    let target = agent.target();
    guest
        .udpctl(["exec", &target, "--", "true"])
        .stderr(format!(
            "udpctl: {target}: no key known for this agent; start \"udpagent\" as this user, or run \
             \"udpagent invite\" as the agent's user and the command that it prints here\n"
        ))
        .status(255)
        .run();
    guest
        .udpctl(["trust", &target, agent.key()])
        .stdout(format!("{target} is trusted now\n"))
        .run();
    guest
        .udpctl(["trust", &target, agent.key()])
        .stdout(format!("{target} was trusted already\n"))
        .run();
    guest.udpctl(["exec", &target, "--", "true"]).run();
}

#[test]
fn a_changed_key_of_a_known_host_is_refused_with_advice() {
    let (host, guest) = (User::new(), User::new());
    let agent = host.agent();
    let target = agent.target();
    guest.udpctl(["trust", &target, agent.key()]).outcome();
    let other = User::new().udpagent(["key"]).outcome();
    let other = String::from_utf8(other.stdout).unwrap();
    let outcome = guest.udpctl(["trust", &target, other.trim()]).outcome();
    assert_eq!(outcome.status, 1);
    assert!(
        outcome.stderr.contains("known_agents:1: ") && outcome.stderr.contains(agent.key()),
        "{}",
        outcome.stderr
    );
    guest
        .udpctl(["trust", &target, other.trim(), "--replace"])
        .stdout(format!("{target} has a new key now\n"))
        .run();
}

#[test]
fn trust_and_accept_refuse_and_replace_a_changed_key_alike() {
    let (host, guest) = (User::new(), User::new());
    let agent = host.agent();
    let target = agent.target();
    let other = User::new().udpagent(["key"]).outcome().stdout;
    let other = String::from_utf8(other).unwrap();
    let other = other.trim();
    guest.udpctl(["trust", &target, other]).outcome();
    let invited = host.udpagent(["invite", "--host", &target]).outcome();
    let invite = bare(std::str::from_utf8(&invited.stdout).unwrap());
    let known = guest.path("config/udpctl/known_agents");
    let refused = format!(
        "udpctl: {}:1: {target} has the key {other}, not {}; if its agent was given a new key on purpose, repeat the \
         command with --replace; if not, something else may be in its place\n",
        known.display(),
        agent.key()
    );
    for line in [&["trust", &target, agent.key()][..], &["accept", &invite]] {
        guest.udpctl(line).stderr(&refused).status(1).run();
    }
    let text = |words: &[u8]| String::from_utf8_lossy(words).into_owned();
    let accepted = guest.udpctl(["accept", &invite, "--replace"]).outcome();
    assert_eq!((&accepted.stderr[..], accepted.status), ("", 0));
    let line = text(&accepted.stdout);
    assert!(
        line.starts_with(&format!("{target} has a new key now; ")),
        "{line}"
    );
    let after = std::fs::read_to_string(&known).unwrap();
    assert_eq!(after, format!("{target} {}\n", agent.key()));
    // The key of hosts.toml is changed by hand.
    let toml = guest.path("config/udpctl/hosts.toml");
    let (address, port) = target.split_once(':').unwrap();
    std::fs::write(
        &toml,
        format!("[hosts.h]\naddress = \"{address}\"\nport = {port}\nkey = \"{other}\"\n"),
    )
    .unwrap();
    for line in [
        &["trust", &target, agent.key(), "--replace"][..],
        &["accept", &invite, "--replace"],
    ] {
        let outcome = guest.udpctl(line).outcome();
        assert_eq!(outcome.status, 1);
        assert!(
            outcome
                .stderr
                .ends_with(&format!("{target} has another key here; change it first\n")),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn a_secret_key_that_others_can_read_is_refused() {
    let user = User::new();
    let agent = user.agent();
    let identity = user.path("config/udpctl/identity");
    std::fs::set_permissions(&identity, std::fs::Permissions::from_mode(0o644)).unwrap();
    let outcome = user
        .udpctl(["exec", &agent.target(), "--", "true"])
        .outcome();
    assert_eq!(outcome.status, 255);
    assert!(outcome.stdout.is_empty());
    assert!(
        outcome.stderr.contains("identity") && outcome.stderr.contains("chmod"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn while_authorized_keys_is_group_writable_neither_its_keys_nor_the_own_user_are_admitted() {
    let (host, guest) = (User::new(), User::new());
    let id = guest.udpctl(["id"]).outcome().stdout;
    host.write_line(&id, "");
    let mut agent = host.agent();
    let target = agent.target();
    guest.udpctl(["trust", &target, agent.key()]).outcome();
    for user in [&host, &guest] {
        user.udpctl(["exec", &target, "--", "true"]).run();
    }
    let path = host.path("config/udpagent/authorized_keys");
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&path, mode(0o664)).unwrap();
    let words = format!("{}: others may change it (mode 0664)", path.display());
    agent.child.stderr_line(|line| line.contains(&words));
    agent
        .child
        .stderr_line(|line| line.contains("this user's own controller is not admitted until"));
    for user in [&host, &guest] {
        user.udpctl(["exec", &target, "--contact-timeout", "300ms", "--", "true"])
            .stderr(format!("udpctl: {target}: no answer (is udpagent running there, and does it know this controller's key?); request ID\n"))
            .status(255)
            .run();
    }
    std::fs::set_permissions(&path, mode(0o644)).unwrap();
    for user in [&host, &guest] {
        eventually("the key is admitted again", || {
            let args = ["ping", &target, "--contact-timeout", "1s"];
            user.udpctl(args).outcome().status == 0
        });
    }
}

#[test]
fn an_invitation_names_the_port_of_the_running_agent() {
    let (host, guest) = (User::new(), User::new());
    let agent = host.agent();
    let port = agent.port_of("127.0.0.1");
    for args in [&["invite"][..], &["invite", "--host", "127.0.0.1"]] {
        let outcome = host.udpagent(args).outcome();
        assert_eq!((outcome.status, &outcome.stderr[..]), (0, ""));
        let text = String::from_utf8(outcome.stdout).unwrap();
        assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
        let accepted = guest.udpctl(["accept", &bare(&text)]).outcome();
        assert_eq!(accepted.status, 0, "{}", accepted.stderr);
    }
    // The address on the command line has precedence.
    let outcome = host.udpagent(["invite", "--host", "h:1234"]).outcome();
    assert!(
        String::from_utf8(outcome.stdout)
            .unwrap()
            .contains("h:1234")
    );
    drop(agent);
    host.write_config("bind = ':7123'");
    let outcome = host.udpagent(["invite", "--host", "h"]).outcome();
    assert_eq!(
        outcome.stderr,
        format!(
            "udpagent: {} names no running agent; the invitation names port 7123, from the configuration; it works once an agent runs with these files, within ten minutes\n",
            host.path("state/udpagent/listening").display()
        )
    );
    assert!(
        String::from_utf8(outcome.stdout)
            .unwrap()
            .contains("h:7123")
    );
    let typed = host.udpagent(["invite", "--host", "h:7001"]).outcome();
    assert_eq!(
        typed.stderr,
        format!(
            "udpagent: {} names no running agent; it works once an agent runs with these files, within ten minutes\n",
            host.path("state/udpagent/listening").display()
        )
    );
}

#[test]
fn an_invitation_used_by_a_listed_key_says_that_it_has_no_effect() {
    let host = User::new();
    let mut agent = host.agent();
    let text = host.udpagent(["invite", "chat-only"]).outcome().stdout;
    let accepted = host.udpctl(["accept", "-"]).stdin(text).outcome();
    assert_eq!(accepted.status, 0, "{}", accepted.stderr);
    let words = "this controller is that of the agent's own user, which needs no invitation";
    assert!(accepted.stderr.contains(words), "{}", accepted.stderr);
    let guest = User::new();
    for words in [
        "",
        "this controller was listed there before; its name and its rights stay as they were",
    ] {
        let text = host.udpagent(["invite", "--host", &agent.target()]);
        let accepted = guest.udpctl(["accept", "-"]).stdin(text.outcome().stdout);
        let accepted = accepted.outcome();
        assert!(accepted.stderr.contains(words), "{}", accepted.stderr);
        assert_eq!(
            accepted.stderr.is_empty(),
            words.is_empty(),
            "{}",
            accepted.stderr
        );
    }
    agent
        .child
        .stderr_line(|line| line.contains("which is listed already"));
    host.udpctl(["exec", &agent.target(), "--", "true"]).run();
}
