//! Locations of the directories, by the XDG base directory specification.
//!
//! The agent's configuration directory is the first of these: `UDPAGENT_CONFIG_DIR`;
//! `$XDG_CONFIG_HOME/udpagent` if the variable is set, also for root; `/etc/udpagent` for root;
//! `~/.config/udpagent`. Its state directory likewise: `UDPAGENT_STATE_DIR`,
//! `$XDG_STATE_HOME/udpagent`, `/var/lib/udpagent`, `~/.local/state/udpagent`. For the controller
//! the names are `UDPCTL_…` and `udpctl`, with no special case for root.
//!
//! Empty variables count as unset. So do `XDG_…` and `HOME` with relative paths, as the
//! specification demands.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// A function that looks up a variable: [`environment`], or a fixture of a test.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Looks a variable up in the environment of the process. Without `HOME` the password database
/// gives the home directory.
#[must_use]
pub fn environment(name: &str) -> Option<OsString> {
    match std::env::var_os(name) {
        None if name == "HOME" => std::env::home_dir().map(PathBuf::into_os_string),
        value => value,
    }
}

/// Kind of user who runs a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum User {
    /// The superuser, whose agent serves the whole machine.
    Root,
    /// Any other user.
    Ordinary,
}

impl User {
    /// Returns the user who runs this process, by its effective uid.
    #[must_use]
    pub fn current() -> Self {
        if rustix::process::geteuid().is_root() {
            Self::Root
        } else {
            Self::Ordinary
        }
    }
}

/// Error: no variable gives the location of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoHome {
    /// Variable that sets the directory directly.
    pub set: &'static str,
}

impl fmt::Display for NoHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no home directory is known; set HOME, or {} to the directory to use",
            self.set
        )
    }
}

impl std::error::Error for NoHome {}

/// The agent's directories.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentHome {
    config: PathBuf,
    state: PathBuf,
}

impl AgentHome {
    /// Locates the directories for `user` in this environment. Creates nothing.
    ///
    /// # Errors
    /// [`NoHome`] if the environment does not determine them.
    pub fn locate(env: Lookup, user: User) -> Result<Self, NoHome> {
        let system = |path: &'static str| (user == User::Root).then(|| PathBuf::from(path));
        Ok(Self {
            config: directory(
                env,
                "UDPAGENT_CONFIG_DIR",
                "XDG_CONFIG_HOME",
                system("/etc/udpagent"),
                ".config/udpagent",
            )?,
            state: directory(
                env,
                "UDPAGENT_STATE_DIR",
                "XDG_STATE_HOME",
                system("/var/lib/udpagent"),
                ".local/state/udpagent",
            )?,
        })
    }

    /// Puts both directories under `directory`.
    #[cfg(all(test, feature = "cli"))]
    pub(crate) fn at(directory: &Path) -> Self {
        Self {
            config: directory.to_owned(),
            state: directory.join("state"),
        }
    }

    /// Returns the directory of the state that the agent keeps.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state
    }

    /// Returns the file of the secret key.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.config.join("identity")
    }

    /// Returns the file of the public key.
    #[must_use]
    pub fn identity_pub(&self) -> PathBuf {
        self.config.join("identity.pub")
    }

    /// Returns the file of the keys that may connect.
    #[must_use]
    pub fn authorized_keys(&self) -> PathBuf {
        self.config.join("authorized_keys")
    }

    /// Returns the file of the open invitations.
    #[must_use]
    pub fn invites(&self) -> PathBuf {
        self.config.join("invites")
    }

    /// Addresses of the agent that runs.
    #[must_use]
    pub fn listening(&self) -> PathBuf {
        self.state.join("listening")
    }

    /// Socket of the agent that runs, for the tools of its owner.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.state.join("agent.sock")
    }

    /// Returns the configuration file that is used without `--config`.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("udpagent.toml")
    }
}

/// The controller's directories.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ControlHome {
    config: PathBuf,
    state: PathBuf,
}

impl ControlHome {
    /// Locates the directories in this environment. Creates nothing.
    ///
    /// # Errors
    /// [`NoHome`] if the environment does not determine them.
    pub fn locate(env: Lookup) -> Result<Self, NoHome> {
        Ok(Self {
            config: directory(
                env,
                "UDPCTL_CONFIG_DIR",
                "XDG_CONFIG_HOME",
                None,
                ".config/udpctl",
            )?,
            state: directory(
                env,
                "UDPCTL_STATE_DIR",
                "XDG_STATE_HOME",
                None,
                ".local/state/udpctl",
            )?,
        })
    }

    /// Puts both directories under `directory`.
    #[cfg(all(test, feature = "cli"))]
    pub(crate) fn at(directory: &Path) -> Self {
        Self {
            config: directory.to_owned(),
            state: directory.join("state"),
        }
    }

