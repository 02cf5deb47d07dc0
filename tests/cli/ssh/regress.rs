//! Regression scripts of OpenSSH with `SSH` set to `udpctl-ssh`, as Debian's package openssh-tests installs them.
//!
//! The scripts are not part of this project, and are passed over where they are not installed. Invariant: only their pauses
//! are changed, which are a tenth as long.

use std::path::Path;

use super::{Ssh, bytes};
use crate::harness::Test;

/// Directory of the scripts.
const SCRIPTS: &str = "/usr/lib/openssh/regress";

/// Definitions of OpenSSH's `test-exec.sh` that the scripts use, with the name of the script as `$1`.
const DEFINITIONS: &str = r#"
OBJ=$PWD/$1 SSH=udpctl-ssh DATA=$PWD/$1/data COPY=$PWD/$1/copy failed=0
trace() { :; }
verbose() { echo "$*"; }
fail() { echo "FAIL: $*"; failed=1; }
md5() { md5sum; }
. "$OBJ/script"
echo "end of $tid"
exit $failed
"#;

/// Returns the run of a script; `None` if it is not installed.
fn script(ssh: &Ssh, name: &str) -> Option<Test> {
    let script = std::fs::read_to_string(Path::new(SCRIPTS).join(format!("{name}.sh"))).ok()?;
    // All but the one of a command that is to be killed.
    let script = ["sleep 1", "sleep 2", "sleep 3"]
        .iter()
        .fold(script, |script, pause| {
            script.replace(pause, &pause.replace(' ', " 0."))
        });
    let folder = ssh.user.path(name);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("script"), script).unwrap();
    std::fs::write(folder.join("data"), bytes()).unwrap();
    let mut command = ssh.command("sh");
    command.args(["-c", DEFINITIONS, "sh", name]);
    Some(Test::new(command))
}

fn holds(name: &str, script: Test) {
    let outcome = script.outcome();
    let stdout = String::from_utf8_lossy(&outcome.stdout);
    assert!(
        outcome.status == 0 && stdout.contains("end of ") && !stdout.contains("FAIL"),
        "{name}: {stdout}{}",
        outcome.stderr
    );
}

#[test]
fn the_regression_scripts_of_openssh_hold() {
    let ssh = Ssh::new();
    // The names that they give the host.
    let hosts = ["otherhost", "somehost", "nexthost", "thishost"].map(|host| {
        let port = ssh.port();
        format!("[hosts.{host}]\naddress = \"127.0.0.1\"\nport = {port}\n")
    });
    let directory = ssh.user.path("config/udpctl");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("hosts.toml"), hosts.concat()).unwrap();
    std::thread::scope(|scope| {
        for name in [
            "exit-status",
            "exit-status-signal",
            "stderr-data",
            "stderr-after-eof",
            "yes-head",
            "broken-pipe",
            "transfer",
        ] {
            match script(&ssh, name) {
                Some(script) => _ = scope.spawn(move || holds(name, script)),
                None => eprintln!("SKIPPED: {name} of openssh-tests is not installed"),
            }
        }
    });
}
