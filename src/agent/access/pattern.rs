//! Patterns of `allow=`: one word an argument, `*` any one argument, `**` any number, at the end only.

/// A pattern over argv.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    words: Vec<String>,
}
