//! Ctrl-C at the prompt, of which the supervisor and the line editor hear both, in any order.
//!
//! Not its effect. Invariant: one Ctrl-C has one effect, and that of the line editor if a line was edited.

use std::time::Instant;

use super::limits::{INTERRUPT_HEARD, INTERRUPT_LATE};

/// Effect of Ctrl-C.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The prompt was empty: the user leaves.
    Leave,
    /// The line is discarded.
    Discarded,
}

/// Ctrl-C that one side only has heard of.
#[derive(Default, Debug)]
pub struct Interruption {
    /// Effect in the line editor, and its time.
    edited: Option<(Instant, Effect)>,
    /// Time at which the line editor will not hear of it any more.
    due: Option<Instant>,
}

impl Interruption {
    /// Handles that the line editor had it. Returns the effect once both sides have heard of it.
    pub fn on_edited(&mut self, now: Instant, effect: Effect) -> Option<Effect> {
        if self.due.take().is_some() {
            return Some(effect);
        }
        self.edited = Some((now, effect));
        None
    }

    /// Handles that the supervisor had it. Returns the effect once both sides have heard of it.
    pub fn on_told(&mut self, now: Instant) -> Option<Effect> {
        let is_new = |at: Instant| now.saturating_duration_since(at) <= INTERRUPT_HEARD;
        let edited = self.edited.take().filter(|&(at, _)| is_new(at));
        if edited.is_none() {
            self.due = Some(now + INTERRUPT_LATE);
        }
        edited.map(|(_, effect)| effect)
    }

    /// Returns the time at which no line was edited, unless the line editor reports it before.
    pub const fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Returns the time until which the user may turn out to have left, so that what is typed meanwhile is not sent. `None` if the
    /// user has not left.
    pub fn pending_until(&self, now: Instant) -> Option<Instant> {
        self.due.or_else(|| self.left_until(now))
    }

    /// Returns the same for what the line editor has reported.
    pub fn left_until(&self, now: Instant) -> Option<Instant> {
        let (at, effect) = self.edited?;
        let until = at + INTERRUPT_HEARD;
        (effect == Effect::Leave && now < until).then_some(until)
    }

    /// Handles the time of [`Self::deadline`]. Returns the effect.
    pub fn on_deadline(&mut self, now: Instant) -> Option<Effect> {
        let is_due = self.due.is_some_and(|due| due <= now);
        is_due.then(|| {
            self.due = None;
            Effect::Leave
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_c_has_the_effect_of_the_line_editor_whoever_hears_of_it_first() {
        let now = Instant::now();
        let mut both = Interruption::default();
        for effect in [Effect::Discarded, Effect::Leave] {
            assert_eq!(both.on_edited(now, effect), None);
            let until = both.pending_until(now);
            assert_eq!(until.is_some(), effect == Effect::Leave);
            assert!(until.is_none_or(|until| both.pending_until(until).is_none()));
            assert_eq!(both.on_told(now + INTERRUPT_HEARD), Some(effect));
            assert_eq!(both.on_told(now), None);
            assert_eq!(both.pending_until(now), both.deadline());
            assert_eq!(both.on_edited(now, effect), Some(effect));
            assert_eq!(both.deadline(), None);
        }
    }

    #[test]
    fn ctrl_c_while_no_line_is_edited_leaves() {
        let now = Instant::now();
        let mut told = Interruption::default();
        // Of another one, long ago.
        told.on_edited(now, Effect::Discarded);
        let later = now + 2 * INTERRUPT_HEARD;
        assert_eq!(told.on_told(later), None);
        assert_eq!(told.on_deadline(later), None);
        let due = told.deadline().unwrap();
        assert_eq!(told.on_deadline(due), Some(Effect::Leave));
        assert_eq!(told.on_deadline(due), None);
    }
}
