//! Keys of trusted agents: the file `known_agents`, hosts of the inventory, and the agent of the own user.
//!
//! A line is `HOST:PORT KEY [NAME]`; `#` begins a comment line. The host may be a set or a pattern. There is no trust on
//! first use: a target that is neither listed nor the own user's agent has no key, and nothing is sent to it. Invariants:
//! a listed key is never replaced unless the user asks for it; lines that name a target alone decide about it before
//! sets and patterns, and those that decide must agree, as an INIT is sealed to one key; a line that cannot be understood
//! is an error of the targets that it names, and is never skipped in favour of another source.

mod change;
mod error;
mod overlap;
mod pattern;
mod source;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use smallvec::SmallVec;

pub use self::change::{Added, Entry, Imported, OnChange, Removal, Removed, add, import, remove};
pub use self::error::{Changed, LineError, TrustError};
pub use self::pattern::Pattern;
pub use self::source::Source;
use crate::crypto::PublicKey;
use crate::home::{self, Readers};
use crate::net::{DEFAULT_PORT, Target};

/// Content of the file `known_agents`, and keys of other sources.
#[derive(Clone, Debug)]
pub struct KnownAgents {
    path: Arc<Path>,
    /// Lines that name one target.
    targets: HashMap<Target, SmallVec<[Line; 1]>>,
    /// Lines that name sets and patterns, by the text that all their targets begin with.
    patterns: HashMap<String, Vec<(Pattern, Line)>>,
    strays: Vec<(Source, LineError)>,
}

/// Key of a line.
#[derive(Clone, Debug)]
struct Line {
    source: Source,
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
        Self::parse_list(text, path, DEFAULT_PORT)
    }

    /// Parses lines as those of the file; `port` is that of host names without one.
    #[must_use]
    pub fn parse_list(text: &str, path: &Path, port: u16) -> Self {
        let mut known = Self {
            path: path.into(),
            targets: HashMap::new(),
            patterns: HashMap::new(),
            strays: Vec::new(),
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        known.targets.reserve(text.lines().count());
        for (index, text) in text.lines().enumerate() {
            let mut words = text.split_whitespace();
            let Some(name) = words.next().filter(|word| !word.starts_with('#')) else {
                continue;
            };
            let source = Source::Line(Arc::clone(&known.path), index + 1);
            match Pattern::parse(name, port) {
                Err(error) => known.strays.push((source, error)),
                Ok(pattern) => {
                    let key = parse_rest(words);
                    known.insert(pattern, Line { source, key });
                }
            }
        }
        known
    }

    /// Adds the key of one target from another source than the file.
    pub fn pin(&mut self, target: Target, Pin { key, source }: Pin) {
        let line = Line {
            source,
            key: Ok(key),
        };
        self.insert(Pattern::Target(target), line);
    }

    fn insert(&mut self, pattern: Pattern, line: Line) {
        match pattern {
            Pattern::Target(target) => self.targets.entry(target).or_default().push(line),
            Pattern::Set(_) | Pattern::Glob(_) => {
                let lines = self.patterns.entry(pattern.prefix()).or_default();
                lines.push((pattern, line));
            }
        }
    }

    /// Returns all errors of the file's lines, in order of the lines.
    #[must_use]
    pub fn problems(&self) -> Vec<TrustError> {
        let lines = self.targets.values().flatten();
        let patterns = self.patterns.values().flatten();
        let lines = lines.chain(patterns.map(|(_, line)| line));
        let named = lines.filter_map(|line| {
            let error = line.key.as_ref().err()?;
            Some((line.source.clone(), error.clone()))
        });
        let mut problems: Vec<_> = self.strays.iter().cloned().chain(named).collect();
        problems.sort_by_key(|(source, _)| number(source));
        problems
            .into_iter()
            .map(|(source, error)| TrustError::Line(source, error))
            .collect()
    }

    /// Returns the lines that can be understood, in their order.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let entries = self.all_lines().filter_map(|(pattern, line)| {
            Some(Entry {
                pattern,
                key: *line.key.as_ref().ok()?,
                source: line.source.clone(),
            })
        });
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_by_key(|entry| number(&entry.source));
        entries
    }

    fn all_lines(&self) -> impl Iterator<Item = (Pattern, &Line)> {
        let targets = self.targets.iter().flat_map(|(target, lines)| {
            let pattern = Pattern::Target(target.clone());
            lines.iter().map(move |line| (pattern.clone(), line))
        });
        let patterns = self.patterns.values().flatten();
        targets.chain(patterns.map(|(pattern, line)| (pattern.clone(), line)))
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
        if let Some(pin) = self.pinned(target)? {
            return Ok(pin);
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

    /// Returns the key that the lines have for a target.
    fn pinned(&self, target: &Target) -> Result<Option<Pin>, TrustError> {
        let name = target.to_string();
        match self.targets.get(target) {
            Some(lines) => agreed(lines, &name),
            None => agreed(self.matching(&name), &name),
        }
    }

    /// Returns the lines of sets and patterns that match the normal form of a target.
    fn matching<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Line> {
        let ends = (0..=name.len()).filter(|_| !self.patterns.is_empty());
        let prefixes = ends.filter_map(|end| name.get(..end));
        let lines = prefixes.filter_map(|prefix| self.patterns.get(prefix));
        let lines = lines.flatten();
        lines.filter_map(|(pattern, line)| pattern.matches(name).then_some(line))
    }
}

/// Returns the key on which all these lines about a name agree.
fn agreed<'a>(
    lines: impl IntoIterator<Item = &'a Line>,
    name: &str,
) -> Result<Option<Pin>, TrustError> {
    let mut found: Option<Pin> = None;
    for line in lines {
        let source = line.source.clone();
        let key = match &line.key {
            Ok(key) => *key,
            Err(error) => return Err(TrustError::Line(source, error.clone())),
        };
        match &found {
            Some(first) if first.key != key => {
                let mut sources = [first.source.clone(), source];
                sources.sort_by_key(number);
                return Err(TrustError::Contradiction {
                    sources: Box::new(sources),
                    name: name.to_owned(),
                });
            }
            Some(_) => {}
            None => found = Some(Pin { key, source }),
        }
    }
    Ok(found)
}

/// Number of the line of a source.
const fn number(source: &Source) -> usize {
    match source {
        Source::Line(_, number) => *number,
        Source::SameUser(_) => 0,
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

#[cfg(test)]
mod tests;
