//! Frames of a copy: values ↔ bytes.
//!
//! A frame is a type in one byte, the length of its payload in three, and the payload; integers are big-endian. Not the
//! reassembly of frames (`parser`), nor their order (`sender`, `receiver`). Invariant: what is decoded has been checked
//! against its bounds, and is encoded to the same bytes again.

use bytes::{BufMut as _, BytesMut};

use super::fault::Fault;
use super::limits;
use super::name::Name;

/// Version of the protocol.
pub const VERSION: u8 = 1;

/// Length of the header of a frame.
pub const HEADER: usize = 4;

/// Hash of the content of a file: BLAKE3.
pub type Hash = [u8; 32];

/// Types from here on are optional: a receiver that does not know one passes over it.
pub const OPTIONAL: u8 = 0x80;

/// Type of the frame with bytes of the current file.
pub const DATA: u8 = 0x06;

const BEGIN: u8 = 0x01;
const DIRECTORY: u8 = 0x02;
const UP: u8 = 0x03;
const LINK: u8 = 0x04;
const FILE: u8 = 0x05;
const HOLE: u8 = 0x07;
const SKIP: u8 = 0x08;
const END: u8 = 0x09;
const ABORT: u8 = 0x0a;
const TROUBLE: u8 = 0x0b;
const DONE: u8 = 0x0c;
const TOTAL: u8 = 0x81;
const HAVE: u8 = 0x41;
const FAILED: u8 = 0x42;
const REFUSED: u8 = 0x43;
const RESULT: u8 = 0x44;
const COUNT: u8 = 0xc1;

/// Fault of a peer that does not follow the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Violation(pub &'static str);

/// Permissions and time of change of an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attributes {
    /// Permissions: the twelve low bits of the mode.
    pub mode: u32,
    /// Time of the last change, in seconds since the epoch.
    pub seconds: i64,
    /// Its nanoseconds, below 10^9.
    pub nanos: u32,
}

/// Frame from the sender, other than data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FromSender {
    /// First frame.
    Begin,
    /// A directory, which the following items are in. Without a name, it is the destination itself.
    Directory {
        /// Its name.
        name: Option<Name>,
        /// Its attributes.
        attributes: Attributes,
    },
    /// The directory is complete.
    Up,
    /// A symbolic link.
    Link {
        /// Its name.
        name: Name,
        /// Its attributes; the mode has no meaning.
        attributes: Attributes,
        /// Its target, not empty and without NUL.
        target: Vec<u8>,
    },
    /// A file, whose content follows.
    File {
        /// Its name.
        name: Name,
        /// Its attributes.
        attributes: Attributes,
        /// Its length, below 2^63.
        size: u64,
    },
    /// Zeros that take no space, of this length.
    Hole(u64),
    /// The content below this offset is what the receiver holds.
    Skip(u64),
    /// The content of the file is complete and has this hash.
    End(Hash),
    /// The content of the file cannot be completed.
    Abort,
    /// An item was not sent.
    Trouble {
        /// The reason.
        fault: Fault,
        /// Its path, for a person.
        path: Vec<u8>,
    },
    /// Bytes of all files that there are, for a person.
    Total(u64),
    /// Everything was sent, with so many troubles.
    Done {
        /// Items that were not sent.
        troubles: u64,
    },
}

/// Frame from the receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FromReceiver {
    /// An interrupted copy of a file has this content.
    Have {
        /// Number of the item.
        item: u64,
        /// Length of the content.
        length: u64,
        /// Hash of the content.
        hash: Hash,
    },
    /// An item was not written.
    Failed {
        /// Number of the item.
        item: u64,
        /// The reason.
        fault: Fault,
        /// Its path, for a person.
        path: Vec<u8>,
    },
    /// The destination cannot be written to at all.
    Refused {
        /// The reason.
        fault: Fault,
        /// The path, for a person.
        path: Vec<u8>,
    },
    /// Everything was received.
    Result(Counts),
    /// A person watches: the number of bytes of all files is wanted.
    Count,
}

