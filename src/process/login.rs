//! The conditions under which commands run as another user: those of sshd(8) without PAM.
//!
//! Not authentication. A password that matches nothing (`*`) and a shell such as nologin(8) are no obstacle,
//! because neither is used.

use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::io::Errno;

use super::account::ROOT;
use super::child::user_database::{self, Passwd, Shadow};
use super::{Account, AccountError, Cause};

/// Files whose existence disables the logins of users other than root.
const NOLOGIN: [&str; 2] = ["/etc/nologin", "/run/nologin"];

const SECONDS_A_DAY: u64 = 86_400;

/// An account that commands may run as, with its groups.
pub(super) struct Login {
    pub(super) account: Account,
    /// All groups, the primary one included.
    pub(super) groups: Vec<u32>,
}

/// Looks a user up and checks the conditions. May block.
pub(super) fn look_up(name: &str) -> Result<Login, Cause> {
    let system = |errno: Errno| Cause::System(errno.raw_os_error());
    let no_such = Cause::Account(AccountError::NoSuchUser);
    let name = CString::new(name).map_err(|_| no_such)?;
    let entry = user_database::by_name(&name)
        .map_err(system)?
        .ok_or(no_such)?;
    // As in sshd, the password of an account without a shadow entry is the one in passwd.
    let shadow = user_database::shadow_by_name(&name).map_err(system)?;
    let host = Host {
        today: today(),
        nologin: NOLOGIN
            .iter()
            .any(|path| fs::symlink_metadata(path).is_ok()),
        is_program,
    };
    check(&entry, shadow.as_ref(), &host).map_err(Cause::Account)?;
    let groups = user_database::groups(&name, entry.gid).map_err(system)?;
    let account = Account::from(entry);
    Ok(Login { account, groups })
}

/// Checks now whether a program run by `own` can run commands as the user `name`. May block, unlike
/// [`Account::may_become`].
///
/// # Errors
/// The reason why not. A database that cannot be read counts as one without the user.
pub fn check_user(own: &Account, name: &str) -> Result<(), AccountError> {
    own.may_become(name)?;
    if own.name == name {
        return Ok(());
    }
    match look_up(name) {
        Ok(_) => Ok(()),
        Err(Cause::Account(error)) => Err(error),
        Err(Cause::System(_) | Cause::Ended) => Err(AccountError::NoSuchUser),
    }
}

/// Properties of the host that the conditions depend on.
struct Host {
    /// Days since 1970.
    today: i64,
    /// True if logins of users other than root are disabled.
    nologin: bool,
    is_program: fn(&Path) -> bool,
}

fn today() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let days = now.map_or(0, |now| now.as_secs() / SECONDS_A_DAY);
    i64::try_from(days).unwrap_or(i64::MAX)
}

/// True for a regular file that somebody may execute.
fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Checks the conditions.
fn check(entry: &Passwd, shadow: Option<&Shadow>, host: &Host) -> Result<(), AccountError> {
    let password = shadow.map_or(&entry.password, |shadow| &shadow.password);
    if password.starts_with(b"!") {
        return Err(AccountError::Locked);
    }
    if shadow.is_some_and(|shadow| shadow.expires != -1 && shadow.expires < host.today) {
        return Err(AccountError::Expired);
    }
    if host.nologin && entry.uid != ROOT {
        return Err(AccountError::NoLogins);
    }
    // An empty field stands for the default shell, passwd(5).
    let shell = match entry.shell.as_slice() {
        b"" => b"/bin/sh",
        shell => shell,
    };
    if !(host.is_program)(Path::new(OsStr::from_bytes(shell))) {
        return Err(AccountError::NoShell);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(uid: u32, shell: &str) -> Passwd {
        Passwd {
            name: b"ann".to_vec(),
            password: b"x".to_vec(),
            uid,
            gid: uid,
            home: b"/".to_vec(),
            shell: shell.as_bytes().to_vec(),
        }
    }

    fn shadow(password: &str, expires: i64) -> Shadow {
        Shadow {
            password: password.as_bytes().to_vec(),
            expires,
        }
    }

    const HOST: Host = Host {
        today: 20_000,
        nologin: false,
        is_program: |path| path == Path::new("/bin/sh") || path.ends_with("nologin"),
    };

    #[test]
    fn a_locked_or_expired_account_runs_nothing() {
        let ann = entry(1000, "/bin/sh");
        for (password, expires, expected) in [
            ("$6$x", -1, Ok(())),
            ("*", -1, Ok(())),
            ("", -1, Ok(())),
            ("!", -1, Err(AccountError::Locked)),
            ("!!", -1, Err(AccountError::Locked)),
            ("!$6$x", -1, Err(AccountError::Locked)),
            ("*", 20_000, Ok(())),
            ("*", 19_999, Err(AccountError::Expired)),
            ("*", 0, Err(AccountError::Expired)),
        ] {
            let checked = check(&ann, Some(&shadow(password, expires)), &HOST);
            assert_eq!(checked, expected, "{password} {expires}");
        }
        let without_shadow = Passwd {
            password: b"!".to_vec(),
            ..ann
        };
        assert_eq!(
            check(&without_shadow, None, &HOST),
            Err(AccountError::Locked)
        );
        let unlocked = shadow("*", -1);
        assert_eq!(check(&without_shadow, Some(&unlocked), &HOST), Ok(()));
    }

    #[test]
    fn disabled_logins_and_a_missing_shell_are_refused_and_a_nologin_shell_is_not() {
        let disabled = Host {
            nologin: true,
            ..HOST
        };
        let checked = |uid, shell, host| check(&entry(uid, shell), None, host);
        assert_eq!(
            checked(1000, "/bin/sh", &disabled),
            Err(AccountError::NoLogins)
        );
        assert_eq!(checked(ROOT, "/bin/sh", &disabled), Ok(()));
        assert_eq!(checked(1000, "/usr/sbin/nologin", &HOST), Ok(()));
        assert_eq!(checked(1000, "", &HOST), Ok(()));
        assert_eq!(
            checked(1000, "/bin/gone", &HOST),
            Err(AccountError::NoShell)
        );
        assert_eq!(
            checked(ROOT, "/bin/gone", &HOST),
            Err(AccountError::NoShell)
        );
    }

    #[test]
    fn a_name_that_the_database_does_not_have_is_no_user() {
        for name in ["no-such-user", "", "a\0b", "root:x"] {
            let found = look_up(name).err();
            assert_eq!(
                found,
                Some(Cause::Account(AccountError::NoSuchUser)),
                "{name:?}"
            );
        }
        let root = look_up("root").unwrap();
        assert_eq!(root.account.uid, ROOT);
        assert_eq!(root.groups.first(), Some(&0));
    }
}
