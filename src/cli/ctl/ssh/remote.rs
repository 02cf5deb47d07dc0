//! Remote command of a command line of ssh(1), as sshd(8) runs it: with the login shell of the user on the agent's host.
//!
//! The agent sets SHELL from the user database, whoever the user is, so a line for `/bin/sh` finds the login shell where only
//! the agent knows it. Invariant: no text of the command line is part of that line; it is an argument.

use std::ffi::{OsStr, OsString};

use anyhow::{Result, bail};

/// Name for messages of `/bin/sh`.
const NAME: &str = "udpctl-ssh";

/// Runs `$1` with the login shell.
const COMMAND: &str = r#"exec "$SHELL" -c "$1""#;

/// Runs the login shell as such.
const LOGIN: &str = r#"exec "$SHELL" -l"#;

/// Runs the sftp-server of the system where distributions have it, with the login shell as sshd does: Debian, Fedora and the BSDs,
/// Arch and SUSE, Gentoo and Alpine, builds from source, NixOS.
const SFTP: &str = r#"for file in /usr/lib/openssh /usr/libexec/openssh /usr/libexec /usr/lib/ssh \
    /usr/lib/misc /usr/local/libexec /usr/local/lib/openssh /run/current-system/sw/libexec; do
  if [ -x "$file/sftp-server" ]; then exec "$SHELL" -c "$file/sftp-server"; fi
done
echo "udpctl: there is no sftp-server on this host" >&2
exit 127"#;

/// Returns the argv for a line; the login shell if that is empty.
pub fn command(line: OsString) -> Vec<OsString> {
    if line.is_empty() {
        login(NAME)
    } else {
        shell(COMMAND, Some(line))
    }
}

/// Returns the argv for the login shell as such, under a name for its messages.
pub fn login(name: &str) -> Vec<OsString> {
    let words = ["/bin/sh", "-c", LOGIN, name].map(OsString::from);
    words.into()
}

/// Returns the argv for a subsystem.
pub fn subsystem(name: &OsStr) -> Result<Vec<OsString>> {
    if name.is_empty() {
        bail!("-s: the subsystem is missing");
    }
    if name != "sftp" {
        bail!("-s: the only subsystem is sftp");
    }
    Ok(shell(SFTP, None))
}

fn shell(line: &str, argument: Option<OsString>) -> Vec<OsString> {
    // The word behind the line is $0, which messages of /bin/sh begin with.
    let words = ["/bin/sh", "-c", line, NAME].map(OsString::from);
    words.into_iter().chain(argument).collect()
}
