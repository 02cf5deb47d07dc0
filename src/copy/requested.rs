//! Items that a receiver has asked for, by the sources that it has named.
//!
//! Not what is in a directory that was asked for. Invariant: a sender cannot have an item written that no source names, nor
//! one of them twice.

use std::path::PathBuf;

use super::frame::Violation;
use super::name::Name;

/// Items at the top of a copy that the receiver has asked for.
#[derive(Clone, Debug)]
pub struct Requested {
    /// Names that no item has had yet.
    names: Vec<Name>,
    /// Number of sources without a name that no directory has had yet.
    unnamed: usize,
    /// True if directories were asked for.
    recursive: bool,
}

impl Requested {
    /// Returns the items that a sender makes of sources.
    #[must_use]
    pub fn of(sources: &[PathBuf], recursive: bool) -> Self {
        let names: Vec<Name> = sources
            .iter()
            .filter_map(|path| Name::last_of(path))
            .collect();
        let unnamed = sources.len() - names.len();
        Self {
            names,
            unnamed,
            recursive,
        }
    }

    /// Takes a directory at the top; without a name it is the destination itself.
    pub(super) fn take_directory(&mut self, name: Option<&Name>) -> Result<(), Violation> {
        if !self.recursive {
            return Err(Violation("a directory that was not asked for"));
        }
        match name {
            Some(name) => self.take_name(name),
            None if self.unnamed > 0 => {
                self.unnamed -= 1;
                Ok(())
            }
            None => Err(Violation("a directory that was not asked for")),
        }
    }

    /// Takes a file at the top.
    pub(super) fn take_name(&mut self, name: &Name) -> Result<(), Violation> {
        let place = self.names.iter().position(|requested| requested == name);
        let place = place.ok_or(Violation("an item that was not asked for"))?;
        self.names.swap_remove(place);
        Ok(())
    }
}
