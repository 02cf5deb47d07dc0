//! Keys and invitation tokens: each has exactly one text form, and no other text is accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use udpagent::crypto::{InviteHash, InviteToken, PublicKey, SecretKey};

fuzz_target!(|text: &str| {
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(key) = SecretKey::from_text(text) {
        assert_eq!(*key.to_text(), text);
    }
    if let Ok(token) = text.parse::<InviteToken>() {
        assert_eq!(token.to_text(), text);
    }
    let _ = text.parse::<InviteHash>();
});
