//! Rings of bytes in a file in memory, which two processes share.
//!
//! Not a queue: offsets are told by messages. Invariant: a ring holds the bytes from a released offset on, at most its
//! size.
//!
//! A ring that carries few bytes is read and written by position. One that carries many is mapped, which costs less
//! than a call that copies by pages. Mapped bytes may change at any time, so they are only copied, and by `vm-memory`,
//! which is made for that; and the file is sealed, so that no process can cause a fault by making it shorter.
//!
//! The place of a byte in its ring is that in the [`Extent`] that is in use.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{
    FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate,
    memfd_create, open,
};
use rustix::io::{pread, pwrite, write};
use std::os::fd::AsRawFd as _;
use vm_memory::mmap::MmapRegion;
use vm_memory::{
    FileOffset, ReadVolatile as _, VolatileMemory as _, VolatileMemoryError, VolatileSlice,
    WriteVolatile as _,
};

use super::extent::Extent;
use super::limits::{MAPPED, PIECE};
use super::spare::Spare;

/// Number of a ring in its file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RingId(pub u32);

/// Distance by which a copy may not begin behind its source, within a page. Processors of AMD since Zen 3 copy a tenth
/// as fast there (`rep movsb`).
const APART: usize = 32;

/// Size of a page, or a part of it.
const PAGE: usize = 4096;

