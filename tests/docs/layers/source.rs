//! Source files as text, and their lines without comments.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Text of each file by its path below some folder.
pub type Sources = BTreeMap<String, String>;

/// Folder of the crate that has the lower layers, below `src`.
const TRANSPORT: &str = "transport/";

/// Every file of the library, with the layers of both crates as modules of one.
pub fn library() -> Sources {
    let mut library = Sources::new();
    for (path, text) in read("src") {
        let path = path.strip_prefix(TRANSPORT).unwrap_or(&path);
        library.entry(path.to_owned()).or_default().push_str(&text);
    }
    library
}

/// Every Rust file below a folder of the project.
pub fn read(folder: &str) -> Sources {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut sources = Sources::new();
    let mut folders = vec![base.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a readable file");
                sources.insert(below(&base, &path), text);
            }
        }
    }
    sources
}

fn below(base: &Path, path: &Path) -> String {
    let path: PathBuf = path.strip_prefix(base).expect("found below it").into();
    path.to_string_lossy().into_owned()
}

/// Sources for a self-test.
pub fn inline(files: &[(&str, &str)]) -> Sources {
    let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
    files.iter().map(own).collect()
}

/// The lines of a file without their comments, numbered from 1. A `//` inside a string ends the line
/// here too; the checks can only miss something by that.
pub fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(
        text.lines()
            .map(|line| line.split("//").next().unwrap_or_default()),
    )
}

/// The documentation at the top of a file, without its markers.
pub fn header(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_file_of_the_library_is_read() {
    let sources = library();
    assert!(sources["lib.rs"].contains("pub mod client;"));
    assert!(sources["lib.rs"].contains("pub mod session;"));
    assert!(sources.contains_key("session/endpoint/mod.rs"));
    assert!(sources.contains_key("agent/mod.rs"));
}

#[test]
fn code_and_header_are_told_apart() {
    let text = "//! First,\n//! second.\n\nlet x = 1; // std::fs";
    assert_eq!(header(text), "First, second.");
    assert_eq!(code(text).last(), Some((4, "let x = 1; ")));
}
