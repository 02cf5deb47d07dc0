//! The layers of the code: imports point downward, files form no cycle, sans-IO code touches nothing of
//! the operating system, files and functions stay short, nothing is left half done.
//!
//! Each check is a function from sources to faults, and has a self-test with a source that is at fault.

mod graph;
mod imports;
mod modules;
mod resolve;
mod sans_io;
mod size;
pub mod source;
mod unfinished;

/// Fails with one line for each fault.
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
