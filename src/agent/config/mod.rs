//! The configuration of an agent: flags over environment over `udpagent.toml` over defaults.
//!
//! Each source fills a [`Layer`]; [`Config::resolve`] combines them. Not here: parsing of flags and
//! environment, and access control. Invariant: the first source that has a value determines it
//! alone.

mod file;

use std::path::PathBuf;
use std::time::Duration;

pub use file::{ConfigError, load, parse};

use super::chat::ReplyTemplate;
use super::limits::{CHAT_HISTORY, JOBS};
pub use super::switch::Switch;
use crate::bot::{self, Words};
use crate::net::Bind;
use crate::process::{CgroupLimits, CgroupParent, Limit, Resource};
use crate::session::limits::SESSIONS_PER_KEY;

/// Audit records of commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Audit {
    /// Records are written if there is a file for them, or if standard error is collected.
    Auto,
    /// No records are written.
    Off,
    /// Records are written. If one cannot be written, the command runs nevertheless.
    On,
    /// Records are written. If one cannot be written, the command does not run.
    Required,
}

/// Returns the name of a resource in `[limits]` of the file; that of the system for one that is not there.
#[must_use]
pub fn limit_name(resource: Resource) -> String {
    let name = match resource {
        Resource::Nofile => "open-files",
        Resource::Nproc => "processes",
        Resource::As => "memory",
        Resource::Fsize => "file-size",
        other => return format!("{other:?}").to_lowercase(),
    };
    name.to_owned()
}

/// Format of diagnostics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Restriction of the process that serves the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// As far as the kernel allows.
    Auto,
    /// Complete. The agent does not start with less.
    Required,
    /// None.
    Off,
}

/// Values of one source; `None` if it has none.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Layer {
    /// Addresses to listen on.
    pub bind: Option<Vec<Bind>>,
    /// Name of the agent in chats.
    pub name: Option<String>,
    /// Template of replies to plain text.
    pub reply: Option<ReplyTemplate>,
    /// Number of messages of the chat that are kept.
    pub history: Option<usize>,
    /// Command that answers messages of the chat.
    pub on_message: Option<Words>,
    /// Time for its answer.
    pub on_message_timeout: Option<Duration>,
    /// Execution of commands.
    pub exec: Option<Switch>,
    /// Acceptance of plain text.
    pub plain: Option<Switch>,
    /// Format of diagnostics.
    pub log_format: Option<LogFormat>,
    /// Running jobs of all keys together.
    pub max_jobs: Option<usize>,
    /// Sessions of one key.
    pub sessions_per_key: Option<usize>,
    /// Longest runtime of a command.
    pub max_runtime: Option<Duration>,
    /// Largest output of a command in bytes.
    pub max_output: Option<u64>,
    /// Resource limits of each process of a command.
    pub resources: Vec<Limit>,
    /// Limits of the cgroup of each job.
    pub cgroup_limits: CgroupLimits,
    /// Place of the cgroups of the jobs.
    pub cgroup_parent: Option<CgroupParent>,
    /// Restriction of the process that serves the network.
    pub sandbox: Option<Sandbox>,
    /// Audit records of commands.
    pub audit: Option<Audit>,
    /// File of the audit records.
    pub audit_file: Option<PathBuf>,
    /// Survival of running commands when the agent ends.
    pub keep_jobs: Option<Switch>,
}

/// Configuration of an agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Addresses to listen on.
    pub bind: Vec<Bind>,
    /// Name of the agent in chats; `None` for the host's name.
    pub name: Option<String>,
    /// Template of replies to plain text; `None` for no replies.
    pub reply: Option<ReplyTemplate>,
    /// Number of messages of the chat that are kept.
    pub history: usize,
    /// Command that answers messages of the chat, if there is one.
    pub on_message: Option<Words>,
    /// Time for its answer.
    pub on_message_timeout: Duration,
    /// Execution of commands.
    pub exec: Switch,
    /// Acceptance of plain text.
    pub plain: Switch,
    /// Format of diagnostics.
    pub log_format: LogFormat,
    /// Running jobs of all keys together.
    pub max_jobs: usize,
    /// Sessions of one key.
    pub sessions_per_key: usize,
    /// Longest runtime of a command; `None` for no limit.
    pub max_runtime: Option<Duration>,
    /// Largest output of a command in bytes; `None` for no limit.
    pub max_output: Option<u64>,
    /// Resource limits of each process of a command.
    pub resources: Vec<Limit>,
    /// Limits of the cgroup of each job, for keys that have none of their own.
    pub cgroup_limits: CgroupLimits,
    /// Place of the cgroups of the jobs.
    pub cgroup_parent: CgroupParent,
    /// Restriction of the process that serves the network.
    pub sandbox: Sandbox,
    /// Audit records of commands.
    pub audit: Audit,
    /// File of the audit records; `None` for standard error.
    pub audit_file: Option<PathBuf>,
    /// Survival of running commands when the agent ends.
    pub keep_jobs: Switch,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: vec![Bind::default()],
            name: None,
            reply: None,
            history: CHAT_HISTORY,
            on_message: None,
            on_message_timeout: bot::limits::TIMEOUT,
            exec: Switch::On,
            plain: Switch::On,
            log_format: LogFormat::Text,
            max_jobs: JOBS,
            sessions_per_key: SESSIONS_PER_KEY,
            max_runtime: None,
            max_output: None,
            resources: Vec::new(),
            cgroup_limits: CgroupLimits::default(),
            cgroup_parent: CgroupParent::Auto,
            sandbox: Sandbox::Auto,
            audit: Audit::Auto,
            audit_file: None,
            keep_jobs: Switch::Off,
        }
    }
}

