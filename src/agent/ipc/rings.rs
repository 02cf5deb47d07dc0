//! Rings of bytes in a file in memory, which two processes share.
//!
//! Not a queue: offsets are told by messages. The file is read and written by position and never mapped, so
//! that a process which shares it cannot cause a fault or a data race in the other. Invariant: a ring holds the
//! bytes from a released offset on, at most its size.
//!
//! The byte at offset `n` of a stream is at position `(n - base) % size` of its ring. The writer moves `base` to
//! the present offset when the ring is empty, so that a stream that is consumed quickly uses few pages.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{
    FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate,
    memfd_create, open,
};
use rustix::io::{pread, pwrite};
use std::os::fd::AsRawFd as _;

/// Number of a ring in its file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RingId(pub u32);

/// A file of rings of equal size.
#[derive(Debug)]
pub struct RingFile {
    file: OwnedFd,
    size: u64,
}

impl RingFile {
    /// Creates a file of `count` rings of `size` bytes. It takes memory only as far as it is written.
    ///
    /// # Errors
    /// Those of `memfd_create(2)` and `ftruncate(2)`.
    pub fn create(name: &str, count: u32, size: u64) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create(name, flags)?;
        ftruncate(&file, u64::from(count) * size)?;
        // Otherwise the other process could truncate it.
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(Self { file, size })
    }

    /// Takes a file that another process has created.
    #[must_use]
    pub const fn adopt(file: OwnedFd, size: u64) -> Self {
        Self { file, size }
    }

    /// Returns a descriptor that can only read. Without `/proc` the descriptor can also write.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn read_only(&self) -> io::Result<OwnedFd> {
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        match open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => Ok(file),
            Err(_) => self.file.try_clone(),
        }
    }

    /// Returns its descriptor.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Returns the position in the file of an offset, and the number of bytes up to the end of the ring there.
    #[must_use]
    pub fn position(&self, ring: RingId, base: u64, offset: u64) -> (u64, u64) {
        let at = offset.wrapping_sub(base) % self.size;
        (u64::from(ring.0) * self.size + at, self.size - at)
    }

    /// Reads the bytes from `from` to `to`, which are at most a ring apart.
    ///
    /// # Errors
    /// Those of `pread(2)`; `UnexpectedEof` if the file is too short.
    pub fn read(&self, ring: RingId, base: u64, from: u64, to: u64) -> io::Result<Vec<Bytes>> {
        let mut pieces = Vec::with_capacity(2);
        let mut at = from;
        while at < to {
            let (position, contiguous) = self.position(ring, base, at);
            let length = contiguous.min(to - at);
            let piece = self.read_at(position, length)?;
            at += piece.len() as u64;
            pieces.push(piece);
        }
        Ok(pieces)
    }

    fn read_at(&self, position: u64, length: u64) -> io::Result<Bytes> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut piece = Vec::with_capacity(length);
        let read = pread(&self.file, spare_capacity(&mut piece), position)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The allocation may be larger than asked for.
        piece.truncate(length);
        Ok(piece.into())
    }

    /// Writes `data` at `offset`. It must not exceed the free space of the ring.
    ///
    /// # Errors
    /// Those of `pwrite(2)`: no memory is left.
    pub fn write(&self, ring: RingId, base: u64, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut done = 0;
        while done < data.len() {
            let (position, contiguous) = self.position(ring, base, offset + done as u64);
            let contiguous = usize::try_from(contiguous).unwrap_or(usize::MAX);
            let end = data.len().min(done.saturating_add(contiguous));
            done += pwrite(&self.file, &data[done..end], position)?;
        }
        Ok(())
    }

    /// Returns the memory of a ring to the system; its bytes become zero.
    pub fn clear(&self, ring: RingId) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // A failure costs memory until the ring is used again.
        let _ = fallocate(&self.file, flags, u64::from(ring.0) * self.size, self.size);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(pieces: &[Bytes]) -> Vec<u8> {
        pieces.concat()
    }

    proptest! {
        #[test]
        fn bytes_are_read_as_they_were_written_wherever_the_ring_wraps(
            base in 0u64..1000,
            ahead in 0u64..300,
            data in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let rings = RingFile::create("test", 3, 100).unwrap();
            let (ring, at) = (RingId(1), base + ahead);
            rings.write(ring, base, at, &data).unwrap();
            let end = at + data.len() as u64;
            prop_assert_eq!(all(&rings.read(ring, base, at, end).unwrap()), data);
            for other in [RingId(0), RingId(2)] {
                prop_assert_eq!(all(&rings.read(other, 0, 0, 100).unwrap()), vec![0; 100]);
            }
        }
    }

    #[test]
    fn the_reading_descriptor_sees_the_bytes_and_cannot_write_or_truncate() {
        let rings = RingFile::create("test", 1, 100).unwrap();
        let reader = RingFile::adopt(rings.read_only().unwrap(), 100);
        rings.write(RingId(0), 0, 90, b"0123456789abcdef").unwrap();
        assert_eq!(
            all(&reader.read(RingId(0), 0, 90, 106).unwrap()),
            b"0123456789abcdef"
        );
        assert!(reader.write(RingId(0), 0, 0, b"x").is_err());
        assert!(ftruncate(&rings.file, 10).is_err());
        rings.clear(RingId(0));
        assert_eq!(all(&reader.read(RingId(0), 0, 90, 106).unwrap()), [0; 16]);
    }
}
