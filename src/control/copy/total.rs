//! Number of bytes of all files that a copy sends, for a person who watches it.
//!
//! Not a part of the copy: an item that cannot be read counts as nothing here, and is named where it is sent.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use crate::control::exec::Meter;

/// Counts the files on a thread of its own and sets the total, that of one host for each of `hosts`.
pub(super) fn start(paths: Vec<PathBuf>, hosts: usize, meter: Arc<Meter>) {
    let thread = std::thread::Builder::new().name("total".into());
    // Without a thread, no total is shown.
    let _ = thread.spawn(move || {
        let bytes = total(paths);
        meter.set_total(bytes.saturating_mul(hosts as u64));
    });
}

fn total(paths: Vec<PathBuf>) -> u64 {
    let (mut bytes, mut open) = (0_u64, paths);
    let mut is_named = open.len();
    while let Some(path) = open.pop() {
        // Links are followed only where the user has named them.
        let data = if open.len() < is_named {
            is_named = open.len();
            fs::metadata(&path)
        } else {
            fs::symlink_metadata(&path)
        };
        let Ok(data) = data else { continue };
        if data.is_file() {
            bytes = bytes.saturating_add(data.len());
        } else if data.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            open.extend(entries.map(|entry| entry.path()));
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_once_and_links_only_if_they_are_named() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |path: &str| temporary.path().join(path);
        fs::create_dir_all(at("d/sub")).unwrap();
        fs::write(at("d/sub/a"), [0; 100]).unwrap();
        fs::write(at("d/b"), [0; 20]).unwrap();
        fs::write(at("c"), [0; 3]).unwrap();
        std::os::unix::fs::symlink("../c", at("d/inner")).unwrap();
        std::os::unix::fs::symlink("c", at("named")).unwrap();
        assert_eq!(total(vec![at("d")]), 120);
        assert_eq!(total(vec![at("named"), at("d"), at("none"), at("c")]), 126);
    }
}
