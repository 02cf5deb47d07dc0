//! `udpagent revoke`: the removal of a key, with and without a running agent.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Child, User, eventually};

fn id(user: &User) -> String {
    let id = user.udpctl(["id"]).outcome().stdout;
    String::from_utf8(id).unwrap().trim().to_owned()
}

/// Writes an authorized_keys file.
fn keys(host: &User, text: &str) -> PathBuf {
    let path = host.path("config/udpagent/authorized_keys");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_revoked_key_loses_its_session_and_command_and_every_other_byte_is_kept() {
    let (host, guest) = (User::new(), User::new());
    let (key, other) = (id(&guest), id(&User::new()));
    let path = keys(
        &host,
        &format!("# ours\r\n{other}   o # x\n{key} ann\n\n# end"),
    );
    let audit = host.path("audit");
    host.write_config(&format!("audit-file = '{}'", audit.display()));
    let agent = host.agent();
    let target = agent.target();
    guest
        .udpctl(["trust", &target, agent.key()])
        .stdout(format!("{target} is trusted now\n"))
        .run();
    let mut command = guest.command("udpctl");
    command.args(["exec", &target, "--shell", "echo $$; exec sleep 600"]);
    let mut udpctl = Child::start(command);
    let pid = udpctl.stdout_line(|_| true);
    host.udpagent(["revoke", "ann"])
        .stdout(format!(
            "{}:3: removed {key}\nthe agent no longer admits it; its sessions and commands end\n",
            path.display()
        ))
        .run();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!("# ours\r\n{other}   o # x\n\n# end")
    );
    let (status, stderr) = udpctl.wait();
    assert_eq!(status.code(), Some(255), "{stderr}");
    eventually("the command has ended", || {
        !PathBuf::from(format!("/proc/{pid}")).exists()
    });
    eventually("the removal is recorded", || {
        let text = fs::read_to_string(&audit).unwrap();
        let mut lines = text.lines();
        lines.any(|line| line.contains("\"key_removed\"") && line.contains(&key))
    });
    host.udpagent(["revoke", "ann"])
        .stderr("udpagent: no line has the key or name ann\n")
        .status(1)
        .run();
}

#[test]
fn a_key_is_revoked_without_a_running_agent_too() {
    let host = User::new();
    let key = id(&User::new());
    let path = keys(&host, &format!("{key} ann\n"));
    host.udpagent(["revoke", &key])
        .stdout(format!(
            "{}:1: removed {key}\nno agent answers at {}\n",
            path.display(),
            host.path("state/udpagent/agent.sock").display()
        ))
        .run();
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
}

#[test]
fn what_is_not_clear_is_not_revoked() {
    let host = User::new();
    let [one, two] = [(); 2].map(|()| id(&User::new()));
    let mut both = [one.clone(), two.clone()];
    both.sort();
    let text = format!("{one} a\n{two} a\n");
    let path = keys(&host, &text);
    let outcome = host.udpagent(["revoke", "a"]).outcome();
    assert_eq!(outcome.status, 1);
    let begin = "udpagent: several keys have the name a; give one of them: ua1:";
    assert!(outcome.stderr.starts_with(begin), "{}", outcome.stderr);
    for key in &both {
        assert!(outcome.stderr.contains(key), "{}", outcome.stderr);
    }
    // What the caller has pasted is shown escaped.
    host.udpagent(["revoke", "x\x1b[31m\ny"])
        .stderr("udpagent: no line has the key or name x\\u{1b}[31m\\ny\n")
        .status(1)
        .run();
    let own = id(&host);
    host.udpagent(["revoke", &own])
        .stderr(
            "udpagent: the key is that of this user's own controller, which may do everything \
             without a line; a line such as \"KEY NAME chat-only\" restricts it\n",
        )
        .status(1)
        .run();
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_reader_that_has_closed_the_output_ends_no_subcommand_before_its_work_is_done() {
    let host = User::new();
    let key = id(&User::new());
    let path = keys(&host, &format!("{key} ann\n"));
    let _agent = host.agent();
    for args in [
        &["key"][..],
        &["keys"],
        &["keys", "--json"],
        &["status"],
        &["status", "--json"],
        &["status", "--metrics"],
        &["check"],
        &["check", "ann"],
        &["invite"],
        &["revoke", "ann"],
    ] {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        drop(reader);
        let mut command = host.command("udpagent");
        let output = command.args(args).stdout(writer).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), stderr.as_str()),
            (Some(141), ""),
            "{args:?}"
        );
    }
    assert_eq!(fs::read_to_string(path).unwrap(), "");
    let admitted = host.udpagent(["keys"]).outcome().stdout;
    let admitted = String::from_utf8(admitted).unwrap();
    assert!(!admitted.contains(&key), "{admitted}");
}