/// Counts of the items of a copy.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Files that were written, and links.
    pub files: u64,
    /// Items that were not.
    pub failed: u64,
    /// Bytes of the files that were written.
    pub bytes: u64,
}

/// Appends a frame whose payload `write` appends.
fn frame(out: &mut BytesMut, kind: u8, write: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_bytes(0, HEADER);
    write(out);
    let length = out.len() - start - HEADER;
    out[start..start + HEADER].copy_from_slice(&header(kind, length));
}

/// Returns the header of a frame.
///
/// # Panics
/// If the payload is longer than three bytes can say.
#[must_use]
pub fn header(kind: u8, length: usize) -> [u8; HEADER] {
    let [high, a, b, c] = u32::try_from(length)
        .expect("payloads are far below 4 GiB")
        .to_be_bytes();
    assert_eq!(high, 0, "payloads are below 16 MiB");
    [kind, a, b, c]
}

impl Attributes {
    fn put(self, out: &mut BytesMut) {
        out.put_u32(self.mode & 0o7777);
        out.put_i64(self.seconds);
        out.put_u32(self.nanos);
    }
}

impl FromSender {
    /// Appends the frame.
    pub fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Begin => frame(out, BEGIN, |out| out.put_u8(VERSION)),
            Self::Directory { name, attributes } => frame(out, DIRECTORY, |out| {
                attributes.put(out);
                out.put_slice(name.as_ref().map_or(&[], Name::as_bytes));
            }),
            Self::Up => frame(out, UP, |_| {}),
            Self::Link {
                name,
                attributes,
                target,
            } => frame(out, LINK, |out| {
                attributes.put(out);
                let length = name.as_bytes().len();
                out.put_u8(u8::try_from(length).expect("a name has at most 255 bytes"));
                out.put_slice(name.as_bytes());
                out.put_slice(target);
            }),
            Self::File {
                name,
                attributes,
                size,
            } => frame(out, FILE, |out| {
                attributes.put(out);
                out.put_u64(*size);
                out.put_slice(name.as_bytes());
            }),
            Self::Hole(length) => frame(out, HOLE, |out| out.put_u64(*length)),
            Self::Skip(offset) => frame(out, SKIP, |out| out.put_u64(*offset)),
            Self::End(hash) => frame(out, END, |out| out.put_slice(hash)),
            Self::Abort => frame(out, ABORT, |_| {}),
            Self::Trouble { fault, path } => frame(out, TROUBLE, |out| {
                out.put_u32(fault.code());
                out.put_slice(shown(path));
            }),
            Self::Total(bytes) => frame(out, TOTAL, |out| out.put_u64(*bytes)),
            Self::Done { troubles } => frame(out, DONE, |out| out.put_u64(*troubles)),
        }
    }

    /// Decodes the payload of a frame; `None` for one that is passed over.
    ///
    /// # Errors
    /// [`Violation`]
    pub fn decode(kind: u8, payload: &[u8]) -> Result<Option<Self>, Violation> {
        let mut rest = Rest(payload);
        let frame = match kind {
            BEGIN => match rest.array::<1>()? {
                [VERSION] => Self::Begin,
                _ => return Err(Violation("an unknown version of the copy protocol")),
            },
            DIRECTORY => {
                let attributes = rest.attributes()?;
                let name = match rest.take() {
                    [] => None,
                    name => Some(checked(name)?),
                };
                Self::Directory { name, attributes }
            }
            UP => Self::Up,
            LINK => {
                let attributes = rest.attributes()?;
                let [length] = rest.array()?;
                let name = checked(rest.slice(length.into())?)?;
                let target = rest.take().to_vec();
                if target.is_empty() || target.len() > limits::LINK || target.contains(&0) {
                    return Err(Violation("a link without a possible target"));
                }
                Self::Link {
                    name,
                    attributes,
                    target,
                }
            }
            FILE => {
                let attributes = rest.attributes()?;
                let size = rest.u64()?;
                if i64::try_from(size).is_err() {
                    return Err(Violation("a file longer than a file can be"));
                }
                Self::File {
                    name: checked(rest.take())?,
                    attributes,
                    size,
                }
            }
            HOLE => Self::Hole(rest.u64()?),
            SKIP => Self::Skip(rest.u64()?),
            END => Self::End(rest.array()?),
            ABORT => Self::Abort,
            TROUBLE => Self::Trouble {
                fault: rest.fault()?,
                path: rest.path()?,
            },
            DONE => Self::Done {
                troubles: rest.u64()?,
            },
            TOTAL => Self::Total(rest.u64()?),
            OPTIONAL.. => return Ok(None),
            _ => return Err(Violation("an unknown frame")),
        };
        rest.end().map(|()| Some(frame))
    }
}

