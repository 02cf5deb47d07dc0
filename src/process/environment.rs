//! The environment of a job: six variables, and what was asked for, within reason.
//!
//! Invariant: nothing of the agent's own environment leaks into a job (its LANG excepted), and no variable
//! that makes a program run other code than was named is taken from a requester.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use super::{Account, limits};
use crate::escape;

/// Where programs are looked up.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variable that marks every process of a job; its value is [`Spec::marker`](super::Spec::marker).
pub const MARKER: &str = "UDPAGENT_JOB";

/// Names that no requester may set: a key that may run one program only could run any by them. It is what
/// `sudo` deletes (`initial_badenv_table`), and what has turned up since.
const REFUSED: &[&str] = &[
    MARKER,
    // Shells: read a file at start, split words anew, trace with a command, look elsewhere.
    "BASH_ENV",
    "BASHOPTS",
    "CDPATH",
    "ENV",
    "FPATH",
    "GLOBIGNORE",
    "IFS",
    "NULLCMD",
    "PROMPT_COMMAND",
    "PS4",
    "READNULLCMD",
    "SHELLOPTS",
    "TMPPREFIX",
    "ZDOTDIR",
    // The C library: load, write and look up elsewhere.
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLIBC_TUNABLES",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "LOCPATH",
    "MALLOC_TRACE",
    "NIS_PATH",
    "NLSPATH",
    "PATH_LOCALE",
    "RESOLV_HOST_CONF",
    "RES_OPTIONS",
    "TZDIR",
    // Terminal descriptions are programs of a kind.
    "TERMCAP",
    "TERMINFO",
    "TERMINFO_DIRS",
    "TERMPATH",
    // Interpreters: run this before what was named.
    "CLASSPATH",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLIO_DEBUG",
    "PERLLIB",
    "PYTHONHOME",
    "PYTHONINSPECT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "RUBYLIB",
    "RUBYOPT",
    "_JAVA_OPTIONS",
];

/// Beginnings of such names: the dynamic linkers', and bash's functions.
const REFUSED_BEGINNINGS: &[&str] = &["LD_", "DYLD_", "_RLD", "BASH_FUNC_"];

/// PATH, HOME, USER, LOGNAME, SHELL and LANG for the account, then `extra`, which may replace them. (A PATH
/// among it is what the job sees, not where its program is looked up: that is `Spec::path`.)
///
/// # Errors
/// The first name in `extra` that is refused; see [`RefusedVariable`].
pub fn clean_environment<N, V>(
    account: &Account,
    extra: impl IntoIterator<Item = (N, V)>,
) -> Result<Vec<(OsString, OsString)>, RefusedVariable>
where
    N: AsRef<OsStr>,
    V: AsRef<OsStr>,
{
    // Without one, programs would take every byte above 127 for a question mark.
    let lang = std::env::var_os("LANG").filter(|lang| !lang.is_empty());
    let mut env: Vec<(OsString, OsString)> = vec![
        ("PATH".into(), PATH.into()),
        ("HOME".into(), account.home.clone().into()),
        ("USER".into(), account.name.clone()),
        ("LOGNAME".into(), account.name.clone()),
        ("SHELL".into(), account.shell.clone().into()),
        ("LANG".into(), lang.unwrap_or_else(|| "C.UTF-8".into())),
    ];
    for (name, value) in extra {
        let (name, value) = (name.as_ref(), value.as_ref());
        if !is_acceptable(name, value) {
            let name = name.to_owned();
            return Err(RefusedVariable { name });
        }
        match env.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => value.clone_into(known),
            None => env.push((name.to_owned(), value.to_owned())),
        }
    }
    Ok(env)
}

fn is_acceptable(name: &OsStr, value: &OsStr) -> bool {
    let (name, value) = (name.as_bytes(), value.as_bytes());
    let is_variable =
        !name.is_empty() && !name.contains(&b'=') && !name.contains(&0) && !value.contains(&0);
    // Any name may be a function to an old bash (CVE-2014-6271).
    is_variable
        && !value.starts_with(b"()")
        && !REFUSED.iter().any(|refused| refused.as_bytes() == name)
        && !REFUSED_BEGINNINGS
            .iter()
            .any(|beginning| name.starts_with(beginning.as_bytes()))
}

/// A variable that may not be set by a requester: no name at all, one from the list in this module (`LD_*`,
/// `BASH_ENV`, `IFS`, `PYTHONPATH` and their kin), or a value that is a shell function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedVariable {
    /// Its name, as the requester wrote it. It is escaped when displayed.
    pub name: OsString,
}

impl fmt::Display for RefusedVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = escape::line(self.name.as_bytes(), limits::NAME_SHOWN);
        write!(f, "variable {name} may not be set")
    }
}

impl std::error::Error for RefusedVariable {}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            name: "ann".into(),
            uid: 1000,
            gid: 1000,
            home: "/home/ann".into(),
            shell: "/bin/zsh".into(),
        }
    }

    fn asked(extra: &[(&str, &str)]) -> Result<Vec<(OsString, OsString)>, RefusedVariable> {
        clean_environment(&account(), extra.iter().copied())
    }

    #[test]
    fn six_variables_and_no_more() {
        let env = asked(&[]).unwrap();
        let names: Vec<_> = env.iter().map(|(name, _)| name.to_str().unwrap()).collect();
        assert_eq!(names, ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG"]);
        assert_eq!(env[1].1, "/home/ann");
        assert_eq!(env[4].1, "/bin/zsh");
    }

    #[test]
    fn what_is_asked_for_is_added_or_replaces_but_never_twice() {
        let env = asked(&[("K", "1"), ("LANG", "de_DE.UTF-8"), ("K", "")]).unwrap();
        assert_eq!(env.len(), 7);
        assert_eq!(env[5].1, "de_DE.UTF-8");
        assert_eq!(env[6], ("K".into(), "".into()));
    }

    #[test]
    fn what_runs_other_code_is_refused_by_name() {
        for name in [
            "LD_PRELOAD",
            "LD_",
            "BASH_ENV",
            "ENV",
            "IFS",
            "BASH_FUNC_ls%%",
            MARKER,
        ] {
            let refused = asked(&[("K", "1"), (name, "x")]).unwrap_err();
            assert_eq!(refused.name, name);
        }
        assert!(asked(&[("f", "() { :; }; echo gotcha")]).is_err());
        assert!(asked(&[("LDAP", "x"), ("ENVOY", "x"), ("MY_IFS", "x")]).is_ok());
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0y")] {
            assert!(asked(&[(name, value)]).is_err());
        }
    }
}