    /// Returns the file of the secret key.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.config.join("identity")
    }

    /// Returns the file of the public key.
    #[must_use]
    pub fn identity_pub(&self) -> PathBuf {
        self.config.join("identity.pub")
    }

    /// Returns the file of the trusted agents.
    #[must_use]
    pub fn known_agents(&self) -> PathBuf {
        self.config.join("known_agents")
    }

    /// Returns the file of groups and hosts.
    #[must_use]
    pub fn inventory(&self) -> PathBuf {
        self.config.join("hosts.toml")
    }

    /// Returns the directory of what commands have named as members of groups.
    #[must_use]
    pub fn groups(&self) -> PathBuf {
        self.state.join("groups")
    }

    /// Returns the file of the tickets.
    #[must_use]
    pub fn tickets(&self) -> PathBuf {
        self.state.join("agents.tickets")
    }

    /// Returns the file of the hosts of the last run.
    #[must_use]
    pub fn last_run(&self) -> PathBuf {
        self.state.join("last_run.json")
    }

    /// Returns the file of the lines typed in chats.
    #[must_use]
    pub fn chat_history(&self) -> PathBuf {
        self.state.join("chat_history")
    }

    /// Returns the directory of the journal of requests.
    #[must_use]
    pub fn requests(&self) -> PathBuf {
        self.state.join("requests")
    }
}

/// Returns the directory set by the variable `own`, by `xdg`, the system's, or the one in `HOME`.
fn directory(
    env: Lookup,
    own: &'static str,
    xdg: &str,
    system: Option<PathBuf>,
    in_home: &str,
) -> Result<PathBuf, NoHome> {
    let set = |name: &str| {
        env(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let absolute = |name: &str| set(name).filter(|path| path.is_absolute());
    let program = Path::new(in_home)
        .file_name()
        .expect("the path in the home directory ends in the program's name");
    set(own)
        .or_else(|| absolute(xdg).map(|base| base.join(program)))
        .or(system)
        .or_else(|| absolute("HOME").map(|home| home.join(in_home)))
        .ok_or(NoHome { set: own })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories of both programs in an environment.
    fn directories(env: &[(&str, &str)], user: User) -> [String; 4] {
        let lookup = |name: &str| {
            let (_, value) = env.iter().find(|(set, _)| *set == name)?;
            Some(OsString::from(value))
        };
        let agent = AgentHome::locate(&lookup, user).unwrap();
        let control = ControlHome::locate(&lookup).unwrap();
        [&agent.config, &agent.state, &control.config, &control.state]
            .map(|path| path.display().to_string())
    }

    #[test]
    fn without_variables_the_directories_are_in_the_home_directory() {
        assert_eq!(
            directories(&[("HOME", "/home/a")], User::Ordinary),
            [
                "/home/a/.config/udpagent",
                "/home/a/.local/state/udpagent",
                "/home/a/.config/udpctl",
                "/home/a/.local/state/udpctl"
            ]
        );
    }

    #[test]
    fn the_agent_of_root_uses_the_system_directories() {
        assert_eq!(
            directories(&[("HOME", "/root")], User::Root),
            [
                "/etc/udpagent",
                "/var/lib/udpagent",
                "/root/.config/udpctl",
                "/root/.local/state/udpctl"
            ]
        );
    }

    #[test]
    fn xdg_variables_apply_to_root_too() {
        let env = [
            ("HOME", "/h"),
            ("XDG_CONFIG_HOME", "/c"),
            ("XDG_STATE_HOME", "/s"),
        ];
        for user in [User::Root, User::Ordinary] {
            assert_eq!(
                directories(&env, user),
                ["/c/udpagent", "/s/udpagent", "/c/udpctl", "/s/udpctl"]
            );
        }
    }

    #[test]
    fn the_programs_own_variables_take_precedence() {
        let env = [
            ("XDG_CONFIG_HOME", "/c"),
            ("XDG_STATE_HOME", "/s"),
            ("UDPAGENT_CONFIG_DIR", "/1"),
            ("UDPAGENT_STATE_DIR", "/2"),
            ("UDPCTL_CONFIG_DIR", "/3"),
            ("UDPCTL_STATE_DIR", "4"),
        ];
        assert_eq!(directories(&env, User::Root), ["/1", "/2", "/3", "4"]);
    }

    #[test]
    fn empty_and_relative_variables_count_as_unset() {
        let env = [
            ("HOME", "/h"),
            ("UDPCTL_CONFIG_DIR", ""),
            ("XDG_CONFIG_HOME", "rel"),
            ("XDG_STATE_HOME", ""),
        ];
        let [config, state, ..] = directories(&env, User::Ordinary);
        assert_eq!(config, "/h/.config/udpagent");
        assert_eq!(state, "/h/.local/state/udpagent");
    }

    #[test]
    fn without_a_home_directory_the_error_names_the_variable_to_set() {
        let nothing = |_: &str| None;
        let error = ControlHome::locate(&nothing).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no home directory is known; set HOME, or UDPCTL_CONFIG_DIR to the directory to use"
        );
        assert!(AgentHome::locate(&nothing, User::Ordinary).is_err());
        assert!(AgentHome::locate(&nothing, User::Root).is_ok());
    }
}
