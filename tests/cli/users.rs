//! The Unix user of a command: `user=` in authorized_keys, and `udpctl exec --user`.
//!
//! Changing the user needs root; without it the tests cover only denials.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;

use crate::harness::{Agent, Test, User};

/// The unprivileged user that every system has.
pub struct Nobody {
    pub uid: u32,
    pub gid: u32,
    home: String,
    shell: String,
}

pub fn nobody() -> Nobody {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.starts_with("nobody:"));
    let fields: Vec<&str> = line.expect("a user nobody").split(':').collect();
    Nobody {
        uid: fields[2].parse().unwrap(),
        gid: fields[3].parse().unwrap(),
        home: fields[5].into(),
        shell: fields[6].into(),
    }
}

/// The line on stderr about a command of "nobody", if that user has no home.
pub fn no_home(target: &str) -> String {
    match std::fs::metadata(nobody().home) {
        Ok(_) => String::new(),
        Err(error) => format!(
            "udpctl: {target}: cannot enter the home directory: {error}; the command runs in /\n"
        ),
    }
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: only root can change to another user");
    }
    root
}

fn denied(target: &str) -> String {
    format!("udpctl: {target}: denied; request ID\n")
}

/// The same if the key may not ask for the user.
fn denied_user(target: &str) -> String {
    let kind = "this key may not run commands as that user (--user)";
    format!("udpctl: {target}: denied: {kind}; request ID\n")
}

const WHO: &str =
    "id -un; id -ru; id -gn; id -G; echo $HOME,$USER,$LOGNAME,$SHELL; pwd; grep -c . /root/.x";

#[test]
fn a_command_runs_as_the_user_of_its_line_with_groups_home_and_shell() {
    if !is_root() {
        return;
    }
    let user = User::new();
    user.authorize("user=nobody,root");
    let agent = user.agent();
    let target = agent.target();
    let Nobody {
        uid,
        gid,
        home,
        shell,
    } = nobody();
    let group = std::fs::read_to_string("/etc/group").unwrap();
    let group = group
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&gid.to_string()))
        .and_then(|line| line.split(':').next())
        .unwrap();
    let folder = if std::path::Path::new(&home).is_dir() {
        &home
    } else {
        "/"
    };
    let who = format!("nobody\n{uid}\n{group}\n{gid}\n{home},nobody,nobody,{shell}\n{folder}\n");
    for asked in [&[][..], &["--user", "nobody"]] {
        let args = [&["exec", &target][..], asked, &["--shell", WHO]].concat();
        let outcome = user.udpctl(args).outcome();
        assert_eq!(String::from_utf8(outcome.stdout).unwrap(), who);
        assert!(outcome.stderr.contains("/root/.x"), "{}", outcome.stderr);
    }
    user.udpctl(["exec", &target, "--user", "root", "--", "id", "-un"])
        .stdout("root\n")
        .run();
    let args = ["exec", &target, "--user", "daemon", "--", "id"];
    user.udpctl(args)
        .stderr(denied_user(&target))
        .status(255)
        .run();
}

#[test]
fn a_key_without_user_option_cannot_run_as_another_user() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let trace = user.path("ran");
    let trace = trace.to_str().unwrap();
    for other in ["nobody", "no-such-user", "", "0", "../root"] {
        let args = ["exec", &target, "--user", other, "--", "touch", trace];
        user.udpctl(args)
            .stderr(denied_user(&target))
            .status(255)
            .run();
    }
    assert!(!user.path("ran").exists());
    let own = user.udpctl(["exec", &target, "--", "id", "-un"]).outcome();
    let name = String::from_utf8(own.stdout.clone()).unwrap();
    user.udpctl(["exec", &target, "--user", name.trim(), "--", "id", "-un"])
        .stdout(own.stdout)
        .run();
}

