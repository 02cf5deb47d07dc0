//! Contents: holes, files that change while they are read, and one reading for several receivers.

use super::frame::FromSender;
use super::*;

/// Makes a file with a hole in its middle and one at its end.
fn sparse(area: &Area, path: &str) {
    let file = fs::File::create(area.at(path)).unwrap();
    file.write_all_at(&bytes(100_000), 0).unwrap();
    file.write_all_at(b"island", 40 << 20).unwrap();
    file.set_len(64 << 20).unwrap();
}

#[test]
fn holes_are_neither_sent_nor_written() {
    let area = Area::new();
    sparse(&area, "from/s");
    fs::File::create(area.at("from/all"))
        .unwrap()
        .set_len(8 << 20)
        .unwrap();
    let mut copy = Copy::new(
        area.sender(&["from/s", "from/all"]),
        area.receiver("to", false),
    );
    copy.run();
    assert!(copy.receiver.is_complete());
    assert_eq!(area.read("to/s"), area.read("from/s"));
    assert_eq!(area.read("to/all"), area.read("from/all"));
    assert!(copy.sent < 1 << 20, "{} bytes", copy.sent);
    for path in ["to/s", "to/all"] {
        let blocks = area.at(path).metadata().unwrap().blocks();
        assert!(blocks * 512 < 1 << 20, "{path}: {blocks} blocks");
    }
    assert_eq!(copy.receiver.progress(), 72 << 20);
}

#[test]
fn a_file_that_becomes_shorter_leaves_the_destination_as_it_was() {
    let area = Area::new();
    area.write("to/f", "before");
    for length in [2_000_000, 200_000] {
        area.write("from/f", bytes(length));
        let mut copy = Copy::new(area.sender(&["from/f"]), area.receiver("to", false));
        assert!(copy.step());
        fs::File::options()
            .write(true)
            .open(area.at("from/f"))
            .unwrap()
            .set_len(1000)
            .unwrap();
        copy.run();
        // Two hundred thousand bytes were read at once.
        if length > 1 << 20 {
            assert!(!copy.sender.is_complete() && !copy.receiver.is_complete());
            let words = "f: the file became shorter while it was read";
            assert_eq!(
                copy.reports(),
                [format!("Here {words}"), format!("There {words}")]
            );
            assert_eq!(area.read("to/f"), b"before");
        }
        assert_eq!(area.names("to"), ["f"]);
    }
}

#[test]
fn a_file_of_holes_that_becomes_shorter_is_noticed() {
    let area = Area::new();
    let file = fs::File::create(area.at("from/f")).unwrap();
    file.write_all_at(&bytes(1 << 20), 0).unwrap();
    file.set_len(4 << 20).unwrap();
    let mut copy = Copy::new(area.sender(&["from/f"]), area.receiver("to", false));
    assert!(copy.step() && copy.step());
    file.set_len(2 << 20).unwrap();
    copy.run();
    assert!(!copy.receiver.is_complete());
    let words = "f: the file became shorter while it was read";
    assert_eq!(
        copy.reports(),
        [format!("Here {words}"), format!("There {words}")]
    );
    assert_eq!(area.names("to"), [""; 0]);
}

#[test]
fn several_receivers_share_one_reading() {
    let area = Area::new();
    area.write("from/f", bytes(3_000_000));
    let library = Rc::new(Library::new(limits::CHUNKS_SHARED));
    let mut copies: Vec<_> = ["to/1", "to/2", "to/3"]
        .map(|to| {
            let sources = Sources {
                paths: vec![area.at("from/f")],
                scope: Scope::Everywhere,
                recursive: false,
            };
            Copy::new(
                Sender::new(sources, Rc::clone(&library)),
                area.receiver(to, false),
            )
        })
        .into();
    // One after the other, each some steps ahead of the next.
    for round in 0..40 {
        for (index, copy) in copies.iter_mut().enumerate() {
            if round >= 3 * index {
                copy.step();
            }
        }
    }
    for (copy, to) in std::iter::zip(&mut copies, ["to/1", "to/2", "to/3"]) {
        copy.run();
        assert!(copy.sender.is_complete());
        assert_eq!(area.read(to), area.read("from/f"));
    }
}

