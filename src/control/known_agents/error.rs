//! Errors of lines of `known_agents`, of looking up a key and of changing the file.

use std::fmt;
use std::path::PathBuf;

use super::source::Source;
use crate::control::limits;
use crate::control::name_set::SyntaxError;
use crate::crypto::{ParseKeyError, PublicKey};
use crate::home::FileError;
use crate::net::{ParseAddressError, Target};

/// Error in a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LineError {
    /// The first word is not a target.
    Target(ParseAddressError),
    /// The first word is not a set of targets.
    Set(SyntaxError),
    /// The first word is a set of IPv6 addresses, which have many forms.
    Ipv6Set,
    /// The first word is a set of names that are not in their normal form.
    NotNormal,
    /// The first word is not a pattern.
    Glob,
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
            Self::Set(error) => write!(f, "the set of hosts: {error}"),
            Self::Ipv6Set => {
                f.write_str("IPv6 addresses form no sets here; write a pattern such as [2001:db8::*]:7000")
            }
            Self::NotNormal => {
                f.write_str("the set would match no host, as its names have another normal form")
            }
            Self::Glob => f.write_str(
                "not a pattern; write * and ? in the name, the address or the port, as in *.example.com:7000",
            ),
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
    /// A line cannot be understood.
    Line(Source, LineError),
    /// The public key file of the own user's agent holds no key.
    OwnAgent(PathBuf, ParseKeyError),
    /// No key is known for a target.
    Unknown(Target),
    /// No key is known for a target on this host, and the own user has no agent here.
    NoOwnAgent(Target),
    /// Two lines give a target, or the name of a line, different keys.
    Contradiction {
        /// Sources of both keys.
        sources: Box<[Source; 2]>,
        /// Normal form of the target or name.
        name: String,
    },
    /// Names that have a key were given others.
    Changed(Vec<Changed>),
}

/// Name that was given another key than the listed one.
#[derive(Debug)]
pub struct Changed {
    /// Source of the listed key.
    pub source: Source,
    /// Normal form of the name.
    pub name: String,
    /// The listed key.
    pub pinned: PublicKey,
    /// The other key.
    pub given: PublicKey,
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Line(source, error) => write!(f, "{source}: {error}"),
            Self::OwnAgent(path, error) => write!(
                f,
                "{}:1: {error}; remove the file and start \"udpagent\" again",
                path.display()
            ),
            Self::Unknown(target) => match target.with_last_group_as_port() {
                Some(meant) => write!(
                    f,
                    "{}: this is an IPv6 address without a port, and no key is known for it; did you mean {meant}?",
                    target.label()
                ),
                None => write!(
                    f,
                    "{}: no key known for this agent; run \"udpagent invite\" there and paste its line here",
                    target.label()
                ),
            },
            Self::NoOwnAgent(target) => write!(
                f,
                "{}: no key known for this agent; start \"udpagent\" as this user, or run \"udpagent invite\" as the agent's user and the command that it prints here",
                target.label()
            ),
            Self::Contradiction { sources, name } => {
                let [first, second] = &**sources;
                match (first, second) {
                    (Source::Line(file, line), Source::Line(other, _)) if file == other => {
                        write!(f, "{second}: {name} has another key in line {line}")?;
                    }
                    _ => write!(f, "{second}: {name} has another key in {first}")?,
                }
                f.write_str("; remove the line that is wrong")
            }
            Self::Changed(changed) => match &changed[..] {
                [one] => one.fmt(f),
                several => write_changed(several, f),
            },
        }
    }
}

fn write_changed(changed: &[Changed], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let shown = changed.iter().take(limits::CHANGED_SHOWN);
    let shown = shown.map(|one| format!("{} ({})", one.name, one.source));
    let shown: Vec<String> = shown.collect();
    write!(f, "{} agents have other keys: ", changed.len())?;
    f.write_str(&shown.join(", "))?;
    if changed.len() > shown.len() {
        write!(f, " and {} more", changed.len() - shown.len())?;
    }
    f.write_str(
        "; if they were given new keys on purpose, repeat the command with --replace; nothing was changed",
    )
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} has the key {}, not {}; if its agent was given a new key on purpose, repeat the command with --replace; if not, something else may be in its place",
            self.source, self.name, self.pinned, self.given
        )
    }
}

impl std::error::Error for TrustError {}
