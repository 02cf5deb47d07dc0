//! Tests of pastes and of the question about them.

use super::*;

fn line(number: usize) -> Typed {
    Typed::Line(number.to_string())
}

/// Returns a prompt with lines that were pasted, and the decision about them.
fn pasted(count: usize) -> (Paste, Decision) {
    let mut paste = Paste::new(Some(Activity::default()));
    let now = Instant::now();
    for number in 0..count {
        assert!(paste.has_room());
        assert_eq!(paste.push(now, line(number)), Decision::None);
        assert_eq!(paste.next(), None);
    }
    assert_eq!(paste.on_deadline(now, || false), Decision::None);
    let decision = paste.on_deadline(paste.deadline().unwrap(), || false);
    (paste, decision)
}

fn rest(mut paste: Paste) -> Vec<Typed> {
    std::iter::from_fn(|| paste.next()).collect()
}

#[test]
fn twenty_lines_at_once_are_sent_in_order_and_more_are_asked_about() {
    let (paste, decision) = pasted(20);
    assert_eq!(decision, Decision::None);
    assert_eq!(rest(paste), (0..20).map(line).collect::<Vec<_>>());
    for (answer, all) in [("y", true), (" YES ", true), ("n", false), ("no", false)] {
        let (mut paste, decision) = pasted(21);
        assert_eq!(decision, Decision::Ask);
        let now = Instant::now() + limits::PASTE_LATE;
        let other = Typed::Line("yet another line".into());
        assert_eq!(paste.push(now, other), Decision::None);
        assert_eq!(paste.next(), None);
        let complete = paste.deadline().unwrap();
        assert_eq!(paste.on_deadline(complete, || false), Decision::AskAgain(1));
        let expected = if all {
            Decision::None
        } else {
            Decision::Dropped(21)
        };
        assert_eq!(paste.push(now, Typed::Line(answer.into())), expected);
        let sent = if all { 21 } else { 0 };
        assert_eq!(rest(paste), (0..sent).map(line).collect::<Vec<_>>());
    }
}

#[test]
fn the_end_of_input_sends_a_few_lines_and_drops_many_that_nobody_agreed_to() {
    let now = Instant::now();
    for (count, decision) in [(20, Decision::None), (21, Decision::Dropped(21))] {
        let mut paste = Paste::new(Some(Activity::default()));
        for number in 0..count {
            paste.push(now, line(number));
        }
        assert_eq!(paste.push(now, Typed::Leave), decision);
        let sent = if count > 20 { 0 } else { count };
        let expected = (0..sent).map(line).chain([Typed::Leave]);
        assert_eq!(rest(paste), expected.collect::<Vec<_>>());
    }
    let (mut paste, _) = pasted(21);
    assert_eq!(paste.push(now, Typed::Leave), Decision::Dropped(21));
    assert_eq!(rest(paste), [Typed::Leave]);
}

#[test]
fn a_part_that_comes_late_belongs_to_the_paste_and_too_many_lines_are_dropped_as_a_whole() {
    let (mut paste, _) = pasted(30);
    let soon = Instant::now();
    assert_eq!(paste.push(soon, line(30)), Decision::None);
    assert_eq!(paste.next(), None);
    assert_eq!(
        paste.on_deadline(soon + limits::PASTE_PAUSE, || false),
        Decision::Ask
    );
    assert_eq!(paste.len(), 31);
    let many = limits::PASTE_LINES + 5;
    let (mut paste, decision) = pasted(many);
    assert_eq!(decision, Decision::TooMany(many));
    assert_eq!((paste.next(), paste.deadline()), (None, None));
}

#[test]
fn ctrl_c_and_ctrl_d_at_the_question_drop_the_lines_and_nothing_else() {
    let (mut paste, _) = pasted(21);
    assert!(paste.question().unwrap().starts_with("21 lines at once"));
    let now = Instant::now();
    assert_eq!(paste.push(now, Typed::Refused), Decision::Dropped(21));
    assert_eq!((paste.question(), paste.next()), (None, None));
    // The question was answered meanwhile.
    assert_eq!(paste.or_end(Typed::Refused, Typed::End), Typed::End);
    let (asked, _) = pasted(21);
    assert_eq!(asked.or_end(Typed::Refused, Typed::End), Typed::Refused);
    assert_eq!(asked.or_end(line(1), Typed::End), line(1));
    assert_eq!(paste.push(now, Typed::Refused), Decision::None);
    assert_eq!(paste.next(), None);
}

