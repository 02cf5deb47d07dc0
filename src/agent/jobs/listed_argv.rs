//! Beginning of a command's argv, for lists of jobs.
//!
//! Not argv itself, which the policy and the process get whole. Invariant: the words of a list have at most
//! [`limits::SHOWN_ARGV`] bytes, each counted with its end, and an ellipsis ends what was cut.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use crate::agent::limits;
use crate::message::OsText;

/// Returns the beginning of argv that lists show. What does not fit is cut, and an ellipsis stands for the rest.
pub(super) fn listed_argv(argv: &[OsText]) -> Vec<OsText> {
    const ELLIPSIS: &str = "\u{2026}";
    let length = |word: &OsText| word.as_os_str().len() + 1;
    if argv.iter().map(length).sum::<usize>() <= limits::SHOWN_ARGV {
        return argv.to_vec();
    }
    let (mut shown, mut left) = (Vec::new(), limits::SHOWN_ARGV - ELLIPSIS.len() - 1);
    for word in argv {
        if let Some(rest) = left.checked_sub(length(word)) {
            left = rest;
            shown.push(word.clone());
            continue;
        }
        let mut bytes = word.as_os_str().as_bytes()[..left].to_vec();
        // A character is not cut in two; bytes that are not UTF-8 may be.
        let partial = bytes
            .utf8_chunks()
            .last()
            .map_or(0, |chunk| chunk.invalid().len());
        bytes.truncate(bytes.len() - partial.min(3));
        bytes.extend_from_slice(ELLIPSIS.as_bytes());
        shown.push(OsText::from(OsString::from_vec(bytes)));
        break;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_does_not_fit_a_list_is_cut_between_two_characters() {
        let short = [OsText::from("sh"), "x".repeat(508).as_str().into()];
        assert_eq!(listed_argv(&short), short);
        for (word, kept) in [
            ("x".repeat(509), "x".repeat(505)),
            ("xé".repeat(300), "xé".repeat(168) + "x"),
            ("é".repeat(600), "é".repeat(252)),
            ("€".repeat(600), "€".repeat(168)),
        ] {
            let argv = ["sh", &word, "behind"].map(OsText::from);
            let cut = format!("{kept}\u{2026}");
            assert_eq!(listed_argv(&argv), ["sh", &cut].map(OsText::from));
        }
        let bytes = OsString::from_vec(vec![0xff; 600]);
        let shown = listed_argv(&[OsText::from(bytes)]);
        let lengths: usize = shown.iter().map(|word| word.as_os_str().len() + 1).sum();
        assert!((500..=limits::SHOWN_ARGV).contains(&lengths), "{lengths}");
    }

    #[test]
    fn an_ellipsis_stands_for_words_that_are_left_out() {
        let argv = vec![OsText::from("ab"); 1000];
        let shown = listed_argv(&argv);
        assert_eq!(shown.len(), 170);
        assert_eq!(shown[..169], argv[..169]);
        assert_eq!(shown[169], OsText::from("a\u{2026}"));
    }
}
