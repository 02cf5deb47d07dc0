//! The content of one file of the policy, as plain data, so that one process can read it and another judge it.
//!
//! Not the meaning of the content. Invariant: a file that is there and cannot be used is never taken for a
//! missing one.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::home::{self, FileError, Readers};
use crate::message::OsText;

/// A file of the policy when it was read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicyFile {
    /// Path of the file.
    path: OsText,
    /// Content of the file.
    pub content: Content,
}

/// Content of a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Content {
    /// There is no such file.
    Absent,
    /// Its bytes. They need not be valid text.
    Bytes(OsText),
    /// It is there, but it cannot be read or trusted.
    Unusable(FileFault),
}

/// Reason why a file cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileFault {
    /// Kind of the fault.
    pub kind: FaultKind,
    /// Description with the path and the remedy, on one line.
    pub words: String,
}

/// Kind of a [`FileFault`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FaultKind {
    /// The system reported an error.
    Unreadable,
    /// Other users may write the file or its directory, or read it where they must not.
    TooOpen,
    /// The file or its directory belongs neither to the agent's user nor to root.
    NotOurs,
    /// It is not a regular file.
    NotAFile,
    /// It is larger than any such file can be.
    TooLarge,
    /// It is not UTF-8 text.
    NotText,
    /// Its file system does not answer, or has failed: the file may be as it was.
    Unanswered,
}

impl From<FileError> for FileFault {
    fn from(error: FileError) -> Self {
        let kind = match &error {
            FileError::Io(_, error) if is_lost(error) => FaultKind::Unanswered,
            FileError::Io(..) => FaultKind::Unreadable,
            FileError::TooOpen(..) => FaultKind::TooOpen,
            FileError::NotOurs(..) => FaultKind::NotOurs,
            FileError::NotAFile(_) => FaultKind::NotAFile,
            FileError::TooLarge(_) => FaultKind::TooLarge,
            FileError::NotText(..) => FaultKind::NotText,
        };
        let words = error.to_string();
        Self { kind, words }
    }
}

/// True if an error says that the file system has failed, and nothing about the file.
fn is_lost(error: &io::Error) -> bool {
    let failures = [
        Errno::IO,
        Errno::NOTCONN,
        Errno::CONNABORTED,
        Errno::STALE,
        Errno::TIMEDOUT,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
    ];
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    errno.is_some_and(|errno| failures.contains(&errno))
}

impl PolicyFile {
    /// Reads a file.
    pub(super) fn read(path: &Path, readers: Readers) -> Self {
        let content = match home::read_bytes(path, readers) {
            Ok(Some(bytes)) => Content::Bytes(OsText::from(OsString::from_vec(bytes))),
            // A symbolic link without a target may lead to a file system that is not mounted.
            Ok(None) => match std::fs::read_link(path) {
                Ok(target) => Content::Unusable(FileFault {
                    kind: FaultKind::Unreadable,
                    words: format!(
                        "{}: a symbolic link to {}, which does not exist",
                        path.display(),
                        target.display()
                    ),
                }),
                Err(_) => Content::Absent,
            },
            Err(error) => Content::Unusable(error.into()),
        };
        let path = OsText::from(path.as_os_str().to_owned());
        Self { path, content }
    }

    /// Returns the file as one that could not be read, for a reason.
    pub(super) fn unanswered(&self, reason: &str) -> Self {
        let fault = FileFault {
            kind: FaultKind::Unanswered,
            words: format!("{}: {reason}", self.path().display()),
        };
        Self {
            path: self.path.clone(),
            content: Content::Unusable(fault),
        }
    }

    /// Path of the file, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(self.path.as_os_str())
    }
}
