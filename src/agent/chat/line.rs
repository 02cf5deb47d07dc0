//! The lines of the chat on the agent's standard output, as text or JSON.
//!
//! Not the queue of those that are not shown yet. Invariant: the text of a line is one line and has no control characters,
//! whatever was written.

use std::fmt;

use crate::message::marks::{ACTION as ACTION_MARK, PRIVATE as PRIVATE_MARK};
use crate::message::{Reply, RoomName};
use crate::net::PlainText;
use crate::peer_addr::PeerAddr;
use crate::{escape, message};

/// An event in the chat.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// A member sent a message.
    Said {
        /// Name of the member.
        from: String,
        /// The message, not escaped.
        text: String,
        /// Room; `None` is the default room.
        room: Option<RoomName>,
        /// True if a bot has sent it.
        bot: bool,
        /// True if it describes an action of the member.
        action: bool,
    },
    /// A member sent a private message to the agent's user.
    Whispered {
        /// Name of the member.
        from: String,
        /// The message, not escaped.
        text: String,
        /// Room of the member; `None` is the default room.
        room: Option<RoomName>,
    },
    /// Plain text arrived from an unverified source.
    Plain {
        /// Source address.
        remote: PeerAddr,
        /// The text, cut to [`PLAIN`](crate::net::limits::PLAIN).
        text: bytes::Bytes,
        /// Length of the datagram in bytes.
        length: usize,
    },
    /// A member joined.
    Came {
        /// Name of the member.
        name: String,
        /// Room; `None` is the default room.
        room: Option<RoomName>,
    },
    /// A member left.
    Left {
        /// Name of the member.
        name: String,
        /// Room; `None` is the default room.
        room: Option<RoomName>,
    },
    /// Plain text was suppressed by the rate limit.
    Suppressed {
        /// Number of datagrams.
        datagrams: u64,
    },
    /// Lines are missing here because they came too fast.
    NotShown {
        /// Number of lines.
        lines: u64,
    },
}

impl Line {
    /// Returns the line as a JSON object, as replies of a chat have it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let reply = match self {
            Self::Said {
                from,
                text,
                room,
                bot,
                action,
            } => Reply::Said {
                position: None,
                from: from.clone(),
                text: text.clone(),
                unverified: false,
                cut: None,
                age_ms: None,
                room: room.clone(),
                bot: *bot,
                action: *action,
            },
            Self::Whispered { from, text, room } => Reply::Whispered {
                from: from.clone(),
                text: text.clone(),
                room: room.clone(),
            },
            Self::Plain {
                remote,
                text,
                length,
            } => {
                let text = PlainText {
                    text,
                    length: *length,
                };
                Reply::Said {
                    position: None,
                    from: remote.to_string(),
                    text: String::from_utf8_lossy(text.trimmed()).into_owned(),
                    unverified: true,
                    cut: text.cut(),
                    age_ms: None,
                    room: None,
                    bot: false,
                    action: false,
                }
            }
            Self::Came { name, room } => Reply::Came {
                name: name.clone(),
                room: room.clone(),
            },
            Self::Left { name, room } => Reply::Left {
                name: name.clone(),
                room: room.clone(),
            },
            Self::NotShown { lines } => Reply::Missed { messages: *lines },
            Self::Suppressed { datagrams } => {
                return format!(r#"{{"v":1,"suppressed":{{"datagrams":{datagrams}}}}}"#);
            }
        };
        escape::json(&String::from_utf8_lossy(
            message::to_line(&reply).trim_ascii_end(),
        ))
        .into_owned()
    }

    /// Returns the line as text. `styled` returns a name as it is shown, from the name and its escaped form.
    pub fn text(&self, styled: impl Fn(&str, &str) -> String) -> String {
        let name = |name: &str| {
            let shown = escape::message(name.as_bytes(), message::limits::MEMBER_NAME);
            styled(name, &shown)
        };
        match self {
            Self::Said {
                from,
                text,
                room,
                bot,
                action,
            } => {
                let text = escape::message(text.as_bytes(), message::limits::CHAT_TEXT);
                let (room, from) = (in_room(room.as_ref()), name(from));
                if *action {
                    return format!("{room}{ACTION_MARK} {from} {text}");
                }
                let mark = if *bot { " (bot)" } else { "" };
                format!("{room}{from}{mark}: {text}")
            }
            Self::Whispered { from, text, room } => {
                let text = escape::message(text.as_bytes(), message::limits::CHAT_TEXT);
                let (room, from) = (in_room(room.as_ref()), name(from));
                format!("{room}{from}{PRIVATE_MARK}: {text}")
            }
            Self::Plain {
                remote,
                text,
                length,
            } => {
                let text = PlainText {
                    text,
                    length: *length,
                };
                format!("{} (unverified): {text}", name(&remote.to_string()))
            }
            Self::Came { name: who, room } => {
                format!("* {}{} came", in_room(room.as_ref()), name(who))
            }
            Self::Left { name: who, room } => {
                format!("* {}{} left", in_room(room.as_ref()), name(who))
            }
            Self::Suppressed { datagrams } => {
                format!("* {datagrams} plain datagrams not shown")
            }
            Self::NotShown { lines } => format!("* {lines} lines not shown"),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(|_, shown| shown.to_owned()))
    }
}

/// Returns the room as it stands before a name: no name of a member has `#` at its beginning.
fn in_room(room: Option<&RoomName>) -> String {
    room.map(|room| format!("#{room} ")).unwrap_or_default()
}
