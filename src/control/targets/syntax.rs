//! Mistakes in a set of targets.

use std::fmt;

use crate::control::limits;
use crate::control::name_set::SyntaxError;
use crate::escape;
use crate::net::ParseAddressError;

/// Reason why a text is no set of targets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ParseExpressionError {
    /// A mistake in the notation.
    Syntax(SyntaxError),
    /// A name that is no target.
    Name(String, ParseAddressError),
}

impl fmt::Display for ParseExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => error.fmt(f),
            Self::Name(name, error) => {
                // Most of these errors name what they are about.
                if matches!(
                    error,
                    ParseAddressError::PortZero | ParseAddressError::Bracket
                ) {
                    let name = escape::line(name.as_bytes(), limits::NAME_SHOWN);
                    write!(f, "{name}: ")?;
                }
                error.fmt(f)
            }
        }
    }
}

impl std::error::Error for ParseExpressionError {}

impl From<SyntaxError> for ParseExpressionError {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}
