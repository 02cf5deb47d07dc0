//! Streams of peers that do not follow the protocol.

use bytes::BytesMut;
use proptest::prelude::*;

use super::frame::{Attributes, FromReceiver, FromSender};
use super::hashing::Hasher;
use super::*;

const PLAIN: Attributes = Attributes {
    mode: 0o755,
    seconds: 1,
    nanos: 0,
};

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

fn file(text: &str, size: u64) -> FromSender {
    FromSender::File {
        name: name(text),
        attributes: PLAIN,
        size,
    }
}

fn directory(text: &str) -> FromSender {
    FromSender::Directory {
        name: Some(name(text)),
        attributes: PLAIN,
    }
}

fn link(text: &str, target: &str) -> FromSender {
    FromSender::Link {
        name: name(text),
        attributes: PLAIN,
        target: target.into(),
    }
}

/// A step of a hostile sender.
#[derive(Clone, Debug)]
enum Move {
    Frame(FromSender),
    Data(usize),
    Noise(Vec<u8>),
}

fn stream(moves: &[Move]) -> Vec<u8> {
    let mut out = BytesMut::new();
    FromSender::Begin.put(&mut out);
    for step in moves {
        match step {
            Move::Frame(frame) => frame.put(&mut out),
            Move::Data(length) => {
                out.extend_from_slice(&frame::header(frame::DATA, *length));
                out.extend_from_slice(&vec![b'x'; *length]);
            }
            Move::Noise(bytes) => out.extend_from_slice(bytes),
        }
    }
    out.to_vec()
}

fn frames(frames: &[FromSender]) -> Vec<u8> {
    let moves: Vec<_> = frames.iter().cloned().map(Move::Frame).collect();
    stream(&moves)
}

