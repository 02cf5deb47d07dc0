//! How an agent is set up: flags over environment over `udpagent.toml` over defaults.
//!
//! Each source fills a [`Layer`]; [`Config::resolve`] lays them over each other. Not here: reading
//! flags or the environment, and who may connect.

mod file;
mod size;

use std::path::PathBuf;
use std::time::Duration;

pub use file::{ConfigError, load, parse};

use super::limits::JOBS;
use super::plain::ReplyTemplate;
use super::process::Limit;
use crate::net::Bind;

/// Whether the agent does something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Switch {
    /// It does.
    On,
    /// It does not.
    Off,
}

impl From<bool> for Switch {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

/// Whether commands are put on record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audit {
    /// If there is a file for it, or somebody collects what is written to standard error.
    Auto,
    /// They are not.
    Off,
    /// They are; one that cannot be is run nevertheless.
    On,
    /// They are; one that cannot be is not run.
    Required,
}

/// How diagnostics are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What one source says; `None`: nothing.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Layer {
    /// Addresses to listen on.
    pub bind: Option<Vec<Bind>>,
    /// The agent's name in chats.
    pub name: Option<String>,
    /// What plain text is answered with; `{text}` stands for it.
    pub reply: Option<ReplyTemplate>,
    /// Run commands.
    pub exec: Option<Switch>,
    /// Take plain text.
    pub plain: Option<Switch>,
    /// How diagnostics are written.
    pub log_format: Option<LogFormat>,
    /// Jobs at a time, of all keys together.
    pub max_jobs: Option<usize>,
    /// The longest a command may run.
    pub max_runtime: Option<Duration>,
    /// The most bytes a command may write.
    pub max_output: Option<u64>,
    /// What each process of a command may use.
    pub resources: Vec<Limit>,
    /// Whether commands are put on record.
    pub audit: Option<Audit>,
    /// The file of that record.
    pub audit_file: Option<PathBuf>,
    /// Commands outlive the agent.
    pub keep_jobs: Option<Switch>,
}

/// What an agent is set up to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Addresses to listen on.
    pub bind: Vec<Bind>,
    /// The agent's name in chats; `None`: the host's.
    pub name: Option<String>,
    /// What plain text is answered with; `None`: it is not.
    pub reply: Option<ReplyTemplate>,
    /// Run commands.
    pub exec: Switch,
    /// Take plain text.
    pub plain: Switch,
    /// How diagnostics are written.
    pub log_format: LogFormat,
    /// Jobs at a time, of all keys together.
    pub max_jobs: usize,
    /// The longest a command may run; `None`: as long as it likes.
    pub max_runtime: Option<Duration>,
    /// The most bytes a command may write; `None`: any number.
    pub max_output: Option<u64>,
    /// What each process of a command may use.
    pub resources: Vec<Limit>,
    /// Whether commands are put on record.
    pub audit: Audit,
    /// The file of that record; `None`: standard error.
    pub audit_file: Option<PathBuf>,
    /// Commands outlive the agent.
    pub keep_jobs: Switch,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: vec![Bind::default()],
            name: None,
            reply: None,
            exec: Switch::On,
            plain: Switch::On,
            log_format: LogFormat::Text,
            max_jobs: JOBS,
            max_runtime: None,
            max_output: None,
            resources: Vec::new(),
            audit: Audit::Auto,
            audit_file: None,
            keep_jobs: Switch::Off,
        }
    }
}

impl Config {
    /// Lays sources over each other, and all over the defaults; the first that says something about a
    /// thing is heard, and it alone.
    #[must_use]
    pub fn resolve(layers: impl IntoIterator<Item = Layer>) -> Self {
        let layer = layers.into_iter().fold(Layer::default(), Layer::or);
        let default = Self::default();
        Self {
            bind: layer.bind.unwrap_or(default.bind),
            name: layer.name,
            reply: layer.reply,
            exec: layer.exec.unwrap_or(default.exec),
            plain: layer.plain.unwrap_or(default.plain),
            log_format: layer.log_format.unwrap_or(default.log_format),
            max_jobs: layer.max_jobs.unwrap_or(default.max_jobs),
            max_runtime: layer.max_runtime,
            max_output: layer.max_output,
            resources: layer.resources,
            audit: layer.audit.unwrap_or(default.audit),
            audit_file: layer.audit_file,
            keep_jobs: layer.keep_jobs.unwrap_or(default.keep_jobs),
        }
    }
}

impl Layer {
    /// This one, and where it says nothing the other.
    fn or(self, below: Self) -> Self {
        Self {
            bind: self.bind.or(below.bind),
            name: self.name.or(below.name),
            reply: self.reply.or(below.reply),
            exec: self.exec.or(below.exec),
            plain: self.plain.or(below.plain),
            log_format: self.log_format.or(below.log_format),
            max_jobs: self.max_jobs.or(below.max_jobs),
            max_runtime: self.max_runtime.or(below.max_runtime),
            max_output: self.max_output.or(below.max_output),
            resources: if self.resources.is_empty() {
                below.resources
            } else {
                self.resources
            },
            audit: self.audit.or(below.audit),
            audit_file: self.audit_file.or(below.audit_file),
            keep_jobs: self.keep_jobs.or(below.keep_jobs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::process::Resource;

    fn reply(n: u16) -> ReplyTemplate {
        format!("reply{n} {{text}}").parse().unwrap()
    }

    /// A source that says something about everything.
    fn full(n: u16) -> Layer {
        Layer {
            bind: Some(vec![Bind::All(n)]),
            name: Some(format!("name{n}")),
            reply: Some(reply(n)),
            exec: Some(Switch::Off),
            plain: Some(Switch::Off),
            log_format: Some(LogFormat::Json),
            max_jobs: Some(n.into()),
            max_runtime: Some(Duration::from_secs(n.into())),
            max_output: Some(n.into()),
            resources: vec![Limit {
                resource: Resource::Nofile,
                at_most: n.into(),
            }],
            audit: Some(Audit::Required),
            audit_file: Some(format!("/audit{n}").into()),
            keep_jobs: Some(Switch::On),
        }
    }

    #[test]
    fn without_any_source_the_defaults_hold() {
        let config = Config::resolve([]);
        assert_eq!(config, Config::default());
        assert_eq!(config.bind[0].to_string(), ":7000");
    }

    #[test]
    fn the_first_source_is_heard() {
        let all = Config::resolve([full(1), full(2), full(3)]);
        assert_eq!(all, Config::resolve([full(1)]));
        assert_ne!(all, Config::resolve([full(2)]));
    }

    #[test]
    fn a_source_that_is_silent_on_a_thing_leaves_it_to_the_next() {
        let flags = Layer {
            bind: Some(vec![Bind::All(1)]),
            ..Layer::default()
        };
        let environment = Layer {
            bind: Some(vec![Bind::All(2)]),
            name: Some("environment".to_owned()),
            exec: Some(Switch::On),
            ..Layer::default()
        };
        let config = Config::resolve([flags, environment, full(3)]);
        assert_eq!(config.bind, [Bind::All(1)]);
        assert_eq!(config.name.as_deref(), Some("environment"));
        assert_eq!(config.exec, Switch::On);
        assert_eq!(config.reply, Some(reply(3)));
    }
}
