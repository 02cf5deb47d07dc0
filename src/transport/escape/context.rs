//! The characters that are shown in one place and escaped in another: combining marks, variation selectors, joiners.
//!
//! Not the table of hidden characters, which belongs to the [module above](super). Invariants: the number of marks on a letter
//! and of joiners in an emoji is bounded; a joiner is shown only between characters that it joins or separates, or where it
//! changes the form of the one before; no two joiners are adjacent.
//!
//! | character | shown |
//! |-----------|-------|
//! | combining mark | after a letter, a few of them |
//! | U+FE0E, U+FE0F, text and emoji presentation | once after a symbol, as in U+2764 U+FE0F; in a keycap after 0 to 9, # and * |
//! | U+FE00 to U+FE02, U+E0100 to U+E011F, glyphs of ideographs | once after a Han character, as in names of Japan |
//! | tags | in the flags of England, Scotland and Wales, the only ones for general interchange (UTS 51) |
//! | U+200D, zero-width joiner | between two emoji; after a virama (RFC 5892, appendix A.2) in its block or at the end of a word |
//! | | before the virama between two consonants, as in U+09B0 U+200D U+09CD U+09AF (UTC public review issue 37) |
//! | | after the Arabic letter heh before a full stop or a space, as in Persian dates: its initial form |
//! | U+200C, zero-width non-joiner | after a virama as U+200D, or before one; between two Arabic letters, as in Persian (appendix A.1) |
//! | both | before a vowel sign of Khmer; U+200C before one of Malayalam |
//! | U+200B, zero-width space | between two characters of a script without spaces: Khmer, Lao, Myanmar, Thai |
//! | U+180B to U+180D, U+180F | once after a Mongolian letter |
//! | U+180E, Mongolian vowel separator | between a Mongolian letter and the A or E that ends a word |
//! | U+034F, combining grapheme joiner | between two points on a Hebrew letter |

use std::str::Chars;

use unicode_width::UnicodeWidthChar as _;

use super::{is_hidden, scripts};

/// Combining marks that one character may carry. Vietnamese and Arabic need up to three;
/// dozens of them overwrite the lines above and below.
pub const MAX_MARKS: u32 = 4;

/// Combining marks that a letter of Hebrew, Tibetan and Myanmar may carry: five in biblical Hebrew and in Tibetan syllables of
/// Sanskrit, and one more.
pub const MAX_MARKS_STACKED: u32 = 6;

/// Joiners in one emoji: a family of four has three, and so has a couple with a kiss.
pub const MAX_JOINERS: u32 = 4;

const SPACE: char = '\u{200b}';
const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';
const GRAPHEME_JOINER: char = '\u{34f}';
const VOWEL_SEPARATOR: char = '\u{180e}';
const TEXT_PRESENTATION: char = '\u{fe0e}';
const EMOJI_PRESENTATION: char = '\u{fe0f}';
const KEYCAP: char = '\u{20e3}';
const HEH: char = '\u{647}';
const BLACK_FLAG: char = '\u{1f3f4}';

/// Tags after [`BLACK_FLAG`]. Others would carry text that nobody sees.
const FLAGS: [&str; 3] = [
    "\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
    "\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}",
];

/// The context that decides, with the character itself and the next ones, about showing a character.
#[derive(Default)]
pub(super) struct Context {
    /// Last character shown that is not a mark. `None` at the start and after an escape, where a
    /// mark would change text that is not the peer's.
    base: Option<char>,
    /// Last character shown.
    last: Option<char>,
    marks: u32,
    joiners: u32,
    /// Number of tags of a flag that follow.
    tags: usize,
}

impl Context {
    /// Returns true if `c` may be shown in this context before `rest`, and adds it to the context.
    pub(super) fn shows(&mut self, c: char, rest: &Chars<'_>) -> bool {
        if is_hidden(c) {
            return self.shows_hidden(c, rest);
        }
        if c.width() != Some(0) {
            let is_joined = self.last == Some(JOINER) || scripts::is_skin_tone(c);
            let joiners = if is_joined { self.joiners } else { 0 };
            *self = Self {
                base: Some(c),
                last: Some(c),
                marks: 0,
                joiners,
                tags: 0,
            };
            return true;
        }
        let is_shown = self.has_room_for_mark();
        self.marks = self.marks.saturating_add(1);
        self.last = is_shown.then_some(c);
        is_shown
    }

