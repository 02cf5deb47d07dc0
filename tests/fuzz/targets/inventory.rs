//! Inventories of Ansible in every format: an error or a warning is one clean line, and a host is found under its name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use udpagent::control::targets::{Expression, Format, Groups, Inventory};
use udpagent::escape;
use udpagent::net::Target;

/// True if a range may have many members.
fn is_long(text: &str) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    text.contains('[')
        && text
            .as_bytes()
            .windows(3)
            .any(|three| three.iter().all(is_digit))
}

fuzz_target!(|input: (u8, &str)| {
    let (format, text) = input;
    let format = Format::ALL[usize::from(format) % Format::ALL.len()];
    if is_long(text) {
        return;
    }
    let mut inventory = match Inventory::parse("", &[(format, text)]) {
        Ok(inventory) => inventory,
        Err(error) => {
            let error = error.to_string();
            return assert!(escape::is_clean(&error), "{error:?}");
        }
    };
    for warning in inventory.take_warnings() {
        assert!(escape::is_clean(&warning), "{warning:?}");
    }
    let mut groups = inventory.group_names().expect("all is read");
    groups.push("@*".into());
    for group in groups {
        let set: Expression = group.parse().expect("the name of a group");
        match set.targets(&mut inventory) {
            Ok(targets) => {
                for target in targets {
                    let typed: Target = target.label().parse().expect("the name of a host");
                    assert_eq!(inventory.resolve(typed).expect("all is read"), target);
                    inventory.user_of(&target).expect("all is read");
                }
            }
            Err(error) => {
                let error = error.to_string();
                assert!(escape::is_clean(&error), "{error:?}");
            }
        }
    }
});
