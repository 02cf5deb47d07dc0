//! Open invitations: the file `invites`, and what happens when one is used.
//!
//! A line is `HASH EXPIRES [option…]`: the hash of the token, never the token; the end in seconds since
//! 1970; the options that the invited key is entered with. Programs write this file, people need not.
//! Invariant: an invitation works once, also between processes: it is struck off before the key is
//! entered, both under one lock. If the program dies in between, it is used and nobody was admitted.

use std::fmt;
use std::fmt::Write as _;
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
        let words: String = record
            .words
            .iter()
            .map(|word| format!(" {}", quote_option(word)))
            .collect();
        writeln!(text, "{} {}{words}", record.hash, record.expires)
            .expect("writing to a string does not fail");
    }
    home::replace(path, text.as_bytes(), Readers::Owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::access::testing::{home_in, key};
    use crate::agent::access::{Admission, Sources};
    use proptest::prelude::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: u64 = 1_900_000_000;

    fn invite(home: &AgentHome, options: &[&str]) -> InviteToken {
        let options: Vec<String> = options.iter().map(|&word| word.to_owned()).collect();
        let mut rng = crate::net::rng().unwrap();
        create(home, &options, &mut rng, NOW).unwrap()
    }

    #[test]
    fn an_invited_key_is_entered_once_with_the_options_of_the_invitation() {
        let (_folder, home) = home_in();
        let path = home.authorized_keys();
        fs::write(&path, format!("# mine\n{} alice", key(1))).unwrap();
        let token = invite(&home, &["allow=uname -a", "max-jobs=2"]);

        let member = redeem(&home, &key(2), "alice", &token, NOW + 599).unwrap();
        assert_eq!(member.name, "alice-2");
        assert!(member.may_run(&["uname", "-a"]) && !member.may_run(&["id"]));
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!(
                "# mine\n{} alice\n{} alice-2 allow='uname -a' max-jobs=2\n",
                key(1),
                key(2)
            )
        );
        let (access, problems) = Sources {
            agent: home.clone(),
            control: None,
        }
        .load();
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(**access.member(&key(2)).unwrap(), member);

        let again = redeem(&home, &key(3), "mallory", &token, NOW + 1);
        assert!(matches!(again, Err(RedeemError::NoSuchInvite)));
    }

    #[test]
    fn an_invitation_ends_after_ten_minutes_and_when_the_clock_goes_back() {
        for now in [NOW + 600, NOW + 10_000, NOW - 1, 0, u64::MAX] {
            let (_folder, home) = home_in();
            let token = invite(&home, &[]);
            let late = redeem(&home, &key(2), "bob", &token, now);
            assert!(matches!(late, Err(RedeemError::NoSuchInvite)), "at {now}");
        }
    }

    #[test]
    fn a_key_that_is_listed_uses_no_invitation_up() {
        let (_folder, home) = home_in();
        fs::write(
            home.authorized_keys(),
            format!("{} alice chat-only\n", key(1)),
        )
        .unwrap();
        let token = invite(&home, &[]);
        let member = redeem(&home, &key(1), "root", &token, NOW).unwrap();
        assert_eq!(member.name, "alice");
        assert!(member.options.chat_only);
        assert!(redeem(&home, &key(2), "bob", &token, NOW).is_ok());
    }

    #[test]
    fn a_key_whose_line_is_wrong_stays_outside() {
        let (_folder, home) = home_in();
        fs::write(
            home.authorized_keys(),
            format!("{} alice chatonly\n", key(1)),
        )
        .unwrap();
        let token = invite(&home, &[]);
        let refused = redeem(&home, &key(1), "alice", &token, NOW);
        assert!(matches!(refused, Err(RedeemError::Refused)));
    }

    #[test]
    fn many_at_once_with_one_token_enter_one_key() {
        let (_folder, home) = home_in();
        let token = invite(&home, &[]);
        let entered: usize = std::thread::scope(|scope| {
            let guests: Vec<_> = (1..=8)
                .map(|n| {
                    scope.spawn({
                        let (home, token) = (&home, &token);
                        move || redeem(home, &key(n), "guest", token, NOW).is_ok()
                    })
                })
                .collect();
            guests
                .into_iter()
                .map(|guest| usize::from(guest.join().unwrap()))
                .sum()
        });
        assert_eq!(entered, 1);
        let text = fs::read_to_string(home.authorized_keys()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn the_file_holds_no_token_and_is_for_its_owner_only() {
        let (_folder, home) = home_in();
        let token = invite(&home, &["chat-only"]);
        let text = fs::read_to_string(home.invites()).unwrap();
        assert!(!text.contains(&token.to_text()));
        assert!(
            text.ends_with(&format!(" {} chat-only\n", NOW + 600)),
            "{text}"
        );
        let mode = fs::metadata(home.invites()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        fs::set_permissions(home.invites(), fs::Permissions::from_mode(0o640)).unwrap();
        let refused = redeem(&home, &key(1), "bob", &token, NOW);
        assert!(matches!(
            refused,
            Err(RedeemError::File(FileError::TooOpen(..)))
        ));
    }

    #[test]
    fn an_invited_key_may_come_in_from_where_the_invitation_says() {
        let (_folder, home) = home_in();
        let token = invite(&home, &["from=10.0.0.0/8"]);
        let (access, _) = Sources {
            agent: home,
            control: None,
        }
        .load();
        let admit = |from: &str, token: &[u8; 16], now| {
            access.admit(&key(1), from.parse().unwrap(), Some(token), now)
        };
        assert!(matches!(
            admit("10.0.0.1", token.as_bytes(), NOW),
            Some(Admission::Invited)
        ));
        assert!(admit("10.0.0.1", token.as_bytes(), NOW + 600).is_none());
        assert!(admit("192.0.2.1", token.as_bytes(), NOW).is_none());
        assert!(admit("10.0.0.1", &[0; 16], NOW).is_none());
        assert!(
            access
                .admit(&key(1), "10.0.0.1".parse().unwrap(), None, NOW)
                .is_none()
        );
        assert_eq!(access.next_expiry(NOW), Some(NOW + 600));
    }

    #[test]
    fn wrong_options_make_no_invitation() {
        let (_folder, home) = home_in();
        let mut rng = crate::net::rng().unwrap();
        let error = create(&home, &["alow=ls".to_owned()], &mut rng, NOW).unwrap_err();
        assert!(
            error.to_string().starts_with("unknown option \"alow=ls\""),
            "{error}"
        );
        assert!(!home.invites().exists());
    }

    #[test]
    fn open_invitations_are_bounded() {
        let (_folder, home) = home_in();
        for _ in 0..INVITES {
            invite(&home, &[]);
        }
        let mut rng = crate::net::rng().unwrap();
        let full = create(&home, &[], &mut rng, NOW);
        assert!(matches!(full, Err(CreateError::TooMany)));
        assert!(create(&home, &[], &mut rng, NOW + 600).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(.|\n){0,200}", rest in "[0-9a-z=\"' #]{0,40}") {
            parse(&text);
            parse(&format!("{} {rest}", InviteToken::from_bytes([0; 16]).hash()));
        }
    }
}
