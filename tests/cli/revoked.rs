//! Keys that are removed or expire while they are in use.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::harness::{Agent, Child, User, eventually};

/// The manual promises one second; the rest is a margin for a busy machine.
const SOON: Duration = Duration::from_secs(3);

const ID: &str = "00000000000000000000000000000007";

/// Starts a guest's command, and returns its controller and the file that names its process.
fn guest_at(guest: &User, agent: &Agent) -> (Child, PathBuf) {
    let target = agent.target();
    guest
        .udpctl(["trust", &target, agent.key()])
        .stdout(format!("{target} is trusted now\n"))
        .run();
    let mut command = guest.command("udpctl");
    let script = "echo $$; exec sleep 600";
    command.args(["exec", &target, "--lease", "2s", "--id", ID]);
    command.args(["--", "sh", "-c", script]);
    let mut udpctl = Child::start(command);
    let pid = udpctl.stdout_line(|_| true);
    (udpctl, PathBuf::from(format!("/proc/{pid}")))
}

/// Checks the outcome of a command that has ended with its key.
fn is_told_of_the_revocation(udpctl: &mut Child, target: &str) {
    let (status, stderr) = udpctl.wait();
    assert_eq!(status.code(), Some(255), "{stderr}");
    assert_eq!(
        stderr.trim_end(),
        format!("udpctl: {target}: canceled: its key may no longer run it; request {ID}")
    );
}

#[test]
fn removing_a_key_ends_its_session_and_command_at_once() {
    let (host, guest) = (User::new(), User::new());
    let id = guest.udpctl(["id"]).outcome().stdout;
    host.write_line(&id, "");
    let agent = host.agent();
    let (mut udpctl, process) = guest_at(&guest, &agent);
    let began = Instant::now();
    std::fs::write(host.path("config/udpagent/authorized_keys"), "").unwrap();
    eventually("the command has ended", || !process.exists());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    is_told_of_the_revocation(&mut udpctl, &agent.target());
}

#[test]
fn a_key_that_expires_ends_its_command_at_its_time_and_not_before() {
    let (host, guest) = (User::new(), User::new());
    let id = guest.udpctl(["id"]).outcome().stdout;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // Enough time to start, in whole seconds, the unit of the file.
    let end = Duration::from_secs(now.as_secs() + 5);
    let text = std::process::Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H:%M:%SZ", "-d"])
        .arg(format!("@{}", end.as_secs()))
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    host.write_line(&id, &format!("expires={}", text.trim()));
    let agent = host.agent();
    let (mut udpctl, process) = guest_at(&guest, &agent);
    eventually("the command has ended", || !process.exists());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!(now >= end, "{:?} too early", end.saturating_sub(now));
    assert!(now < end + SOON, "{:?} late", now.saturating_sub(end));
    is_told_of_the_revocation(&mut udpctl, &agent.target());
}

#[test]
fn narrowing_the_line_of_a_key_ends_what_it_no_longer_allows_and_nothing_else() {
    let (host, guest) = (User::new(), User::new());
    let id = guest.udpctl(["id"]).outcome().stdout;
    host.write_line(&id, "");
    let agent = host.agent();
    let (mut udpctl, process) = guest_at(&guest, &agent);
    let target = agent.target();
    let refused = || {
        let args = ["exec", &target, "--contact-timeout", "1s", "--", "false"];
        guest.udpctl(args).outcome().status == 255
    };
    host.write_line(&id, "'allow=sh **'");
    eventually("the new line holds", refused);
    assert!(process.exists(), "the command goes on");
    host.write_line(&id, "allow=uptime");
    eventually("the command has ended", || !process.exists());
    is_told_of_the_revocation(&mut udpctl, &target);
}

#[test]
fn replacing_authorized_keys_by_rename_ends_nothing() {
    let (host, guest, other) = (User::new(), User::new(), User::new());
    let id = guest.udpctl(["id"]).outcome().stdout;
    host.write_line(&id, "");
    let agent = host.agent();
    let (mut udpctl, process) = guest_at(&guest, &agent);
    let file = host.path("config/udpagent/authorized_keys");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::rename(&file, host.path("config/udpagent/authorized_keys~")).unwrap();
    let new = other.udpctl(["id"]).outcome().stdout;
    let new = String::from_utf8(new).unwrap();
    std::fs::write(&file, format!("{text}{} other\n", new.trim())).unwrap();
    // The new key is admitted only after the file was read.
    let target = agent.target();
    other
        .udpctl(["trust", &target, agent.key()])
        .stdout(format!("{target} is trusted now\n"))
        .run();
    eventually("the new key is let in", || {
        let args = ["ping", &target, "--contact-timeout", "1s"];
        other.udpctl(args).outcome().status == 0
    });
    assert!(process.exists(), "the command goes on");
    udpctl.signal(rustix::process::Signal::INT);
    assert_eq!(crate::harness::shell_status(udpctl.wait().0), Some(130));
}
