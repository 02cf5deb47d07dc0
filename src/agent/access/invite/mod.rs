//! Open invitations: the file `invites`, and the use of an invitation.
//!
//! A line is `HASH EXPIRES [option…]`: the hash of the token, never the token itself; the expiry in
//! seconds since 1970; the options of the line that the invited key gets. The file is written by
//! programs only.
//!
//! Invariant: an invitation works once, also between processes. It is removed before the key is
//! entered, both under one lock. If the program ends in between, the invitation is used up and
//! no key was entered.

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::authorized_keys::{self, name_like, quote_option, to_line};
use super::file_content::{Content, FileFault, PolicyFile};
use super::member::SAME_USER;
use super::{LineError, Member, Options, Origin, look_alike};
use crate::agent::limits::INVITES;
use crate::crypto::{InviteHash, InviteToken, PublicKey};
use crate::home::{self, AgentHome, FileError, Readers};
use crate::rng::Rng;

/// Lifetime of an invitation in seconds: enough to walk to the other machine.
pub const LIFETIME: u64 = 600;

/// An open invitation.
#[derive(Clone, Debug)]
pub struct Record {
    hash: InviteHash,
    pub(super) expires: u64,
    pub(super) options: Options,
    /// The options in their original form.
    words: Vec<String>,
}

impl Record {
    /// Returns true if it can be used now. An expiry beyond the lifetime shows that the clock was
    /// set back: the invitation could otherwise become valid again, or stay valid for years.
    pub(super) const fn is_open(&self, now_unix: u64) -> bool {
        now_unix < self.expires && self.expires - now_unix <= LIFETIME
    }

    /// Returns true if `token` is the token of this invitation.
    pub(super) fn matches(&self, token: &InviteToken) -> bool {
        self.hash.matches(token)
    }
}

/// Reason why no invitation could be made.
#[derive(Debug)]
pub enum CreateError {
    /// An option is invalid.
    Option(LineError),
    /// [`INVITES`] invitations are open.
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
                "{INVITES} invitations are open; wait until some are used, or ten minutes"
            ),
            Self::File(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CreateError {}

/// Reason why an invitation could not be used.
#[derive(Debug)]
pub enum RedeemError {
    /// No open invitation has this token: it was never made, was used, or has expired.
    NoSuchInvite,
    /// The line of this key has an error; it must be corrected or removed.
    Refused,
    /// `authorized_keys` cannot be used.
    Unusable(FileFault),
    /// Another program changes the files at present.
    Locked,
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
                "the line of this key in authorized_keys has an error; \"udpagent check\" names it",
            ),
            Self::Unusable(fault) => f.write_str(&fault.words),
            Self::Locked => f.write_str("another program changes the file of the keys"),
            Self::File(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RedeemError {}

/// Makes an invitation: writes its record and returns the token. The `options` are words of
/// `authorized_keys`, such as `allow=uname -a`; the invited key gets them.
///
/// # Errors
/// [`CreateError`] if an option is invalid, too many invitations are open, or the file cannot be
/// written.
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

/// Uses an invitation up and enters the key into `authorized_keys`, under a name derived from the
/// one that the peer asked for, which looks like no other. If the key is already listed, its line does not change and the
/// invitation stays open. The caller reloads [`Policy`](super::Policy) before it answers.
///
/// Does not wait for another program that changes the files.
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
    let lock = home::try_lock(&path).map_err(RedeemError::File)?;
    let _lock = lock.ok_or(RedeemError::Locked)?;
    let file = PolicyFile::read(&path, Readers::All);
    let mut text = match file.content {
        Content::Absent => String::new(),
        Content::Bytes(bytes) => authorized_keys::decode(bytes.as_os_str().as_bytes())
            .map_err(|line| RedeemError::File(FileError::NotText(path.clone(), line)))?
            .to_owned(),
        Content::Unusable(fault) => return Err(RedeemError::Unusable(fault)),
    };
    let mut members = Vec::new();
    for line in authorized_keys::parse(&text, &path) {
        match line {
            Err(refused) if refused.keys.contains(key) => return Err(RedeemError::Refused),
            Ok(member) => members.push(member),
            Err(_) => {}
        }
    }
    if let Some(listed) = members.iter().find(|member| member.key == *key) {
        return Ok(listed.clone());
    }

    let mut open = open_records(home, now_unix).map_err(RedeemError::File)?;
    let used = open
        .iter()
        .position(|record| record.matches(token))
        .ok_or(RedeemError::NoSuchInvite)?;
    let record = open.remove(used);
    write(&home.invites(), &open).map_err(RedeemError::File)?;

    let taken = |name: &str| {
        let mut others = members.iter().map(|other| &other.name[..]);
        look_alike(name, SAME_USER) || others.any(|other| look_alike(name, other))
    };
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

/// Parses the text of `invites` into records and errors, each with its line.
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

/// Returns the records that can still be used. The others disappear when the file is next written.
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
