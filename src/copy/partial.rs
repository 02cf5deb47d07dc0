//! Files beside their destination that have a part of the content, until they get their final names.
//!
//! A large file has a name that follows from its own name, length and time of change, so that the next copy of it finds what
//! an interrupted one has left; a small file has a random one. If the copy that has left it still runs, as one whose
//! controller is gone does for a while, its content is taken over into another file. Invariant: two processes never write to
//! the same file.

use std::fs::File;

use rustix::fs::{copy_file_range, fstat};
use rustix::io::Errno;

use super::directory::{Directory, Kind};
use super::frame::Attributes;
use super::limits;
use super::name::Name;

/// Beginning of the names.
pub const PREFIX: &str = ".udpctl-";

/// Attempts to find a name that is free. The second is needed once in 2^64 times.
const ATTEMPTS: u32 = 8;

/// File with a part of the content.
#[derive(Debug)]
pub struct Partial {
    /// The file.
    pub file: File,
    /// Its name.
    pub name: Name,
    /// Length of the content that an interrupted copy has left, as far as it is known.
    pub held: u64,
    /// True if a later copy can find it.
    pub is_found_again: bool,
    /// Name of the file whose content is taken over.
    taken_over: Option<Name>,
    /// That file, while its content is taken over.
    source: Option<File>,
}

/// Opens the file in which the content of `name` is to be written. Its permissions are `mode`, and its owner can write to it.
///
/// # Errors
/// Of the system.
pub fn open(
    directory: &Directory,
    name: &Name,
    size: u64,
    attributes: Attributes,
    mode: u32,
) -> Result<Partial, Errno> {
    let mode = mode & 0o777 | 0o600;
    if size >= limits::RESUMED {
        let lasting = lasting_name(name, size, attributes);
        if let Some(file) = directory.lock(&lasting, mode)? {
            let length = rustix::fs::fstat(&file)?.st_size;
            return Ok(Partial {
                file,
                name: lasting,
                // A content that is as long as the file has only its end to verify.
                held: u64::try_from(length).unwrap_or(0).min(size),
                is_found_again: true,
                taken_over: None,
                source: None,
            });
        }
        let mut partial = create(directory, mode)?;
        // Without it, the file is received from its beginning.
        if let Ok(Some((source, length))) = source(directory, &lasting) {
            partial.held = length.min(size);
            partial.source = Some(source);
        }
        partial.taken_over = Some(lasting);
        return Ok(partial);
    }
    create(directory, mode)
}

/// Makes a file under a random name.
fn create(directory: &Directory, mode: u32) -> Result<Partial, Errno> {
    let mut attempt = 0;
    loop {
        let name = random_name()?;
        match directory.create(&name, mode) {
            Err(Errno::EXIST) if attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
            Ok(file) => {
                return Ok(Partial {
                    file,
                    name,
                    held: 0,
                    is_found_again: false,
                    taken_over: None,
                    source: None,
                });
            }
        }
    }
}

/// Opens a file that another process writes to, if it is this user's. Returns its length, too.
fn source(directory: &Directory, name: &Name) -> Result<Option<(File, u64)>, Errno> {
    let file = directory.open(name)?;
    let stat = fstat(&file)?;
    let is_own = stat.st_uid == rustix::process::geteuid().as_raw();
    let length = u64::try_from(stat.st_size).unwrap_or(0);
    Ok((Kind::of(&stat) == Kind::File && is_own).then_some((file, length)))
}

impl Partial {
    /// Takes over a range of what an interrupted copy has left in another file. If it is not there, nothing more is held.
    pub fn take_over(&mut self, mut from: u64, to: u64) {
        while let Some(source) = &self.source
            && from < to
        {
            let left = usize::try_from(to - from).unwrap_or(usize::MAX);
            let (mut at, mut there) = (from, from);
            match copy_file_range(source, Some(&mut at), &self.file, Some(&mut there), left) {
                Ok(0) | Err(_) => {
                    self.held = from;
                    self.source = None;
                }
                Ok(copied) => from += copied as u64,
            }
        }
    }

    /// Removes the file whose content was taken over, unless its process still writes to it.
    pub fn remove_taken_over(&self, directory: &Directory) {
        if let Some(name) = &self.taken_over
            && let Ok(Some(_file)) = directory.lock(name, 0o600)
        {
            let _ = directory.remove(name);
        }
    }
}

/// Makes a symbolic link under a name for the time being.
///
/// # Errors
/// Of the system.
pub fn link(directory: &Directory, target: &[u8]) -> Result<Name, Errno> {
    let mut attempt = 0;
    loop {
        let name = random_name()?;
        match directory.link(target, &name) {
            Err(Errno::EXIST) if attempt < ATTEMPTS => attempt += 1,
            result => return result.map(|()| name),
        }
    }
}

/// Returns the name that an interrupted copy of the same file had.
fn lasting_name(name: &Name, size: u64, attributes: Attributes) -> Name {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&size.to_be_bytes());
    hasher.update(&attributes.seconds.to_be_bytes());
    hasher.update(&attributes.nanos.to_be_bytes());
    hasher.update(name.as_bytes());
    let hash: [u8; 32] = hasher.finalize().into();
    let (id, _) = hash.split_first_chunk().expect("a hash has 32 bytes");
    temporary_name(*id)
}

fn random_name() -> Result<Name, Errno> {
    let mut id = [0; 8];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())?;
    Ok(temporary_name(id))
}

fn temporary_name(id: [u8; 8]) -> Name {
    let text = format!("{PREFIX}{:016x}", u64::from_be_bytes(id));
    Name::new(text.as_bytes()).expect("a dot, letters and digits are a name")
}
