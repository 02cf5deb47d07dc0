//! Facts of a running command by which it is authorised again after a change of the policy.
//!
//! Invariant: facts that were too large to keep count against the command.

use super::exec_policy::{authorize_argv, authorize_kind, authorize_service, denied_copy};
use super::{Accounts, Admission, CopyGrant, Denied, Grant, Pattern, Policy};
use crate::agent::limits::KEPT_ARGV;
use crate::agent::switch::Switch;
use crate::crypto::PublicKey;
use crate::message::{Exec, Service};
use crate::peer_addr::PeerAddr;

/// A command that was granted.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct RunningCommand {
    /// The request, without the texts that no decision depends on. A longer argv than [`KEPT_ARGV`] is left out,
    /// and then no pattern matches.
    exec: Exec,
    /// User that it runs as.
    user: String,
    /// Pattern that allowed it.
    pattern: Option<Pattern>,
    /// Built-in service that runs in the place of a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service: Option<Service>,
    /// Places that it may copy to and from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    copy: Option<CopyGrant>,
}

impl RunningCommand {
    /// Returns the facts of a request and its grant.
    #[must_use]
    pub fn new(exec: &Exec, grant: &Grant) -> Self {
        let size: usize = exec
            .argv
            .iter()
            .map(|word| word.as_os_str().len() + 1)
            .sum();
        let argv = if size <= KEPT_ARGV {
            exec.argv.clone()
        } else {
            Vec::new()
        };
        let mut kept = Exec::new(exec.id, argv);
        kept.terminal.clone_from(&exec.terminal);
        kept.cwd = exec.cwd.as_ref().map(|_| "".into());
        kept.script = exec.script.as_ref().map(|_| "".into());
        let first = exec.env.first();
        kept.env = first.map(|_| ("".into(), "".into())).into_iter().collect();
        Self {
            exec: kept,
            user: grant.user.clone(),
            pattern: grant.pattern.clone(),
            service: exec.service.clone(),
            copy: grant.copy.clone(),
        }
    }
}

