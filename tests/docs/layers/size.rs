//! Length of files and functions, and the header that every file has.

use super::source::{Sources, inline, read};

const MAX_FILE_LINES: usize = 450;
const MAX_FUNCTION_LINES: usize = 80;

/// The folders whose code is held to these lengths.
const FOLDERS: [&str; 4] = ["src", "tests", "examples", "benches"];

fn file_faults(sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in sources {
        let lines = text.lines().count();
        if lines > MAX_FILE_LINES {
            faults.push(format!("{path} has {lines} lines: split it"));
        }
        if !text.trim_start().starts_with("//!") && !text.starts_with("#!") {
            faults.push(format!("{path} does not begin with a module header"));
        }
    }
    faults
}

fn function_faults(sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in sources {
        for (number, name, lines) in functions(text) {
            if lines > MAX_FUNCTION_LINES {
                faults.push(format!(
                    "{path}:{number} {name} has {lines} lines: split it"
                ));
            }
        }
    }
    faults
}

/// Line number, name and length of each function. The body ends at the first brace that is indented as
/// the `fn` is: rustfmt writes no other there.
fn functions(text: &str) -> Vec<(usize, &str, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut functions = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else {
            continue;
        };
        let indent = indentation(line);
        let ends = |line: &&str| {
            !line.trim().is_empty()
                && indentation(line) == indent
                && (line.trim_start().starts_with('}') || line.ends_with(';'))
        };
        let one_line = line.ends_with(';') || line.ends_with('}');
        let rest = lines[start + 1..].iter().position(ends);
        let length = if one_line {
            1
        } else {
            rest.map_or(1, |rest| rest + 2)
        };
        functions.push((start + 1, name, length));
    }
    functions
}

/// The name that a line declares a function by.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.trim_start().split_once("fn ")?;
    let is_qualifier = |word: &str| {
        word.starts_with("pub") || matches!(word, "const" | "unsafe" | "async" | "extern" | "\"C\"")
    };
    let (name, _) = after.split_once(['(', '<'])?;
    before.split_whitespace().all(is_qualifier).then_some(name)
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The sources of all folders, by their path in the project.
fn everything() -> Sources {
    let in_folder = |folder: &'static str| {
        let named = move |(path, text)| (format!("{folder}/{path}"), text);
        read(folder).into_iter().map(named)
    };
    FOLDERS.into_iter().flat_map(in_folder).collect()
}

#[test]
fn files_are_short_and_have_a_header() {
    super::assert_none(&file_faults(&everything()));
}

#[test]
fn functions_are_short() {
    super::assert_none(&function_faults(&everything()));
}

#[test]
fn a_long_file_and_a_missing_header_are_noticed() {
    let long = format!("//! Long.\n{}", "\n".repeat(MAX_FILE_LINES));
    let sources = inline(&[("a.rs", &long), ("b.rs", "fn main() {}\n")]);
    let expected = [
        "a.rs has 451 lines: split it",
        "b.rs does not begin with a module header",
    ];
    assert_eq!(file_faults(&sources), expected);
}

#[test]
fn a_long_function_is_noticed() {
    let body = "        step();\n".repeat(MAX_FUNCTION_LINES - 1);
    let text = format!(
        "trait A {{\n    fn declared(\n        a: u8,\n    ) -> u8;\n    fn one_line() {{}}\n\
         \x20   pub(crate) const fn long() {{\n{body}    }}\n}}\n"
    );
    let lengths: Vec<_> = functions(&text);
    let expected = [(2, "declared", 3), (5, "one_line", 1), (6, "long", 81)];
    assert_eq!(lengths, expected);
    let faults = function_faults(&inline(&[("a.rs", &text)]));
    assert_eq!(faults, ["a.rs:6 long has 81 lines: split it"]);
}
