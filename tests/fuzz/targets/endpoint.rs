//! An endpoint and a peer that holds the keys: frames after decryption, and the passing of time.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../sim/hostile_peer/mod.rs"]
mod hostile_peer;

fuzz_target!(|bytes: &[u8]| hostile_peer::run(bytes));
