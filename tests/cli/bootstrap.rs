//! `udpctl bootstrap` with a program in the place of ssh that runs the command line in another home on this machine.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::harness::{Child, Test, User, eventually, masked};

/// Stands for ssh: notes its arguments, and gives the command line to a login shell as sshd does.
const SSH: &str = r#"#!/bin/sh
for word; do printf '%s\n' "$word" >>"$NEAR/arguments"; done
while [ "${1#-}" != "$1" ]; do shift; done
[ -e "$NEAR/no-connection" ] && exit 255
shift
unset NEAR
export HOME="$FAR" XDG_CONFIG_HOME="$FAR/config" XDG_STATE_HOME="$FAR/state"
exec sh -c "$1"
"#;

/// A controller's user and a host's user.
struct Hosts {
    near: User,
    far: User,
}

impl Hosts {
    fn new() -> Self {
        let hosts = Self {
            near: User::new(),
            far: User::new(),
        };
        hosts.near.write("fake-ssh", SSH);
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(hosts.near.path("fake-ssh"), mode).unwrap();
        hosts
    }

    /// A run of `udpctl bootstrap`.
    fn bootstrap(&self, args: &[&str]) -> Test {
        let mut command = self.near.command("udpctl");
        command
            .args([
                "bootstrap",
                "--ssh",
                "./fake-ssh -q",
                "--bind",
                "127.0.0.1:0",
            ])
            .args(args)
            .env("NEAR", self.near.home())
            .env("FAR", self.far.home());
        Test::new(command)
    }

    fn arguments(&self) -> String {
        fs::read_to_string(self.near.path("arguments")).unwrap_or_default()
    }

    fn installed(&self) -> PathBuf {
        self.far.path(".local/bin/udpagent")
    }

    /// The agent of the host, if one runs.
    fn agent(&self) -> Option<Pid> {
        let status = self.far.udpagent(["status", "--json"]).outcome();
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).ok()?;
        Pid::from_raw(i32::try_from(status["pid"].as_i64()?).ok()?)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if let Some(agent) = self.agent() {
            let _ = kill_process(agent, Signal::TERM);
            eventually("the end of the agent", || {
                rustix::process::test_kill_process(agent).is_err()
            });
        }
    }
}

/// Replaces what differs between machines and runs.
fn shown(stdout: &[u8], hosts: &Hosts) -> String {
    let uname = rustix::system::uname();
    // First the path, whose random name may have that of the node in it.
    let text = String::from_utf8_lossy(stdout)
        .replace(&hosts.far.home(), "FAR")
        .replace(uname.nodename().to_str().unwrap(), "NODE")
        .replace(uname.machine().to_str().unwrap(), "MACHINE")
        .replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let mut words = Vec::new();
    for word in masked(&text).split(' ') {
        let port = word.strip_prefix("127.0.0.1:");
        let is_number = word.parse::<f64>().is_ok();
        words.push(match port {
            Some(port) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
                "127.0.0.1:PORT".to_owned()
            }
            _ if is_number => "N".to_owned(),
            _ => word.to_owned(),
        });
    }
    words.join(" ")
}

#[test]
fn a_host_gets_the_agent_and_admits_this_controller_in_one_command() {
    let hosts = Hosts::new();
    let outcome = hosts.bootstrap(&["tester@127.0.0.1"]).outcome();
    assert_eq!((&outcome.stderr[..], outcome.status), ("", 0));
    assert_eq!(
        shown(&outcome.stdout, &hosts),
        "127.0.0.1: Linux MACHINE; copied udpagent VERSION to .local/bin/udpagent\n\
         127.0.0.1: agent started without a service manager, until the host restarts; its log is \
         FAR/state/udpagent/bootstrap.log\n\
         127.0.0.1: 127.0.0.1:PORT is trusted now; NODE calls this controller tester@NODE\n\
         127.0.0.1: answers: NODE (udpagent VERSION) in N ms\n"
    );
    let agent = hosts.agent().unwrap();
    assert_eq!(
        fs::metadata(hosts.installed())
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o755
    );
    let target = fs::read_to_string(hosts.near.path("config/udpctl/known_agents")).unwrap();
    let target = target.split(' ').next().unwrap();
    hosts
        .near
        .udpctl(["exec", target, "--", "echo", "hi"])
        .stdout("hi\n")
        .run();
    // Neither the token of the invitation nor the key is on a command line.
    let arguments = hosts.arguments();
    assert!(
        !arguments.contains('#') && !arguments.contains("ua1:"),
        "{arguments}"
    );
    let first: Vec<&str> = arguments.lines().take(4).collect();
    assert_eq!(
        first,
        ["-q", "-T", "tester@127.0.0.1", "sh -s -- .local/bin"]
    );

    let outcome = hosts.bootstrap(&["127.0.0.1"]).outcome();
    assert_eq!((&outcome.stderr[..], outcome.status), ("", 0));
    assert_eq!(
        shown(&outcome.stdout, &hosts),
        "127.0.0.1: Linux MACHINE; .local/bin/udpagent is the same already\n\
         127.0.0.1: agent runs already\n\
         127.0.0.1: 127.0.0.1:PORT is trusted now; NODE calls this controller tester@NODE\n\
         127.0.0.1: this controller was listed there before\n\
         127.0.0.1: answers: NODE (udpagent VERSION) in N ms\n"
    );
    assert_eq!(hosts.agent(), Some(agent));

    // Another program is copied, and the running agent takes it.
    let mut program = fs::read(hosts.installed()).unwrap();
    program.push(0);
    fs::write(hosts.near.path("newer"), program).unwrap();
    let outcome = hosts
        .bootstrap(&["127.0.0.1", "--agent", "newer"])
        .outcome();
    let lines = shown(&outcome.stdout, &hosts);
    let lines: Vec<&str> = lines.lines().take(2).collect();
    assert_eq!(
        lines,
        [
            "127.0.0.1: Linux MACHINE; copied udpagent VERSION to .local/bin/udpagent",
            "127.0.0.1: agent runs with the new program"
        ]
    );
    assert_eq!((hosts.agent(), outcome.status), (Some(agent), 0));
}

