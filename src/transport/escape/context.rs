//! The characters that are shown in one place and escaped in another: combining marks, variation selectors, joiners.
//!
//! Not the table of hidden characters, which belongs to the [module above](super). Invariants: the number of marks on a letter
//! and of joiners in an emoji is bounded; a joiner is shown only between characters that it joins or separates.
//!
//! | character | shown |
//! |-----------|-------|
//! | combining mark | after a letter, a few of them |
//! | U+FE0F, emoji presentation | once after a symbol, as in U+2764 U+FE0F; in a keycap after 0 to 9, # and * |
//! | U+200D, zero-width joiner | between two emoji; after a virama (RFC 5892, appendix A.2) |
//! | U+200C, zero-width non-joiner | after a virama; between two Arabic letters, as in Persian (appendix A.1) |

use unicode_width::UnicodeWidthChar as _;

use super::is_hidden;

/// Combining marks that one character may carry. Vietnamese and pointed Hebrew need up to three;
/// dozens of them overwrite the lines above and below.
pub const MAX_MARKS: u32 = 4;

/// Joiners in one emoji: a family of four has three, and so has a couple with a kiss.
pub const MAX_JOINERS: u32 = 4;

const JOINER: char = '\u{200d}';
const NON_JOINER: char = '\u{200c}';
const EMOJI_PRESENTATION: char = '\u{fe0f}';
const KEYCAP: char = '\u{20e3}';

/// The context that decides, with the character itself and the next one, about showing a character.
#[derive(Default)]
pub(super) struct Context {
    /// Last character shown that is not a mark. `None` at the start and after an escape, where a
    /// mark would change text that is not the peer's.
    base: Option<char>,
    /// Last character shown.
    last: Option<char>,
    marks: u32,
    joiners: u32,
}

impl Context {
    /// Returns true if `c` may be shown in this context before `next`, and adds it to the context.
    pub(super) fn shows(&mut self, c: char, next: Option<char>) -> bool {
        if self.is_selector(c, next) {
            self.marks += 1;
            self.last = Some(c);
            return true;
        }
        if self.is_joiner(c, next) {
            self.joiners += 1;
            self.last = Some(c);
            return true;
        }
        if is_hidden(c) {
            *self = Self::default();
            return false;
        }
        if c.width() != Some(0) {
            let joiners = if self.last == Some(JOINER) {
                self.joiners
            } else {
                0
            };
            *self = Self {
                base: Some(c),
                last: Some(c),
                marks: 0,
                joiners,
            };
            return true;
        }
        self.marks = self.marks.saturating_add(1);
        let is_shown = self.base.is_some() && self.marks <= MAX_MARKS;
        self.last = is_shown.then_some(c);
        is_shown
    }

    /// Returns true for U+FE0F where it asks for the coloured form. Symbols that have one begin at U+203C, except U+00A9 and
    /// U+00AE.
    fn is_selector(&self, c: char, next: Option<char>) -> bool {
        let Some(base) = self.base.filter(|_| c == EMOJI_PRESENTATION) else {
            return false;
        };
        let is_symbol = base >= '\u{203c}' || matches!(base, '\u{a9}' | '\u{ae}');
        let is_keycap = matches!(base, '0'..='9' | '#' | '*') && next == Some(KEYCAP);
        self.marks == 0 && self.last == Some(base) && (is_symbol || is_keycap)
    }

    /// Returns true for a joiner that joins or separates.
    fn is_joiner(&self, c: char, next: Option<char>) -> bool {
        let after_virama = self.last.is_some_and(is_virama);
        let between = |class: fn(char) -> bool| {
            let is_class = |c: Option<char>| c.is_some_and(class);
            is_class(self.base) && is_class(next)
        };
        match c {
            JOINER if after_virama => true,
            JOINER => {
                let after = [self.base, Some(EMOJI_PRESENTATION)].contains(&self.last);
                after && self.joiners < MAX_JOINERS && between(is_emoji)
            }
            NON_JOINER => {
                after_virama || self.last != Some(NON_JOINER) && between(is_arabic_letter)
            }
            _ => false,
        }
    }
}

/// Returns true for the blocks whose symbols form emoji.
const fn is_emoji(c: char) -> bool {
    matches!(
        c,
        '\u{2190}'..='\u{21ff}'
            | '\u{2300}'..='\u{23ff}'
            | '\u{2600}'..='\u{27bf}'
            | '\u{2b00}'..='\u{2bff}'
            | '\u{1f000}'..='\u{1faff}'
    )
}

/// Returns true for the letters of the Arabic script that join.
const fn is_arabic_letter(c: char) -> bool {
    matches!(
        c,
        '\u{620}'..='\u{64a}' | '\u{66e}'..='\u{6d3}' | '\u{6fa}'..='\u{6ff}' | '\u{750}'..='\u{77f}'
    )
}

/// Returns true for the signs that join consonants of the scripts of India and Sri Lanka, U+0D4D for example.
const fn is_virama(c: char) -> bool {
    matches!(
        c,
        '\u{94d}'
            | '\u{9cd}'
            | '\u{a4d}'
            | '\u{acd}'
            | '\u{b4d}'
            | '\u{bcd}'
            | '\u{c4d}'
            | '\u{ccd}'
            | '\u{d4d}'
            | '\u{dca}'
    )
}
