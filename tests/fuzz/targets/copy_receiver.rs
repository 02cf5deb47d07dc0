//! A hostile sender of a copy: nothing outside of the destination is written or removed, whatever it sends in whatever pieces.
#![no_main]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use udpagent::copy::{Destination, Receiver, Scope};

/// Calls that one input is worth. A hole may take any number of them.
const CALLS: usize = 40;

/// BLAKE3 hash of nothing.
const EMPTY: [u8; 32] = [
    0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc, 0xc9, 0x49,
    0x9b, 0xcb, 0x25, 0xc9, 0xad, 0xc1, 0x12, 0xb7, 0xcc, 0x9a, 0x93, 0xca, 0xe4, 0x1f, 0x32, 0x62,
];

static AREA: LazyLock<TempDir> = LazyLock::new(|| {
    let area = tempfile::tempdir().expect("a directory");
    fs::create_dir(area.path().join("sibling")).expect("a directory");
    fs::write(area.path().join("sibling/kept"), "kept").expect("a file");
    area
});

fn names(path: PathBuf) -> Vec<String> {
    let entries = fs::read_dir(path).expect("a directory");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = entries.flatten().map(name).collect();
    names.sort();
    names
}

fn frame(out: &mut Vec<u8>, kind: u8, payload: &[&[u8]]) {
    let payload = payload.concat();
    let length = u32::try_from(payload.len()).expect("it is short");
    out.push(kind);
    out.extend(&length.to_be_bytes()[1..]);
    out.extend(payload);
}

/// Makes frames of bytes, so that most of them are in order.
fn frames(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame(&mut out, 1, &[&[1]]);
    for two in bytes.chunks(2) {
        let (kind, choice) = (two[0] % 13, two.get(1).copied().unwrap_or(0));
        let name: &[u8] = [&b"a"[..], b"out", b"up", b"left", b"kept"][usize::from(choice % 5)];
        let size = [0, 3, 1 << 20, 1 << 62][usize::from(choice / 5 % 4)];
        let size: [u8; 8] = u64::to_be_bytes(size);
        let attributes = &[0, 0, 1, 0xed, 0, 0, 0, 0, 0, 0, 0, choice, 0, 0, 0, 0][..];
        match kind {
            2 => frame(&mut out, kind, &[attributes, name]),
            4 => {
                let target: &[u8] = [&b"../sibling"[..], b"..", b"/"][usize::from(choice % 3)];
                let length = u8::try_from(name.len()).expect("it is short");
                frame(&mut out, kind, &[attributes, &[length], name, target]);
            }
            5 => frame(&mut out, kind, &[attributes, &size, name]),
            6 => frame(&mut out, kind, &[&vec![b'x'; usize::from(choice)]]),
            7 | 8 | 12 => frame(&mut out, kind, &[&size]),
            9 => frame(&mut out, kind, &[&EMPTY]),
            11 => frame(&mut out, kind, &[&[0, 0, 0, choice], name]),
            0 => frame(&mut out, 0x81, &[&size]),
            kind => frame(&mut out, kind, &[]),
        }
    }
    out
}

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (is_raw, piece, bytes) = input;
    let at = |path: &str| AREA.path().join(path);
    let _ = fs::remove_dir_all(at("to"));
    fs::create_dir(at("to")).expect("a directory");
    symlink("../sibling", at("to/out")).expect("a link");
    symlink("..", at("to/up")).expect("a link");
    let destination = Destination {
        scope: &Scope::Everywhere,
        path: &at("to"),
        is_directory: false,
    };
    let mut receiver = Receiver::open(&destination, true).expect("it is there");
    let stream = if is_raw {
        bytes.to_vec()
    } else {
        frames(bytes)
    };
    let mut calls = 0;
    'all: for mut piece in stream.chunks(usize::from(piece) + 1) {
        loop {
            calls += 1;
            match receiver.push(&mut piece) {
                Ok(true) => break,
                Ok(false) if calls < CALLS => {}
                Ok(false) | Err(_) => break 'all,
            }
        }
        while receiver.next_report().is_some() {}
    }
    receiver.leave();
    assert_eq!(names(at("")), ["sibling", "to"]);
    assert_eq!(names(at("sibling")), ["kept"]);
    assert_eq!(fs::read(at("sibling/kept")).expect("a file"), b"kept");
});
