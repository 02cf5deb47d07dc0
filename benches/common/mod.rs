//! Parts of several benches: programs that run until they are dropped, places to run them, and ssh.

pub mod cpu;
pub mod machine;
pub mod namespace;
pub mod process;
pub mod programs;
pub mod ssh;

use std::path::Path;
use std::process::Command;

/// A place where programs run: the network that they see.
pub trait Place {
    /// Command that runs a program there.
    fn command(&self, program: &Path) -> Command;
}
