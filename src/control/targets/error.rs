//! Reasons why the targets of a command are not known.

use std::fmt;
use std::sync::Arc;

use super::group_name::GroupName;
use super::syntax::ParseExpressionError;
use crate::control::limits;
use crate::escape;
use crate::home::FileError;

/// Reason why the targets of a command are not known.
#[derive(Debug)]
pub enum TargetsError {
    /// No group has this name.
    NoGroup(GroupName),
    /// Groups that name each other, the first once more at the end.
    Cycle(Vec<String>),
    /// A file of groups, hosts or sets cannot be used.
    Inventory { path: String, words: String },
    /// The inventories that `hosts.toml` names cannot be used, for this reason.
    Inventories(Arc<TargetsError>),
    /// A name of a set is no target.
    Set(ParseExpressionError),
    /// A line of a list of targets is no set.
    Line {
        path: String,
        number: usize,
        error: ParseExpressionError,
    },
    /// A file cannot be read.
    File(FileError),
    /// Groups are nested deeper than [`limits::GROUP_DEPTH`].
    TooDeep,
    /// There are more than [`limits::TARGETS`].
    TooMany,
    /// The set is empty.
    Nothing,
}

impl fmt::Display for TargetsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |text: &str| escape::line(text.as_bytes(), limits::NAME_SHOWN).into_owned();
        match self {
            Self::NoGroup(name) => {
                let name = line(&name.to_string());
                write!(f, "{name}: the inventory has no such group")
            }
            Self::Cycle(names) => {
                let names: Vec<String> =
                    names.iter().map(|name| line(&format!("@{name}"))).collect();
                write!(f, "groups that contain themselves: {}", names.join(" in "))
            }
            Self::Inventory { path, words } => write!(f, "{}: {}", line(path), line(words)),
            Self::Inventories(error) => error.fmt(f),
            Self::Set(error) => error.fmt(f),
            Self::Line {
                path,
                number,
                error,
            } => write!(f, "{}: line {number}: {error}", line(path)),
            Self::File(error) => error.fmt(f),
            Self::TooDeep => write!(
                f,
                "more than {} groups within each other",
                limits::GROUP_DEPTH
            ),
            Self::TooMany => write!(f, "more than {} targets", limits::TARGETS),
            Self::Nothing => f.write_str("the set of targets is empty"),
        }
    }
}

impl std::error::Error for TargetsError {}

impl From<ParseExpressionError> for TargetsError {
    fn from(error: ParseExpressionError) -> Self {
        Self::Set(error)
    }
}
