//! Tests of what a line at the prompt does.

use super::*;
use crate::prompt::activity::Activity;

#[test]
fn only_the_whole_word_ends_commands_and_an_empty_line_stays() {
    let line = |text: &str| Answer::of(&[Typed::Line(text.into())]);
    assert_eq!(line(" END "), Some(Answer::End));
    assert_eq!(line("leave"), Some(Answer::Leave));
    assert_eq!(line("stay"), Some(Answer::Stay));
    assert_eq!(Answer::of(&[]), Some(Answer::Stay));
    for other in ["e", "y", "end it"] {
        assert_eq!(line(other), None, "{other}");
    }
    assert_eq!(Answer::of(&[Typed::Leave]), None);
    let two = [Typed::Line("end".into()), Typed::Line("end".into())];
    assert_eq!(Answer::of(&two), None);
}

#[test]
fn only_an_answer_to_the_open_question_ends_anything() {
    let activity = Activity::default();
    let ask = || {
        activity.set_question(Some(QUESTION));
        activity.question()
    };
    let (earlier, open) = (ask(), ask());
    let line = |text: &str| [Typed::Line(text.into())];
    let (end, hello) = (line("end"), line("hello"));
    let answer = Meaning::Answer(Some(Answer::End));
    assert_eq!(Meaning::of(&end, open, open), answer);
    assert_eq!(Meaning::of(&hello, open, open), Meaning::Answer(None));
    let stays = Meaning::Answer(Some(Answer::Stay));
    assert_eq!(Meaning::of(&[], open, open), stays);
    let interrupted = [Typed::Interrupted];
    assert_eq!(Meaning::of(&interrupted, open, open), Meaning::Nothing);
    // The question was withdrawn, or another one was opened.
    for now in [None, open] {
        for typed in [&end, &hello, &line("leave"), &[Typed::Leave]] {
            assert_eq!(Meaning::of(typed, earlier, now), Meaning::Late);
        }
        for typed in [&[][..], &interrupted] {
            assert_eq!(Meaning::of(typed, earlier, now), Meaning::Nothing);
        }
    }
    // Nothing reads an answer any more.
    for (shown, now) in [(None, None), (None, open), (open, open), (open, None)] {
        let failed = [Typed::Failed("gone".into())];
        assert_eq!(Meaning::of(&failed, shown, now), Meaning::Failed);
    }
    // The question was opened while the line was typed.
    assert_eq!(Meaning::of(&end, None, open), Meaning::Answer(None));
    assert_eq!(
        Meaning::of(&[Typed::Leave], None, open),
        Meaning::Answer(None)
    );
    assert_eq!(Meaning::of(&interrupted, None, open), Meaning::Nothing);
    assert_eq!(Meaning::of(&hello, None, open), Meaning::Chat);
    assert_eq!(Meaning::of(&end, None, None), Meaning::Chat);
}
