//! Doc comments, help texts and man pages open with a noun phrase or a verb, not with a question word.
//!
//! clap makes the help texts from the same definitions as udpctl(1) and udpagent(8), so that reading
//! the pages reads them all.

use crate::layers::source::{Sources, inline, read};

/// Openings of a relative clause where a noun phrase or a verb belongs.
const OPENINGS: [&str; 12] = [
    "What ", "Who ", "Whom ", "Whose ", "How ", "Where ", "Whether ", "Which ", "So many ",
    "So much ", "As many ", "As much ",
];

/// Doc blocks of the library that may open so, of a thousand: some are questions in earnest.
const TOLERATED_PER_MILLE: usize = 20;

fn opens_badly(text: &str) -> bool {
    let text = text.trim_start_matches(['*', '[', '`']);
    OPENINGS.iter().any(|opening| text.starts_with(opening))
}

/// The first line of each doc block, with its place.
fn doc_openings(sources: &Sources) -> Vec<(String, &str)> {
    let mut openings = Vec::new();
    for (path, text) in sources {
        let mut before = None;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_start();
            let doc = line
                .strip_prefix("///")
                .or_else(|| line.strip_prefix("//!"));
            if let (None, Some(doc)) = (before, doc) {
                openings.push((format!("{path}:{number}"), doc.trim()));
            }
            before = doc;
        }
    }
    openings
}

/// The lines of a man page that open a description, with their numbers. That is text after a macro, and
/// text after the tag that follows `.TP`.
fn page_openings(page: &str) -> Vec<(usize, &str)> {
    let lines: Vec<_> = page.lines().collect();
    let is_macro = |line: &str| line.is_empty() || line.starts_with(['.', '\'']);
    let opens = |at: usize| {
        let before = |n: usize| at.checked_sub(n).map_or("", |at| lines[at]);
        !is_macro(lines[at]) && (is_macro(before(1)) || before(2).starts_with(".TP"))
    };
    let openings = (0..lines.len()).filter(|at| opens(*at));
    openings.map(|at| (at + 1, lines[at])).collect()
}

fn page_faults(name: &str, page: &str) -> Vec<String> {
    let openings = page_openings(page).into_iter();
    let bad = openings.filter(|(_, line)| opens_badly(line));
    bad.map(|(number, line)| format!("man/{name}:{number} {line}"))
        .collect()
}

fn doc_faults(sources: &Sources) -> Vec<String> {
    let openings = doc_openings(sources);
    let allowed = openings.len() * TOLERATED_PER_MILLE / 1000;
    let bad = openings.iter().filter(|(_, line)| opens_badly(line));
    let bad: Vec<_> = bad
        .map(|(place, line)| format!("src/{place} {line}"))
        .collect();
    if bad.len() > allowed { bad } else { Vec::new() }
}

#[test]
fn doc_comments_open_with_a_noun_phrase_or_a_verb() {
    let faults = doc_faults(&read("src"));
    let count = faults.len();
    assert!(
        faults.is_empty(),
        "\n{}\n{count} doc blocks",
        faults.join("\n")
    );
}

#[test]
fn help_texts_and_man_pages_open_with_a_noun_phrase_or_a_verb() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let mut faults = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let page = std::fs::read_to_string(&path).unwrap();
        faults.extend(page_faults(
            &path.file_name().unwrap().to_string_lossy(),
            &page,
        ));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_relative_clause_at_the_beginning_is_noticed() {
    let text = "//! Which files.\n\n/// Number of jobs.\n/// Whether more come is not said.\nfn f() {}\n\
                \x20   /// So many bytes.\n    length: usize,\n";
    let faults = doc_faults(&inline(&[("a.rs", text)]));
    assert_eq!(
        faults,
        ["src/a.rs:1 Which files.", "src/a.rs:6 So many bytes."]
    );
    let page = ".SH DESCRIPTION\nWhat it is.\nHow it works.\n.TP\n\\fB\\-\\-wait\\fR\nHow long to wait.\nGood.\n";
    let expected = ["man/a.1:2 What it is.", "man/a.1:6 How long to wait."];
    assert_eq!(page_faults("a.1", page), expected);
}
