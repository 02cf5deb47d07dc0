//! The controller's file `hosts.toml`: an error is one clean line, and the key of a host is that of its address.
//!
//! Groups are not looked up: the file may have the command of one, which would run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use udpagent::control::targets::{Groups, Inventory};
use udpagent::escape;
use udpagent::net::Target;

fuzz_target!(|text: &str| {
    let mut inventory = match Inventory::parse(text, &[]) {
        Ok(inventory) => inventory,
        Err(error) => {
            let error = error.to_string();
            return assert!(escape::is_clean(&error), "{error:?}");
        }
    };
    assert_ne!(inventory.default_port(), 0);
    for name in inventory.group_names().expect("nothing is read") {
        assert!(name.starts_with('@') && escape::is_clean(&name), "{name:?}");
    }
    for (target, pin) in inventory.pins().expect("nothing is read") {
        let typed: Target = target.label().parse().expect("the name of a host");
        assert_eq!(inventory.resolve(typed).expect("nothing is read"), target);
        let source = pin.source.to_string();
        assert!(source.starts_with("hosts.toml:"), "{source}");
        inventory.user_of(&target).expect("nothing is read");
    }
});