/// Runs a bootstrap that fails before it starts an agent.
#[track_caller]
fn fails(hosts: &Hosts, args: &[&str], stdout: &str, stderr: &str) {
    let outcome = hosts.bootstrap(args).outcome();
    let uname = rustix::system::uname();
    let machine = uname.machine().to_str().unwrap();
    let got = outcome.stderr.replace(machine, "MACHINE");
    assert_eq!(
        (shown(&outcome.stdout, hosts), got, outcome.status),
        (stdout.to_owned(), stderr.to_owned(), 1)
    );
    assert!(hosts.agent().is_none());
}

#[test]
fn a_step_of_bootstrap_that_fails_is_named_with_what_to_do() {
    let hosts = Hosts::new();
    fs::write(hosts.near.path("no-connection"), "").unwrap();
    fails(
        &hosts,
        &["web3"],
        "",
        "udpctl: web3: copy: ssh failed; \"./fake-ssh -q web3 true\" should work first\n",
    );
    fs::remove_file(hosts.near.path("no-connection")).unwrap();

    hosts.near.write("script", "#!/bin/sh\n");
    fails(
        &hosts,
        &["web3", "--agent", "script"],
        "",
        "udpctl: web3: copy: script: no program for Linux\n",
    );

    // A program for another processor is not copied, and one that does not run is not installed.
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(18, 0);
    elf.extend([0xff, 0x7f]);
    fs::write(hosts.near.path("other"), &elf).unwrap();
    fails(
        &hosts,
        &["web3", "--agent", "other"],
        "",
        "udpctl: web3: copy: the host is MACHINE, and other is for another processor; build one for it and name it: \
         --agent FILE\n",
    );
    let own = fs::read(env!("CARGO_BIN_EXE_udpagent")).unwrap();
    fs::write(hosts.near.path("cut"), &own[..4096]).unwrap();
    let outcome = hosts.bootstrap(&["web3", "--agent", "cut"]).outcome();
    let last = outcome.stderr.lines().last().unwrap();
    let advice =
        "udpctl: web3: copy: cut does not run there; build it for that system, as with --target ";
    assert!(last.starts_with(advice), "{}", outcome.stderr);
    assert!(!hosts.installed().exists());
    assert_eq!(
        fs::read_dir(hosts.far.path(".local/bin")).unwrap().count(),
        0
    );

    hosts.far.write("file", "");
    let outcome = hosts.bootstrap(&["web3", "--dir", "file/bin"]).outcome();
    let last = outcome.stderr.lines().last().unwrap();
    let advice =
        "udpctl: web3: copy: file/bin cannot be written there; name another directory: --dir DIR";
    assert_eq!((last, outcome.status), (advice, 1));
}

#[test]
fn an_agent_that_does_not_start_is_reported_with_the_last_line_of_its_log() {
    let hosts = Hosts::new();
    hosts.far.write_config("no configuration");
    let outcome = hosts.bootstrap(&["127.0.0.1"]).outcome();
    let last = outcome.stderr.lines().last().unwrap();
    assert!(
        last.starts_with("udpctl: 127.0.0.1: start: udpagent: "),
        "{}",
        outcome.stderr
    );
    assert!(last.contains("udpagent.toml"), "{last}");
    assert_eq!(outcome.status, 1);
}