#[test]
fn a_changed_line_applies_to_a_running_agent() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    user.udpctl(["exec", &target, "--", "true"]).run();
    user.authorize("user=no-such-user");
    crate::harness::eventually("the line counts", || {
        let outcome = user.udpctl(["exec", &target, "--", "true"]).outcome();
        outcome.status == 255 && outcome.stderr.contains(": denied")
    });
    user.authorize("user=*");
    crate::harness::eventually("the line counts", || {
        user.udpctl(["exec", &target, "--", "true"])
            .outcome()
            .status
            == 0
    });
    let args = ["exec", &target, "--user", "no-such-user", "--", "true"];
    assert_eq!(user.udpctl(args).outcome().status, 255);
    if is_root() {
        user.udpctl(["exec", &target, "--user", "nobody", "--", "id", "-un"])
            .stdout("nobody\n")
            .stderr(no_home(&target))
            .run();
    }
}

#[test]
fn an_agent_without_root_runs_commands_only_as_itself() {
    if !is_root() {
        return;
    }
    let Nobody { uid, gid, .. } = nobody();
    let user = User::new();
    chown(user.path(""), Some(uid), Some(gid)).unwrap();
    let lowered = |program: &str, args: &[&str]| {
        let mut command = user.command(program);
        command.args(args).uid(uid).gid(gid);
        command
    };
    let id = Test::new(lowered("udpctl", &["id"])).outcome();
    user.write_line(&id.stdout, "user=*");
    for path in ["config/udpagent", "config/udpagent/authorized_keys"] {
        chown(user.path(path), Some(uid), Some(gid)).unwrap();
    }
    let agent = Agent::from(lowered("udpagent", &["--bind", "127.0.0.1:0"]));
    let target = agent.target();
    let exec = |args: &[&str]| {
        let args = [&["exec", &target][..], args].concat();
        Test::new(lowered("udpctl", &args))
    };
    for options in [&[][..], &["--user", "nobody"]] {
        exec(&[options, &["--", "id", "-un"]].concat())
            .stdout("nobody\n")
            .stderr(no_home(&target))
            .run();
    }
    for other in ["root", "daemon"] {
        exec(&["--user", other, "--", "id"])
            .stderr(denied(&target))
            .status(255)
            .run();
    }
}

/// Makes a copy of /etc in `$0`, with accounts that may not be used, puts it in the place of /etc for the other
/// arguments, and executes them.
const ACCOUNTS: &str = r#"cp -a /etc "$0" && cd "$0" && line() {
    echo "$1:x:$2:$2::/:$3" >>passwd; echo "$1:$4:19000:0:99999:7::$5:" >>shadow; }
    line locked 4001 /bin/sh '!x' '' && line expired 4002 /bin/sh '*' 100 && line shellless 4003 /no/such/shell '*' ''
    line nopassword 4004 /bin/sh '*' '' && line nologin 4005 /usr/sbin/nologin '*' ''
    mount --bind "$0" /etc && cd / && exec "$@""#;

#[test]
fn locked_and_expired_accounts_and_those_without_a_shell_run_nothing() {
    let mut unshared = std::process::Command::new("unshare");
    let unshared = unshared.args(["--mount", "true"]).status();
    if !is_root() || !unshared.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no directory can be mounted");
        return;
    }
    let user = User::new();
    user.authorize("user=*");
    let etc = user.path("etc");
    let mut command = user.command("unshare");
    command.args(["--mount", "sh", "-c", ACCOUNTS, etc.to_str().unwrap()]);
    command.args([env!("CARGO_BIN_EXE_udpagent"), "--bind", "127.0.0.1:0"]);
    let mut agent = Agent::from(command);
    let target = agent.target();
    let exec = |name: &str| user.udpctl(["exec", &target, "--user", name, "--", "id", "-un"]);
    for (name, reason) in [
        ("locked", "locked"),
        ("expired", "expired"),
        ("shellless", "shell"),
    ] {
        exec(name).stderr(denied(&target)).status(255).run();
        let record = |line: &str| line.contains("\"denied\"") && line.contains(reason);
        agent.child.stderr_line(record);
    }
    // No shell is run, and no password is asked for.
    for name in ["nopassword", "nologin"] {
        exec(name).stdout(format!("{name}\n")).run();
    }
    std::fs::write(etc.join("nologin"), "closed\n").unwrap();
    exec("nopassword").stderr(denied(&target)).status(255).run();
    let record = |line: &str| line.contains("\"denied\"") && line.contains("/etc/nologin");
    agent.child.stderr_line(record);
    exec("root").stdout("root\n").run();
}
