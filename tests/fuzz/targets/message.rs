//! Lines of a control lane, split anywhere: the splits make no difference, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::DeserializeOwned;
use udpagent::message::{LineError, Lines, Reply, Request};

fn read<T: DeserializeOwned>(chunks: &[&[u8]]) -> Vec<Result<T, ()>> {
    let mut lines = Lines::default();
    let mut messages = Vec::new();
    for chunk in chunks {
        lines.push(chunk);
        while let Some(message) = lines.next::<T>() {
            // A line that is too long ends the lane.
            if matches!(message, Err(LineError::TooLong)) {
                return messages;
            }
            messages.push(message.map_err(drop));
        }
    }
    messages
}

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let (head, tail) = bytes.split_at(usize::from(cut).min(bytes.len()));
    assert_eq!(read::<Request>(&[head, tail]), read::<Request>(&[bytes]));
    assert_eq!(
        read::<Reply>(&[head, tail]).len(),
        read::<Reply>(&[bytes]).len()
    );
});