#[test]
fn a_hole_is_counted_over_several_calls() {
    const HOLE: usize = 5 << 23;
    let mut content = vec![0; HOLE + 6];
    content[..3].copy_from_slice(b"abc");
    content[HOLE + 3..].copy_from_slice(b"def");
    let mut stream = bytes::BytesMut::new();
    let file = |length: usize| FromSender::File {
        name: Name::new(b"f").unwrap(),
        attributes: frame::Attributes {
            mode: 0o644,
            seconds: 1,
            nanos: 0,
        },
        size: length as u64,
    };
    FromSender::Begin.put(&mut stream);
    file(content.len()).put(&mut stream);
    for data in [b"abc", b"def"] {
        stream.extend(frame::header(frame::DATA, 3));
        stream.extend(data);
        if data == b"abc" {
            FromSender::Hole(HOLE as u64).put(&mut stream);
        }
    }
    FromSender::End(hashing::Hasher::hash(&content)).put(&mut stream);
    FromSender::Done { troubles: 0 }.put(&mut stream);
    let area = Area::new();
    let mut receiver = area.receiver("to", false);
    let (mut rest, mut calls) = (&stream[..], 0);
    let mut left = rest.len();
    while !receiver.push(&mut rest).unwrap() {
        calls += 1;
        assert!(rest.len() < left || receiver.progress() > 3);
        left = rest.len();
    }
    assert!((5..10).contains(&calls), "{calls} calls");
    assert!(rest.is_empty() && receiver.is_complete());
    assert_eq!(receiver.progress(), content.len() as u64);
    assert!(area.read("to/f") == content);
}

#[test]
fn a_hole_that_is_sent_is_hashed_over_several_calls() {
    let area = Area::new();
    let file = fs::File::create(area.at("from/f")).unwrap();
    file.set_len(5 * limits::WORK).unwrap();
    let mut sender = area.sender(&["from/f"]);
    let mut before = 0;
    while let Pulled::Bytes(_) = sender.pull() {
        assert!(sender.progress() - before <= limits::WORK);
        before = sender.progress();
    }
    assert_eq!(before, 5 * limits::WORK);
}

#[test]
fn many_frames_are_taken_over_several_calls() {
    let area = Area::new();
    for index in 0..1000 {
        area.write(&format!("from/{index}"), "");
    }
    let mut sender = area.sender(&["from"]);
    let stream = loop {
        match sender.pull() {
            Pulled::Bytes(stream) => break stream,
            Pulled::Busy => {}
            Pulled::Nothing => panic!("a directory is sent at once"),
        }
    };
    let mut receiver = area.receiver("to", false);
    let (mut rest, mut calls) = (&stream[..], 1);
    while !receiver.push(&mut rest).unwrap() {
        calls += 1;
    }
    assert!((5..20).contains(&calls), "{calls} calls");
    assert!(receiver.is_complete());
    assert_eq!(area.names("to/from").len(), 1000);
}

#[test]
fn a_total_is_announced_to_a_receiver_that_asks_and_changes_nothing_else() {
    let area = Area::new();
    area.write("from/f", bytes(2_000_000));
    for (asks, bytes) in [(true, 2_000_000), (true, u64::MAX), (false, 0)] {
        let mut receiver = area.receiver("to", false);
        if asks {
            receiver = receiver.with_total();
        }
        let mut copy = Copy::new(area.sender(&["from/f"]), receiver);
        copy.step();
        copy.sender.push(&copy.receiver.take_replies()).unwrap();
        assert_eq!(copy.sender.is_counted(), asks);
        copy.step();
        if asks {
            copy.sender.announce(bytes);
            // Only the first one counts.
            copy.sender.announce(7);
        }
        copy.run();
        copy.sender.announce(9);
        assert_eq!(copy.sender.pull(), Pulled::Nothing);
        assert_eq!(copy.receiver.total(), asks.then_some(bytes));
        assert!(copy.receiver.is_complete() && copy.sender.is_complete());
    }
}

#[test]
fn the_loop_of_a_process_counts_beside_the_copy() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    let area = Area::new();
    let endless = fs::File::create(area.at("from/f")).unwrap();
    endless.set_len(1 << 40).unwrap();
    let sources = Sources {
        paths: vec![area.at("from")],
        scope: Scope::Everywhere,
        recursive: true,
    };
    let (input, mut to) = UnixStream::pair().unwrap();
    let (mut from, output) = UnixStream::pair().unwrap();
    let sending = std::thread::spawn(move || {
        let library = Rc::new(Library::new(1));
        driver::send(sources, library, input, output)
    });
    let mut receiver = area.receiver("to", false).with_total();
    to.write_all(&receiver.take_replies()).unwrap();
    let mut buffer = [0; 100];
    while receiver.total().is_none() {
        let length = from.read(&mut buffer).unwrap();
        assert!(length > 0, "the file is not complete");
        push(&mut receiver, &buffer[..length]).unwrap();
    }
    assert_eq!(receiver.total(), Some(1 << 40));
    drop((from, to));
    assert!(matches!(sending.join().unwrap(), Err(driver::Broken::Gone)));
}
