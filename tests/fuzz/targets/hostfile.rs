//! Lists of sets, as of `--hostfile`: an error is one clean line, and the folded targets are the same set.
#![no_main]

use libfuzzer_sys::fuzz_target;
use udpagent::control::fold::fold;
use udpagent::control::targets::{Expression, Inventory, Selection};
use udpagent::escape;
use udpagent::net::Target;

/// Largest number of names that are made.
const MOST: u64 = 1000;

fuzz_target!(|text: &str| {
    let mut selection = Selection::default();
    if let Err(error) = selection.add_list("hosts", text) {
        let error = error.to_string();
        return assert!(escape::is_clean(&error), "{error:?}");
    }
    if selection.of.iter().map(Expression::count).sum::<u64>() > MOST {
        return;
    }
    let mut inventory = Inventory::default();
    match selection.targets(&mut inventory) {
        Ok(targets) if !targets.is_empty() => {
            let folded = fold(targets.iter().map(Target::label));
            let again: Expression = folded.parse().expect("it was printed by us");
            let again = again.targets(&mut inventory).expect("no groups");
            let sorted = |mut targets: Vec<Target>| {
                targets.sort_by_key(Target::to_string);
                targets
            };
            assert_eq!(
                sorted(again.into_iter().collect()),
                sorted(targets),
                "{folded}"
            );
        }
        Ok(_) => {}
        Err(error) => {
            let error = error.to_string();
            assert!(escape::is_clean(&error), "{error:?}");
        }
    }
});
