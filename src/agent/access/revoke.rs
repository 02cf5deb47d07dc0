//! Removal of a key from `authorized_keys`.
//!
//! Not the end of its sessions, which follows when the agent reads the file again. Invariants: every byte of the other
//! lines stays as it is; the file is not changed if the key would be admitted nevertheless, or if another key would be.

use std::collections::BTreeSet;
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use super::authorized_keys::{decode, first_word};
use super::file_content::{Content, FileFault};
use super::member::SAME_USER;
use super::{PolicyFiles, Sources};
use crate::crypto::PublicKey;
use crate::escape;
use crate::home::{self, FileError};
use crate::message::OsText;
use crate::message::limits::NAME;

/// A key that was removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revoked {
    /// The key.
    pub key: PublicKey,
    /// Numbers of its lines before the removal.
    pub lines: Vec<usize>,
    /// The file.
    pub path: PathBuf,
}

/// Reason why no key was removed. The file is unchanged.
#[derive(Debug)]
pub enum RevokeError {
    /// No line has this key or name.
    NotListed(String),
    /// Lines of several keys have this name.
    Ambiguous(String, Vec<PublicKey>),
    /// The key is that of the own user's controller, which is admitted without a line.
    OwnUser,
    /// The file cannot be used, so that it admits nobody.
    Unusable(FileFault),
    /// The file could not be changed.
    File(FileError),
}

