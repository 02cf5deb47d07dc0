//! The environment of a job: six variables, and those of the request that are safe.
//!
//! Invariant: no variable of the agent's own environment except LANG reaches a job, and a request cannot set
//! a variable that makes a program run code other than the program named.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use super::{Account, limits};
use crate::escape;

/// Default search path for programs.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Name of the variable that marks every process of a job. Its value is [`Spec::marker`](super::Spec::marker).
pub const MARKER: &str = "UDPAGENT_JOB";

/// Names that a request may not set: with them, a key that may run one program only could run any. The list
/// is that of `sudo` (`initial_badenv_table`) with later findings.
const REFUSED: &[&str] = &[
    MARKER,
    // Shells: files read at start, word splitting, traced commands, other search paths.
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
    // The C library: files loaded, files written, other places for lookups.
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
    // Terminal descriptions, which may contain commands.
    "TERMCAP",
    "TERMINFO",
    "TERMINFO_DIRS",
    "TERMPATH",
    // Interpreters: code that runs before the program named.
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

/// Prefixes of refused names: those of dynamic linkers and of bash functions.
const REFUSED_PREFIXES: &[&str] = &["LD_", "DYLD_", "_RLD", "BASH_FUNC_"];

/// Returns PATH, HOME, USER, LOGNAME, SHELL and LANG for the account, then `extra`, which may replace them.
/// A PATH in `extra` is visible to the job, but its program is looked up in `Spec::path`.
///
/// # Errors
/// [`RefusedVariable`] for the first variable in `extra` that is refused.
pub fn clean_environment<N, V>(
    account: &Account,
    extra: impl IntoIterator<Item = (N, V)>,
) -> Result<Vec<(OsString, OsString)>, RefusedVariable>
where
    N: AsRef<OsStr>,
    V: AsRef<OsStr>,
{
    // Without LANG, programs would show every byte above 127 as a question mark.
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

/// Returns true if a request may set a variable to a value.
#[must_use]
pub fn is_acceptable(name: &OsStr, value: &OsStr) -> bool {
    let (name, value) = (name.as_bytes(), value.as_bytes());
    let is_variable =
        !name.is_empty() && !name.contains(&b'=') && !name.contains(&0) && !value.contains(&0);
    // An old bash takes any variable with such a value for a function (CVE-2014-6271).
    is_variable
        && !value.starts_with(b"()")
        && !REFUSED.iter().any(|refused| refused.as_bytes() == name)
        && !REFUSED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix.as_bytes()))
}

/// Error: a request may not set this variable. Its name is invalid or listed in this module (`LD_*`,
/// `BASH_ENV`, `IFS`, `PYTHONPATH` and others), or its value is invalid or a shell function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedVariable {
    /// Name as requested, escaped when displayed.
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

    fn requested(extra: &[(&str, &str)]) -> Result<Vec<(OsString, OsString)>, RefusedVariable> {
        clean_environment(&account(), extra.iter().copied())
    }

    #[test]
    fn the_clean_environment_has_six_variables() {
        let env = requested(&[]).unwrap();
        let names: Vec<_> = env.iter().map(|(name, _)| name.to_str().unwrap()).collect();
        assert_eq!(names, ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG"]);
        assert_eq!(env[1].1, "/home/ann");
        assert_eq!(env[4].1, "/bin/zsh");
    }

    #[test]
    fn a_requested_variable_is_added_or_replaced_and_never_duplicated() {
        let env = requested(&[("K", "1"), ("LANG", "de_DE.UTF-8"), ("K", "")]).unwrap();
        assert_eq!(env.len(), 7);
        assert_eq!(env[5].1, "de_DE.UTF-8");
        assert_eq!(env[6], ("K".into(), "".into()));
    }

    #[test]
    fn a_variable_that_runs_other_code_is_refused() {
        for name in [
            "LD_PRELOAD",
            "LD_",
            "BASH_ENV",
            "ENV",
            "IFS",
            "BASH_FUNC_ls%%",
            MARKER,
        ] {
            let refused = requested(&[("K", "1"), (name, "x")]).unwrap_err();
            assert_eq!(refused.name, name);
        }
        assert!(requested(&[("f", "() { :; }; echo gotcha")]).is_err());
        assert!(requested(&[("LDAP", "x"), ("ENVOY", "x"), ("MY_IFS", "x")]).is_ok());
    }

    #[test]
    fn an_invalid_name_or_value_is_refused() {
        for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0y")] {
            assert!(requested(&[(name, value)]).is_err());
        }
    }
}