    /// Returns true if `c`, which is hidden elsewhere, may be shown here, and adds it to the context.
    fn shows_hidden(&mut self, c: char, rest: &Chars<'_>) -> bool {
        let next = rest.clone().next();
        let is_shown = match (c, self.base) {
            (_, None) => false,
            (JOINER | NON_JOINER, Some(base)) => self.is_joiner(c, base, rest),
            (SPACE, Some(base)) => is_word_boundary(base, next),
            (GRAPHEME_JOINER, Some(base)) => {
                let is_point = |c: Option<char>| c.is_some_and(scripts::is_hebrew_point);
                scripts::is_hebrew_letter(base)
                    && is_point(self.last)
                    && is_point(next)
                    && self.marks + 1 < most_marks(base)
            }
            (VOWEL_SEPARATOR, Some(base)) => {
                scripts::is_mongolian_letter(base)
                    && self
                        .last
                        .is_some_and(|last| last == base || is_mongolian_selector(last))
                    && matches!(next, Some('\u{1820}' | '\u{1821}'))
            }
            (_, Some(base)) => self.is_tag(c, base, rest) || self.is_selector(c, base, next),
        };
        if !is_shown {
            *self = Self::default();
            return false;
        }
        match c {
            JOINER => self.joiners = self.joiners.saturating_add(1),
            NON_JOINER | SPACE => {}
            _ => self.marks = self.marks.saturating_add(1),
        }
        self.last = Some(c);
        true
    }

    /// Returns true if the character shown may carry a mark more.
    fn has_room_for_mark(&self) -> bool {
        self.base.is_some_and(|base| self.marks < most_marks(base))
    }

    /// Returns true for a variation selector directly after a character that has variants.
    fn is_selector(&self, c: char, base: char, next: Option<char>) -> bool {
        let has_variants = match c {
            TEXT_PRESENTATION | EMOJI_PRESENTATION => {
                let is_keycap = matches!(base, '0'..='9' | '#' | '*') && next == Some(KEYCAP);
                is_keycap || scripts::is_symbol(base)
            }
            // More than 32 variants of one character are not registered, and all 256 would carry text that nobody sees.
            '\u{fe00}'..='\u{fe02}' | '\u{e0100}'..='\u{e011f}' => scripts::is_ideograph(base),
            _ => is_mongolian_selector(c) && scripts::is_mongolian_letter(base),
        };
        has_variants && self.marks == 0 && self.last == Some(base)
    }

    /// Returns true for a tag of one of the [`FLAGS`].
    fn is_tag(&mut self, c: char, base: char, rest: &Chars<'_>) -> bool {
        if self.tags > 0 {
            self.tags -= 1;
            return true;
        }
        if base != BLACK_FLAG || self.last != Some(base) {
            return false;
        }
        let others = |flag: &str| {
            let tags = flag.strip_prefix(c)?;
            let is_whole = rest.as_str().starts_with(tags);
            is_whole.then(|| tags.chars().count())
        };
        let tags = FLAGS.into_iter().find_map(others);
        self.tags = tags.unwrap_or(0);
        tags.is_some()
    }

    /// Returns true for a joiner that joins or separates, or changes the form of a letter.
    fn is_joiner(&self, c: char, base: char, rest: &Chars<'_>) -> bool {
        let mut rest = rest.clone();
        let (next, second) = (rest.next(), rest.next());
        let is_next = |class: fn(char) -> bool| next.is_some_and(class);
        let is_after_letter = self.last == Some(base);
        let after_virama = self
            .last
            .is_some_and(|last| scripts::is_virama(last) && scripts::are_of_one_block(base, last))
            && next.is_none_or(|next| continues_or_ends_word(base, next));
        if after_virama || self.is_before_virama(base, next, second) {
            return true;
        }
        // A vowel sign follows, which is a mark.
        let before_vowel = self.has_room_for_mark()
            && scripts::is_khmer_letter(base)
            && is_next(scripts::is_khmer_vowel);
        match c {
            _ if before_vowel => true,
            JOINER if base == HEH => is_after_letter && matches!(next, Some('.' | ' ')),
            JOINER => {
                let after = is_after_letter || self.last == Some(EMOJI_PRESENTATION);
                after
                    && self.joiners < MAX_JOINERS
                    && scripts::is_emoji(base)
                    && is_next(scripts::is_emoji)
            }
            _ if scripts::is_malayalam_consonant(base) => {
                self.has_room_for_mark() && is_next(scripts::is_malayalam_vowel)
            }
            _ => scripts::is_arabic_letter(base) && is_next(scripts::is_arabic_letter),
        }
    }

