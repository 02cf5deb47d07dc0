//! Changes of the file `known_agents`: adding, importing and removing keys.
//!
//! Each change is atomic and made under a lock; comments and other lines stay. Invariant: if a change is refused, nothing
//! is written.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::error::{Changed, TrustError};
use super::pattern::Pattern;
use super::source::Source;
use super::{KnownAgents, Line, Pin, agreed};
use crate::crypto::PublicKey;
use crate::home::{self, FileError, Lock, Readers};
use crate::net::Target;

/// Action on another key for a name that has one.
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
    /// The name had no key.
    New,
    /// The name had this key.
    Already,
    /// The name had another key.
    Replaced,
}

/// Line of the file, or one to add.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name of the line.
    pub pattern: Pattern,
    /// Key of its agents.
    pub key: PublicKey,
    /// Source of the line, for messages.
    pub source: Source,
}

/// Numbers of names in an import.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Imported {
    /// Names that had no key.
    pub new: usize,
    /// Names that had the same key.
    pub already: usize,
    /// Names that had another key.
    pub replaced: usize,
}

/// Names to remove: a line with this very set or pattern, and the lines of targets.
#[derive(Clone, Debug)]
pub struct Removal {
    /// Set or pattern of a line.
    pub pattern: Option<Pattern>,
    /// Targets.
    pub targets: Vec<Target>,
}

/// Result of removing names.
#[derive(Default, Debug)]
pub struct Removed {
    /// Number of lines that are gone.
    pub lines: usize,
    /// Normal forms of patterns and targets that no line named.
    pub missing: Vec<String>,
    /// Normal forms of targets that a set or pattern still names, with its line.
    pub still_named: Vec<(String, Source)>,
}

/// Adds a key for a target.
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
    let entry = Entry {
        pattern: Pattern::Target(target.clone()),
        key: *key,
        source: Source::Line(Arc::from(Path::new("the command line")), 1),
    };
    let imported = import(path, vec![entry], on_change)?;
    Ok(match imported {
        Imported { new: 1, .. } => Added::New,
        Imported { replaced: 1, .. } => Added::Replaced,
        Imported { .. } => Added::Already,
    })
}

/// Adds all entries, or none.
///
/// # Errors
/// Those of [`add`], for any of the entries, two entries that give one name different keys, and a set or pattern that has
/// a host in common with another one that has a different key, unless a line names this host alone.
pub fn import(
    path: &Path,
    entries: Vec<Entry>,
    on_change: OnChange,
) -> Result<Imported, TrustError> {
    let mut file = File::open(path)?;
    let mut imported = Imported::default();
    let (mut given, mut changed, mut added) = (HashMap::new(), Vec::new(), Vec::new());
    for Entry {
        pattern,
        key,
        source,
    } in entries
    {
        let name = pattern.to_string();
        match given.get(&name) {
            Some((other, _)) if *other == key => {
                imported.already += 1;
                continue;
            }
            Some((_, first)) => {
                let sources = Box::new([Source::clone(first), source]);
                return Err(TrustError::Contradiction { sources, name });
            }
            None => _ = given.insert(name.clone(), (key, source.clone())),
        }
        let own = file.known.same(&pattern);
        let before = match on_change {
            // Lines with errors are replaced, too.
            OnChange::Replace => file.known.key_of(&pattern, &own).ok().flatten(),
            OnChange::Refuse => file.known.key_of(&pattern, &own)?,
        };
        match before {
            Some(pin) if pin.key == key => {
                imported.already += 1;
                continue;
            }
            Some(Pin {
                key: pinned,
                source,
            }) if on_change == OnChange::Refuse => {
                changed.push(Changed {
                    source,
                    name,
                    pinned,
                    given: key,
                });
                continue;
            }
            Some(_) => imported.replaced += 1,
            None if !own.is_empty() => imported.replaced += 1,
            None => imported.new += 1,
        }
        file.known.remove(&pattern);
        file.drop_lines(&own);
        writeln!(file.added, "{pattern} {key}").expect("writing to a string does not fail");
        added.push(Entry {
            pattern: pattern.clone(),
            key,
            source: source.clone(),
        });
        file.known.insert(
            pattern,
            Line {
                source,
                key: Ok(key),
            },
        );
    }
    if !changed.is_empty() {
        return Err(TrustError::Changed(changed));
    }
    file.known.check_overlaps(&added)?;
    file.write(path)?;
    Ok(imported)
}