#[test]
fn bootstrap_refuses_another_key_that_is_known_for_the_agent() {
    let hosts = Hosts::new();
    assert_eq!(hosts.bootstrap(&["127.0.0.1"]).outcome().status, 0);
    let path = hosts.near.path("config/udpctl/known_agents");
    let known = fs::read_to_string(&path).unwrap();
    let other = hosts.near.udpctl(["id"]).outcome().stdout;
    let other = String::from_utf8(other).unwrap();
    let target = known.split(' ').next().unwrap();
    fs::write(&path, format!("{target} {other}")).unwrap();
    let outcome = hosts.bootstrap(&["127.0.0.1"]).outcome();
    assert_eq!(outcome.status, 1);
    assert!(
        outcome.stderr.starts_with("udpctl: 127.0.0.1: accept: "),
        "{}",
        outcome.stderr
    );
    let outcome = hosts.bootstrap(&["127.0.0.1", "--replace"]).outcome();
    assert_eq!((&outcome.stderr[..], outcome.status), ("", 0));
}

/// Starts sshd(8) for the host's user on a port of its own, with keys made for it. Returns it with the program and the
/// options that run a command there, or `None` if it cannot be served here.
fn sshd(hosts: &Hosts) -> Option<(Child, String)> {
    let files = [
        "/usr/sbin/sshd",
        "/run/sshd",
        "/usr/bin/ssh",
        "/usr/bin/ssh-keygen",
    ];
    let are_there = files.iter().all(|file| Path::new(file).exists());
    if !are_there || !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: there is no OpenSSH that can be served here");
        return None;
    }
    let path = |name: &str| hosts.near.path(name).display().to_string();
    for name in ["host-key", "user-key"] {
        let status = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f", &path(name)])
            .status();
        assert!(status.unwrap().success());
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let far = hosts.far.home();
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
         PermitRootLogin yes\nSetEnv HOME={far} XDG_CONFIG_HOME={far}/config XDG_STATE_HOME={far}/state\n",
        path("host-key"),
        path("user-key.pub")
    );
    hosts.near.write("sshd_config", &config);
    let mut command = Command::new("/usr/sbin/sshd");
    command.args(["-D", "-e", "-f", &path("sshd_config")]);
    let mut sshd = Child::start(command);
    sshd.stderr_line(|line| line.contains("Server listening on 127.0.0.1"));
    let options = "-oBatchMode=yes -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oLogLevel=ERROR";
    let ssh = format!(
        "/usr/bin/ssh -F none -i {} -p {port} {options}",
        path("user-key")
    );
    Some((sshd, ssh))
}

#[test]
fn a_real_sshd_brings_the_agent_to_a_host() {
    let hosts = Hosts::new();
    let Some((sshd, ssh)) = sshd(&hosts) else {
        return;
    };
    let mut command = hosts.near.command("udpctl");
    command.args([
        "bootstrap",
        "--ssh",
        &ssh,
        "--bind",
        "127.0.0.1:0",
        "root@127.0.0.1",
    ]);
    let outcome = Test::new(command).outcome();
    let lines = shown(&outcome.stdout, &hosts);
    assert_eq!((&outcome.stderr[..], outcome.status), ("", 0), "{lines}");
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(
        (lines.first(), lines.last()),
        (
            Some(&"127.0.0.1: Linux MACHINE; copied udpagent VERSION to .local/bin/udpagent"),
            Some(&"127.0.0.1: answers: NODE (udpagent VERSION) in N ms")
        )
    );
    assert!(hosts.installed().exists() && hosts.agent().is_some());
    // The agent outlives the sessions of ssh and their server.
    drop(sshd);
    let known = fs::read_to_string(hosts.near.path("config/udpctl/known_agents")).unwrap();
    let target = known.split(' ').next().unwrap();
    hosts
        .near
        .udpctl(["exec", target, "--", "echo", "hi"])
        .stdout("hi\n")
        .run();
}

#[test]
fn the_scripts_for_a_host_are_valid_in_every_shell() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/ctl/bootstrap");
    for script in ["probe.sh", "start.sh"] {
        let output = Command::new("sh")
            .arg("-n")
            .arg(scripts.join(script))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{script}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn an_agent_that_cannot_be_reached_over_udp_asks_for_another_address() {
    let hosts = Hosts::new();
    let outcome = hosts
        .bootstrap(&[
            "127.0.0.1",
            "--host",
            "127.0.0.1:9",
            "--contact-timeout",
            "300ms",
        ])
        .outcome();
    assert_eq!(outcome.status, 1);
    let last = outcome.stderr.lines().last().unwrap();
    assert!(
        last.starts_with("udpctl: 127.0.0.1: accept: 127.0.0.1:9: "),
        "{}",
        outcome.stderr
    );
}
