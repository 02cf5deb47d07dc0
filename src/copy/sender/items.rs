//! Beginnings of the items of a sender.
//!
//! Invariant: nothing of an item is sent if it cannot be opened.

use std::fs::File;
use std::path::Path;

use bytes::BufMut as _;
use rustix::fs::{OFlags, fstat};
use rustix::io::Errno;

use super::outgoing::Outgoing;
use super::{Level, Sender};
use crate::copy::directory::{Directory, Entry, Kind, attributes};
use crate::copy::fault::Fault;
use crate::copy::frame::{DATA, FromSender, header};
use crate::copy::hashing::{Hasher, read_at};
use crate::copy::limits;
use crate::copy::name::Name;
use crate::copy::nest::Nest;
use crate::copy::report::join;

impl Sender {
    /// Begins an item that the user has named.
    pub(super) fn begin_source(&mut self, path: &Path) -> Result<(), Fault> {
        self.path = path.as_os_str().as_encoded_bytes().to_vec();
        let stat = fstat(self.scope.open(path, OFlags::PATH)?)?;
        let name = Name::last_of(path);
        match Kind::of(&stat) {
            Kind::Directory if !self.recursive => Err(Fault::Directory),
            Kind::Directory => {
                let directory = self.scope.directory(path, OFlags::RDONLY)?;
                self.begin_directory(name, directory)
            }
            Kind::File => {
                let flags = OFlags::RDONLY | OFlags::NONBLOCK;
                let file = File::from(self.scope.open(path, flags)?);
                self.begin_file(name.ok_or(Fault::Name)?, file)
            }
            Kind::Link | Kind::Special => Err(Fault::Special),
        }
    }

    /// Begins an item of the directory that is being sent.
    pub(super) fn begin_entry(&mut self, entry: Entry) -> Result<(), Fault> {
        let Entry { name, kind } = entry;
        let (Some(level), Some(nest)) = (self.levels.last(), &self.nest) else {
            unreachable!("an entry is in a directory");
        };
        let directory = nest.current();
        self.path.truncate(level.path);
        join(&mut self.path, name.as_bytes());
        match kind {
            Kind::File => {
                let file = directory.open(&name)?;
                self.begin_file(name, file)
            }
            Kind::Directory => {
                let inner = directory.enter(&name)?;
                self.begin_directory(Some(name), inner)
            }
            Kind::Link => {
                let target = directory.target_of(&name)?;
                let stat = directory.stat(&name)?.ok_or(Errno::NOENT)?;
                self.item += 1;
                FromSender::Link {
                    name,
                    attributes: attributes(&stat),
                    target,
                }
                .put(&mut self.buffer);
                Ok(())
            }
            Kind::Special => Err(Fault::Special),
        }
    }

    fn begin_directory(&mut self, name: Option<Name>, directory: Directory) -> Result<(), Fault> {
        if self.levels.len() >= limits::DEPTH {
            return Err(Fault::Depth);
        }
        let attributes = attributes(&fstat(&directory)?);
        let entries = self.library.entries(&directory)?;
        match &mut self.nest {
            Some(nest) if !self.levels.is_empty() => nest.enter(directory)?,
            nest => *nest = Some(Nest::new(directory)),
        }
        self.item += 1;
        FromSender::Directory { name, attributes }.put(&mut self.buffer);
        self.levels.push(Level {
            entries,
            next: 0,
            path: self.path.len(),
            item: self.item,
        });
        Ok(())
    }

    fn begin_file(&mut self, name: Name, file: File) -> Result<(), Fault> {
        let stat = fstat(&file)?;
        if Kind::of(&stat) != Kind::File {
            return Err(Fault::Special);
        }
        let size = u64::try_from(stat.st_size).map_err(|_| Errno::OVERFLOW)?;
        let frame = FromSender::File {
            name,
            attributes: attributes(&stat),
            size,
        };
        if size <= limits::SMALL {
            return self.send_small(&frame, &file, size);
        }
        self.item += 1;
        frame.put(&mut self.buffer);
        let content = self.library.content(file, &stat);
        self.file = Some(Outgoing::new(content, self.item));
        Ok(())
    }

    /// Sends a small file at once, or nothing of it if it cannot be read.
    fn send_small(&mut self, frame: &FromSender, file: &File, size: u64) -> Result<(), Fault> {
        let before = self.buffer.len();
        frame.put(&mut self.buffer);
        let length = usize::try_from(size).expect("a small file is small");
        let mut hash = Hasher::hash(&[]);
        if length > 0 {
            self.buffer.put_slice(&header(DATA, length));
            let start = self.buffer.len();
            self.buffer.put_bytes(0, length);
            if let Err(fault) = read_at(file, &mut self.buffer[start..], 0) {
                self.buffer.truncate(before);
                return Err(fault);
            }
            hash = Hasher::hash(&self.buffer[start..]);
        }
        FromSender::End(hash).put(&mut self.buffer);
        self.item += 1;
        self.progress += size;
        Ok(())
    }
}
