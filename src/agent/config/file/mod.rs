//! The file `udpagent.toml`.
//!
//! Invariant: every key is optional, and an unknown key is an error, because a misspelt limit must
//! not mean no limit.

mod quantity;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};

use self::quantity::{CgroupCpu, CgroupMemory, CgroupParentText, Count, Runtime, Size};
use super::{Audit, Layer, LogFormat, Sandbox};
use crate::agent::chat::ReplyTemplate;
use crate::agent::limits::{MAX_CHAT_HISTORY, MAX_JOBS};
use crate::bot::Words;
use crate::escape;
use crate::home::{self, FileError, Readers};
use crate::message::limits::NAME;
use crate::net::Bind;
use crate::process::{CgroupLimits, Limit, Resource};
use crate::session::limits::SESSIONS;

/// Reason why the file could not be used.
#[derive(Debug)]
pub enum ConfigError {
    /// It could not be read.
    File(FileError),
    /// `--config` names a file that does not exist.
    Missing(PathBuf),
    /// It could not be parsed: file, line, and the error with its key.
    Parse(PathBuf, usize, String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Missing(path) => write!(f, "{}: no such file", path.display()),
            Self::Parse(path, line, what) => write!(f, "{}:{line}: {what}", path.display()),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Reads `udpagent.toml`. Returns `None` if it does not exist.
///
/// # Errors
/// [`ConfigError`]
pub fn load(path: &Path) -> Result<Option<Layer>, ConfigError> {
    home::read(path, Readers::All)
        .map_err(ConfigError::File)?
        .map(|text| parse(&text, path))
        .transpose()
}

/// Parses the text of the file. The `path` is only used to name the file in messages.
///
/// # Errors
/// [`ConfigError::Parse`]
pub fn parse(text: &str, path: &Path) -> Result<Layer, ConfigError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text.as_bytes()[..at].split(|byte| *byte == b'\n').count();
        ConfigError::Parse(path.to_owned(), line, explain(error))
    })?;
    let limits = file.limits.unwrap_or_default();
    let resources = limits.resources();
    let cgroup = file.cgroup.unwrap_or_default();
    Ok(Layer {
        bind: file
            .bind
            .map(|Many(binds)| binds.into_iter().map(|Text(bind)| bind).collect()),
        name: file.name.map(|Name(name)| name),
        reply: file.reply.map(|Text(reply)| reply),
        history: file.history.map(|Messages(most)| most),
        on_message: file.on_message.map(|Text(words)| words),
        on_message_timeout: file.on_message_timeout.map(|Runtime(time)| time),
        exec: file.exec.map(Into::into),
        plain: file.plain.map(Into::into),
        log_format: file.log_format,
        max_jobs: limits.jobs.map(|Jobs(jobs)| jobs),
        sessions_per_key: limits.sessions_per_key.map(|Sessions(sessions)| sessions),
        resources,
        max_runtime: limits.runtime.map(|Runtime(runtime)| runtime),
        max_output: limits.output.map(|Size(bytes)| bytes),
        cgroup_limits: cgroup.limits(),
        cgroup_parent: cgroup.parent.map(|parent| parent.0),
        sandbox: file.sandbox,
        audit: file.audit,
        audit_file: file.audit_file.map(|Absolute(path)| path),
        keep_jobs: file.keep_jobs.map(Into::into),
    })
}

