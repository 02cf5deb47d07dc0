//! Copies that are interrupted and made again.

use super::*;

/// Size of the file.
const SIZE: usize = 4 << 20;

/// Interrupts a copy of `from/f` after some steps.
fn interrupt(area: &Area, steps: usize) {
    let mut copy = Copy::new(area.sender(&["from/f"]), area.receiver("to", false));
    for _ in 0..steps {
        assert!(copy.step());
    }
    copy.receiver.leave();
}

/// Copies `from/f` and returns the bytes that were sent.
fn copy(area: &Area) -> u64 {
    let mut copy = Copy::new(area.sender(&["from/f"]), area.receiver("to", false));
    copy.run();
    assert!(copy.receiver.is_complete());
    assert_eq!(copy.receiver.progress(), SIZE as u64);
    assert_eq!(copy.sender.progress(), SIZE as u64);
    assert_eq!(area.names("to"), ["f"]);
    assert_eq!(area.read("to/f"), area.read("from/f"));
    copy.sent
}

#[test]
fn an_interrupted_file_is_continued() {
    let area = Area::new();
    area.write("from/f", bytes(SIZE));
    area.write("to/f", "before");
    interrupt(&area, 10);
    assert_eq!(area.read("to/f"), b"before");
    assert_eq!(area.names("to").len(), 2);
    let sent = copy(&area);
    assert!(sent < SIZE as u64 * 5 / 8, "{sent} bytes");
}

#[test]
fn what_was_left_of_another_content_is_not_used() {
    let area = Area::new();
    area.write("from/f", bytes(SIZE));
    interrupt(&area, 10);
    let [left] = area.names("to").try_into().unwrap();
    assert!(left.starts_with(PREFIX), "{left}");
    let left = fs::File::options()
        .write(true)
        .open(area.at("to").join(left))
        .unwrap();
    left.write_all_at(b"changed", 1000).unwrap();
    left.write_all_at(b"behind the end", SIZE as u64 + 5)
        .unwrap();
    assert!(copy(&area) > SIZE as u64);
}

#[test]
fn holes_replace_what_was_left() {
    let area = Area::new();
    let file = fs::File::create(area.at("from/f")).unwrap();
    file.write_all_at(&bytes(SIZE), 0).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    interrupt(&area, 10);
    // The same length and time, but the middle is a hole now.
    file.set_len(1 << 20).unwrap();
    file.set_len(SIZE as u64).unwrap();
    file.write_all_at(b"end", SIZE as u64 - 3).unwrap();
    file.set_modified(modified).unwrap();
    copy(&area);
}

#[test]
fn a_small_file_leaves_nothing() {
    let area = Area::new();
    area.write("from/f", bytes(500_000));
    interrupt(&area, 2);
    assert_eq!(area.names("to"), [""; 0]);
}

#[test]
fn two_copies_of_one_file_do_not_write_to_the_same_one() {
    let area = Area::new();
    area.write("from/f", bytes(SIZE));
    let mut first = Copy::new(area.sender(&["from/f"]), area.receiver("to", false));
    for _ in 0..5 {
        first.step();
    }
    let sent = copy_beside(&area);
    assert!(
        sent < SIZE as u64,
        "it has taken over what was there: {sent} bytes"
    );
    first.run();
    assert!(first.receiver.is_complete());
    assert_eq!(area.read("to/f"), area.read("from/f"));
    assert_eq!(area.names("to"), ["f"]);
}

fn copy_beside(area: &Area) -> u64 {
    let mut second = Copy::new(area.sender(&["from/f"]), area.receiver("to", false));
    second.step();
    second.step();
    assert_eq!(area.names("to").len(), 2);
    second.run();
    assert!(second.receiver.is_complete());
    assert_eq!(area.read("to/f"), area.read("from/f"));
    second.sent
}

#[test]
fn what_a_copy_has_left_that_ran_on_is_removed_in_the_end() {
    let area = Area::new();
    area.write("from/f", bytes(SIZE));
    let mut first = Copy::new(area.sender(&["from/f"]), area.receiver("to", false));
    for _ in 0..5 {
        first.step();
    }
    let mut second = Copy::new(area.sender(&["from/f"]), area.receiver("to", false));
    second.step();
    second.step();
    first.receiver.leave();
    drop(first);
    assert_eq!(area.names("to").len(), 2);
    second.run();
    assert_eq!(area.names("to"), ["f"]);
}

#[test]
fn what_was_left_is_hashed_over_several_calls_of_both_sides() {
    let area = Area::new();
    let size = 3 * limits::WORK;
    area.write("from/f", bytes(usize::try_from(size).unwrap()));
    interrupt(&area, 80);
    let (mut sender, mut receiver) = (area.sender(&["from/f"]), area.receiver("to", false));
    let (mut calls, mut busy, mut sent) = (0, 0, 0);
    while !sender.is_done() {
        match sender.pull() {
            Pulled::Bytes(bytes) => {
                let mut rest = &bytes[..];
                while !receiver.push(&mut rest).unwrap() {
                    calls += 1;
                }
                sent += bytes.len() as u64;
            }
            Pulled::Busy => busy += 1,
            Pulled::Nothing => assert!(sender.is_done(), "nothing is left to do"),
        }
        sender.push(&receiver.take_replies()).unwrap();
    }
    assert!(calls >= 2 && busy >= 2, "{calls}, {busy}");
    assert!(sender.is_complete() && sent < size / 2, "{sent} bytes");
    assert!(area.read("to/f") == area.read("from/f"));
}
