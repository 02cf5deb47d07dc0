//! Shell completions, generated from the clap definitions.

use std::io;

use anyhow::{Context as _, Result};
use clap::CommandFactory;
use clap_complete::Shell;

/// Prints the completions of a program for a shell. A reader that exits early is no error.
///
/// # Errors
/// Fails if stdout cannot be written.
pub fn print<P: CommandFactory>(program: &str, shell: Shell) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut P::command(), program, &mut script);
    match io::Write::write_all(&mut io::stdout().lock(), &script) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("standard output")
        }
        Ok(()) | Err(_) => Ok(0),
    }
}