/// Returns `KEY: error`. The library gives the key only in its rendered message, and there only
/// without the text of the file.
fn explain(mut error: toml::de::Error) -> String {
    error.set_input(None);
    let rendered = error.to_string();
    let key = rendered
        .trim_end()
        .rsplit_once("\nin `")
        .and_then(|(_, key)| key.strip_suffix('`'))
        .map(|key| escape::line(key.as_bytes(), 64));
    let what = escape::line(error.message().as_bytes(), 512).into_owned();
    match key {
        Some(key) => format!("{key}: {what}"),
        None => what,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[allow(
    clippy::struct_field_names,
    reason = "fields are named as the keys of the file"
)]
struct File {
    bind: Option<Many<Text<Bind>>>,
    name: Option<Name>,
    reply: Option<Text<ReplyTemplate>>,
    history: Option<Messages>,
    on_message: Option<Text<Words>>,
    on_message_timeout: Option<Runtime>,
    exec: Option<bool>,
    plain: Option<bool>,
    log_format: Option<LogFormat>,
    audit: Option<Audit>,
    audit_file: Option<Absolute>,
    keep_jobs: Option<bool>,
    sandbox: Option<Sandbox>,
    limits: Option<Limits>,
    cgroup: Option<Cgroup>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Cgroup {
    parent: Option<CgroupParentText>,
    memory: Option<CgroupMemory>,
    pids: Option<Count>,
    cpu: Option<CgroupCpu>,
}

impl Cgroup {
    fn limits(&self) -> CgroupLimits {
        CgroupLimits {
            memory: self.memory.as_ref().map(|memory| memory.0),
            pids: self.pids.as_ref().map(|pids| pids.0),
            cpu_percent: self.cpu.as_ref().map(|cpu| cpu.0),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Limits {
    jobs: Option<Jobs>,
    sessions_per_key: Option<Sessions>,
    runtime: Option<Runtime>,
    output: Option<Size>,
    open_files: Option<Count>,
    processes: Option<Count>,
    memory: Option<Size>,
    file_size: Option<Size>,
    cpu: Option<Runtime>,
    core: Option<Size>,
}

impl Limits {
    /// Limits for `setrlimit(2)`.
    fn resources(&self) -> Vec<Limit> {
        // The system counts processor time in whole seconds. Rounded up, because a process cannot
        // start with zero.
        let seconds = |time: &Runtime| time.0.as_secs() + u64::from(time.0.subsec_nanos() > 0);
        let limits = [
            (
                Resource::Nofile,
                self.open_files.as_ref().map(|count| count.0),
            ),
            (
                Resource::Nproc,
                self.processes.as_ref().map(|count| count.0),
            ),
            (Resource::As, self.memory.as_ref().map(|size| size.0)),
            (Resource::Fsize, self.file_size.as_ref().map(|size| size.0)),
            (Resource::Cpu, self.cpu.as_ref().map(seconds)),
            (Resource::Core, self.core.as_ref().map(|size| size.0)),
        ];
        let said = |(resource, at_most): (Resource, Option<u64>)| {
            at_most.map(|at_most| Limit { resource, at_most })
        };
        limits.into_iter().filter_map(said).collect()
    }
}

/// A value parsed from a string.
struct Text<T>(T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A visitor gives errors the position of the list element.
        struct Parse<T>(std::marker::PhantomData<T>);

        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Parse<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer
            .deserialize_str(Parse(std::marker::PhantomData))
            .map(Self)
    }
}

/// A value, or a list of at least one.
struct Many<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMore<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or a list of strings")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<T>, E> {
                let one = serde::de::value::StrDeserializer::new(text);
                T::deserialize(one).map(|one| vec![one])
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<T>, A::Error> {
                let list = Vec::deserialize(SeqAccessDeserializer::new(list))?;
                if list.is_empty() {
                    return Err(A::Error::custom(
                        "the list is empty; leave the key out instead",
                    ));
                }
                Ok(list)
            }
        }

        deserializer
            .deserialize_any(OneOrMore(std::marker::PhantomData))
            .map(Self)
    }
}

/// A name to be displayed.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let good = !name.trim().is_empty() && name.len() <= NAME && escape::is_clean(&name);
        good.then_some(Self(name)).ok_or_else(|| {
            D::Error::custom(format!("write at most {NAME} bytes of visible characters"))
        })
    }
}

/// A path independent of the agent's working policy.
struct Absolute(PathBuf);

impl<'de> Deserialize<'de> for Absolute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = PathBuf::deserialize(deserializer)?;
        if path.is_absolute() {
            Ok(Self(path))
        } else {
            Err(D::Error::custom("write an absolute path"))
        }
    }
}

struct Jobs(usize);

impl<'de> Deserialize<'de> for Jobs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let jobs = i64::deserialize(deserializer)?;
        usize::try_from(jobs)
            .ok()
            .filter(|jobs| (1..=MAX_JOBS).contains(jobs))
            .map(Self)
            .ok_or_else(|| {
                D::Error::custom(format!(
                    "write 1 to {MAX_JOBS}; to run no commands, exec = false"
                ))
            })
    }
}

/// Number of messages of the chat.
struct Messages(usize);

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let most = i64::deserialize(deserializer)?;
        usize::try_from(most)
            .ok()
            .filter(|most| *most <= MAX_CHAT_HISTORY)
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("write 0 to {MAX_CHAT_HISTORY}")))
    }
}

struct Sessions(usize);

impl<'de> Deserialize<'de> for Sessions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sessions = i64::deserialize(deserializer)?;
        usize::try_from(sessions)
            .ok()
            .filter(|sessions| (1..=SESSIONS).contains(sessions))
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("write 1 to {SESSIONS}")))
    }
}

#[cfg(test)]
mod tests;
