//! The decision about a command: the user that it runs as, or the reason why it is denied.
//!
//! Invariant: the agent and `udpagent check` decide by [`Policy::authorize_exec`]. It includes
//! [`Policy::authorize_session`], so that a key that may not connect runs nothing either.

use std::ffi::OsStr;

use super::copy_rule::granted;
use super::{Admission, CopyGrant, Denied, Options, Pattern, Policy};
use crate::agent::switch::Switch;
use crate::crypto::PublicKey;
use crate::message::{CopyWork, Exec, OsText, Service};
use crate::peer_addr::PeerAddr;
use crate::process::{AccountError, CgroupLimits, RefusedVariable};

/// The right to run one command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// Name of the key.
    pub name: String,
    /// User that the command runs as.
    pub user: String,
    /// Upper bound of the key's running jobs; `None` for the agent's limit.
    pub max_jobs: Option<usize>,
    /// Limits of the cgroup of the command: those of the key, completed by the agent's.
    pub cgroup_limits: CgroupLimits,
    /// Pattern that allows the command; `None` if the key may run any command.
    pub pattern: Option<Pattern>,
    /// Part of the file system that the command may copy from or to, if it copies.
    pub copy: Option<CopyGrant>,
}

/// Accounts of the host, as far as a decision depends on them.
pub trait Accounts {
    /// Returns the name of the user who runs the agent.
    fn own_name(&self) -> String;

    /// Checks that the agent can run commands as this user.
    ///
    /// # Errors
    /// [`AccountError`]
    fn check_user(&self, user: &str) -> Result<(), AccountError>;

    /// Checks the variables that a request sets.
    ///
    /// # Errors
    /// [`RefusedVariable`]
    fn check_variables(&self, variables: &[(OsText, OsText)]) -> Result<(), RefusedVariable>;
}

impl Policy {
    /// Authorises a command of a key, each time one is asked for. `from` and `now_unix` are as in
    /// [`authorize_session`](Self::authorize_session).
    ///
    /// # Errors
    /// [`Denied`]
    pub fn authorize_exec(
        &self,
        key: &PublicKey,
        from: Option<PeerAddr>,
        exec: &Exec,
        accounts: &dyn Accounts,
        now_unix: u64,
    ) -> Result<Grant, Denied> {
        let Admission::Member(member) = self.authorize_session(key, from, None, now_unix)? else {
            return Err(Denied::NotListed);
        };
        if self.exec == Switch::Off {
            return Err(Denied::ExecOff);
        }
        let options = &member.options;
        let own = accounts.own_name();
        let user = options.users.choose(exec.user.as_deref(), &own);
        let (pattern, copy) = match &exec.service {
            None => {
                authorize_kind(options, exec)?;
                user.ok_or(Denied::User)?;
                (authorize_argv(options, exec)?, None)
            }
            Some(service) => {
                // No request for a service has any of them.
                if !exec.env.is_empty() || exec.cwd.is_some() || exec.terminal.is_some() {
                    return Err(Denied::Command);
                }
                let is_own = user.is_some_and(|user| *user == own);
                (None, authorize_service(options, service, is_own)?)
            }
        };
        let user = user.ok_or(Denied::User)?.to_owned();
        let variables = accounts.check_variables(&exec.env);
        variables.map_err(Denied::Variable)?;
        if let Err(unreachable) = accounts.check_user(&user) {
            return Err(Denied::Account(user, unreachable));
        }
        Ok(Grant {
            name: member.name.clone(),
            user,
            max_jobs: options
                .max_jobs
                .map(|jobs| usize::try_from(jobs).unwrap_or(usize::MAX)),
            cgroup_limits: options.cgroup_limits.or(self.cgroup_limits),
            pattern: pattern.cloned(),
            copy,
        })
    }
}

/// Checks what a request asks for besides its command, before the command is compared with any pattern.
///
/// A key with `allow=` runs exactly its patterns, in the home directory, with the agent's environment and
/// without a terminal. A variable such as PATH or another directory would give the same words another
/// meaning. At a terminal many programs offer a shell. A script is no command that a pattern could
/// describe.
pub(super) fn authorize_kind(options: &Options, exec: &Exec) -> Result<(), Denied> {
    if options.chat_only {
        return Err(Denied::ChatOnly);
    }
    if options.allow.is_empty() {
        return Ok(());
    }
    let extras = [
        (!exec.env.is_empty(), Denied::Variables),
        (exec.cwd.is_some(), Denied::Directory),
        (exec.terminal.is_some(), Denied::Terminal),
        (exec.script.is_some(), Denied::Script),
    ];
    let denied = extras.into_iter().find(|(present, _)| *present);
    denied.map_or(Ok(()), |(_, denied)| Err(denied))
}

