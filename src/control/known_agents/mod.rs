//! Keys of trusted agents: the file `known_agents`, and the agent of the own user.
//!
//! A line is `HOST:PORT KEY [NAME]`; `#` begins a comment line. There is no trust on first use: a target that is
//! neither listed nor the own user's agent has no key, and nothing is sent to it. Invariants: a listed key is
//! never replaced unless the user asks for it; a line that cannot be understood is an error of the target that it
//! names, and is never skipped in favour of another source.

use std::collections::HashMap;
use std::fmt;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::crypto::{ParseKeyError, PublicKey};
use crate::home::{self, FileError, Readers};
use crate::net::{ParseAddressError, Target};

/// Content of the file `known_agents`.
#[derive(Clone, Debug)]
pub struct KnownAgents {
    path: PathBuf,
    lines: HashMap<Target, Vec<Line>>,
    strays: Vec<(usize, LineError)>,
}

/// Line that names a target.
#[derive(Clone, Debug)]
struct Line {
    number: usize,
    key: Result<PublicKey, LineError>,
}

/// Key of an agent, with its source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pin {
    /// Key of the agent.
    pub key: PublicKey,
    /// Source of the key, for messages.
    pub source: Source,
}

/// Source of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Line of `known_agents`, by number.
    Line(PathBuf, usize),
    /// Public key file of the own user's agent.
    SameUser(PathBuf),
}

/// `FILE:LINE`, or the file.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Self::SameUser(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Action on another key for a target that has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnChange {
    /// Refuse the new key.
    Refuse,
    /// Replace the old key, as the user has asked.
    Replace,
}

/// Result of adding a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Added {
    /// The target had no key.
    New,
    /// The target had this key.
    Already,
    /// The target had another key.
    Replaced,
}

/// Error in a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LineError {
    /// The first word is not a target.
    Target(ParseAddressError),
    /// The second word is not a key.
    Key(ParseKeyError),
    /// The second word is missing.
    NoKey,
    /// The line has more than three words.
    TooMany,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(error) => error.fmt(f),
            Self::Key(error) => write!(
                f,
                "{error}; write the key that \"udpagent key\" prints there"
            ),
            Self::NoKey => f.write_str("no key follows the host; write HOST:PORT KEY [NAME]"),
            Self::TooMany => f.write_str("too many words; write HOST:PORT KEY [NAME]"),
        }
    }
}

/// Error of looking up or adding a key.
#[derive(Debug)]
pub enum TrustError {
    /// A file cannot be used.
    File(FileError),
    /// A line, by file and number, cannot be understood.
    Line(PathBuf, usize, LineError),
    /// The public key file of the own user's agent holds no key.
    OwnAgent(PathBuf, ParseKeyError),
    /// No key is known for a target.
    Unknown(Target),
    /// No key is known for a target on this host, and the own user has no agent here.
    NoOwnAgent(Target),
    /// Two lines give a target different keys.
    Contradiction {
        /// The file.
        path: PathBuf,
        /// Numbers of both lines.
        lines: [usize; 2],
        /// The target.
        target: Target,
    },
    /// A target that has a key was given another.
    Changed(Box<Changed>),
}

/// Target that was given another key than the listed one.
#[derive(Debug)]
pub struct Changed {
    /// The file.
    pub path: PathBuf,
    /// Number of the line with the listed key.
    pub line: usize,
    /// The target.
    pub target: Target,
    /// The listed key.
    pub pinned: PublicKey,
    /// The other key.
    pub given: PublicKey,
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Line(path, line, error) => write!(f, "{}:{line}: {error}", path.display()),
            Self::OwnAgent(path, error) => write!(
                f,
                "{}:1: {error}; remove the file and start \"udpagent\" again",
                path.display()
            ),
            Self::Unknown(target) => write!(
                f,
                "{}: no key known for this agent; run \"udpagent invite\" there and paste its line here",
                target.label()
            ),
            Self::NoOwnAgent(target) => write!(
                f,
                "{}: no key known for this agent; start \"udpagent\" as this user, or run \"udpagent invite\" as its own user and paste the line here",
                target.label()
            ),
            Self::Contradiction {
                path,
                lines: [first, second],
                target,
            } => write!(
                f,
                "{}:{second}: {target} has another key in line {first}; remove the line that is wrong",
                path.display()
            ),
            Self::Changed(changed) => changed.fmt(f),
        }
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {} has the key {}, not {}; if its agent was given a new key on purpose, trust it with --replace; if not, something else may be in its place",
            self.path.display(),
            self.line,
            self.target,
            self.pinned,
            self.given
        )
    }
}

impl std::error::Error for TrustError {}

impl KnownAgents {
    /// Reads the file; a missing one counts as empty. Lines that cannot be understood are kept as errors of the
    /// targets that they name.
    ///
    /// # Errors
    /// When the file cannot be read, or when other users may write it.
    pub fn load(path: &Path) -> Result<Self, TrustError> {
        let text = home::read(path, Readers::All).map_err(TrustError::File)?;
        Ok(Self::parse(&text.unwrap_or_default(), path))
    }

