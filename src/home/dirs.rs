//! The folders of the two programs, by the XDG base directory specification.
//!
//! For the agent: `UDPAGENT_CONFIG_DIR`; else `$XDG_CONFIG_HOME/udpagent` if that is set, also for root,
//! because who sets it means it; else `/etc/udpagent` for root; else `~/.config/udpagent`. State likewise:
//! `UDPAGENT_STATE_DIR`, `$XDG_STATE_HOME/udpagent`, `/var/lib/udpagent`, `~/.local/state/udpagent`.
//! For the controller `UDPCTL_…` and `udpctl`, with no special case for root. Empty variables count as
//! unset, and so do `XDG_…` and `HOME` with relative paths, as the specification demands.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// Looks a variable up: [`environment`], or a test's own.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The process's environment; without `HOME` it asks the password database.
#[must_use]
pub fn environment(name: &str) -> Option<OsString> {
    match std::env::var_os(name) {
        None if name == "HOME" => std::env::home_dir().map(PathBuf::into_os_string),
        value => value,
    }
}

/// Whose program it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum User {
    /// The superuser, whose agent is the machine's.
    Root,
    /// Anyone else.
    Ordinary,
}

impl User {
    /// Who runs this process, by its effective uid.
    #[must_use]
    pub fn current() -> Self {
        if rustix::process::geteuid().is_root() {
            Self::Root
        } else {
            Self::Ordinary
        }
    }
}

/// No variable says where a folder is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoHome {
    /// The variable that would settle it.
    pub set: &'static str,
}

impl fmt::Display for NoHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no home directory is known; set HOME, or {} to the folder to use",
            self.set
        )
    }
}

impl std::error::Error for NoHome {}

/// The agent's folders.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentHome {
    config: PathBuf,
    state: PathBuf,
}

impl AgentHome {
    /// Where they are for this user in this environment. Nothing is created.
    ///
    /// # Errors
    /// When the environment does not say.
    pub fn locate(env: Lookup, user: User) -> Result<Self, NoHome> {
        let system = |path: &'static str| (user == User::Root).then(|| PathBuf::from(path));
        Ok(Self {
            config: folder(
                env,
                "UDPAGENT_CONFIG_DIR",
                "XDG_CONFIG_HOME",
                system("/etc/udpagent"),
                ".config/udpagent",
            )?,
            state: folder(
                env,
                "UDPAGENT_STATE_DIR",
                "XDG_STATE_HOME",
                system("/var/lib/udpagent"),
                ".local/state/udpagent",
            )?,
        })
    }

    /// Both folders at one place: an agent inside another process, a test.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self {
            config: folder.to_owned(),
            state: folder.join("state"),
        }
    }

    /// The folder of what the user decides.
    #[must_use]
    pub fn config_dir(&self) -> &Path {
        &self.config
    }

    /// The folder of what the agent remembers.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state
    }

    /// The secret key.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.config.join("identity")
    }

    /// The public key.
    #[must_use]
    pub fn identity_pub(&self) -> PathBuf {
        self.config.join("identity.pub")
    }

    /// Who may connect.
    #[must_use]
    pub fn authorized_keys(&self) -> PathBuf {
        self.config.join("authorized_keys")
    }

    /// Who has been invited.
    #[must_use]
    pub fn invites(&self) -> PathBuf {
        self.config.join("invites")
    }

    /// Addresses of the agent that runs.
    #[must_use]
    pub fn listening(&self) -> PathBuf {
        self.state.join("listening")
    }

    /// The configuration, unless `--config` names another file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("udpagent.toml")
    }
}

/// The controller's folders.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ControlHome {
    config: PathBuf,
    state: PathBuf,
}

impl ControlHome {
    /// Where they are in this environment. Nothing is created.
    ///
    /// # Errors
    /// When the environment does not say.
    pub fn locate(env: Lookup) -> Result<Self, NoHome> {
        Ok(Self {
            config: folder(
                env,
                "UDPCTL_CONFIG_DIR",
                "XDG_CONFIG_HOME",
                None,
                ".config/udpctl",
            )?,
            state: folder(
                env,
                "UDPCTL_STATE_DIR",
                "XDG_STATE_HOME",
                None,
                ".local/state/udpctl",
            )?,
        })
    }