impl Config {
    /// Combines sources, in descending precedence, over the defaults. A value comes from the first
    /// source that has it; lists are not merged.
    #[must_use]
    pub fn resolve(layers: impl IntoIterator<Item = Layer>) -> Self {
        let layer = layers.into_iter().fold(Layer::default(), Layer::or);
        let default = Self::default();
        Self {
            bind: layer.bind.unwrap_or(default.bind),
            name: layer.name,
            reply: layer.reply,
            history: layer.history.unwrap_or(default.history),
            on_message: layer.on_message,
            on_message_timeout: layer
                .on_message_timeout
                .unwrap_or(default.on_message_timeout),
            exec: layer.exec.unwrap_or(default.exec),
            plain: layer.plain.unwrap_or(default.plain),
            log_format: layer.log_format.unwrap_or(default.log_format),
            max_jobs: layer.max_jobs.unwrap_or(default.max_jobs),
            sessions_per_key: layer.sessions_per_key.unwrap_or(default.sessions_per_key),
            max_runtime: layer.max_runtime,
            max_output: layer.max_output,
            resources: layer.resources,
            cgroup_limits: layer.cgroup_limits,
            cgroup_parent: layer.cgroup_parent.unwrap_or(default.cgroup_parent),
            sandbox: layer.sandbox.unwrap_or(default.sandbox),
            audit: layer.audit.unwrap_or(default.audit),
            audit_file: layer.audit_file,
            keep_jobs: layer.keep_jobs.unwrap_or(default.keep_jobs),
        }
    }
}

impl Layer {
    /// Returns this layer, completed by the values of the one below.
    fn or(self, below: Self) -> Self {
        Self {
            bind: self.bind.or(below.bind),
            name: self.name.or(below.name),
            reply: self.reply.or(below.reply),
            history: self.history.or(below.history),
            on_message: self.on_message.or(below.on_message),
            on_message_timeout: self.on_message_timeout.or(below.on_message_timeout),
            exec: self.exec.or(below.exec),
            plain: self.plain.or(below.plain),
            log_format: self.log_format.or(below.log_format),
            max_jobs: self.max_jobs.or(below.max_jobs),
            sessions_per_key: self.sessions_per_key.or(below.sessions_per_key),
            max_runtime: self.max_runtime.or(below.max_runtime),
            max_output: self.max_output.or(below.max_output),
            resources: if self.resources.is_empty() {
                below.resources
            } else {
                self.resources
            },
            cgroup_limits: self.cgroup_limits.or(below.cgroup_limits),
            cgroup_parent: self.cgroup_parent.or(below.cgroup_parent),
            sandbox: self.sandbox.or(below.sandbox),
            audit: self.audit.or(below.audit),
            audit_file: self.audit_file.or(below.audit_file),
            keep_jobs: self.keep_jobs.or(below.keep_jobs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(n: u16) -> ReplyTemplate {
        format!("reply{n} {{text}}").parse().unwrap()
    }

    /// A source with a value for everything.
    fn full(n: u16) -> Layer {
        Layer {
            bind: Some(vec![Bind::All(n)]),
            name: Some(format!("name{n}")),
            reply: Some(reply(n)),
            history: Some(n.into()),
            on_message: Some(format!("bot{n} x").parse().unwrap()),
            on_message_timeout: Some(Duration::from_secs(n.into())),
            exec: Some(Switch::Off),
            plain: Some(Switch::Off),
            log_format: Some(LogFormat::Json),
            max_jobs: Some(n.into()),
            sessions_per_key: Some(n.into()),
            max_runtime: Some(Duration::from_secs(n.into())),
            max_output: Some(n.into()),
            resources: vec![Limit {
                resource: Resource::Nofile,
                at_most: n.into(),
            }],
            cgroup_limits: CgroupLimits {
                memory: Some(n.into()),
                pids: Some(n.into()),
                cpu_percent: Some(n.into()),
            },
            cgroup_parent: Some(CgroupParent::At(format!("/cgroup{n}").into())),
            sandbox: Some(Sandbox::Required),
            audit: Some(Audit::Required),
            audit_file: Some(format!("/audit{n}").into()),
            keep_jobs: Some(Switch::On),
        }
    }

    #[test]
    fn without_any_source_the_configuration_is_the_default() {
        let config = Config::resolve([]);
        assert_eq!(config, Config::default());
        assert_eq!(config.bind[0].to_string(), ":7000");
    }

    #[test]
    fn the_first_source_takes_precedence() {
        let all = Config::resolve([full(1), full(2), full(3)]);
        assert_eq!(all, Config::resolve([full(1)]));
        assert_ne!(all, Config::resolve([full(2)]));
    }

    #[test]
    fn a_value_that_a_source_lacks_comes_from_the_next() {
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
