//! Pipes that are full, named pipes, terminals and other writers.

use std::io::Read as _;
use std::sync::mpsc::{Sender, channel};

use bytes::Bytes;

use super::*;
use crate::control::stdio::Chunk;

/// Counts bytes, and sends the range in doubt before and after every write.
struct Counter {
    done: usize,
    ranges: Sender<(usize, usize)>,
}

impl Ledger<u8> for Counter {
    fn begin(&mut self, parts: &[Part<'_, u8>]) {
        let bytes: usize = parts.iter().map(|part| part.end - part.start).sum();
        self.ranges.send((self.done, self.done + bytes)).unwrap();
    }

    fn done(&mut self, _: &[Part<'_, u8>], written: usize) {
        self.done += written;
        self.ranges.send((self.done, self.done)).unwrap();
    }
}

fn chunks(length: usize) -> Vec<Chunk<u8>> {
    let bytes: Vec<u8> = (0..length)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    bytes
        .chunks(70_001)
        .map(|chunk| Chunk {
            tag: 0,
            data: Bytes::copy_from_slice(chunk),
        })
        .collect()
}

/// Writes chunks of this length together, from their beginning.
fn write_whole(target: Target<'_>, length: usize, ledger: Option<&mut Counter>) {
    let ledger = ledger.map(|counter| counter as &mut dyn Ledger<u8>);
    write_all(target, &chunks(length), Position::default(), ledger).unwrap();
}

#[test]
fn a_slow_reader_leaves_no_byte_in_doubt_during_a_wait() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let (ranges, received) = channel();
    let whole = 300_000;
    let thread = std::thread::spawn(move || {
        let mut counter = Counter { done: 0, ranges };
        let file = File::from(writer);
        let target = Target::Descriptor(&file);
        write_whole(target, whole, Some(&mut counter));
    });
    // The pipe is full: the last range before the wait is exact.
    let mut reader = File::from(reader);
    let mut last = (0, 0);
    let capacity = rustix::pipe::fcntl_getpipe_size(&reader).unwrap();
    while last != (capacity, capacity) {
        last = received
            .recv_timeout(std::time::Duration::from_secs(10))
            .unwrap();
    }
    let mut got = Vec::new();
    reader.read_to_end(&mut got).unwrap();
    thread.join().unwrap();
    let sent: Vec<u8> = chunks(whole)
        .iter()
        .flat_map(|chunk| chunk.data.to_vec())
        .collect();
    assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
    assert_eq!(received.try_iter().last(), Some((whole, whole)));
}

#[test]
fn what_a_pipe_takes_is_written_at_once_and_the_rest_is_left() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let capacity = rustix::pipe::fcntl_getpipe_size(&reader).unwrap();
    let (ranges, received) = channel();
    let mut counter = Counter { done: 0, ranges };
    let (whole, file) = (3 * capacity, File::from(writer));
    let (at, can_tell) = write_ready(&file, &chunks(whole), Some(&mut counter));
    if !can_tell {
        // Before Linux 6.4.
        assert_eq!(at, Position::default());
        return;
    }
    assert_eq!(at.chunk * 70_001 + at.offset, capacity);
    assert_eq!(received.try_iter().last(), Some((capacity, capacity)));
    let thread = std::thread::spawn(move || {
        write_all(
            Target::Descriptor(&file),
            &chunks(whole),
            at,
            Some(&mut counter),
        )
        .unwrap();
    });
    let mut got = Vec::new();
    File::from(reader).read_to_end(&mut got).unwrap();
    thread.join().unwrap();
    assert_eq!(
        got,
        chunks(whole)
            .iter()
            .flat_map(|chunk| chunk.data.to_vec())
            .collect::<Vec<_>>()
    );
    assert_eq!(received.try_iter().last(), Some((whole, whole)));
}

#[test]
fn a_terminal_is_left_to_the_thread() {
    let master =
        rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY)
            .unwrap();
    let (at, can_tell) = write_ready(&File::from(master), &chunks(10), None);
    assert_eq!((at, can_tell), (Position::default(), false));
}

#[test]
fn a_named_pipe_is_polled_before_each_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
    let both = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let mut reader = File::open(&path).unwrap();
    let thread = std::thread::spawn(move || {
        write_whole(Target::Descriptor(&both), 200_000, None);
    });
    let mut got = vec![0; 200_000];
    reader.read_exact(&mut got).unwrap();
    thread.join().unwrap();
    assert_eq!(got[199_999], u8::try_from(199_999 % 251).unwrap());
}

#[test]
fn empty_pieces_do_not_stop_a_batch() {
    let (mut reader, writer) = {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        (File::from(reader), File::from(writer))
    };
    let chunk = |text: &'static [u8]| Chunk {
        tag: 0,
        data: Bytes::from_static(text),
    };
    let target = Target::Descriptor(&writer);
    write_all(
        target,
        &[chunk(b""), chunk(b"ab"), chunk(b"")],
        Position::default(),
        None,
    )
    .unwrap();
    drop(writer);
    let mut got = String::new();
    reader.read_to_string(&mut got).unwrap();
    assert_eq!(got, "ab");
}

#[test]
fn a_writer_gets_every_byte_and_the_ledger_counts_them() {
    let (ranges, received) = channel();
    let mut counter = Counter { done: 0, ranges };
    let mut got = Vec::new();
    let whole = 200_000;
    let target = Target::Writer(&mut got);
    write_whole(target, whole, Some(&mut counter));
    assert_eq!(got[whole - 1], u8::try_from((whole - 1) % 251).unwrap());
    assert_eq!(got.len(), whole);
    assert_eq!(received.try_iter().last(), Some((whole, whole)));
}