fn any_move() -> impl Strategy<Value = Move> {
    let names = prop_oneof![Just("a"), Just("b"), Just("out"), Just("up")];
    let targets = prop_oneof![Just("../sibling"), Just(".."), Just("a"), Just("/")];
    let hash = Hasher::hash(b"xxx");
    prop_oneof![
        8 => names.clone().prop_map(|name| Move::Frame(directory(name))),
        8 => (names.clone(), targets).prop_map(|(name, target)| Move::Frame(link(name, target))),
        8 => (names, 0_u64..6).prop_map(|(name, size)| Move::Frame(file(name, size))),
        8 => Just(Move::Data(3)),
        6 => Just(Move::Frame(FromSender::End(hash))),
        3 => Just(Move::Frame(FromSender::Up)),
        1 => (0_u64..6).prop_map(|length| Move::Frame(FromSender::Hole(length))),
        1 => (0_u64..6).prop_map(|offset| Move::Frame(FromSender::Skip(offset))),
        1 => Just(Move::Frame(FromSender::Abort)),
        1 => Just(Move::Frame(FromSender::Done { troubles: 0 })),
        1 => proptest::collection::vec(any::<u8>(), 0..20).prop_map(Move::Noise),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_stream_writes_outside_the_destination(moves in proptest::collection::vec(any_move(), 0..60)) {
        let area = Area::new();
        symlink("../sibling", area.at("to/out")).unwrap();
        symlink("..", area.at("to/up")).unwrap();
        let mut receiver = area.receiver("to", true);
        let _ = push(&mut receiver, &stream(&moves));
        receiver.leave();
        area.assert_untouched();
        // The times of the directories would show a file that came and went.
        for path in ["sibling", "from"] {
            let data = area.at(path).metadata().unwrap();
            prop_assert_ne!(data.mtime(), PLAIN.seconds);
        }
    }

    #[test]
    fn no_replies_make_a_sender_panic(replies in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..8) {
        let area = Area::new();
        area.write("from/f", bytes(1_200_000));
        let mut sender = area.sender(&["from"]);
        for _ in 0..at {
            sender.pull();
        }
        let _ = sender.push(&replies);
        while sender.pull() != Pulled::Nothing {}
        prop_assert!(!sender.is_complete());
    }
}

#[test]
fn a_directory_that_is_a_link_is_not_followed() {
    let area = Area::new();
    let content = Move::Data(3);
    let moves = [
        Move::Frame(directory("a")),
        Move::Frame(link("d", "../../sibling")),
        Move::Frame(directory("d")),
        Move::Frame(file("kept", 3)),
        content,
        Move::Frame(FromSender::End(Hasher::hash(b"xxx"))),
        Move::Frame(FromSender::Up),
        Move::Frame(FromSender::Up),
        Move::Frame(FromSender::Done { troubles: 0 }),
    ];
    let mut receiver = area.receiver("to", false);
    push(&mut receiver, &stream(&moves)).unwrap();
    assert!(receiver.is_done() && !receiver.is_complete());
    let report = receiver.next_report().unwrap();
    assert_eq!(report.fault.to_string(), "Not a directory");
    area.assert_untouched();
}

#[test]
fn a_directory_nested_too_deeply_is_passed_over_with_all_that_is_in_it() {
    let area = Area::new();
    let depth = limits::DEPTH + 3;
    let mut nested = vec![directory("d"); depth];
    nested.push(link("l", "x"));
    nested.extend(vec![FromSender::Up; depth]);
    nested.push(file("l", 0));
    nested.push(FromSender::End(Hasher::hash(b"")));
    nested.push(FromSender::Done { troubles: 0 });
    let mut receiver = area.receiver("to", false);
    push(&mut receiver, &frames(&nested)).unwrap();
    let report = receiver.next_report().unwrap();
    assert_eq!((report.fault, report.side), (Fault::Depth, Side::Here));
    assert_eq!(receiver.next_report(), None);
    assert_eq!(receiver.counts().files, 1);
    assert_eq!(area.names("to"), ["d", "l"]);
}

#[test]
fn a_file_with_another_hash_is_refused_and_the_old_one_kept() {
    let area = Area::new();
    area.write("to/f", "before");
    let mut receiver = area.receiver("to", false);
    let moves = [
        Move::Frame(file("f", 3)),
        Move::Data(3),
        Move::Frame(FromSender::End(Hasher::hash(b"xxy"))),
        Move::Frame(FromSender::Done { troubles: 0 }),
    ];
    push(&mut receiver, &stream(&moves)).unwrap();
    assert!(!receiver.is_complete());
    let report = receiver.next_report().unwrap();
    assert_eq!(report.fault, Fault::Mismatch);
    assert_eq!(area.read("to/f"), b"before");
    assert_eq!(area.names("to"), ["f"]);
}

#[test]
fn frames_out_of_order_are_violations() {
    let (end, up) = (FromSender::End([0; 32]), FromSender::Up);
    let done = FromSender::Done { troubles: 0 };
    let data = |size| stream(&[Move::Frame(file("f", size)), Move::Data(4)]);
    for (stream, words) in [
        (b"\x03\0\0\0".to_vec(), "no version of the copy protocol"),
        (frames(&[FromSender::Begin]), "a second beginning"),
        (
            frames(std::slice::from_ref(&up)),
            "the end of a directory outside of all",
        ),
        (frames(std::slice::from_ref(&end)), "the end of no file"),
        (stream(&[Move::Data(1)]), "content without a file"),
        (
            frames(&[file("f", 1), end]),
            "less content than the file is long",
        ),
        (data(3), "more content than the file is long"),
        (
            frames(&[file("f", 3), FromSender::Hole(u64::MAX)]),
            "more content than the file is long",
        ),
        (
            frames(&[file("f", 3), FromSender::Skip(3)]),
            "content is left out that is not there",
        ),
        (frames(&[file("f", 3), up]), "an item inside a file"),
        (
            frames(&[directory("d"), done.clone()]),
            "the end inside a directory",
        ),
        (frames(&[done.clone(), done]), "a frame behind the last"),
    ] {
        let area = Area::new();
        let mut receiver = area.receiver("to", false);
        assert_eq!(push(&mut receiver, &stream), Err(Violation(words)));
        receiver.leave();
        assert!(!receiver.is_complete());
    }
}

#[test]
fn a_receiver_that_lies_about_what_it_holds_gets_everything() {
    let area = Area::new();
    area.write("from/f", bytes(2 << 20));
    let mut copy = Copy::new(area.sender(&["from/f"]), area.receiver("to", false));
    copy.step();
    let mut have = BytesMut::new();
    let (item, length, hash) = (1, 3 << 20, [7; 32]);
    FromReceiver::Have { item, length, hash }.put(&mut have);
    copy.sender.push(&have).unwrap();
    // Each one costs the hash of a part of the file.
    assert!(copy.sender.push(&have).is_err());
    copy.run();
    assert!(copy.sender.is_complete());
    assert_eq!(area.read("to/f"), area.read("from/f"));
}

#[test]
fn a_receiver_that_asked_for_items_takes_no_others_and_none_twice() {
    let sources = ["notes.txt".into(), "conf/".into(), "..".into()];
    let not_asked = Violation("an item that was not asked for");
    let no_directory = Violation("a directory that was not asked for");
    let unnamed = || FromSender::Directory {
        name: None,
        attributes: PLAIN,
    };
    let (up, done) = (FromSender::Up, FromSender::Done { troubles: 0 });
    for (recursive, stream, taken) in [
        (true, vec![file(".bashrc", 0)], Err(not_asked)),
        (true, vec![directory(".ssh")], Err(not_asked)),
        (false, vec![directory("conf")], Err(no_directory)),
        (false, vec![unnamed()], Err(no_directory)),
        (
            true,
            vec![directory("conf"), up.clone(), directory("conf")],
            Err(not_asked),
        ),
        (
            true,
            vec![unnamed(), up.clone(), unnamed()],
            Err(no_directory),
        ),
        (
            true,
            vec![unnamed(), up.clone(), directory("conf"), file("any", 9)],
            Ok(()),
        ),
        (false, vec![file("notes.txt", 9)], Ok(())),
    ] {
        let area = Area::new();
        let requested = Requested::of(&sources, recursive);
        let mut receiver = area.receiver("to", false).with_requested(requested);
        assert_eq!(push(&mut receiver, &frames(&stream)), taken, "{stream:?}");
        receiver.leave();
        area.assert_untouched();
    }
    // Whoever began the copy chooses names, but no links that a later copy would follow.
    let area = Area::new();
    let mut receiver = area.receiver("to", false);
    let refused = Violation("a symbolic link at the top");
    assert_eq!(
        push(&mut receiver, &frames(&[link("l", "/etc"), done])),
        Err(refused)
    );
    assert!(area.names("to").is_empty());
}

#[test]
fn no_permission_of_a_peer_makes_a_program_run_as_another_user() {
    let area = Area::new();
    let mut receiver = area.receiver("to", true);
    let moves = [
        Move::Frame(FromSender::Directory {
            name: Name::new(b"d"),
            attributes: Attributes {
                mode: 0o3775,
                ..PLAIN
            },
        }),
        Move::Frame(FromSender::File {
            name: Name::new(b"f").unwrap(),
            attributes: Attributes {
                mode: 0o6755,
                ..PLAIN
            },
            size: 0,
        }),
        Move::Frame(FromSender::End(Hasher::hash(b""))),
        Move::Frame(FromSender::Up),
        Move::Frame(FromSender::Done { troubles: 0 }),
    ];
    push(&mut receiver, &stream(&moves)).unwrap();
    assert!(receiver.is_complete());
    let mode = |path| area.at(path).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("to/d"), mode("to/d/f")), (0o775, 0o755));
}

