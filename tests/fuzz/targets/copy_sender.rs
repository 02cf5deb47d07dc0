//! A hostile receiver of a copy: whatever it replies, the sender ends, and calls a copy complete only if all was sent.
#![no_main]

use std::fs;
use std::rc::Rc;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use udpagent::copy::{Library, Pulled, Scope, Sender, Sources};

static AREA: LazyLock<TempDir> = LazyLock::new(|| {
    let area = tempfile::tempdir().expect("a directory");
    let at = |path: &str| area.path().join(path);
    fs::create_dir_all(at("from/d")).expect("a directory");
    fs::write(at("from/d/large"), vec![b'x'; 1_100_000]).expect("a file");
    fs::write(at("from/small"), "small").expect("a file");
    area
});

/// Frames of a receiver from bytes, so that most of them are well formed.
fn frames(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for two in bytes.chunks(2) {
        let choice = two.get(1).copied().unwrap_or(0);
        let item = u64::from(choice % 8).to_be_bytes();
        let length = [0, 5, 1 << 20, u64::MAX][usize::from(choice / 8 % 4)].to_be_bytes();
        let (kind, payload) = match two[0] % 5 {
            0 => (0x41, [&item[..], &length, &[choice; 32]].concat()),
            1 => (0x42, [&item[..], &[0, 0, 0, 13], b"path"].concat()),
            2 => (0x43, vec![0, 1, 0, 4]),
            3 => (0x44, [&length[..], &item, &length].concat()),
            _ => (0xc1, Vec::new()),
        };
        out.extend([kind, 0, 0, payload.len() as u8]);
        out.extend(payload);
    }
    out
}

fuzz_target!(|input: (bool, Vec<(u8, &[u8])>)| {
    let (is_raw, turns) = input;
    let sources = Sources {
        paths: vec![AREA.path().join("from")],
        scope: Scope::Everywhere,
        recursive: true,
    };
    let mut sender = Sender::new(sources, Rc::new(Library::new(2)));
    let mut is_sent = false;
    for (pulls, replies) in turns {
        for _ in 0..pulls % 16 {
            match sender.pull() {
                // DONE is the last frame.
                Pulled::Bytes(bytes) => is_sent |= bytes.iter().rev().nth(11) == Some(&0x0c),
                Pulled::Busy => {}
                Pulled::Nothing => is_sent = true,
            }
        }
        let replies = if is_raw {
            replies.to_vec()
        } else {
            frames(replies)
        };
        if sender.push(&replies).is_err() {
            return;
        }
        if sender.is_counted() {
            sender.announce(7);
        }
        while sender.next_report().is_some() {}
        assert!(!sender.is_complete() || is_sent);
    }
    let mut pulls = 0;
    while sender.pull() != Pulled::Nothing {
        pulls += 1;
        assert!(pulls < 1000, "it does not end");
    }
});