impl fmt::Display for RevokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clean = |who: &str| escape::line(who.as_bytes(), NAME).into_owned();
        match self {
            Self::NotListed(who) => write!(f, "no line has the key or name {}", clean(who)),
            Self::Ambiguous(who, keys) => {
                let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
                let (who, keys) = (clean(who), keys.join(", "));
                write!(f, "several keys have the name {who}; give one of them: {keys}")
            }
            Self::OwnUser => f.write_str(
                "the key is that of this user's own controller, which may do everything without a line; \
                 a line such as \"KEY NAME chat-only\" restricts it",
            ),
            Self::Unusable(fault) => f.write_str(&fault.words),
            Self::File(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RevokeError {}

/// Removes the lines of a key, given as the key itself or by its name.
///
/// # Errors
/// [`RevokeError`]
pub fn revoke(sources: &Sources, who: &str) -> Result<Revoked, RevokeError> {
    let path = sources.agent.authorized_keys();
    let _lock = home::lock(&path).map_err(RevokeError::File)?;
    let files = sources.read();
    let bytes = match &files.authorized_keys.content {
        Content::Absent => &[][..],
        Content::Bytes(bytes) => bytes.as_os_str().as_bytes(),
        Content::Unusable(fault) => return Err(RevokeError::Unusable(fault.clone())),
    };
    let text =
        decode(bytes).map_err(|line| RevokeError::File(FileError::NotText(path.clone(), line)))?;
    let Some(key) = find(text, who)? else {
        let own =
            files.policy().0.members().any(|member| {
                member.key.to_string() == who || member.name == who && who == SAME_USER
            });
        return Err(if own {
            RevokeError::OwnUser
        } else {
            RevokeError::NotListed(who.to_owned())
        });
    };
    let is_of_key = |line: &str| key_of(line).is_some_and(|(of, _)| of == key);
    let numbered = (1..).zip(text.lines());
    let lines: Vec<usize> = numbered
        .filter(|(_, line)| is_of_key(line))
        .map(|(number, _)| number)
        .collect();
    let rest = without(bytes, bytes.len() - text.len(), &lines);
    if admits_more(&files, &key, &rest) {
        return Err(RevokeError::OwnUser);
    }
    home::rewrite(&path, &rest).map_err(RevokeError::File)?;
    Ok(Revoked { key, lines, path })
}

/// Returns the key of a line that begins with one, and the rest of the line.
fn key_of(line: &str) -> Option<(PublicKey, &str)> {
    let (first, rest) = first_word(line)?;
    Some((first.parse().ok()?, rest))
}

/// Returns the key that is meant, if a line has it.
fn find(text: &str, who: &str) -> Result<Option<PublicKey>, RevokeError> {
    let named = |rest: &str| match shlex::split(rest) {
        Some(words) => words.first().is_some_and(|name| name == who),
        // A line with an error: its name is that in front of the error.
        None => rest.split_whitespace().next() == Some(who),
    };
    let keys = text.lines().filter_map(key_of);
    let keys = keys.filter(|(key, rest)| key.to_string() == who || named(rest));
    let keys: BTreeSet<[u8; 32]> = keys.map(|(key, _)| key.0).collect();
    if keys.len() > 1 {
        let keys = keys.into_iter().map(PublicKey).collect();
        return Err(RevokeError::Ambiguous(who.to_owned(), keys));
    }
    Ok(keys.into_iter().next().map(PublicKey))
}

/// Returns a file without some of its lines. The first `mark` bytes, a byte order mark, are no part of a line.
fn without(bytes: &[u8], mark: usize, lines: &[usize]) -> Vec<u8> {
    let (mark, text) = bytes.split_at(mark);
    let kept = (1..).zip(text.split_inclusive(|&byte| byte == b'\n'));
    let kept = kept.filter(|(number, _)| !lines.contains(number));
    let kept: Vec<&[u8]> = kept.map(|(_, line)| line).collect();
    [mark, &kept.concat()].concat()
}

/// Returns true if the policy with this text admits the key, or one that is not admitted now.
fn admits_more(files: &PolicyFiles, key: &PublicKey, rest: &[u8]) -> bool {
    let mut changed = files.clone();
    let rest = std::ffi::OsString::from_vec(rest.to_vec());
    changed.authorized_keys.content = Content::Bytes(OsText::from(rest));
    let (before, after) = (files.policy().0, changed.policy().0);
    let known = |new: &PublicKey| before.members().any(|member| member.key == *new);
    after
        .members()
        .any(|member| member.key == *key || !known(&member.key))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;
    use crate::agent::access::testing::{home_in, key};
    use crate::home::ControlHome;

    /// A host with this text in `authorized_keys`.
    fn host(text: &[u8]) -> (tempfile::TempDir, Sources) {
        let (directory, agent) = home_in();
        fs::write(agent.authorized_keys(), text).unwrap();
        let control = None;
        (directory, Sources { agent, control })
    }

    #[test]
    fn the_lines_of_a_key_are_removed_and_every_other_byte_is_kept() {
        let [ann, bob, eve] = [1, 2, 3].map(key);
        let kept =
            format!("\u{feff}# who\r\n\n   {bob}  bob 'allow=x  y' # b\r\n{bob} again bad=\n\t\n");
        let text = format!(
            "\u{feff}# who\r\n{ann} ann\r\n\n   {bob}  bob 'allow=x  y' # b\r\n  {ann} ann2 chat-only\n{bob} again bad=\n\t\n{ann} 'un"
        );
        let (_directory, sources) = host(text.as_bytes());
        let path = sources.agent.authorized_keys();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        for who in [eve.to_string().as_str(), "eve", "an", "", "#", "again bad"] {
            let error = revoke(&sources, who).unwrap_err();
            assert!(matches!(error, RevokeError::NotListed(_)), "{who}: {error}");
        }
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode, "untouched");
        let revoked = revoke(&sources, "ann").unwrap();
        assert_eq!((revoked.key, &revoked.lines[..]), (ann, &[2, 5, 8][..]));
        assert_eq!(fs::read_to_string(&path).unwrap(), kept);
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(meta.permissions().mode() & 0o7777, 0o640);
        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 2, "the file and its lock");
        // By the key, whose second line has an error.
        assert_eq!(revoke(&sources, &bob.to_string()).unwrap().lines, [3, 4]);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "\u{feff}# who\r\n\n\t\n"
        );
    }

    #[test]
    fn an_ambiguous_name_and_an_unusable_file_change_nothing() {
        let text = format!("{} a\n{} a\n{} b\n", key(1), key(2), key(3));
        let (_directory, sources) = host(text.as_bytes());
        let path = sources.agent.authorized_keys();
        let error = revoke(&sources, "a").unwrap_err();
        assert!(error.to_string().contains(&key(2).to_string()), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let error = revoke(&sources, "b").unwrap_err();
        assert!(matches!(error, RevokeError::Unusable(_)), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        let bad = [text.as_bytes(), b"\xff\n"].concat();
        fs::write(&path, &bad).unwrap();
        let error = revoke(&sources, "b").unwrap_err();
        assert!(error.to_string().contains(":4: not UTF-8"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bad);
    }

    #[test]
    fn the_line_that_restricts_the_own_user_is_not_removed() {
        let (directory, mut sources) = host(format!("{} me chat-only\n", key(9)).as_bytes());
        let control = ControlHome::at(&directory.path().join("udpctl"));
        fs::create_dir(control.identity().parent().unwrap()).unwrap();
        fs::write(control.identity_pub(), format!("{}\n", key(9))).unwrap();
        sources.control = Some(control);
        for who in ["me", &key(9).to_string()] {
            let error = revoke(&sources, who).unwrap_err();
            assert!(matches!(error, RevokeError::OwnUser), "{error}");
        }
        fs::write(sources.agent.authorized_keys(), "").unwrap();
        let error = revoke(&sources, "owner").unwrap_err();
        assert!(matches!(error, RevokeError::OwnUser), "{error}");
    }
}
