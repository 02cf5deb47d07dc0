//! Addresses and invitations as typed or pasted: a parsed value parses equal after it was printed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use udpagent::net::{Bind, Invite, Target};

fuzz_target!(|text: &str| {
    if let Ok(target) = text.parse::<Target>() {
        let again: Target = target.to_string().parse().expect("it was printed by us");
        assert_eq!(again, target);
    }
    if let Ok(invite) = text.parse::<Invite>() {
        let again: Invite = invite.command().parse().expect("it was printed by us");
        assert_eq!(again.to_string(), invite.to_string());
    }
    drop(text.parse::<Bind>());
});
