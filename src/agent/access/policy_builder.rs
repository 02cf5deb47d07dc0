//! Construction of a [`Policy`] from the contents of its files.
//!
//! Not the reading of files. Invariant: content that cannot be read, parsed or trusted admits no key, whatever
//! other rule would admit its key.

use std::path::Path;

use super::authorized_keys::{self, Refused};
use super::file_content::{FaultKind, FileFault};
use super::member::SAME_USER;
use super::{LineError, Member, Options, Origin, OwnUser, Policy, Problem, invite};
use crate::crypto::PublicKey;

/// A policy under construction.
#[derive(Default)]
pub struct PolicyBuilder {
    policy: Policy,
    problems: Vec<Problem>,
    /// Reason why the own user's controller is not admitted without a line.
    own_user_off: Option<OwnUser>,
}

impl PolicyBuilder {
    /// Adds the content of `authorized_keys`.
    pub fn add_keys(&mut self, content: impl AsRef<[u8]>, path: &Path) {
        let text = match authorized_keys::decode(content.as_ref()) {
            Ok(text) => text,
            Err(line) => {
                self.add_line_error(path, line, LineError::NotText);
                self.close_keys(path);
                return;
            }
        };
        let mut doubtful = Vec::new();
        for line in authorized_keys::parse(text, path) {
            match line {
                Ok(member) => self.policy.insert(member),
                Err(Refused { line, keys, error }) => {
                    if error.is_about_unknown_key() {
                        let off = OwnUser::UnknownKey(path.to_owned(), line);
                        self.own_user_off.get_or_insert(off);
                        self.policy.refused.extend(keys);
                    } else {
                        doubtful.extend(keys);
                    }
                    self.add_line_error(path, line, error);
                }
            }
        }
        // An earlier or later valid line of the same key does not outweigh the one with an error.
        for key in doubtful {
            self.policy.refuse(key);
        }
    }

    /// Adds an `authorized_keys` that is there and cannot be used.
    pub fn add_unusable_keys(&mut self, fault: FileFault, path: &Path) {
        self.policy.suspended |= fault.kind == FaultKind::Unanswered;
        self.add_fault(fault);
        self.close_keys(path);
    }

    /// Adds the content of `invites`.
    pub fn add_invites(&mut self, content: impl AsRef<[u8]>, path: &Path) {
        let text = match authorized_keys::decode(content.as_ref()) {
            Ok(text) => text,
            Err(line) => return self.add_line_error(path, line, LineError::NotText),
        };
        let (records, errors) = invite::parse(text);
        self.policy.invites = records;
        for (line, error) in errors {
            self.add_line_error(path, line, error);
        }
    }

    /// Adds the controller key of the agent's own user. Call it last: a line for this key takes
    /// precedence, and so does an error that may hide such a line.
    pub fn add_own_user(&mut self, content: impl AsRef<[u8]>, path: &Path) {
        let parsed = match authorized_keys::decode(content.as_ref()) {
            Ok(text) => text.trim().parse::<PublicKey>().map_err(LineError::Key),
            Err(_) => Err(LineError::NotText),
        };
        self.policy.own_key = parsed.as_ref().ok().copied();
        self.policy.own_user = match parsed {
            Ok(key) if self.policy.is_known(&key) => OwnUser::Listed,
            Ok(key) => {
                if let Some(off) = self.own_user_off.take() {
                    self.problems.push(Problem::OwnUser(off.clone()));
                    off
                } else {
                    self.policy.insert(Member {
                        key,
                        name: SAME_USER.to_owned(),
                        options: Options {
                            admin: true,
                            ..Options::default()
                        },
                        origin: Origin::SameUser(path.to_owned()),
                    });
                    OwnUser::Admitted
                }
            }
            Err(error) => {
                self.add_line_error(path, 1, error);
                OwnUser::KeyUnusable(path.to_owned())
            }
        };
    }

    /// Adds a public key of the own user that is there and cannot be used.
    pub fn add_unusable_own_key(&mut self, fault: FileFault, path: &Path) {
        self.policy.suspended |= fault.kind == FaultKind::Unanswered;
        self.add_fault(fault);
        self.policy.own_user = OwnUser::KeyUnusable(path.to_owned());
    }

    /// Adds a file that cannot be used.
    pub fn add_fault(&mut self, fault: FileFault) {
        self.problems.push(Problem::File(fault));
    }

    /// Returns the policy and the errors found.
    #[must_use]
    pub fn finish(self) -> (Policy, Vec<Problem>) {
        (self.policy, self.problems)
    }

    /// Admits no key by `authorized_keys`, nor any key that it may restrict.
    fn close_keys(&mut self, path: &Path) {
        self.problems.push(Problem::AdmitsNobody(path.to_owned()));
        self.own_user_off = Some(OwnUser::KeysUnusable(path.to_owned()));
    }

    fn add_line_error(&mut self, path: &Path, line: usize, error: LineError) {
        self.problems.push(Problem::Line {
            path: path.to_owned(),
            line,
            error,
        });
    }
}
