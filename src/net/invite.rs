//! An invitation as text: where the agent is, whose key it must show, and the token that admits once.
//!
//! `HOST:PORT#KEY#TOKEN`, printed by `udpagent invite` inside a command to paste. Here because an agent
//! prints it and a controller reads it. Not a file format.

use std::fmt;
use std::str::FromStr;

use super::{ParseAddressError, Target};
use crate::crypto::{InviteToken, ParseKeyError, PublicKey};

/// An invitation.
#[derive(Clone, Debug)]
pub struct Invite {
    /// Where the agent is.
    pub target: Target,
    /// Its key.
    pub agent: PublicKey,
    /// What admits the bearer's key.
    pub token: InviteToken,
}

/// Text that is no invitation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ParseInviteTextError {
    /// Nothing in it looks like `HOST:PORT#KEY#TOKEN`.
    Missing,
    /// There are several.
    Several,
    /// The part before the first `#`.
    Target(ParseAddressError),
    /// The part between them.
    Key(ParseKeyError),
    /// The part after the second.
    Token,
}

impl fmt::Display for ParseInviteTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "no invitation in it; copy the whole line that \"udpagent invite\" printed",
            ),
            Self::Several => f.write_str("several invitations in it; accept one at a time"),
            Self::Target(error) => write!(f, "the address in the invitation is wrong: {error}"),
            Self::Key(_) => f.write_str(
                "the key in the invitation is wrong; copy the whole line that \"udpagent invite\" printed",
            ),
            Self::Token => f.write_str(
                "the end of the invitation is wrong; copy the whole line that \"udpagent invite\" printed",
            ),
        }
    }
}

impl std::error::Error for ParseInviteTextError {}

impl Invite {
    /// The command to paste at the controller: `udpctl accept 'HOST:PORT#KEY#TOKEN'`.
    #[must_use]
    pub fn command(&self) -> String {
        format!("udpctl accept '{self}'")
    }
}

/// The bare text `HOST:PORT#KEY#TOKEN`.
impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}#{}", self.target, self.agent, self.token.to_text())
    }
}

/// Takes the bare text, the whole command with or without its quotes, and several lines (what `ssh`
/// brought) of which exactly one holds an invitation.
impl FromStr for Invite {
    type Err = ParseInviteTextError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = text
            .split_whitespace()
            .map(|word| word.trim_matches(['\'', '"']));
        let mut found = None;
        let mut wrong = None;
        for word in words {
            let Some((target, (key, token))) = word
                .split_once('#')
                .and_then(|(target, rest)| Some((target, rest.split_once('#')?)))
            else {
                continue;
            };
            match parse(target, key, token) {
                Ok(_) if found.is_some() => return Err(ParseInviteTextError::Several),
                Ok(invite) => found = Some(invite),
                Err(error) => wrong = wrong.or(Some(error)),
            }
        }
        found.ok_or(wrong.unwrap_or(ParseInviteTextError::Missing))
    }
}

fn parse(target: &str, key: &str, token: &str) -> Result<Invite, ParseInviteTextError> {
    Ok(Invite {
        target: target.parse().map_err(ParseInviteTextError::Target)?,
        agent: key.parse().map_err(ParseInviteTextError::Key)?,
        token: token.parse().map_err(|_| ParseInviteTextError::Token)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretKey;
    use crate::rng::Rng;
    use proptest::prelude::*;

    fn example() -> Invite {
        let mut rng = Rng::from_seed([1; 32]);
        Invite {
            target: "Web3:7001".parse().unwrap(),
            agent: SecretKey::generate(&mut rng).public(),
            token: InviteToken::generate(&mut rng),
        }
    }

    #[test]
    fn an_invitation_survives_being_pasted_in_every_way() {
        let invite = example();
        let (text, command) = (invite.to_string(), invite.command());
        for pasted in [
            text.clone(),
            command.clone(),
            format!("udpctl accept {text}\n"),
            format!("udpctl accept \"{text}\""),
            format!("Welcome to web3!\r\n### no #1 ###\r\n{command}\r\nbye\r\n"),
        ] {
            let read: Invite = pasted.parse().unwrap_or_else(|e| panic!("{pasted}: {e}"));
            assert_eq!(read.to_string(), text);
            assert_eq!(read.target.to_string(), "web3:7001");
        }
    }

    #[test]
    fn what_is_wrong_with_an_invitation_is_said() {
        let text = example().to_string();
        let [target, key, token] = *text.split('#').collect::<Vec<_>>() else {
            panic!("{text}");
        };
        for (pasted, why) in [
            ("udpctl accept".to_owned(), "no invitation in it"),
            (format!("{target}#{key}"), "no invitation in it"),
            (format!("{text} {text}"), "several invitations"),
            (
                format!("a,b#{key}#{token}"),
                "the address in the invitation is wrong: \",\"",
            ),
            (
                format!("{target}#{}#{token}", &key[..9]),
                "the key in the invitation",
            ),
            (
                format!("{target}#{key}#{}", &token[1..]),
                "the end of the invitation",
            ),
            (format!("{text}#x"), "the end of the invitation"),
        ] {
            let error = pasted.parse::<Invite>().unwrap_err().to_string();
            assert!(error.starts_with(why), "{pasted}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}", parts in proptest::collection::vec("[a:#'1 \n-]{0,9}", 0..9)) {
            let _ = text.parse::<Invite>();
            let _ = parts.concat().parse::<Invite>();
        }
    }
}
