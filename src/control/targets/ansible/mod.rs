//! Inventories of Ansible: INI, YAML, and programs that print JSON.
//!
//! Of their variables only those count that tell where an agent is and as whom to run. Templates are not evaluated.
//! Invariant: all inventories together are one, as for Ansible: groups of the same name are united, and of a variable
//! the later value counts.

mod content;
mod groups;
mod host_range;
mod ini;
mod node;
mod program;
mod source;
#[cfg(test)]
mod tests;
mod vars;

pub use content::{ALL, Content, Group, name_of};
pub use source::{Format, parse, read, read_file};
pub use vars::HostVars;