/// A file of rings of equal size.
#[derive(Debug)]
pub struct RingFile {
    file: Arc<File>,
    size: u64,
    /// True if this side may write.
    writable: bool,
    /// Mapped rings; `None` for those that cannot be.
    maps: HashMap<RingId, Option<MmapRegion>>,
    spare: Spare,
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
        Ok(Self::adopt(file, size))
    }

    /// Takes a file that another process has created.
    #[must_use]
    pub fn adopt(file: OwnedFd, size: u64) -> Self {
        Self {
            file: Arc::new(file.into()),
            size,
            writable: true,
            maps: HashMap::new(),
            spare: Spare::default(),
        }
    }

    /// Limits the use of the file to reading.
    #[must_use]
    pub const fn for_reading(mut self) -> Self {
        self.writable = false;
        self
    }

    /// Returns a descriptor that can only read. Without `/proc` the descriptor can also write.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn read_only(&self) -> io::Result<OwnedFd> {
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        match open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => Ok(file),
            Err(_) => self.file().try_clone_to_owned(),
        }
    }

    /// Returns its descriptor.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Returns the position in the file of an offset, and the number of bytes up to the end of the ring there.
    #[must_use]
    pub fn position(&self, ring: RingId, extent: Extent, offset: u64) -> (u64, u64) {
        let (at, contiguous) = extent.place(offset);
        (u64::from(ring.0) * self.size + at, contiguous)
    }

    /// Maps a ring that carries much, as its `offset` shows.
    fn map(&mut self, ring: RingId, offset: u64) {
        if offset < MAPPED || self.maps.contains_key(&ring) {
            return;
        }
        let start = u64::from(ring.0) * self.size;
        let file = FileOffset::from_arc(Arc::clone(&self.file), start);
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let protection = if self.writable {
            libc::PROT_READ | libc::PROT_WRITE
        } else {
            libc::PROT_READ
        };
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
        let map = MmapRegion::build(Some(file), size, protection, flags);
        self.maps.insert(ring, map.ok());
    }

    /// Returns mapped bytes of a ring, if it is mapped.
    fn mapped(&self, ring: RingId, at: u64, length: usize) -> Option<VolatileSlice<'_>> {
        let map = self.maps.get(&ring)?.as_ref()?;
        map.get_slice(usize::try_from(at).ok()?, length).ok()
    }

    /// Reads at most `most` bytes from a descriptor to `offset`, if the ring is mapped. They must not exceed the free
    /// space of the ring.
    ///
    /// # Errors
    /// Those of `read(2)`.
    pub fn fill(
        &mut self,
        ring: RingId,
        extent: Extent,
        offset: u64,
        most: usize,
        from: BorrowedFd<'_>,
    ) -> Option<io::Result<usize>> {
        self.map(ring, offset);
        let (at, contiguous) = extent.place(offset);
        let most = most.min(usize::try_from(contiguous).unwrap_or(usize::MAX));
        let mut bytes = self.mapped(ring, at, most).filter(|_| self.writable)?;
        Some((&from).read_volatile(&mut bytes).map_err(into_io))
    }

    /// Writes at most `most` bytes at `offset` to a descriptor. `buffer` is used if the ring is not mapped.
    ///
    /// # Errors
    /// Those of `pread(2)` and `write(2)`.
    pub fn drain(
        &mut self,
        ring: RingId,
        extent: Extent,
        offset: u64,
        most: usize,
        to: BorrowedFd<'_>,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        self.map(ring, offset);
        let (at, contiguous) = extent.place(offset);
        let most = most.min(usize::try_from(contiguous).unwrap_or(usize::MAX));
        if let Some(bytes) = self.mapped(ring, at, most) {
            return (&to).write_volatile(&bytes).map_err(into_io);
        }
        let (position, _) = self.position(ring, extent, offset);
        let most = most.min(buffer.len());
        let length = pread(&self.file, &mut buffer[..most], position)?;
        Ok(write(to, &buffer[..length])?)
    }

    /// Reads the bytes from `from` to `to`, which are at most a ring apart.
    ///
    /// # Errors
    /// Those of `pread(2)`; `UnexpectedEof` if the file is too short.
    pub fn read(
        &mut self,
        ring: RingId,
        extent: Extent,
        from: u64,
        to: u64,
    ) -> io::Result<Vec<Bytes>> {
        self.map(ring, to);
        let mut pieces = Vec::with_capacity(2);
        let mut at = from;
        while at < to {
            let (_, contiguous) = extent.place(at);
            let length = contiguous.min(to - at).min((PIECE - APART) as u64);
            let piece = self.read_at(ring, extent, at, length)?;
            at += piece.len() as u64;
            pieces.push(piece);
        }
        Ok(pieces)
    }

    fn read_at(
        &mut self,
        ring: RingId,
        extent: Extent,
        offset: u64,
        length: u64,
    ) -> io::Result<Bytes> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        let (position, _) = self.position(ring, extent, offset);
        let mut piece = self.spare.take(length + APART);
        let place = usize::try_from(position % PAGE as u64).expect("less than a page");
        let ahead = piece.as_ptr().addr().wrapping_sub(place) % PAGE;
        let skipped = if ahead < APART { APART } else { 0 };
        piece.resize(skipped, 0);
        let (at, _) = extent.place(offset);
        if let Some(bytes) = self.mapped(ring, at, length) {
            piece.write_all_volatile(&bytes).map_err(into_io)?;
        } else if pread(&self.file, spare_capacity(&mut piece), position)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The allocation is larger than asked for.
        piece.truncate(skipped + length);
        let piece = Bytes::from(piece);
        self.spare.note(&piece);
        Ok(piece.slice(skipped..))
    }

    /// Writes `data` at `offset`. It must not exceed the free space of the ring.
    ///
    /// # Errors
    /// Those of `pwrite(2)`: no memory is left.
    pub fn write(
        &mut self,
        ring: RingId,
        extent: Extent,
        offset: u64,
        data: &[u8],
    ) -> io::Result<()> {
        self.map(ring, offset);
        let mut done = 0;
        while done < data.len() {
            let (at, contiguous) = extent.place(offset + done as u64);
            let contiguous = usize::try_from(contiguous).unwrap_or(usize::MAX);
            let piece = &data[done..data.len().min(done.saturating_add(contiguous))];
            let mapped = self.mapped(ring, at, piece.len());
            if let Some(bytes) = mapped.filter(|_| self.writable) {
                bytes.copy_from(piece);
                done += piece.len();
            } else {
                let (position, _) = self.position(ring, extent, offset + done as u64);
                done += pwrite(&self.file, piece, position)?;
            }
        }
        Ok(())
    }

    /// Ends the use of a ring by its present job.
    pub fn unmap(&mut self, ring: RingId) {
        self.maps.remove(&ring);
        if self.maps.is_empty() {
            self.spare.clear();
        }
    }

    /// Returns the memory of a ring to the system; its bytes become zero.
    pub fn clear(&mut self, ring: RingId) {
        self.unmap(ring);
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // A failure costs memory until the ring is used again.
        let _ = fallocate(&self.file, flags, u64::from(ring.0) * self.size, self.size);
    }
}