/// Returns the pattern that allows a command, or `None` if the options allow any.
pub(super) fn authorize_argv<'a>(
    options: &'a Options,
    exec: &Exec,
) -> Result<Option<&'a Pattern>, Denied> {
    if options.allow.is_empty() {
        return Ok(None);
    }
    let argv: Vec<&OsStr> = exec.argv.iter().map(OsText::as_os_str).collect();
    let mut patterns = options.allow.iter();
    let pattern = patterns.find(|pattern| pattern.matches(&argv));
    pattern.map(Some).ok_or(Denied::Command)
}

/// Authorises a built-in service. A connection with the rights of the agent's own user is no more than a key may have that
/// runs any command as that user; every other key needs `forward=`. `is_own`: it runs as the agent's own user.
/// Returns where it may copy, if it copies.
pub(super) fn authorize_service(
    options: &Options,
    service: &Service,
    is_own: bool,
) -> Result<Option<CopyGrant>, Denied> {
    let is_restricted = !options.allow.is_empty();
    match service {
        Service::Copy(work) if !options.copy.is_empty() => match granted(&options.copy, work) {
            Some(copy) => Ok(Some(copy)),
            None => Err(denied_copy(work)),
        },
        Service::Copy(work) if is_restricted || options.chat_only => Err(denied_copy(work)),
        Service::Copy(_) => Ok(Some(CopyGrant::Everywhere)),
        Service::Forward(_) if options.chat_only => Err(Denied::ChatOnly),
        Service::Forward(target) if !options.forward.is_empty() => {
            let mut patterns = options.forward.iter();
            let is_named = patterns.any(|pattern| pattern.matches(target));
            is_named.then_some(None).ok_or(Denied::Destination)
        }
        Service::Forward(_) if is_restricted => Err(Denied::Forward),
        Service::Forward(_) if !is_own => Err(Denied::ForwardUser),
        Service::Forward(_) => Ok(None),
    }
}