#[test]
fn another_paste_in_the_place_of_an_answer_is_counted_as_a_whole() {
    let (mut paste, _) = pasted(21);
    let now = Instant::now() + limits::PASTE_LATE;
    for text in ["z", "y", "n", "last"] {
        let typed = Typed::Line(text.into());
        assert_eq!(paste.push(now, typed), Decision::None);
        assert_eq!(paste.on_deadline(now, || false), Decision::None);
    }
    let again = paste.on_deadline(now + limits::PASTE_PAUSE, || false);
    assert_eq!(again, Decision::AskAgain(4));
    let words = again.words(paste.len()).unwrap();
    assert!(
        words.starts_with("4 lines are not sent; first type"),
        "{words}"
    );
    assert_eq!(paste.deadline(), None);
    // Nothing of it is lost unsaid at the end.
    assert_eq!(paste.push(now, Typed::Line("x".into())), Decision::None);
    assert_eq!(paste.push(now, Typed::Leave), Decision::Dropped(22));
}

#[test]
fn only_an_open_question_about_a_paste_has_answers() {
    let (mut paste, _) = pasted(21);
    let activity = paste.activity.clone().unwrap();
    assert!(activity.is_paste_asked());
    let yes = Typed::Line("y".into());
    paste.push(Instant::now(), yes);
    assert!(!activity.is_paste_asked());
}

#[test]
fn lines_that_are_not_processed_are_taken_for_another_prompt() {
    let (mut paste, _) = pasted(21);
    let now = Instant::now() + limits::PASTE_LATE;
    paste.push(now, Typed::Line("another".into()));
    let (lines, decision) = paste.take_lines();
    let numbers: Vec<_> = (0..21).map(line).collect();
    assert_eq!((lines, decision), (numbers, Decision::Dropped(1)));
    assert_eq!(paste.next(), None);
    let mut paste = Paste::new(Some(Activity::default()));
    for number in 0..=limits::PASTE_LINES {
        paste.push(now, line(number));
    }
    let too_many = Decision::TooMany(limits::PASTE_LINES + 1);
    assert_eq!(paste.take_lines(), (Vec::new(), too_many));
}

#[test]
fn lines_of_a_pipe_are_not_held() {
    let mut paste = Paste::new(None);
    for number in 0..100 {
        assert_eq!(paste.push(Instant::now(), line(number)), Decision::None);
        assert_eq!(paste.next(), Some(line(number)));
    }
    assert_eq!(paste.deadline(), None);
}

#[test]
fn lines_of_an_earlier_prompt_are_asked_about_at_once_and_the_next_line_may_be_the_answer() {
    let now = Instant::now();
    let mut paste = Paste::new(Some(Activity::default()));
    paste.push(now, Typed::Line("few".into()));
    paste.ask_about_many();
    assert_eq!(paste.question(), None);
    for number in 1..=limits::PASTE_UNASKED {
        paste.push(now, Typed::Line(number.to_string()));
    }
    paste.ask_about_many();
    assert!(paste.question().unwrap().starts_with("21 lines at once"));
    assert_eq!(paste.push(now, Typed::Line("y".into())), Decision::None);
    assert_eq!(std::iter::from_fn(|| paste.next()).count(), 21);
}

#[test]
fn lines_that_have_arrived_and_are_not_taken_yet_extend_the_pause() {
    let mut paste = Paste::new(Some(Activity::default()));
    let now = Instant::now();
    let mut numbers = (0..21).map(line);
    for typed in numbers.by_ref().take(10) {
        paste.push(now, typed);
    }
    let late = paste.deadline().unwrap();
    assert_eq!(paste.on_deadline(late, || true), Decision::None);
    assert_eq!((paste.next(), paste.len()), (None, 10));
    for typed in numbers {
        paste.push(late, typed);
    }
    let complete = paste.deadline().unwrap();
    assert_eq!(paste.on_deadline(complete, || false), Decision::Ask);
    // Also for lines in the place of the answer.
    let other = complete + limits::PASTE_LATE;
    paste.push(other, Typed::Line("other".into()));
    let late = paste.deadline().unwrap();
    assert_eq!(paste.on_deadline(late, || true), Decision::None);
    let complete = paste.deadline().unwrap();
    assert_eq!(complete, late + limits::PASTE_PAUSE);
    let again = paste.on_deadline(complete, || false);
    assert_eq!(again, Decision::AskAgain(1));
}
