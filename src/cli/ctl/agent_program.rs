//! The `udpagent` that belongs to this `udpctl`.

use std::env;
use std::io;
use std::path::PathBuf;

use rustix::fs::{Access, access};

/// Name of its file.
const UDPAGENT: &str = "udpagent";

/// Returns the path of the program beside this one, which may not exist.
pub fn beside() -> io::Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name(UDPAGENT))
}

/// Returns the path of the program that may be executed: the one beside this one, or else the first in `PATH`.
pub fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let in_path = env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(UDPAGENT));
    let mut all = beside().into_iter().chain(in_path);
    all.find(|file| file.is_file() && access(file, Access::EXEC_OK).is_ok())
}
