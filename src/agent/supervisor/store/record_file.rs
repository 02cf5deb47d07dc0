//! A file in memory with the state of one thing, which can be read after the death of its writer.
//!
//! Two copies are written in turn, each with a number and a checksum, so that one is complete whenever the writer dies.
//! A mark says that what the last copy describes is being changed. Invariant: if bytes may have moved since the last
//! complete copy, the mark has its number.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{pread, pwrite};

/// Position of the mark.
const MARK: u64 = 0;

/// Positions of the two copies. What is not written takes no memory.
const COPIES: [u64; 2] = [64, 1 << 20];

/// Longest text of a copy: far above that of a job, whose request and arguments are bounded.
const TEXT: usize = (1 << 20) - 4096;

/// Octets before a text: its number, its length and its checksum.
const HEADER: usize = 24;

/// The file.
#[derive(Debug)]
pub struct RecordFile {
    file: OwnedFd,
    /// Number of the last copy.
    number: u64,
    is_marked: bool,
}

/// Last complete copy of a file.
#[derive(PartialEq, Eq, Debug)]
pub struct Record {
    /// Its text.
    pub text: Vec<u8>,
    /// True if what it describes was being changed.
    pub is_marked: bool,
}

impl RecordFile {
    /// Creates a file without a copy.
    ///
    /// # Errors
    /// Those of `memfd_create(2)`.
    pub fn create() -> io::Result<Self> {
        Ok(Self {
            file: memfd_create("udpagent-record", MemfdFlags::CLOEXEC)?,
            number: 0,
            is_marked: false,
        })
    }

    /// Takes a file that another process has written, with its last complete copy.
    ///
    /// # Errors
    /// No copy is complete, or the file cannot be read.
    pub fn adopt(file: OwnedFd) -> io::Result<(Self, Record)> {
        let copies = COPIES.map(|at| read(&file, at).ok());
        let newest = copies.into_iter().flatten().max_by_key(|copy| copy.0);
        let (number, text) = newest.ok_or(io::ErrorKind::InvalidData)?;
        let mut mark = [0; 8];
        pread(&file, &mut mark, MARK)?;
        let is_marked = u64::from_le_bytes(mark) == number;
        let adopted = Self {
            file,
            number,
            is_marked,
        };
        Ok((adopted, Record { text, is_marked }))
    }

    /// Returns its descriptor.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Writes the next copy, which is not marked.
    ///
    /// # Errors
    /// The text is too long, or no memory is left.
    pub fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if text.len() > TEXT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let number = self.number + 1;
        let mut copy = Vec::with_capacity(HEADER + text.len());
        copy.extend(number.to_le_bytes());
        copy.extend((text.len() as u64).to_le_bytes());
        copy.extend(checksum(number, text).to_le_bytes());
        copy.extend(text);
        write_all(&self.file, &copy, position(number))?;
        self.number = number;
        self.is_marked = false;
        Ok(())
    }

    /// Marks the last copy. Further calls have no effect.
    ///
    /// # Errors
    /// No memory is left.
    pub fn mark(&mut self) -> io::Result<()> {
        if !self.is_marked {
            write_all(&self.file, &self.number.to_le_bytes(), MARK)?;
            self.is_marked = true;
        }
        Ok(())
    }
}

const fn position(number: u64) -> u64 {
    COPIES[if number.is_multiple_of(2) { 0 } else { 1 }]
}

fn write_all(file: &OwnedFd, bytes: &[u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        done += pwrite(file, &bytes[done..], at + done as u64)?;
    }
    Ok(())
}

/// Returns the number and the text of the copy at a position.
fn read(file: &OwnedFd, at: u64) -> io::Result<(u64, Vec<u8>)> {
    let mut header = [0; HEADER];
    let mut text = Vec::new();
    if pread(file, &mut header, at)? == HEADER {
        let [number, length, sum] =
            [0, 8, 16].map(|at| u64::from_le_bytes(std::array::from_fn(|byte| header[at + byte])));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length <= TEXT && position(number) == at {
            text.resize(length, 0);
            let read = pread(file, &mut text, at + HEADER as u64)?;
            if read == length && checksum(number, &text) == sum {
                return Ok((number, text));
            }
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// Returns a checksum against a write that was cut, FNV-1a. Nobody else can write to the file.
fn checksum(number: u64, text: &[u8]) -> u64 {
    let bytes = number.to_le_bytes();
    let bytes = bytes.iter().chain(text);
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adopted(file: &RecordFile) -> io::Result<Record> {
        let copy = file.as_fd().try_clone_to_owned().unwrap();
        RecordFile::adopt(copy).map(|(_, record)| record)
    }

    #[test]
    fn the_last_copy_is_read_with_its_mark() {
        let mut file = RecordFile::create().unwrap();
        assert!(adopted(&file).is_err());
        for text in [&b"one"[..], b"", b"another one", b"two"] {
            file.write(text).unwrap();
            let (text, is_marked) = (text.to_vec(), false);
            assert_eq!(adopted(&file).unwrap(), Record { text, is_marked });
            file.mark().unwrap();
            assert!(adopted(&file).unwrap().is_marked);
        }
        assert!(file.write(&vec![0; TEXT + 1]).is_err());
    }

    #[test]
    fn a_copy_that_was_cut_leaves_the_one_before_with_its_mark() {
        let mut file = RecordFile::create().unwrap();
        file.write(b"before").unwrap();
        file.mark().unwrap();
        file.write(b"after").unwrap();
        let at = position(2) + HEADER as u64;
        write_all(&file.file, b"afteR", at).unwrap();
        let record = adopted(&file).unwrap();
        assert_eq!((&record.text[..], record.is_marked), (&b"before"[..], true));
    }

    #[test]
    fn a_file_that_was_taken_goes_on_where_it_was() {
        let mut file = RecordFile::create().unwrap();
        file.write(b"one").unwrap();
        let (mut next, _) = RecordFile::adopt(file.as_fd().try_clone_to_owned().unwrap()).unwrap();
        next.write(b"two").unwrap();
        assert_eq!(adopted(&next).unwrap().text, b"two");
    }
}
