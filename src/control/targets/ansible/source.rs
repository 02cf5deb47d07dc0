//! Inventories as files: their format, and programs that are run.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::content::Content;
use super::{groups, ini, node, program};
use crate::control::limits;
use crate::control::targets::error::TargetsError;
use crate::control::targets::exec_group::{self, Program, ProgramError};
use crate::control::targets::list::read_text;
use crate::home;

/// Format of an inventory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Lines with sections.
    Ini,
    /// Nested groups.
    Yaml,
    /// Nested groups, or those of a program if there is a `_meta`.
    Json,
    /// Output of a program.
    Program,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Ini, Self::Yaml, Self::Json, Self::Program];
}

/// First bytes of a program: a script with an interpreter, and ELF.
const PROGRAMS: [&[u8]; 2] = [b"#!", b"\x7fELF"];

/// Adds the inventory of a file, or of a program if it may be executed and the system takes it for one. `cache` is the
/// directory for the output of programs.
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
    let printed = if meta.is_file() && access(path, Access::EXEC_OK).is_ok() {
        home::open(path, home::Readers::All).map_err(TargetsError::File)?;
        run(path, cache).map_err(failed)?
    } else {
        None
    };
    if let Some(text) = printed {
        return parse(path, &text, Format::Program, content);
    }
    let text = read_text(path, limits::INVENTORY)?;
    parse(path, &text, format(path, &text), content)
}

/// Adds the inventory of a file that is no program; nothing is run.
///
/// # Errors
/// [`TargetsError::Inventory`]: it is a program, or cannot be read.
pub fn read_file(path: &Path, content: &mut Content) -> Result<(), TargetsError> {
    let text = read_text(path, limits::INVENTORY)?;
    if access(path, Access::EXEC_OK).is_ok() && text.starts_with("#!") {
        return Err(TargetsError::Inventory {
            path: path.display().to_string(),
            words: "a program".into(),
        });
    }
    parse(path, &text, format(path, &text), content)
}

/// Adds the inventory of a text. `path` only appears in messages.
///
/// # Errors
/// [`TargetsError::Inventory`]
pub fn parse(
    path: &Path,
    text: &str,
    format: Format,
    content: &mut Content,
) -> Result<(), TargetsError> {
    let failed = |words| TargetsError::Inventory {
        path: path.display().to_string(),
        words,
    };
    let mut warnings = Vec::new();
    let mut warn = |words| warnings.push(failed(words).to_string());
    let result = match format {
        Format::Ini => ini::read(text, content, &mut warn),
        Format::Yaml => {
            node::of_yaml(text).and_then(|root| groups::read(&root, content, &mut warn))
        }
        Format::Json => node::of_json(text).and_then(|root| match root.of(program::META) {
            Some(_) => program::read(&root, content, &mut warn),
            None => groups::read(&root, content, &mut warn),
        }),
        Format::Program => {
            node::of_json(text).and_then(|root| program::read(&root, content, &mut warn))
        }
    };
    content.warnings.append(&mut warnings);
    result.map_err(failed)
}

/// Returns the output of a program, or `None` if the file is none although it may be executed, as on a file system on which
/// all files may. Ansible does the same, and reads such a file as YAML or INI.
fn run(path: &Path, cache: &Path) -> Result<Option<String>, String> {
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    // No group has a name with a colon.
    let cache = cache.join(format!("inventory:{:016x}", hasher.finish()));
    match exec_group::output(Program::Inventory(&path), &cache) {
        Ok(text) => Ok(Some(text)),
        Err(ProgramError::Start(_, error)) if is_no_program(&path, &error) => Ok(None),
        // The caller names the file.
        Err(ProgramError::Start(_, error)) => {
            Err(format!("the program cannot be started: {error}"))
        }
        Err(ProgramError::Other(words)) => Err(words),
    }
}

/// True if a file that was not started does not even begin as a program.
fn is_no_program(path: &Path, error: &io::Error) -> bool {
    let mut first = Vec::new();
    let read = File::open(path).and_then(|file| file.take(4).read_to_end(&mut first));
    error.raw_os_error() == Some(Errno::NOEXEC.raw_os_error())
        && read.is_ok()
        && !PROGRAMS.iter().any(|magic| first.starts_with(magic))
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
