//! Secret keys on disk: one line, owned by the user, mode 0600, refused if more open.
//!
//! The only module of this floor that touches files. A key file is created whole or not at all
//! (written aside, synced, linked into place), so two programs that start at once agree on one key.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::{ParseKeyError, SecretKey};
use crate::rng::Rng;

/// Why a key file could not be used.
#[derive(Debug)]
pub enum KeyFileError {
    /// The file or its folder could not be read or written.
    Io(PathBuf, io::Error),
    /// Others may read or write it; holds the mode.
    TooOpen(PathBuf, u32),
    /// It belongs to another user; holds the owner's uid.
    NotOurs(PathBuf, u32),
    /// It does not hold a key.
    Parse(PathBuf, ParseKeyError),
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl std::error::Error for KeyFileError {}

/// Reads the secret key at `path`.
///
/// # Errors
/// [`KeyFileError`]
pub fn load(path: &Path) -> Result<SecretKey, KeyFileError> {
    todo!()
}

/// Reads the secret key at `path`, creating it (and its folder, mode 0700) if there is none, and
/// writes the public half beside it as `path` + `.pub`, mode 0644.
///
/// # Errors
/// [`KeyFileError`]
pub fn load_or_create(path: &Path, rng: &mut Rng) -> Result<SecretKey, KeyFileError> {
    todo!()
}
