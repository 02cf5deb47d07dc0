//! Inventories as files: their format, and programs that are run.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use rustix::fs::{Access, access};

use super::content::Content;
use super::{ini, node, program, yaml};
use crate::control::limits;
use crate::control::targets::error::TargetsError;
use crate::control::targets::exec_group::{self, Program};
use crate::control::targets::list::read_text;
use crate::home;

/// Format of an inventory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Ini,
    Yaml,
    Json,
}

/// Adds the inventory of a file, or of a program if it may be executed. `cache` is the directory for the output of
/// programs.
///
/// # Errors
/// [`TargetsError::Inventory`]
pub fn read(path: &Path, cache: &Path, content: &mut Content) -> Result<(), TargetsError> {
    let failed = |words| TargetsError::Inventory {
        path: path.display().to_string(),
        words,
    };
    let meta = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if meta.is_dir() {
        return Err(failed("a directory; name the files in it".into()));
    }
    let mut warnings = Vec::new();
    let mut warn = |words| warnings.push(failed(words).to_string());
    let result = if meta.is_file() && access(path, Access::EXEC_OK).is_ok() {
        home::open(path, home::Readers::All).map_err(TargetsError::File)?;
        run(path, cache).and_then(|text| program::read(&node::of_json(&text)?, content, &mut warn))
    } else {
        let text = read_text(path, limits::INVENTORY)?;
        match format(path, &text) {
            Format::Ini => ini::read(&text, content, &mut warn),
            Format::Yaml => {
                node::of_yaml(&text).and_then(|root| yaml::read(&root, content, &mut warn))
            }
            Format::Json => node::of_json(&text).and_then(|root| match root.of(program::META) {
                Some(_) => program::read(&root, content, &mut warn),
                None => yaml::read(&root, content, &mut warn),
            }),
        }
    };
    content.warnings.append(&mut warnings);
    result.map_err(failed)
}

/// Returns the output of a program.
fn run(path: &Path, cache: &Path) -> Result<String, String> {
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    // No group has a name with a colon.
    let cache = cache.join(format!("inventory:{:016x}", hasher.finish()));
    exec_group::output(Program::Inventory(&path), &cache)
}

/// Returns the format by the file's extension, or by its first line if that tells nothing.
fn format(path: &Path, text: &str) -> Format {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("yml" | "yaml") => return Format::Yaml,
        Some("json") => return Format::Json,
        Some("ini" | "cfg") => return Format::Ini,
        Some(_) | None => {}
    }
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    match first.unwrap_or_default() {
        line if line.starts_with('{') => Format::Json,
        line if line.starts_with("---") || line.ends_with(':') => Format::Yaml,
        _ => Format::Ini,
    }
}