/// Returns the denial of a copy, by its direction.
pub(super) const fn denied_copy(work: &CopyWork) -> Denied {
    match work {
        CopyWork::Read { .. } => Denied::CopyFrom,
        CopyWork::Write { .. } => Denied::CopyTo,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::agent::access::testing::{TestAccounts, key, policy, request};

    use crate::message::{ForwardTarget, RequestId, Terminal, Window};

    fn authorize(options: &[&str], exec: &Exec) -> Result<Grant, Denied> {
        policy(options).authorize_exec(&key(1), None, exec, &TestAccounts, 0)
    }

    fn user(options: &[&str], exec: &Exec) -> Result<String, Denied> {
        authorize(options, exec).map(|grant| grant.user)
    }

    #[test]
    fn a_key_without_options_may_run_anything() {
        let mut exec = request(&["rm", "-rf", "/"]);
        exec.env = vec![("PATH".into(), "/tmp".into())];
        exec.cwd = Some("/tmp".into());
        exec.script = Some("reboot".into());
        assert_eq!(user(&[], &exec), Ok("root".into()));
    }

    #[test]
    fn a_key_for_one_user_runs_nothing_as_another() {
        let mut exec = request(&["id"]);
        assert_eq!(user(&["user=ann"], &exec), Ok("ann".into()));
        exec.user = Some("root".into());
        assert_eq!(user(&["user=ann"], &exec), Err(Denied::User));
        assert_eq!(user(&[], &exec), Ok("root".into()));
        exec.user = Some("ann".into());
        assert_eq!(user(&[], &exec), Err(Denied::User));
    }

    #[test]
    fn a_user_that_the_host_does_not_have_is_denied_and_named_safely() {
        let mut exec = request(&["id"]);
        exec.user = Some("ghost\n".into());
        let denied = user(&["user=*"], &exec).unwrap_err();
        let unreachable = AccountError::NoSuchUser;
        assert_eq!(denied, Denied::Account("ghost\n".into(), unreachable));
        assert!(crate::escape::is_clean(&denied.to_string()), "{denied}");
    }

    fn forward(options: &[&str], user: Option<&str>) -> Result<String, Denied> {
        let target = ForwardTarget::tcp("db", 5432).unwrap();
        let mut exec = Exec::of_service(RequestId([1; 16]), Service::Forward(target));
        exec.user = user.map(str::to_owned);
        self::user(options, &exec)
    }

    #[test]
    fn only_a_key_that_may_run_anything_as_the_agents_own_user_may_forward() {
        assert_eq!(forward(&[], None), Ok("root".into()));
        assert_eq!(forward(&["user=*"], None), Ok("root".into()));
        assert_eq!(forward(&["user=*"], Some("ann")), Err(Denied::ForwardUser));
        assert_eq!(forward(&["user=ann"], None), Err(Denied::ForwardUser));
        assert_eq!(forward(&["chat-only"], None), Err(Denied::ChatOnly));
        assert_eq!(forward(&["allow=forward **"], None), Err(Denied::Forward));
    }

    #[test]
    fn a_key_with_forward_may_forward_to_what_it_names_and_nowhere_else() {
        let named = "forward=db:5432";
        assert_eq!(forward(&[named], None), Ok("root".into()));
        assert_eq!(forward(&["forward=x:1", named], None), Ok("root".into()));
        assert_eq!(forward(&["forward=*"], None), Ok("root".into()));
        assert_eq!(forward(&[named, "allow=ls"], None), Ok("root".into()));
        assert_eq!(forward(&[named, "user=ann"], None), Ok("ann".into()));
        for other in ["forward=db:5433", "forward=x:5432", "forward=unix:/db:5432"] {
            assert_eq!(forward(&[other], None), Err(Denied::Destination), "{other}");
        }
        assert_eq!(forward(&[named], Some("ann")), Err(Denied::User));
        let argv = user(&[named, "allow=ls"], &request(&["forward", "db:5432"]));
        assert_eq!(argv, Err(Denied::Command));
    }

    #[test]
    fn a_restricted_key_copies_only_what_its_line_says() {
        let copy = |options: &[&str], work| {
            let exec = Exec::of_service(RequestId([1; 16]), Service::Copy(work));
            authorize(options, &exec).map(|grant| grant.copy.unwrap())
        };
        let read = |options: &[&str]| {
            let (from, recursive) = (vec!["/x".into()], true);
            copy(options, CopyWork::Read { from, recursive })
        };
        let write = |options: &[&str]| {
            let to = "/x".into();
            let work = CopyWork::Write {
                to,
                directory: false,
                preserve: false,
            };
            copy(options, work)
        };
        let beneath = || Ok(CopyGrant::Beneath(vec!["/srv".into()]));
        assert_eq!(read(&[]), Ok(CopyGrant::Everywhere));
        for options in [&["allow=**"][..], &["chat-only"]] {
            assert_eq!(read(options), Err(Denied::CopyFrom));
            assert_eq!(write(options), Err(Denied::CopyTo));
        }
        for before in [&[][..], &["allow=ls"], &["chat-only"]] {
            let with = |rule| [before, &[rule]].concat();
            assert_eq!(read(&with("copy=/srv")), beneath());
            assert_eq!(write(&with("copy=/srv")), beneath());
            assert_eq!(write(&with("copy=write:/srv")), beneath());
            assert_eq!(read(&with("copy=write:/srv")), Err(Denied::CopyFrom));
            assert_eq!(write(&with("copy=read:/srv")), Err(Denied::CopyTo));
            assert_eq!(read(&with("copy=*")), Ok(CopyGrant::Everywhere));
        }
    }

    #[test]
    fn a_service_has_no_variable_directory_or_terminal() {
        let target = ForwardTarget::tcp("db", 5432).unwrap();
        let service = Exec::of_service(RequestId([1; 16]), Service::Forward(target));
        assert!(authorize(&[], &service).is_ok());
        let mut with_variable = service.clone();
        with_variable.env = vec![("LD_PRELOAD".into(), "/tmp/x".into())];
        let mut with_directory = service.clone();
        with_directory.cwd = Some("/tmp".into());
        let mut with_terminal = service;
        with_terminal.terminal = Some(Terminal {
            term: "xterm".into(),
            window: Window {
                rows: 24,
                columns: 80,
            },
        });
        for exec in [with_variable, with_directory, with_terminal] {
            assert_eq!(authorize(&[], &exec), Err(Denied::Command));
        }
    }

    #[test]
    fn a_chat_only_key_runs_nothing() {
        let denied = user(&["chat-only"], &request(&["true"]));
        assert_eq!(denied, Err(Denied::ChatOnly));
    }

    #[test]
    fn a_key_that_may_not_connect_runs_nothing() {
        let policy = policy(&["from=10.0.0.0/8", "expires=1970-01-01T00:01:00Z"]);
        let exec = request(&["true"]);
        let denied = |key: PublicKey, from: [u8; 4], now_unix| {
            let from = Some(SocketAddr::from((from, 4444)).into());
            policy
                .authorize_exec(&key, from, &exec, &TestAccounts, now_unix)
                .err()
        };
        assert_eq!(denied(key(1), [10, 0, 0, 1], 59), None);
        let elsewhere = Denied::Address(Some([192, 0, 2, 1].into()));
        assert_eq!(denied(key(1), [192, 0, 2, 1], 59), Some(elsewhere));
        assert_eq!(denied(key(1), [10, 0, 0, 1], 60), Some(Denied::Expired));
        assert_eq!(denied(key(2), [10, 0, 0, 1], 59), Some(Denied::NotListed));
    }

    #[test]
    fn with_exec_off_no_key_runs_anything() {
        let policy = policy(&[]).with_exec(Switch::Off);
        let exec = request(&["true"]);
        let denied = policy.authorize_exec(&key(1), None, &exec, &TestAccounts, 0);
        assert_eq!(denied, Err(Denied::ExecOff));
        assert!(policy.authorize_session(&key(1), None, None, 0).is_ok());
    }

    #[test]
    fn the_limits_of_a_key_replace_those_of_the_agent_one_by_one() {
        let of_agent = CgroupLimits {
            memory: Some(1 << 30),
            pids: Some(100),
            cpu_percent: None,
        };
        let policy = policy(&["pids=7", "cpu=50"]).with_cgroup_limits(of_agent);
        let exec = request(&["true"]);
        let grant = policy.authorize_exec(&key(1), None, &exec, &TestAccounts, 0);
        let expected = CgroupLimits {
            memory: Some(1 << 30),
            pids: Some(7),
            cpu_percent: Some(50),
        };
        assert_eq!(grant.unwrap().cgroup_limits, expected);
    }

    #[test]
    fn a_key_with_allow_cannot_change_the_meaning_of_its_command() {
        let options = ["allow=uname **", "allow=uptime"];
        let pattern = |exec: &Exec| {
            let grant = authorize(&options, exec)?;
            Ok(grant.pattern.unwrap().to_string())
        };
        assert_eq!(pattern(&request(&["uname", "-a"])), Ok("uname **".into()));
        assert_eq!(pattern(&request(&["uptime"])), Ok("uptime".into()));
        for argv in [&["uptime", "-p"][..], &["sh", "-c", "uname"], &[]] {
            assert_eq!(pattern(&request(argv)), Err(Denied::Command));
        }
        // None of these tells whether the key has the command.
        for argv in [&["uname"][..], &["reboot"]] {
            let mut as_ann = request(argv);
            as_ann.user = Some("ann".into());
            assert_eq!(pattern(&as_ann), Err(Denied::User));
            let mut with_path = request(argv);
            with_path.env = vec![("PATH".into(), "/tmp/evil".into())];
            assert_eq!(pattern(&with_path), Err(Denied::Variables));
            let mut elsewhere = request(argv);
            elsewhere.cwd = Some("/tmp/evil".into());
            assert_eq!(pattern(&elsewhere), Err(Denied::Directory));
            let mut script = request(argv);
            script.script = Some("reboot".into());
            assert_eq!(pattern(&script), Err(Denied::Script));
            let mut terminal = request(argv);
            let (rows, columns) = (24, 80);
            let window = Window { rows, columns };
            let term = "xterm".into();
            terminal.terminal = Some(Terminal { term, window });
            assert_eq!(pattern(&terminal), Err(Denied::Terminal));
        }
    }
}
