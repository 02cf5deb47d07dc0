//! Completions for shells, from the same definition as everything else.

use std::io;

use anyhow::{Context as _, Result};
use clap::CommandFactory;
use clap_complete::Shell;

/// Prints a program's completions for a shell.
///
/// # Errors
/// When stdout cannot be written.
pub fn print<P: CommandFactory>(program: &str, shell: Shell) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut P::command(), program, &mut script);
    match io::Write::write_all(&mut io::stdout().lock(), &script) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("standard output")
        }
        _ => Ok(0),
    }
}
