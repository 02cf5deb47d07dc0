//! Name of a room of the chat.
//!
//! Not the room itself, which is the agent's. Invariant: a name has 1 to [`ROOM_NAME`] characters, which are those of names
//! of keys: ASCII letters, digits and `-_.@+`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::limits::ROOM_NAME;

/// Name of a room other than the default room.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomName(String);

/// Error: a text is no name of a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidRoomName;

impl RoomName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RoomName {
    type Error = InvalidRoomName;

    fn try_from(name: String) -> Result<Self, InvalidRoomName> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@+".contains(c);
        let is_name = (1..=ROOM_NAME).contains(&name.len()) && name.chars().all(is_allowed);
        is_name.then_some(Self(name)).ok_or(InvalidRoomName)
    }
}

impl FromStr for RoomName {
    type Err = InvalidRoomName;

    fn from_str(name: &str) -> Result<Self, InvalidRoomName> {
        Self::try_from(name.to_owned())
    }
}

impl From<RoomName> for String {
    fn from(RoomName(name): RoomName) -> Self {
        name
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InvalidRoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a name of a room; write at most {ROOM_NAME} ASCII letters, digits and -_.@+"
        )
    }
}

impl std::error::Error for InvalidRoomName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rooms_are_ascii_and_bounded() {
        for name in ["build", "R2-d2_x.y@z+1", &"x".repeat(ROOM_NAME)] {
            assert_eq!(
                name.parse()
                    .map(|name: RoomName| name.to_string())
                    .as_deref(),
                Ok(name)
            );
        }
        for name in [
            "",
            "a b",
            "#build",
            "b\u{fc}ro",
            "a\n",
            "\u{1b}[2J",
            &"x".repeat(ROOM_NAME + 1),
        ] {
            assert_eq!(name.parse::<RoomName>(), Err(InvalidRoomName), "{name:?}");
            let json = serde_json::to_string(name).unwrap();
            assert!(serde_json::from_str::<RoomName>(&json).is_err(), "{name:?}");
        }
    }
}