/// Removes the lines of names. Those that exist are removed also if others do not.
///
/// # Errors
/// When the file cannot be changed.
pub fn remove(path: &Path, removals: &[Removal]) -> Result<Removed, TrustError> {
    let mut file = File::open(path)?;
    let mut removed = Removed::default();
    for Removal { pattern, targets } in removals {
        let lines = pattern.as_ref().map(|pattern| file.known.remove(pattern));
        let lines = lines.unwrap_or_default();
        file.drop_lines(&lines);
        if let Some(pattern) = pattern
            .as_ref()
            .filter(|_| lines.is_empty() && targets.is_empty())
        {
            removed.missing.push(pattern.to_string());
        }
        for target in targets {
            let own = file.known.targets.remove(target).unwrap_or_default();
            file.drop_lines(&own);
            let name = target.to_string();
            let other = file.known.matching(&name).next();
            if let Some(source) = other.map(|line| line.source.clone()) {
                removed.still_named.push((name, source));
            } else if own.is_empty() && lines.is_empty() {
                removed.missing.push(name);
            }
        }
    }
    removed.lines = file.dropped.len();
    file.write(path)?;
    Ok(removed)
}

/// The file under its lock, and a change of it.
struct File {
    _lock: Lock,
    text: String,
    known: KnownAgents,
    /// Numbers of lines to leave out.
    dropped: HashSet<usize>,
    /// Lines to append.
    added: String,
}

impl File {
    fn open(path: &Path) -> Result<Self, TrustError> {
        let lock = home::lock(path).map_err(TrustError::File)?;
        let text = home::read(path, Readers::All).map_err(TrustError::File)?;
        let text = text.unwrap_or_default();
        Ok(Self {
            _lock: lock,
            known: KnownAgents::parse(&text, path),
            text,
            dropped: HashSet::new(),
            added: String::new(),
        })
    }

    fn drop_lines<'a>(&mut self, lines: impl IntoIterator<Item = &'a Line>) {
        for line in lines {
            if let Source::Line(_, number) = line.source {
                self.dropped.insert(number);
            }
        }
    }

    /// Replaces the file, unless nothing has changed.
    fn write(self, path: &Path) -> Result<(), TrustError> {
        if self.dropped.is_empty() && self.added.is_empty() {
            return Ok(());
        }
        let mut out = String::with_capacity(self.text.len() + self.added.len());
        for (index, line) in self.text.lines().enumerate() {
            if !self.dropped.contains(&(index + 1)) {
                out.push_str(line);
                out.push('\n');
            }
        }
        out.push_str(&self.added);
        if out.len() as u64 > home::MAX_FILE {
            return Err(TrustError::File(FileError::TooLarge(path.to_owned())));
        }
        home::replace(path, out.as_bytes(), Readers::All).map_err(TrustError::File)
    }
}

impl KnownAgents {
    /// Returns the lines with this name.
    fn same(&self, pattern: &Pattern) -> Vec<Line> {
        if let Pattern::Target(target) = pattern {
            return self
                .targets
                .get(target)
                .cloned()
                .unwrap_or_default()
                .into_vec();
        }
        let lines = self.patterns.get(&pattern.prefix()).into_iter().flatten();
        let same = lines.filter(|(other, _)| other == pattern);
        same.map(|(_, line)| line.clone()).collect()
    }

    /// Forgets the lines with this name and returns them.
    fn remove(&mut self, pattern: &Pattern) -> Vec<Line> {
        if let Pattern::Target(target) = pattern {
            return self.targets.remove(target).unwrap_or_default().into_vec();
        }
        let same = self.same(pattern);
        if let Some(lines) = self.patterns.get_mut(&pattern.prefix()) {
            lines.retain(|(other, _)| other != pattern);
        }
        same
    }

    /// Returns the key of a name, of which `own` are the lines. Without any, sets and patterns decide about a target.
    fn key_of(&self, pattern: &Pattern, own: &[Line]) -> Result<Option<Pin>, TrustError> {
        let name = pattern.to_string();
        match pattern {
            Pattern::Target(_) if own.is_empty() => agreed(self.matching(&name), &name),
            Pattern::Target(_) | Pattern::Set(_) | Pattern::Glob(_) => agreed(own, &name),
        }
    }
}
