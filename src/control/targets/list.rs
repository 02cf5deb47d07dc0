//! Lists of sets: files, and the output of commands.
//!
//! A list holds neither secrets nor trust, so any file or pipe that can be read is one.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::error::TargetsError;
use super::expression::Expression;

/// Characters that stand between sets.
const OPERATORS: [char; 4] = [',', '!', '&', '^'];

/// Reads a file or pipe that has at most `most` bytes of text. A byte order mark at its beginning is passed over.
///
/// # Errors
/// [`TargetsError::Inventory`]: it cannot be read, is too large or is no text.
pub fn read_text(path: &Path, most: u64) -> Result<String, TargetsError> {
    let failed = |words| TargetsError::Inventory {
        path: path.display().to_string(),
        words,
    };
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    text_of(file, most).map_err(failed)
}

/// Reads a text as [`read_text`] does.
///
/// # Errors
/// A sentence about what went wrong.
pub fn text_of(from: impl Read, most: u64) -> Result<String, String> {
    let mut bytes = Vec::new();
    from.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most {
        return Err(format!("larger than {most} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|&byte| byte == b'\n').count();
        format!("line {line}: not UTF-8 text")
    })?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map(str::to_owned)
        .unwrap_or(text))
}

/// Returns the sets of a text: words in lines, `#` begins a comment. Spaces beside an operator separate nothing. `path`
/// names the text in errors.
///
/// # Errors
/// [`TargetsError::Line`]: a word is no set.
pub fn sets_of_list(path: &str, text: &str) -> Result<Vec<Expression>, TargetsError> {
    let mut sets = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        for word in words(line) {
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

/// Splits a line at its spaces, except beside an operator.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        match words.last_mut() {
            Some(before) if before.ends_with(OPERATORS) || word.starts_with(OPERATORS) => {
                before.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}