    /// Returns true between a consonant, with a nukta or without, and a virama before another consonant.
    fn is_before_virama(&self, base: char, next: Option<char>, second: Option<char>) -> bool {
        let (Some(last), Some(virama), Some(consonant)) = (self.last, next, second) else {
            return false;
        };
        scripts::is_indic(base)
            && (last == base || scripts::is_nukta(last))
            && scripts::is_virama(virama)
            && self.has_room_for_mark()
            && consonant.width() != Some(0)
            && [last, virama, consonant]
                .into_iter()
                .all(|c| scripts::are_of_one_block(base, c))
    }
}

/// Number of marks that a character may carry.
const fn most_marks(base: char) -> u32 {
    if scripts::has_many_marks(base) {
        MAX_MARKS_STACKED
    } else {
        MAX_MARKS
    }
}

/// Returns true for a character of the block of `base`, and for one that is neither a letter nor a mark.
fn continues_or_ends_word(base: char, next: char) -> bool {
    let is_mark = next.width() == Some(0) && !is_hidden(next);
    scripts::are_of_one_block(base, next) || !is_mark && !next.is_alphanumeric()
}

/// Returns true between two characters of a script without spaces.
fn is_word_boundary(base: char, next: Option<char>) -> bool {
    let script = scripts::unspaced_script(base);
    let next = next.filter(|next| next.width() != Some(0));
    script.is_some() && script == next.and_then(scripts::unspaced_script)
}

const fn is_mongolian_selector(c: char) -> bool {
    matches!(c, '\u{180b}'..='\u{180d}' | '\u{180f}')
}

#[cfg(test)]
mod tests {
    use super::super::line;
    use super::*;

    #[test]
    fn nothing_hidden_is_shown_after_a_latin_letter() {
        let blocks = [
            'A'..='Z',
            'a'..='z',
            '\u{aa}'..='\u{aa}',
            '\u{ba}'..='\u{ba}',
            '\u{c0}'..='\u{24f}',
            '\u{1e00}'..='\u{1eff}',
            '\u{212a}'..='\u{212b}',
            '\u{2132}'..='\u{2132}',
            '\u{214e}'..='\u{214e}',
            '\u{2c60}'..='\u{2c7f}',
            '\u{a722}'..='\u{a7ff}',
            '\u{ab30}'..='\u{ab64}',
            '\u{fb00}'..='\u{fb06}',
            '\u{ff21}'..='\u{ff3a}',
            '\u{ff41}'..='\u{ff5a}',
        ];
        let hidden = [
            SPACE,
            NON_JOINER,
            JOINER,
            GRAPHEME_JOINER,
            VOWEL_SEPARATOR,
            TEXT_PRESENTATION,
            EMOJI_PRESENTATION,
            '\u{180b}',
            '\u{fe00}',
            '\u{e0067}',
            '\u{e0100}',
        ];
        let next = [
            "",
            "a",
            " ",
            ".",
            "\u{20e3}",
            "\u{94d}\u{915}",
            "\u{645}",
            "\u{1f469}",
        ];
        let pairs = hidden.into_iter().flat_map(|c| next.map(|next| (c, next)));
        let pairs: Vec<_> = pairs.collect();
        for (letter, &(c, next)) in blocks
            .into_iter()
            .flatten()
            .flat_map(|letter| pairs.iter().map(move |pair| (letter, pair)))
        {
            for mark in ["", "\u{301}", "\u{94d}"] {
                let text = format!("{letter}{mark}{c}{next}");
                assert!(!line(text.as_bytes(), 100).contains(c), "{text:?}");
            }
        }
    }
}
