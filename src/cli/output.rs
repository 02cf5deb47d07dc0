//! Standard output and standard error of both programs.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};

use crate::control::console;
use crate::message::status;

/// Prints to stdout. If its reader has exited, this process ends with the status of SIGPIPE.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            std::process::exit(status::BROKEN_PIPE.into())
        }
        result => result.context("standard output"),
    }
}

/// Prints a line on stderr. A failure is ignored: there is no other place to report it.
pub fn note(line: &str) {
    let _ = write!(io::stderr().lock(), "{line}{}", console::line_end());
}
