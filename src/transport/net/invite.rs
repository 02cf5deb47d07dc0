//! An invitation in text form: the address of the agent, its public key, and a token that is
//! accepted once.
//!
//! `HOST:PORT#KEY#TOKEN`, printed by `udpagent invite` inside a command to paste. It is in this
//! layer because an agent prints it and a controller parses it. Not a file format.

use std::fmt;
use std::str::FromStr;

use super::address::{ParseAddressError, Target};
use crate::crypto::{InviteToken, ParseKeyError, PublicKey};

/// An invitation.
#[derive(Clone, Debug)]
pub struct Invite {
    /// Address of the agent.
    pub target: Target,
    /// Public key of the agent.
    pub agent: PublicKey,
    /// Token that admits the key of the bearer.
    pub token: InviteToken,
}

/// Reason why a text is not an invitation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ParseInviteTextError {
    /// No word of the text has the form `HOST:PORT#KEY#TOKEN`.
    Missing,
    /// There are several invitations.
    Several,
    /// The part before the first `#` is wrong.
    Target(ParseAddressError),
    /// The part between the two `#` is wrong.
    Key(ParseKeyError),
    /// The part after the second `#` is wrong.
    Token,
}

impl fmt::Display for ParseInviteTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "no invitation found; copy the whole line that \"udpagent invite\" printed",
            ),
            Self::Several => f.write_str("several invitations found; accept one at a time"),
            Self::Target(error) => write!(f, "the address in the invitation is wrong: {error}"),
            Self::Key(_) => f.write_str(
                "the key in the invitation is wrong; copy the whole line that \"udpagent invite\" printed",
            ),
            Self::Token => f.write_str(
                "the token in the invitation is wrong; copy the whole line that \"udpagent invite\" printed",
            ),
        }
    }
}

impl std::error::Error for ParseInviteTextError {}

impl Invite {
    /// Returns the command to paste at the controller: `udpctl accept 'HOST:PORT#KEY#TOKEN'`.
    #[must_use]
    pub fn command(&self) -> String {
        format!("udpctl accept '{self}'")
    }
}

/// The plain text `HOST:PORT#KEY#TOKEN`.
impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}#{}", self.target, self.agent, self.token.to_text())
    }
}

/// Parses the plain text, the whole command with or without its quotes, or several lines (such as
/// the output of `ssh`) of which exactly one has an invitation.
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
    fn an_invitation_parses_however_it_was_pasted() {
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
    fn the_error_of_an_invitation_names_the_wrong_part() {
        let text = example().to_string();
        let [target, key, token] = *text.split('#').collect::<Vec<_>>() else {
            panic!("{text}");
        };
        for (pasted, message) in [
            ("udpctl accept".to_owned(), "no invitation found"),
            (format!("{target}#{key}"), "no invitation found"),
            (format!("{text} {text}"), "several invitations found"),
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
                "the token in the invitation",
            ),
            (format!("{text}#x"), "the token in the invitation"),
        ] {
            let error = pasted.parse::<Invite>().unwrap_err().to_string();
            assert!(error.starts_with(message), "{pasted}: {error}");
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
