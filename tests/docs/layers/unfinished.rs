//! Marks of unfinished work: there are none in the library.

use super::source::{Sources, inline, read};

const MARKS: [&str; 6] = ["TODO", "FIXME", "dbg!", "unimplemented!", "todo!", "XXX"];

fn faults(sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in sources {
        for (number, line) in (1..).zip(text.lines()) {
            for mark in MARKS.iter().filter(|mark| line.contains(**mark)) {
                faults.push(format!("src/{path}:{number} has {mark}"));
            }
        }
    }
    faults
}

#[test]
fn the_library_has_no_marks_of_unfinished_work() {
    super::assert_none(&faults(&read("src")));
}

#[test]
fn a_mark_of_unfinished_work_is_noticed() {
    let sources = inline(&[("time.rs", "fn now() {\n    todo!()\n}\n")]);
    assert_eq!(faults(&sources), ["src/time.rs:2 has todo!"]);
}