    /// Parses the text of the file at `path`, which only appears in messages. Public for fuzzing.
    #[must_use]
    pub fn parse(text: &str, path: &Path) -> Self {
        let mut lines: HashMap<Target, Vec<Line>> = HashMap::new();
        let mut strays = Vec::new();
        for (index, text) in text.lines().enumerate() {
            let number = index + 1;
            let mut words = text.split_whitespace();
            let Some(target) = words.next().filter(|word| !word.starts_with('#')) else {
                continue;
            };
            match target.parse::<Target>() {
                Err(error) => strays.push((number, LineError::Target(error))),
                Ok(target) => {
                    let key = parse_rest(words);
                    lines.entry(target).or_default().push(Line { number, key });
                }
            }
        }
        Self {
            path: path.to_owned(),
            lines,
            strays,
        }
    }

    /// Returns all errors of the file's lines, in order of the lines.
    #[must_use]
    pub fn problems(&self) -> Vec<TrustError> {
        let named = self.lines.values().flatten().filter_map(|line| {
            let error = line.key.as_ref().err()?;
            Some((line.number, error.clone()))
        });
        let mut problems: Vec<_> = self.strays.iter().cloned().chain(named).collect();
        problems.sort_by_key(|(line, _)| *line);
        problems
            .into_iter()
            .map(|(line, error)| TrustError::Line(self.path.clone(), line, error))
            .collect()
    }

    /// Returns the key that the agent at `target` must have. `addresses` are the addresses of the target: if all of
    /// them are loopback addresses, the key in `own_agent` (the `identity.pub` of the same user's agent) is trusted
    /// too. A line of the file takes precedence over it.
    ///
    /// # Errors
    /// When no key is known, when lines contradict each other, or when a line or file cannot be understood.
    pub fn lookup(
        &self,
        target: &Target,
        addresses: &[IpAddr],
        own_agent: Option<&Path>,
    ) -> Result<Pin, TrustError> {
        if let Some((line, key)) = self.pinned(target)? {
            let source = Source::Line(self.path.clone(), line);
            return Ok(Pin { key, source });
        }
        let here = |ip: &IpAddr| ip.to_canonical().is_loopback();
        let Some(path) = own_agent.filter(|_| !addresses.is_empty() && addresses.iter().all(here))
        else {
            return Err(TrustError::Unknown(target.clone()));
        };
        let text = home::read(path, Readers::All)
            .map_err(TrustError::File)?
            .ok_or_else(|| TrustError::NoOwnAgent(target.clone()))?;
        let key = text
            .trim()
            .parse()
            .map_err(|error| TrustError::OwnAgent(path.to_owned(), error))?;
        let source = Source::SameUser(path.to_owned());
        Ok(Pin { key, source })
    }

    /// Returns the key that the file has for a target, and the number of its line.
    fn pinned(&self, target: &Target) -> Result<Option<(usize, PublicKey)>, TrustError> {
        let mut found: Option<(usize, PublicKey)> = None;
        for line in self.lines.get(target).into_iter().flatten() {
            let key = line
                .key
                .clone()
                .map_err(|error| TrustError::Line(self.path.clone(), line.number, error))?;
            match found {
                Some((first, other)) if other != key => {
                    return Err(TrustError::Contradiction {
                        path: self.path.clone(),
                        lines: [first, line.number],
                        target: target.clone(),
                    });
                }
                Some(_) => {}
                None => found = Some((line.number, key)),
            }
        }
        Ok(found)
    }
}

fn parse_rest<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<PublicKey, LineError> {
    let key = words
        .next()
        .ok_or(LineError::NoKey)?
        .parse()
        .map_err(LineError::Key)?;
    match words.nth(1) {
        Some(_) => Err(LineError::TooMany),
        None => Ok(key),
    }
}

/// Adds a key for a target, atomically and under a lock; comments and other lines stay.
///
/// # Errors
/// When the target has another key and `on_change` is [`OnChange::Refuse`], when its line has an error, or when the
/// file cannot be changed.
pub fn add(
    path: &Path,
    target: &Target,
    key: &PublicKey,
    on_change: OnChange,
) -> Result<Added, TrustError> {
    let _lock = home::lock(path).map_err(TrustError::File)?;
    let text = home::read(path, Readers::All).map_err(TrustError::File)?;
    let text = text.unwrap_or_default();
    let known = KnownAgents::parse(&text, path);
    let of_target = known.lines.get(target).map_or(&[][..], Vec::as_slice);
    let added = match on_change {
        OnChange::Replace if of_target.is_empty() => Added::New,
        OnChange::Replace => Added::Replaced,
        OnChange::Refuse => match known.pinned(target)? {
            None => Added::New,
            Some((_, pinned)) if pinned == *key => return Ok(Added::Already),
            Some((line, pinned)) => {
                return Err(TrustError::Changed(Box::new(Changed {
                    path: path.to_owned(),
                    line,
                    target: target.clone(),
                    pinned,
                    given: *key,
                })));
            }
        },
    };
    let mut out = String::with_capacity(text.len() + 128);
    for (index, line) in text.lines().enumerate() {
        if !of_target.iter().any(|old| old.number == index + 1) {
            out.push_str(line);
            out.push('\n');
        }
    }
    writeln!(out, "{target} {key}").expect("writing to a string does not fail");
    home::replace(path, out.as_bytes(), Readers::All).map_err(TrustError::File)?;
    Ok(added)
}

#[cfg(test)]
mod tests;
