//! Number of bytes of the files that a sender sends, for a person who watches the copy.
//!
//! Not a part of the copy: an item that cannot be read counts as nothing here, and is named where it is sent. Invariant: what
//! lies outside of the scope counts as nothing, so that the number tells no more than the copy.

use rustix::fs::{OFlags, fstat};

use super::directory::{Directory, Kind};
use super::limits;
use super::nest::Nest;
use super::sender::Sources;

/// Returns the number of bytes of all files of the sources.
#[must_use]
pub fn total(sources: &Sources) -> u64 {
    let mut bytes = 0_u64;
    for path in &sources.paths {
        // Links are followed only where the user has named them.
        let status = sources.scope.open(path, OFlags::PATH).map(fstat);
        let Ok(Ok(stat)) = status else { continue };
        match Kind::of(&stat) {
            Kind::File => bytes = bytes.saturating_add(size(stat.st_size)),
            Kind::Directory if sources.recursive => {
                if let Ok(directory) = sources.scope.directory(path, OFlags::RDONLY) {
                    bytes = bytes.saturating_add(beneath(directory));
                }
            }
            Kind::Directory | Kind::Link | Kind::Special => {}
        }
    }
    bytes
}

/// Returns the number of bytes of all files beneath a directory.
fn beneath(directory: Directory) -> u64 {
    let mut bytes = 0_u64;
    let mut levels = vec![directory.entries().unwrap_or_default().into_iter()];
    let mut nest = Nest::new(directory);
    while let Some(level) = levels.last_mut() {
        let Some(entry) = level.next() else {
            levels.pop();
            if nest.leave().is_err() {
                levels.truncate(1);
            }
            continue;
        };
        match entry.kind {
            Kind::File => {
                if let Ok(Some(stat)) = nest.current().stat(&entry.name) {
                    bytes = bytes.saturating_add(size(stat.st_size));
                }
            }
            Kind::Directory if levels.len() < limits::DEPTH => {
                let Ok(inner) = nest.current().enter(&entry.name) else {
                    continue;
                };
                let entries = inner.entries().unwrap_or_default();
                if nest.enter(inner).is_ok() {
                    levels.push(entries.into_iter());
                }
            }
            Kind::Directory | Kind::Link | Kind::Special => {}
        }
    }
    bytes
}

fn size(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::copy::Scope;

    #[test]
    fn files_are_counted_once_and_links_only_if_they_are_named() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |path: &str| temporary.path().canonicalize().unwrap().join(path);
        fs::create_dir_all(at("d/sub/deep")).unwrap();
        fs::write(at("d/sub/deep/a"), [0; 100]).unwrap();
        fs::write(at("d/z"), [0; 20]).unwrap();
        fs::write(at("c"), [0; 3]).unwrap();
        symlink("../c", at("d/inner")).unwrap();
        symlink("c", at("named")).unwrap();
        let of = |paths: &[&str], scope: &Scope, recursive| {
            let paths = paths.iter().map(|path| at(path)).collect();
            total(&Sources {
                paths,
                scope: scope.clone(),
                recursive,
            })
        };
        let all = &Scope::Everywhere;
        assert_eq!(of(&["d"], all, true), 120);
        assert_eq!(of(&["named", "d", "none", "c"], all, true), 126);
        assert_eq!(of(&["d", "c"], all, false), 3);
        // What the copy does not send is not told.
        let beneath = Scope::Beneath(vec![at("d/sub")]);
        assert_eq!(of(&["d/sub", "d", "c", "named"], &beneath, true), 100);
    }
}
