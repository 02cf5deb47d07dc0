//! Unified difference of two outputs.
//!
//! Not the search for it, which is a library's: lines become numbers here, so that its generic code is compiled for
//! numbers only. Invariant: applied to the old text, the difference gives the new one.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use similar::algorithms::{Capture, Compact, Replace, myers};

/// Unchanged lines above and below each change.
const CONTEXT: usize = 3;

/// Returns the unified difference of two texts whose lines end with a newline, below a header with their names.
pub(super) fn unified(old_name: &str, old: &str, new_name: &str, new: &str) -> String {
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    let mut numbers = HashMap::new();
    let old_numbers = numbered(&old, &mut numbers);
    let new_numbers = numbered(&new, &mut numbers);
    let mut hook = Compact::new(Replace::new(Capture::new()), &old_numbers, &new_numbers);
    let Ok(()) = myers::diff(
        &mut hook,
        &old_numbers,
        0..old.len(),
        &new_numbers,
        0..new.len(),
    );
    let mut text = format!("--- {old_name}\n+++ {new_name}\n");
    for hunk in hook.into_inner().into_inner().into_grouped_ops(CONTEXT) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else {
            continue;
        };
        let old_range = first.old_range().start..last.old_range().end;
        let new_range = first.new_range().start..last.new_range().end;
        let _ = writeln!(text, "@@ -{} +{} @@", range(&old_range), range(&new_range));
        for op in &hunk {
            if op.tag() == similar::DiffTag::Equal {
                push(&mut text, ' ', &old[op.old_range()]);
            } else {
                push(&mut text, '-', &old[op.old_range()]);
                push(&mut text, '+', &new[op.new_range()]);
            }
        }
    }
    text
}

/// Returns a number for each line, the same for equal lines.
fn numbered<'a>(lines: &[&'a str], numbers: &mut HashMap<&'a str, usize>) -> Vec<usize> {
    let mut number = |line: &&'a str| {
        let next = numbers.len();
        *numbers.entry(line).or_insert(next)
    };
    lines.iter().map(&mut number).collect()
}

/// Returns a range of lines as the line of a hunk has it: an empty one is that behind the line before it.
fn range(lines: &Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => (lines.start + 1).to_string(),
        length => format!("{},{length}", lines.start + 1),
    }
}

fn push(text: &mut String, sign: char, lines: &[&str]) {
    for line in lines {
        text.push(sign);
        text.push_str(line);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_difference_has_three_lines_around_each_change() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";
        let new = "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\nX\nY\n12\n";
        assert_eq!(
            unified("a", old, "b", new),
            "--- a\n+++ b\n\
             @@ -1,3 +1,4 @@\n+0\n 1\n 2\n 3\n\
             @@ -8,5 +9,6 @@\n 8\n 9\n 10\n-11\n+X\n+Y\n 12\n"
        );
    }

    #[test]
    fn an_empty_text_is_a_range_without_lines() {
        assert_eq!(
            unified("a", "", "b", "x\n"),
            "--- a\n+++ b\n@@ -0,0 +1 @@\n+x\n"
        );
        assert_eq!(
            unified("a", "x\ny\n", "b", ""),
            "--- a\n+++ b\n@@ -1,2 +0,0 @@\n-x\n-y\n"
        );
    }

    #[test]
    fn a_carriage_return_is_part_of_its_line() {
        assert_eq!(
            unified("a", "50%\r100%\n", "b", "50%\r99%\n"),
            "--- a\n+++ b\n@@ -1 +1 @@\n-50%\r100%\n+50%\r99%\n"
        );
    }

    /// Applies a difference.
    fn patched(old: &str, difference: &str) -> String {
        let old: Vec<&str> = old.split_inclusive('\n').collect();
        let mut new = String::new();
        let mut at = 0;
        for line in difference.split_inclusive('\n').skip(2) {
            if let Some(ranges) = line.strip_prefix("@@ -") {
                let (start, length) = ranges
                    .split_once(' ')
                    .map(|(range, _)| range.split_once(',').unwrap_or((range, "1")))
                    .unwrap();
                let start: usize = start.parse().unwrap();
                let start = start - usize::from(length != "0");
                new.extend(old[at..start].iter().copied());
                at = start;
                continue;
            }
            let (sign, content) = line.split_at(1);
            if sign != "+" {
                assert_eq!(content, old[at]);
                at += 1;
            }
            if sign != "-" {
                new.push_str(content);
            }
        }
        new.extend(old[at..].iter().copied());
        new
    }

    proptest! {
        #[test]
        fn a_difference_applied_to_the_old_text_gives_the_new_one(
            old in "([abc]\n){0,40}",
            new in "([abcd]\n){0,40}",
        ) {
            prop_assert_eq!(patched(&old, &unified("a", &old, "b", &new)), new);
        }
    }
}
