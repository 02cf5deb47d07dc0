//! One large file that is being sent.
//!
//! Invariant: a call hashes a bounded part of the file, whatever the receiver says that it holds.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use crate::copy::content::{Content, Piece};
use crate::copy::fault::Fault;
use crate::copy::frame::{FromSender, Hash};
use crate::copy::hashing::Hasher;

/// Large file that is being sent.
#[derive(Debug)]
pub struct Outgoing {
    content: Rc<Content>,
    offset: u64,
    /// Number of the item.
    pub item: u64,
    /// Length and hash of what the receiver holds, until they are compared.
    claimed: Option<(u64, Hash)>,
    /// Hash that is counted for this receiver alone.
    own: Option<Hasher>,
}

/// Result of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A part of the content was hashed, and nothing sent.
    Hashed,
    /// Number of bytes that were sent or left out.
    Sent(u64),
    /// The file is complete.
    Complete,
}

impl Outgoing {
    /// Begins a file.
    #[must_use]
    pub const fn new(content: Rc<Content>, item: u64) -> Self {
        Self {
            content,
            offset: 0,
            item,
            claimed: None,
            own: None,
        }
    }

    /// Takes the word of the receiver that it holds the beginning of the file.
    pub fn claim(&mut self, length: u64, hash: Hash) {
        if self.offset < length && length <= self.content.size() {
            self.claimed = Some((length, hash));
        }
    }

    /// Appends the next part to `buffer`, or to `ready` behind it.
    ///
    /// # Errors
    /// [`Fault::Changed`] if the file has become shorter, or of the system.
    pub fn step(
        &mut self,
        buffer: &mut BytesMut,
        ready: &mut VecDeque<Bytes>,
    ) -> Result<Step, Fault> {
        if let Some((length, hash)) = self.claimed {
            let Some(own) = self.content.hash_below(length, &mut self.own)? else {
                return Ok(Step::Hashed);
            };
            self.claimed = None;
            if own == hash {
                FromSender::Skip(length).put(buffer);
                let left_out = length - std::mem::replace(&mut self.offset, length);
                return Ok(Step::Sent(left_out));
            }
        }
        let size = self.content.size();
        if self.offset == size {
            let Some(hash) = self.content.hash_below(size, &mut self.own)? else {
                return Ok(Step::Hashed);
            };
            FromSender::End(hash).put(buffer);
            return Ok(Step::Complete);
        }
        let length = match self.content.piece(self.offset)? {
            Piece::Data(frame, length) => {
                if !buffer.is_empty() {
                    ready.push_back(buffer.split().freeze());
                }
                ready.push_back(frame);
                length
            }
            Piece::Hole(length) => {
                FromSender::Hole(length).put(buffer);
                // Its zeros were hashed, which is enough for one call.
                ready.push_back(buffer.split().freeze());
                length
            }
        };
        self.offset += length;
        Ok(Step::Sent(length))
    }
}
