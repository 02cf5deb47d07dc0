//! Directories and symbolic links of a receiver.
//!
//! Invariant: of a directory that cannot be entered, nothing is written, and it is reported once.

use super::{Level, Receiver};
use crate::copy::directory;
use crate::copy::fault::Fault;
use crate::copy::frame::{Attributes, Violation};
use crate::copy::name::Name;
use crate::copy::{limits, partial};

impl Receiver {
    pub(super) fn begin_directory(
        &mut self,
        name: Option<Name>,
        attributes: Attributes,
    ) -> Result<(), Violation> {
        if name.is_none() && !self.levels.is_empty() {
            return Err(Violation("a directory without a name"));
        }
        if self.ignored > 0 {
            self.ignored += 1;
            return Ok(());
        }
        let path = self.path.len();
        match self.enter(name, attributes) {
            Ok((is_new, is_item)) => self.levels.push(Level {
                attributes,
                is_new,
                path,
                is_item,
            }),
            Err(fault) => {
                self.fail(fault);
                self.path.truncate(path);
                self.ignored = 1;
            }
        }
        Ok(())
    }

    /// Enters a directory that is being received. Returns true if it is new, and true if it is an item of its own.
    fn enter(&mut self, name: Option<Name>, attributes: Attributes) -> Result<(bool, bool), Fault> {
        if self.levels.len() >= limits::DEPTH {
            return Err(Fault::Depth);
        }
        let is_item = name.is_some();
        let name = match (name, &self.rename) {
            (Some(name), _) => name,
            (None, Some(rename)) => rename.clone(),
            (None, None) => {
                let top = self.nest.outermost().again()?;
                self.nest.enter(top)?;
                return Ok((false, false));
            }
        };
        let name = self.final_name(name, true)?;
        // What is in it has to be written first.
        let mode = self.writing.mode(attributes) | 0o700;
        let (directory, is_new) = self.directory().make(&name, mode)?;
        self.nest.enter(directory)?;
        Ok((is_new, is_item))
    }

    pub(super) fn end_directory(&mut self) -> Result<(), Violation> {
        if self.ignored > 0 {
            self.ignored -= 1;
            return Ok(());
        }
        let level = self
            .levels
            .pop()
            .ok_or(Violation("the end of a directory outside of all"))?;
        let left = self.nest.leave();
        let mode = self.writing.mode(level.attributes);
        let set = match left {
            Ok(Some(directory)) if self.writing.preserve && level.is_item => {
                directory::set_attributes(&directory, level.attributes).map_err(Fault::from)
            }
            Ok(Some(directory)) if level.is_new && mode & 0o700 != 0o700 => {
                directory::set_mode(&directory, mode).map_err(Fault::from)
            }
            Ok(_) => Ok(()),
            // Those around it cannot be entered any more: what follows in them is passed over.
            Err(fault) => {
                self.ignored = self.levels.len();
                let outermost = self.levels.drain(..).next();
                self.fail(fault);
                self.path
                    .truncate(outermost.map_or(level.path, |level| level.path));
                return Ok(());
            }
        };
        if let Err(fault) = set {
            self.fail(fault);
        }
        self.path.truncate(level.path);
        Ok(())
    }

    pub(super) fn write_link(&mut self, name: Name, attributes: Attributes, target: &[u8]) {
        if self.ignored > 0 {
            return;
        }
        let path = self.path.len();
        match self.try_link(name, attributes, target) {
            Ok(()) => self.counts.files += 1,
            Err(fault) => self.fail(fault),
        }
        self.path.truncate(path);
    }

    fn try_link(&mut self, name: Name, attributes: Attributes, target: &[u8]) -> Result<(), Fault> {
        let name = self.final_name(name, false)?;
        let directory = self.directory();
        let made = partial::link(directory, target)?;
        let time = if self.writing.preserve {
            directory.set_time(&made, attributes)
        } else {
            Ok(())
        };
        let written = time.and_then(|()| directory.rename(&made, &name));
        written.map_err(|errno| {
            let _ = directory.remove(&made);
            errno.into()
        })
    }
}