impl Policy {
    /// Authorises a running command again. `from` is the address of its session, or the one that it was requested
    /// from. Not its user's account, which no line describes.
    ///
    /// # Errors
    /// [`Denied`]
    pub fn authorize_running(
        &self,
        key: &PublicKey,
        from: Option<PeerAddr>,
        command: &RunningCommand,
        accounts: &dyn Accounts,
        now_unix: u64,
    ) -> Result<(), Denied> {
        let Admission::Member(member) = self.authorize_session(key, from, None, now_unix)? else {
            return Err(Denied::NotListed);
        };
        if self.exec == Switch::Off {
            return Err(Denied::ExecOff);
        }
        let options = &member.options;
        let own = accounts.own_name();
        let pattern = command.pattern.as_ref();
        if let Some(service) = &command.service {
            // It opens what it was granted, until it ends.
            let copy = authorize_service(options, service, command.user == own)?;
            let is_covered = |(now, then): (&CopyGrant, _)| now.covers(then);
            if let Service::Copy(work) = service
                && !copy
                    .as_ref()
                    .zip(command.copy.as_ref())
                    .is_some_and(is_covered)
            {
                return Err(denied_copy(work));
            }
        } else if !pattern.is_some_and(|pattern| options.allow.contains(pattern)) {
            authorize_kind(options, &command.exec)?;
            authorize_argv(options, &command.exec)?;
        }
        let user = options.users.choose(Some(&command.user), &own);
        user.map(drop).ok_or(Denied::User)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::agent::access::testing::{TestAccounts, key, policy, request};
    use crate::message::{CopyWork, ForwardTarget, RequestId};

    /// Returns the reason why a command that these options granted is denied by others.
    fn narrowed(exec: &Exec, before: &[&str], after: &Policy, now_unix: u64) -> Option<Denied> {
        let before = policy(before);
        let grant = before.authorize_exec(&key(1), None, exec, &TestAccounts, 0);
        let command = RunningCommand::new(exec, &grant.unwrap());
        let from = Some(SocketAddr::from(([192, 0, 2, 1], 4444)).into());
        let decided = after.authorize_running(&key(1), from, &command, &TestAccounts, now_unix);
        decided.err()
    }

    #[test]
    fn a_running_command_is_denied_by_a_line_that_no_longer_allows_it() {
        let elsewhere = Denied::Address(Some([192, 0, 2, 1].into()));
        for (before, after, denied) in [
            (&[][..], &["allow=uname **", "from=192.0.2.0/24"][..], None),
            (&["allow=uname -a"], &["allow=uname -a"], None),
            (&["allow=uname -a"], &["allow=uname *"], None),
            (&["allow=uname -a"], &[], None),
            (&[], &["allow=uname"], Some(Denied::Command)),
            (&["allow=uname *"], &["allow=uname"], Some(Denied::Command)),
            (&[], &["chat-only"], Some(Denied::ChatOnly)),
            (&["allow=uname *"], &["chat-only"], Some(Denied::ChatOnly)),
            (&[], &["user=root"], None),
            (&[], &["user=ann"], Some(Denied::User)),
            (&["user=ann"], &["user=bob,ann"], None),
            (&["user=ann"], &["user=bob"], Some(Denied::User)),
            (&["user=ann"], &[], Some(Denied::User)),
            (&["user=*"], &[], None),
            (&[], &["from=10.0.0.0/8"], Some(elsewhere)),
            (
                &[],
                &["expires=1970-01-01T00:01:00Z"],
                Some(Denied::Expired),
            ),
        ] {
            let exec = request(&["uname", "-a"]);
            let got = narrowed(&exec, before, &policy(after), 60);
            assert_eq!(got, denied, "{before:?} {after:?}");
        }
        let exec = request(&["uname"]);
        let off = policy(&[]).with_exec(Switch::Off);
        assert_eq!(narrowed(&exec, &[], &off, 0), Some(Denied::ExecOff));
        let gone = Policy::default();
        assert_eq!(narrowed(&exec, &[], &gone, 0), Some(Denied::NotListed));
    }

    #[test]
    fn directory_variables_and_script_count_also_while_the_command_runs() {
        let after = policy(&["allow=uname"]);
        let mut exec = request(&["uname"]);
        exec.env = vec![("A".into(), "b".into())];
        assert_eq!(narrowed(&exec, &[], &after, 0), Some(Denied::Variables));
        exec = request(&["uname"]);
        exec.cwd = Some("/".into());
        assert_eq!(narrowed(&exec, &[], &after, 0), Some(Denied::Directory));
        exec = request(&["uname"]);
        exec.script = Some("x".into());
        assert_eq!(narrowed(&exec, &[], &after, 0), Some(Denied::Script));
    }

    #[test]
    fn a_running_forward_is_denied_by_a_line_that_no_longer_allows_it() {
        let target = ForwardTarget::tcp("db", 5432).unwrap();
        let exec = Exec::of_service(RequestId([1; 16]), Service::Forward(target));
        for (after, denied) in [
            (&[][..], None),
            (&["allow=forward **"], Some(Denied::Forward)),
            (&["chat-only"], Some(Denied::ChatOnly)),
            (&["forward=*:5432"], None),
            (&["forward=*:5433"], Some(Denied::Destination)),
            (&["user=ann"], Some(Denied::User)),
        ] {
            assert_eq!(narrowed(&exec, &[], &policy(after), 0), denied, "{after:?}");
        }
    }

    #[test]
    fn a_running_copy_is_denied_by_a_line_that_names_other_directories() {
        let read = CopyWork::Read {
            from: vec!["/srv/f".into()],
            recursive: false,
        };
        let exec = Exec::of_service(RequestId([1; 16]), Service::Copy(read));
        for (before, after, denied) in [
            (&[][..], &[][..], None),
            (&["copy=/srv"], &["copy=/srv", "allow=ls"], None),
            (&["copy=/srv"], &["copy=read:/srv"], None),
            (&["copy=/srv"], &["copy=/data", "copy=/srv"], None),
            (&["copy=/srv/a"], &["copy=/srv"], None),
            (&["copy=/srv"], &["copy=*"], None),
            (&["copy=/srv"], &[], None),
            (&["copy=/srv"], &["copy=/srv/a"], Some(Denied::CopyFrom)),
            (&["copy=/srv"], &["copy=/s"], Some(Denied::CopyFrom)),
            (
                &["copy=/srv", "copy=/a"],
                &["copy=/a"],
                Some(Denied::CopyFrom),
            ),
            (&[], &["copy=/srv"], Some(Denied::CopyFrom)),
            (&["copy=/srv"], &["copy=/other"], Some(Denied::CopyFrom)),
            (&["copy=/srv"], &["copy=write:/srv"], Some(Denied::CopyFrom)),
            (&[], &["allow=ls"], Some(Denied::CopyFrom)),
        ] {
            let got = narrowed(&exec, before, &policy(after), 0);
            assert_eq!(got, denied, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_long_argv_is_not_kept_and_only_its_own_pattern_spares_the_command() {
        let exec = request(&["echo", &"x".repeat(KEPT_ARGV)]);
        let denied = |after: &[&str]| narrowed(&exec, &["allow=echo *"], &policy(after), 0);
        assert_eq!(denied(&["allow=ls", "allow=echo *"]), None);
        assert_eq!(denied(&[]), None);
        assert_eq!(denied(&["allow=echo **"]), Some(Denied::Command));
    }
}