    /// Both folders at one place, for a test.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self {
            config: folder.to_owned(),
            state: folder.join("state"),
        }
    }

    /// The folder of what the user decides.
    #[must_use]
    pub fn config_dir(&self) -> &Path {
        &self.config
    }

    /// The folder of what was learnt.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.state
    }

    /// The secret key.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.config.join("identity")
    }

    /// The public key.
    #[must_use]
    pub fn identity_pub(&self) -> PathBuf {
        self.config.join("identity.pub")
    }

    /// Whose agents are trusted.
    #[must_use]
    pub fn known_agents(&self) -> PathBuf {
        self.config.join("known_agents")
    }

    /// Groups of hosts.
    #[must_use]
    pub fn hosts(&self) -> PathBuf {
        self.config.join("hosts.toml")
    }

    /// The folder of tickets.
    #[must_use]
    pub fn tickets(&self) -> PathBuf {
        self.state.join("tickets")
    }

    /// The journal of requests.
    #[must_use]
    pub fn requests(&self) -> PathBuf {
        self.state.join("requests")
    }
}

fn folder(
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
        .expect("the folder in the home directory is named after the program");
    set(own)
        .or_else(|| absolute(xdg).map(|base| base.join(program)))
        .or(system)
        .or_else(|| absolute("HOME").map(|home| home.join(in_home)))
        .ok_or(NoHome { set: own })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folders that both programs use in an environment.
    fn folders(env: &[(&str, &str)], user: User) -> [String; 4] {
        let lookup = |name: &str| {
            let (_, value) = env.iter().find(|(set, _)| *set == name)?;
            Some(OsString::from(value))
        };
        let agent = AgentHome::locate(&lookup, user).unwrap();
        let control = ControlHome::locate(&lookup).unwrap();
        [
            agent.config_dir(),
            agent.state_dir(),
            control.config_dir(),
            control.state_dir(),
        ]
        .map(|path| path.display().to_string())
    }

    #[test]
    fn without_variables_files_are_in_the_home_directory() {
        assert_eq!(
            folders(&[("HOME", "/home/a")], User::Ordinary),
            [
                "/home/a/.config/udpagent",
                "/home/a/.local/state/udpagent",
                "/home/a/.config/udpctl",
                "/home/a/.local/state/udpctl"
            ]
        );
    }

    #[test]
    fn the_agent_of_root_is_the_machines() {
        assert_eq!(
            folders(&[("HOME", "/root")], User::Root),
            [
                "/etc/udpagent",
                "/var/lib/udpagent",
                "/root/.config/udpctl",
                "/root/.local/state/udpctl"
            ]
        );
    }

    #[test]
    fn xdg_variables_that_are_set_count_for_root_too() {
        let env = [
            ("HOME", "/h"),
            ("XDG_CONFIG_HOME", "/c"),
            ("XDG_STATE_HOME", "/s"),
        ];
        for user in [User::Root, User::Ordinary] {
            assert_eq!(
                folders(&env, user),
                ["/c/udpagent", "/s/udpagent", "/c/udpctl", "/s/udpctl"]
            );
        }
    }

    #[test]
    fn the_programs_own_variables_come_first() {
        let env = [
            ("XDG_CONFIG_HOME", "/c"),
            ("XDG_STATE_HOME", "/s"),
            ("UDPAGENT_CONFIG_DIR", "/1"),
            ("UDPAGENT_STATE_DIR", "/2"),
            ("UDPCTL_CONFIG_DIR", "/3"),
            ("UDPCTL_STATE_DIR", "4"),
        ];
        assert_eq!(folders(&env, User::Root), ["/1", "/2", "/3", "4"]);
    }

    #[test]
    fn empty_and_relative_variables_count_as_unset() {
        let env = [
            ("HOME", "/h"),
            ("UDPCTL_CONFIG_DIR", ""),
            ("XDG_CONFIG_HOME", "rel"),
            ("XDG_STATE_HOME", ""),
        ];
        let [config, state, ..] = folders(&env, User::Ordinary);
        assert_eq!(config, "/h/.config/udpagent");
        assert_eq!(state, "/h/.local/state/udpagent");
    }

    #[test]
    fn without_a_home_the_error_says_what_to_set() {
        let nothing = |_: &str| None;
        let error = ControlHome::locate(&nothing).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no home directory is known; set HOME, or UDPCTL_CONFIG_DIR to the folder to use"
        );
        assert!(AgentHome::locate(&nothing, User::Ordinary).is_err());
        assert!(AgentHome::locate(&nothing, User::Root).is_ok());
    }
}
