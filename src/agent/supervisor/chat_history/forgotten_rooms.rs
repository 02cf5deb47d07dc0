//! Marks of the rooms that were forgotten, until a writer that has ended well has written them.
//!
//! Not the messages that wait. Invariants: there is one mark of a room at most, and at most [`limits::FORGOTTEN_ROOMS`] in
//! all; a mark that was sent and perhaps not written is sent again after a failure.

use std::collections::VecDeque;

use crate::agent::chat::Earlier;
use crate::agent::supervisor::limits;

/// The marks, the oldest first.
#[derive(Default)]
pub(super) struct ForgottenRooms {
    marks: VecDeque<Earlier>,
    /// Number of marks that the writer has taken, all before the others.
    sent: usize,
}

impl ForgottenRooms {
    /// Adds a mark, in the place of an earlier one of its room. Beyond the bound the oldest one gives way, which was
    /// written long ago if there is a writer.
    pub(super) fn add(&mut self, mark: Earlier) {
        let same = self.marks.iter().position(|other| other.room == mark.room);
        let beyond = (self.marks.len() >= limits::FORGOTTEN_ROOMS).then_some(0);
        if let Some(index) = same.or(beyond) {
            self.marks.remove(index);
            self.sent -= usize::from(index < self.sent);
        }
        self.marks.push_back(mark);
    }

    /// Takes the next mark that the writer was not sent.
    pub(super) fn take_next(&mut self) -> Option<Earlier> {
        let next = self.marks.get(self.sent)?.clone();
        self.sent += 1;
        Some(next)
    }

    /// True if the writer was sent all marks.
    pub(super) fn is_sent(&self) -> bool {
        self.sent == self.marks.len()
    }

    /// Lets all marks be sent again, after a failure.
    pub(super) const fn send_again(&mut self) {
        self.sent = 0;
    }

    /// Removes the marks that were sent, after their writer has ended well.
    pub(super) fn on_written(&mut self) {
        self.marks.drain(..std::mem::take(&mut self.sent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: usize) -> Earlier {
        Earlier::forgotten(0, format!("room{number}").parse().unwrap())
    }

    fn taken(forgotten: &mut ForgottenRooms) -> Vec<Earlier> {
        std::iter::from_fn(|| forgotten.take_next()).collect()
    }

    #[test]
    fn a_mark_is_sent_once_unless_its_writer_fails_or_its_room_is_forgotten_again() {
        let mut forgotten = ForgottenRooms::default();
        forgotten.add(mark(1));
        forgotten.add(mark(2));
        assert_eq!(taken(&mut forgotten), [mark(1), mark(2)]);
        forgotten.add(mark(1));
        assert!(!forgotten.is_sent());
        assert_eq!(taken(&mut forgotten), [mark(1)]);
        forgotten.send_again();
        assert_eq!(forgotten.take_next(), Some(mark(2)));
        forgotten.on_written();
        assert_eq!(taken(&mut forgotten), [mark(1)]);
        forgotten.on_written();
        forgotten.send_again();
        assert!(forgotten.is_sent());
    }

    #[test]
    fn the_marks_of_forgotten_rooms_are_bounded_and_the_newest_are_kept() {
        let mut forgotten = ForgottenRooms::default();
        for number in 0..3 * limits::FORGOTTEN_ROOMS {
            forgotten.add(mark(number));
            if number % 2 == 0 {
                forgotten.take_next();
            }
            assert!(forgotten.marks.len() <= limits::FORGOTTEN_ROOMS);
        }
        taken(&mut forgotten);
        forgotten.send_again();
        let newest = 2 * limits::FORGOTTEN_ROOMS..3 * limits::FORGOTTEN_ROOMS;
        assert!(taken(&mut forgotten).into_iter().eq(newest.map(mark)));
    }
}
