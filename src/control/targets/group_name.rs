//! Names of groups.

use std::fmt;

/// Name of a group.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum GroupName {
    /// `@*`: every host.
    All,
    /// `@name`.
    Named(String),
    /// `@source:name`.
    Of(String, String),
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("@*"),
            Self::Named(name) => write!(f, "@{name}"),
            Self::Of(source, name) => write!(f, "@{source}:{name}"),
        }
    }
}

/// True if a word can be the name of a group or of a source of groups.
pub fn is_group_name(word: &str) -> bool {
    !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_alphanumeric() || "-_.".contains(c))
}
