//! Classes of characters that joiners, variation selectors and marks depend on.
//!
//! Only constant ranges, of Unicode 17. Not a decision: the module `context` makes them.

/// Returns true for the blocks whose symbols form emoji with joiners.
pub(super) const fn is_emoji(c: char) -> bool {
    matches!(
        c,
        '\u{2190}'..='\u{21ff}'
            | '\u{2300}'..='\u{23ff}'
            | '\u{2600}'..='\u{27bf}'
            | '\u{2b00}'..='\u{2bff}'
            | '\u{1f000}'..='\u{1faff}'
    )
}

/// Returns true for the modifiers that give an emoji a colour of the skin.
pub(super) const fn is_skin_tone(c: char) -> bool {
    matches!(c, '\u{1f3fb}'..='\u{1f3ff}')
}

/// Returns true for symbols that have a coloured form and one of text (emoji-variation-sequences.txt), and for others of their
/// blocks that are no letters.
pub(super) const fn is_symbol(c: char) -> bool {
    is_emoji(c)
        || matches!(
            c,
            '\u{a9}'
                | '\u{ae}'
                | '\u{203c}'
                | '\u{2049}'
                | '\u{2122}'
                | '\u{2139}'
                | '\u{24c2}'
                | '\u{25a0}'..='\u{25ff}'
                | '\u{2900}'..='\u{297f}'
                | '\u{3030}'
                | '\u{303d}'
                | '\u{3297}'
                | '\u{3299}'
        )
}

/// Returns true for the letters of the Arabic script that join.
pub(super) const fn is_arabic_letter(c: char) -> bool {
    matches!(
        c,
        '\u{620}'..='\u{64a}'
            | '\u{66e}'..='\u{6d3}'
            | '\u{6fa}'..='\u{6ff}'
            | '\u{750}'..='\u{77f}'
            | '\u{870}'..='\u{887}'
            | '\u{889}'..='\u{88f}'
            | '\u{8a0}'..='\u{8c8}'
    )
}

/// Returns true for the signs that join consonants (`Canonical_Combining_Class` 9), U+094D for example, of the scripts in which
/// a joiner after the sign selects a form: not Thai, Lao, Tibetan, Myanmar, Khmer and Tifinagh.
pub(super) const fn is_virama(c: char) -> bool {
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
            | '\u{d3b}'
            | '\u{d3c}'
            | '\u{d4d}'
            | '\u{dca}'
            | '\u{1b44}'
            | '\u{1baa}'
            | '\u{1bab}'
            | '\u{a806}'
            | '\u{a8c4}'
            | '\u{a9c0}'
            | '\u{11046}'
            | '\u{110b9}'
            | '\u{11133}'
            | '\u{11134}'
            | '\u{111c0}'
            | '\u{11235}'
            | '\u{112ea}'
            | '\u{1134d}'
            | '\u{11442}'
            | '\u{114c2}'
            | '\u{115bf}'
            | '\u{1163f}'
            | '\u{116b6}'
            | '\u{11839}'
            | '\u{119e0}'
            | '\u{11c3f}'
    )
}

/// Returns true for the dots below or above that make another letter of one, U+093C for example.
pub(super) const fn is_nukta(c: char) -> bool {
    matches!(
        c,
        '\u{93c}' | '\u{9bc}' | '\u{a3c}' | '\u{abc}' | '\u{b3c}' | '\u{c3c}' | '\u{cbc}'
    )
}

/// Returns true for the nine scripts of India from Devanagari to Malayalam, and Sinhala.
pub(super) const fn is_indic(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{dff}')
}

/// Returns true for two characters of one block, or of one half of it. The blocks of [`is_virama`] begin at multiples of 128 or
/// are parts of such a range.
pub(super) const fn are_of_one_block(one: char, other: char) -> bool {
    one as u32 >> 7 == other as u32 >> 7
}

/// Returns true for the consonants of Malayalam.
pub(super) const fn is_malayalam_consonant(c: char) -> bool {
    matches!(c, '\u{d15}'..='\u{d3a}')
}

/// Returns true for the vowel signs of Malayalam.
pub(super) const fn is_malayalam_vowel(c: char) -> bool {
    matches!(c, '\u{d3e}'..='\u{d4c}' | '\u{d57}' | '\u{d62}' | '\u{d63}')
}

/// Returns true for the letters of Khmer.
pub(super) const fn is_khmer_letter(c: char) -> bool {
    matches!(c, '\u{1780}'..='\u{17b3}')
}

/// Returns true for the vowel signs of Khmer and the signs that shift their series.
pub(super) const fn is_khmer_vowel(c: char) -> bool {
    matches!(c, '\u{17b6}'..='\u{17c5}' | '\u{17c9}' | '\u{17ca}')
}

/// Returns the script of a character if it is one that is written without spaces between words, as a number.
pub(super) const fn unspaced_script(c: char) -> Option<u8> {
    match c {
        '\u{e01}'..='\u{e5b}' => Some(1),
        '\u{e81}'..='\u{edf}' => Some(2),
        '\u{1000}'..='\u{109f}' | '\u{a9e0}'..='\u{a9fe}' | '\u{aa60}'..='\u{aa7f}' => Some(3),
        '\u{1780}'..='\u{17f9}' => Some(4),
        _ => None,
    }
}

/// Returns true for the letters of the Mongolian script, with Todo, Sibe and Manchu.
pub(super) const fn is_mongolian_letter(c: char) -> bool {
    matches!(c, '\u{1820}'..='\u{1878}' | '\u{1880}'..='\u{18aa}')
}

/// Returns true for Han characters.
pub(super) const fn is_ideograph(c: char) -> bool {
    matches!(
        c,
        '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{323af}'
            | '\u{323b0}'..='\u{3347f}'
    )
}

/// Returns true for the letters of Hebrew.
pub(super) const fn is_hebrew_letter(c: char) -> bool {
    matches!(c, '\u{5d0}'..='\u{5ea}')
}

/// Returns true for the points and accents of Hebrew.
pub(super) const fn is_hebrew_point(c: char) -> bool {
    matches!(
        c,
        '\u{591}'
            ..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
    )
}

/// Returns true for the scripts whose letters carry more marks than those of others: Hebrew with accents, Tibetan stacks,
/// Myanmar syllables.
pub(super) const fn has_many_marks(c: char) -> bool {
    is_hebrew_letter(c)
        || matches!(c, '\u{f40}'..='\u{f6c}' | '\u{1000}'..='\u{103f}' | '\u{1050}'..='\u{108f}')
}