#[test]
fn the_reports_of_a_copy_are_bounded_also_if_they_are_taken() {
    for (path, most) in [
        (1, limits::REPORTS),
        (limits::PATH, (limits::REPORTED_PATHS / limits::PATH) as u64),
    ] {
        let area = Area::new();
        let mut receiver = area.receiver("to", false);
        push(&mut receiver, &frames(&[])).unwrap();
        let trouble = FromSender::Trouble {
            fault: Fault::Special,
            path: vec![b'x'; path],
        };
        let mut bytes = BytesMut::new();
        trouble.put(&mut bytes);
        let mut taken = 0;
        for _ in 0..2 * limits::REPORTS {
            push(&mut receiver, &bytes).unwrap();
            taken += u64::from(receiver.next_report().is_some());
        }
        assert_eq!(taken, most);
    }
}

#[test]
fn the_replies_of_a_receiver_are_bounded() {
    let area = Area::new();
    fs::create_dir(area.at("to/d")).unwrap();
    let mut receiver = area.receiver("to", false);
    push(&mut receiver, &frames(&[])).unwrap();
    let mut one = BytesMut::new();
    file("d", 0).put(&mut one);
    FromSender::End(Hasher::hash(b"")).put(&mut one);
    for _ in 0..3 * limits::REPORTS {
        push(&mut receiver, &one).unwrap();
    }
    assert_eq!(receiver.counts().failed, 3 * limits::REPORTS);
    let replies = receiver.take_replies().len();
    assert!(
        replies <= limits::REPORTED_PATHS + 32 * 1000,
        "{replies} bytes"
    );
}