/// Returns the error of a system call. Others do not arise, because the bytes of a slice are in its map.
fn into_io(error: VolatileMemoryError) -> io::Error {
    match error {
        VolatileMemoryError::IOError(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    const fn small(base: u64) -> Extent {
        Extent { base, size: 100 }
    }

    const fn large(base: u64) -> Extent {
        let size = 16 << 10;
        Extent { base, size }
    }

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
            let mut rings = RingFile::create("test", 3, 100).unwrap();
            let (ring, at) = (RingId(1), base + ahead);
            rings.write(ring, small(base), at, &data).unwrap();
            let end = at + data.len() as u64;
            prop_assert_eq!(all(&rings.read(ring, small(base), at, end).unwrap()), data);
            for other in [RingId(0), RingId(2)] {
                prop_assert_eq!(all(&rings.read(other, small(0), 0, 100).unwrap()), vec![0; 100]);
            }
        }
    }

    /// A ring of 16 KiB, as both sides have it.
    fn both_sides() -> (RingFile, RingFile) {
        let writer = RingFile::create("test", 2, 16 << 10).unwrap();
        let reader = RingFile::adopt(writer.read_only().unwrap(), 16 << 10);
        (writer, reader.for_reading())
    }

    #[test]
    fn a_ring_that_carries_much_is_mapped_and_its_bytes_go_through_a_pipe_and_back() {
        let (mut writer, mut reader) = both_sides();
        let ring = RingId(1);
        let data: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
        let (source, mut into) = std::io::pipe().unwrap();
        let mut buffer = [0; 1000];
        // Near the end of the ring, so that it wraps.
        for offset in [MAPPED - 1, MAPPED + (14 << 10), 3 * MAPPED + 5] {
            std::io::Write::write_all(&mut into, &data).unwrap();
            let mut end = offset;
            while end - offset < data.len() as u64 {
                let filled = writer.fill(ring, large(0), end, data.len(), source.as_fd());
                let Some(filled) = filled else {
                    assert_eq!(offset, MAPPED - 1, "not mapped");
                    let mut rest = vec![0; data.len()];
                    (&source).read_exact(&mut rest).unwrap();
                    writer.write(ring, large(0), offset, &rest).unwrap();
                    end += rest.len() as u64;
                    break;
                };
                end += filled.unwrap() as u64;
            }
            assert_eq!(
                all(&reader.read(ring, large(0), offset, end).unwrap()),
                data
            );
            let mut at = offset;
            while at < end {
                let left = usize::try_from(end - at).unwrap();
                let drained = writer.drain(ring, large(0), at, left, into.as_fd(), &mut buffer);
                at += drained.unwrap() as u64;
            }
            let mut back = vec![0; data.len()];
            (&source).read_exact(&mut back).unwrap();
            assert_eq!(back, data);
        }
        assert!(writer.maps.contains_key(&ring) && reader.maps.contains_key(&ring));
        writer.clear(ring);
        reader.unmap(ring);
        assert!(writer.maps.is_empty() && reader.maps.is_empty());
        let zeros = reader.read(ring, large(0), MAPPED, MAPPED + 10).unwrap();
        assert_eq!(all(&zeros), [0; 10]);
    }

    #[test]
    fn mapped_and_unmapped_sides_see_the_same_bytes() {
        let (mut writer, mut reader) = both_sides();
        let (ring, size) = (RingId(0), 16 << 10);
        for offset in (MAPPED - size..MAPPED + size).step_by(1000) {
            let bytes = offset.to_le_bytes();
            writer.write(ring, large(7), offset, &bytes).unwrap();
            assert_eq!(
                all(&reader.read(ring, large(7), offset, offset + 8).unwrap()),
                bytes
            );
            let (position, _) = writer.position(ring, large(7), offset);
            let mut raw = [0];
            pread(&writer.file, &mut raw, position).unwrap();
            assert_eq!(raw, bytes[..1]);
        }
        assert!(writer.maps.contains_key(&ring));
        // The side that only reads cannot write to the map either.
        assert!(reader.write(ring, large(0), MAPPED, b"x").is_err());
        let (source, _into) = std::io::pipe().unwrap();
        assert!(
            reader
                .fill(ring, large(0), MAPPED, 1, source.as_fd())
                .is_none()
        );
    }

    #[test]
    fn no_copy_begins_a_few_bytes_behind_its_source() {
        let (mut writer, mut reader) = both_sides();
        writer
            .write(RingId(0), large(0), 0, &[1; 16 << 10])
            .unwrap();
        let mut held = Vec::new();
        for offset in (0..12_000_u64).chain(MAPPED..MAPPED + 2000) {
            let pieces = reader
                .read(RingId(0), large(0), offset, offset + 4096)
                .unwrap();
            let place = usize::try_from(reader.position(RingId(0), large(0), offset).0).unwrap();
            let ahead = pieces[0].as_ptr().addr().wrapping_sub(place) % PAGE;
            assert!(ahead >= APART, "{ahead}");
            assert_eq!(all(&pieces), [1; 4096]);
            held.extend(pieces);
        }
    }

    #[test]
    fn the_reading_descriptor_sees_the_bytes_and_cannot_write_or_truncate() {
        let mut rings = RingFile::create("test", 1, 100).unwrap();
        let mut reader = RingFile::adopt(rings.read_only().unwrap(), 100);
        rings
            .write(RingId(0), small(0), 90, b"0123456789abcdef")
            .unwrap();
        assert_eq!(
            all(&reader.read(RingId(0), small(0), 90, 106).unwrap()),
            b"0123456789abcdef"
        );
        assert!(reader.write(RingId(0), small(0), 0, b"x").is_err());
        assert!(ftruncate(&rings.file, 10).is_err());
        rings.clear(RingId(0));
        assert_eq!(
            all(&reader.read(RingId(0), small(0), 90, 106).unwrap()),
            [0; 16]
        );
    }
}
