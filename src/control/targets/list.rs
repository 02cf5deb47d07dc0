//! Lists of sets: files, and the output of commands.

use super::error::TargetsError;
use super::expression::Expression;

/// Returns the sets of a text: words in lines, `#` begins a comment. `path` names the text in errors.
///
/// # Errors
/// [`TargetsError::Line`]: a word is no set.
pub fn sets_of_list(path: &str, text: &str) -> Result<Vec<Expression>, TargetsError> {
    let mut sets = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words = line.split('#').next().unwrap_or_default();
        for word in words.split_whitespace() {
            let set = word.parse().map_err(|error| TargetsError::Line {
                path: path.to_owned(),
                number: index + 1,
                error,
            })?;
            sets.push(set);
        }
    }
    Ok(sets)
}
