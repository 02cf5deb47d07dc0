//! The front's restriction of itself, for good: user and capabilities, Landlock, seccomp.
//!
//! The restriction holds for the calling thread and for the threads that it creates later, so it is applied while
//! there is no other. Descriptors that are open keep their rights; nothing else of the system can be opened, started,
//! connected to or signalled. Not the supervisor, whose jobs need all rights, and not an embedded agent, whose
//! process is that of another program. Invariant: each part is independent, so that a kernel without one has the
//! others.

mod credentials;
mod probe;
mod rights;
mod system_calls;

pub use credentials::Identity;
pub use probe::{PROBE, Report, main as probe_main, probe};

use std::fmt;
use std::io;

use rustix::process::{
    DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal,
};
use rustix::thread::set_no_new_privs;
use serde::{Deserialize, Serialize};

use super::config::Sandbox;
use super::switch::Switch;
use crate::process::Account;

/// Name of the user that the front of an agent of root becomes.
pub const USER: &str = "udpagent";

/// Ids of a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ids {
    /// User id.
    pub uid: u32,
    /// Id of the primary group, the only one that is kept.
    pub gid: u32,
}

/// Restriction to apply.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Degree that is demanded.
    pub demand: Sandbox,
    /// User to become, if the program runs as root and the user exists.
    pub user: Option<Ids>,
}

impl Plan {
    /// No restriction.
    pub const OFF: Self = Self {
        demand: Sandbox::Off,
        user: None,
    };

    /// Returns the plan for an agent of the user `own`. Queries the user database, which may block.
    ///
    /// # Errors
    /// The user database cannot be read.
    pub fn new(demand: Sandbox, own: &Account) -> io::Result<Self> {
        let needs_user = demand != Sandbox::Off && own.is_root();
        let user = if needs_user {
            Account::named(USER)?
        } else {
            None
        };
        // An entry with the id of root would drop nothing.
        let user = user.filter(|user| !user.is_root()).map(|user| Ids {
            uid: user.uid,
            gid: user.gid,
        });
        Ok(Self { demand, user })
    }
}

/// Parts of the restriction that are in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InForce {
    /// User and capabilities.
    pub identity: Identity,
    /// Version of the Landlock interface; 0 for no restriction by Landlock.
    pub landlock: u8,
    /// True if system calls are filtered.
    pub seccomp: bool,
}

impl InForce {
    /// No restriction.
    pub const NOTHING: Self = Self {
        identity: Identity::Kept,
        landlock: 0,
        seccomp: false,
    };

    /// Names the parts that `required` demands and that are not in force.
    #[must_use]
    pub fn missing(&self, plan: &Plan) -> Vec<&'static str> {
        let user = plan.user.is_some() && self.identity != Identity::Dedicated;
        [
            (user, "the user udpagent"),
            (self.landlock == 0, "Landlock"),
            (!self.seccomp, "seccomp"),
        ]
        .into_iter()
        .filter_map(|(missing, name)| missing.then_some(name))
        .collect()
    }
}

impl fmt::Display for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        match self.identity {
            Identity::Dedicated => parts.push(format!("user {USER}")),
            Identity::WithoutCapabilities => parts.push("no capabilities".to_owned()),
            Identity::Kept => {}
        }
        if self.landlock > 0 {
            parts.push(format!("Landlock ABI {}", self.landlock));
        }
        if self.seccomp {
            parts.push("seccomp".to_owned());
        }
        if parts.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&parts.join(", "))
    }
}

/// Restricts this thread, and all that it creates, for good. The process ends with its parent from now on. `prompt` is on
/// if it edits lines on a terminal.
///
/// # Errors
/// Everything is required and something is missing.
pub fn apply(plan: &Plan, prompt: Switch) -> io::Result<InForce> {
    if plan.demand == Sandbox::Off {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        return Ok(InForce::NOTHING);
    }
    let identity = credentials::reduce(plan.user);
    // A change of the user resets both attributes. The calls fail only for undefined values.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // Kernels since 3.5 have it; both parts that follow set it too.
    let _ = set_no_new_privs(true);
    let in_force = InForce {
        identity,
        landlock: rights::restrict(),
        seccomp: system_calls::filter(prompt),
    };
    if plan.demand == Sandbox::Required {
        check(plan, &in_force)?;
    }
    Ok(in_force)
}

/// Checks that everything is in force.
///
/// # Errors
/// Something is missing; the text names it.
pub fn check(plan: &Plan, in_force: &InForce) -> io::Result<()> {
    let missing = in_force.missing(plan);
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(" and ");
    Err(io::Error::other(format!(
        "sandbox = \"required\", but this system does not have {missing}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER_OF_TESTS: Ids = Ids { uid: 9, gid: 9 };

    #[test]
    fn what_is_in_force_and_what_is_missing_are_named() {
        let complete = InForce {
            identity: Identity::Dedicated,
            landlock: 6,
            seccomp: true,
        };
        let root = Plan {
            demand: Sandbox::Required,
            user: Some(USER_OF_TESTS),
        };
        assert_eq!(
            complete.to_string(),
            "user udpagent, Landlock ABI 6, seccomp"
        );
        assert!(check(&root, &complete).is_ok());
        assert_eq!(InForce::NOTHING.to_string(), "none");
        let error = check(&root, &InForce::NOTHING).unwrap_err().to_string();
        let words = "does not have the user udpagent and Landlock and seccomp";
        assert!(error.ends_with(words), "{error}");
        let other = Plan { user: None, ..root };
        let partial = InForce {
            identity: Identity::WithoutCapabilities,
            seccomp: true,
            ..InForce::NOTHING
        };
        assert_eq!(partial.to_string(), "no capabilities, seccomp");
        assert_eq!(partial.missing(&other), ["Landlock"]);
    }

    #[test]
    fn only_an_agent_of_root_changes_the_user_of_its_front() {
        let own = Account {
            uid: 1000,
            ..Account::current()
        };
        let plan = Plan::new(Sandbox::Required, &own).unwrap();
        assert_eq!(plan.user, None);
        assert_eq!(
            Plan::new(Sandbox::Off, &Account::current()).unwrap(),
            Plan::OFF
        );
    }
}