impl FromReceiver {
    /// Appends the frame.
    pub fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Have { item, length, hash } => frame(out, HAVE, |out| {
                out.put_u64(*item);
                out.put_u64(*length);
                out.put_slice(hash);
            }),
            Self::Failed { item, fault, path } => frame(out, FAILED, |out| {
                out.put_u64(*item);
                out.put_u32(fault.code());
                out.put_slice(shown(path));
            }),
            Self::Refused { fault, path } => frame(out, REFUSED, |out| {
                out.put_u32(fault.code());
                out.put_slice(shown(path));
            }),
            Self::Result(counts) => frame(out, RESULT, |out| {
                out.put_u64(counts.files);
                out.put_u64(counts.failed);
                out.put_u64(counts.bytes);
            }),
            Self::Count => frame(out, COUNT, |_| {}),
        }
    }

    /// Decodes the payload of a frame; `None` for one that is passed over.
    ///
    /// # Errors
    /// [`Violation`]
    pub fn decode(kind: u8, payload: &[u8]) -> Result<Option<Self>, Violation> {
        let mut rest = Rest(payload);
        let frame = match kind {
            HAVE => Self::Have {
                item: rest.u64()?,
                length: rest.u64()?,
                hash: rest.array()?,
            },
            FAILED => Self::Failed {
                item: rest.u64()?,
                fault: rest.fault()?,
                path: rest.path()?,
            },
            REFUSED => Self::Refused {
                fault: rest.fault()?,
                path: rest.path()?,
            },
            RESULT => Self::Result(Counts {
                files: rest.u64()?,
                failed: rest.u64()?,
                bytes: rest.u64()?,
            }),
            COUNT => Self::Count,
            OPTIONAL.. => return Ok(None),
            _ => return Err(Violation("an unknown frame")),
        };
        rest.end().map(|()| Some(frame))
    }
}

/// Returns the part of a path that a report has room for.
fn shown(path: &[u8]) -> &[u8] {
    &path[..path.len().min(limits::PATH)]
}

fn checked(name: &[u8]) -> Result<Name, Violation> {
    Name::new(name).ok_or(Violation("a name that leads elsewhere"))
}

/// Rest of a payload.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn slice(&mut self, length: usize) -> Result<&'a [u8], Violation> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(Violation("a frame that is too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn take(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Violation> {
        let slice = self.slice(N)?;
        Ok(slice.try_into().expect("it has that length"))
    }

    fn u32(&mut self) -> Result<u32, Violation> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Violation> {
        self.array().map(u64::from_be_bytes)
    }

    fn fault(&mut self) -> Result<Fault, Violation> {
        self.u32().map(Fault::of_code)
    }

    fn path(&mut self) -> Result<Vec<u8>, Violation> {
        let path = self.take();
        if path.len() > limits::PATH {
            return Err(Violation("a path that is too long"));
        }
        Ok(path.to_vec())
    }

    fn attributes(&mut self) -> Result<Attributes, Violation> {
        let mode = self.u32()?;
        let seconds = i64::from_be_bytes(self.array()?);
        let nanos = self.u32()?;
        if mode & !0o7777 != 0 || nanos >= 1_000_000_000 {
            return Err(Violation("attributes that no item has"));
        }
        Ok(Attributes {
            mode,
            seconds,
            nanos,
        })
    }

    const fn end(&self) -> Result<(), Violation> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Violation("a frame that is too long"))
        }
    }
}

#[cfg(test)]
mod tests;
