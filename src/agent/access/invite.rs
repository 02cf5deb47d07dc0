//! Open invitations: the file `invites`, and what happens when one is used.
//!
//! A line is `HASH EXPIRES [option…]`: the hash of the token, never the token; the end in seconds since
//! 1970; the options that the invited key is entered with. Programs write this file, people need not.
//! Invariant: an invitation works once, also between processes: it is struck off before the key is
//! entered, both under one lock. If the program dies in between, it is used and nobody was admitted.

use std::fmt;
use std::path::Path;

use super::authorized_keys::{self, name_like, quote_option, to_line};
use super::{LineError, Member, Options, Origin, SAME_USER};
use crate::agent::limits::INVITES;
use crate::crypto::{InviteHash, InviteToken, PublicKey};
use crate::home::{self, AgentHome, FileError, Readers};
use crate::rng::Rng;

/// How long an invitation is open, in seconds: long enough to walk to the other machine.
pub const LIFETIME: u64 = 600;

/// An open invitation.
#[derive(Clone, Debug)]
pub struct Record {
    hash: InviteHash,
    pub(super) expires: u64,
    pub(super) options: Options,
    /// The options as they were written.
    words: Vec<String>,
}

impl Record {
    /// Whether it can be used now. One that ends too far in the future was made before the clock was
    /// set back: it could otherwise be open again, or for years.
    pub(super) const fn is_open(&self, now_unix: u64) -> bool {
        now_unix < self.expires && self.expires - now_unix <= LIFETIME
    }

    /// Whether this is its token.
    pub(super) fn matches(&self, token: &InviteToken) -> bool {
        self.hash.matches(token)
    }
}

/// Why no invitation could be made.
#[derive(Debug)]
pub enum CreateError {
    /// An option is wrong.
    Option(LineError),
    /// [`INVITES`] are open.
    TooMany,
    /// The file could not be changed.
    File(FileError),
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(error) => error.fmt(f),
            Self::TooMany => write!(
                f,
                "{INVITES} invitations are open; wait until some were used or ten minutes are over"
            ),
            Self::File(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CreateError {}

/// Why an invitation could not be used.
#[derive(Debug)]
pub enum RedeemError {
    /// No open invitation has this token: never made, used, or out of time.
    NoSuchInvite,
    /// The line of this key was refused; it must be put right or removed.
    Refused,
    /// The files could not be changed.
    File(FileError),
}

impl fmt::Display for RedeemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchInvite => f.write_str(
                "the invitation was used, or is older than ten minutes; run \"udpagent invite\" again",
            ),
            Self::Refused => f.write_str(
                "authorized_keys has a line for this key that is wrong; \"udpagent check\" says which",
            ),
            Self::File(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RedeemError {}

/// Opens an invitation: writes its record and returns the token. `options` are words as in
/// `authorized_keys`, such as `allow=uname -a`, which the invited key will be entered with.
///
/// # Errors
/// When an option is wrong, or the file cannot be written.
pub fn create(
    home: &AgentHome,
    options: &[String],
    rng: &mut Rng,
    now_unix: u64,
) -> Result<InviteToken, CreateError> {
    let parsed = Options::parse(options).map_err(CreateError::Option)?;
    let token = InviteToken::generate(rng);
    let _lock = home::lock(&home.authorized_keys()).map_err(CreateError::File)?;
    let mut open = open_records(home, now_unix).map_err(CreateError::File)?;
    if open.len() >= INVITES {
        return Err(CreateError::TooMany);
    }
    open.push(Record {
        hash: token.hash(),
        expires: now_unix.saturating_add(LIFETIME),
        options: parsed,
        words: options.to_vec(),
    });
    write(&home.invites(), &open).map_err(CreateError::File)?;
    Ok(token)
}

/// Uses an invitation up and enters the key into `authorized_keys`, under a name made from what the
/// peer wished for. A key that is listed already is left as it is, and the invitation open. The caller
/// reloads [`Access`](super::Access) afterwards, before it answers.
///
/// # Errors
/// [`RedeemError`]
pub fn redeem(
    home: &AgentHome,
    key: &PublicKey,
    wished_name: &str,
    token: &InviteToken,
    now_unix: u64,
) -> Result<Member, RedeemError> {
    let path = home.authorized_keys();
    let _lock = home::lock(&path).map_err(RedeemError::File)?;
    let mut text = home::read(&path, Readers::All)
        .map_err(RedeemError::File)?
        .unwrap_or_default();
    let mut members = Vec::new();
    for line in authorized_keys::parse(&text, &path) {
        match line {
            Ok(member) if member.key == *key => return Ok(member),
            Err(refused) if refused.key == Some(*key) => return Err(RedeemError::Refused),
            Ok(member) => members.push(member),
            Err(_) => {}
        }
    }

    let mut open = open_records(home, now_unix).map_err(RedeemError::File)?;
    let used = open
        .iter()
        .position(|record| record.matches(token))
        .ok_or(RedeemError::NoSuchInvite)?;
    let record = open.remove(used);
    write(&home.invites(), &open).map_err(RedeemError::File)?;

    let taken = |name: &str| name == SAME_USER || members.iter().any(|other| other.name == name);
    let name = name_like(wished_name, taken);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&to_line(key, &name, &record.words));
    text.push('\n');
    home::replace(&path, text.as_bytes(), Readers::All).map_err(RedeemError::File)?;
    Ok(Member {
        key: *key,
        name,
        options: record.options,
        origin: Origin::Line(path, text.lines().count()),
    })
}

/// Reads the text of the file: records, and the lines that are none.
pub(super) fn parse(text: &str) -> (Vec<Record>, Vec<(usize, LineError)>) {
    let mut records = Vec::new();
    let mut wrong = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match parse_line(line) {
            Ok(record) => records.push(record),
            Err(error) => wrong.push((index + 1, error)),
        }
    }
    (records, wrong)
}

fn parse_line(line: &str) -> Result<Record, LineError> {
    let words = shlex::split(line).ok_or(LineError::Quotes)?;
    let [hash, expires, options @ ..] = &words[..] else {
        return Err(LineError::Record);
    };
    Ok(Record {
        hash: hash.parse().map_err(|_| LineError::Record)?,
        expires: expires.parse().map_err(|_| LineError::Record)?,
        options: Options::parse(options)?,
        words: options.to_vec(),
    })
}

/// Those that can still be used; others disappear when the file is next written.
fn open_records(home: &AgentHome, now_unix: u64) -> Result<Vec<Record>, FileError> {
    let text = home::read(&home.invites(), Readers::Owner)?.unwrap_or_default();
    let (mut records, _) = parse(&text);
    records.retain(|record| record.is_open(now_unix));
    Ok(records)
}

fn write(path: &Path, records: &[Record]) -> Result<(), FileError> {
    let mut text = String::new();
    for record in records {
        let mut words = vec![record.hash.to_string(), record.expires.to_string()];
        words.extend(record.words.iter().map(|word| quote_option(word)));
        text.push_str(&words.join(" "));
        text.push('\n');
    }
    home::replace(path, text.as_bytes(), Readers::Owner)
}

#[cfg(test)]
mod tests;
