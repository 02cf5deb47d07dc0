//! The controller's file `known_agents`: an error is one clean line, and a valid line is found by its target.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use udpagent::control::known_agents::{KnownAgents, Pattern, TrustError};
use udpagent::escape;
use udpagent::net::Target;

fuzz_target!(|text: &str| {
    let known = KnownAgents::parse(text, Path::new("known_agents"));
    for problem in known.problems() {
        let problem = problem.to_string();
        assert!(escape::is_clean(&problem), "{problem:?}");
    }
    for entry in known.entries() {
        // A line is found by what it says, whatever its form.
        let normal = entry.pattern.to_string();
        assert_eq!(Pattern::parse(&normal, 1).as_ref(), Ok(&entry.pattern));
        let names: Vec<String> = match &entry.pattern {
            Pattern::Target(target) => vec![target.to_string()],
            Pattern::Set(set) => set.ends().collect(),
            Pattern::Glob(glob) => vec![glob.replace(['*', '?'], "1")],
        };
        for name in names {
            assert!(entry.pattern.matches(&name) && name.starts_with(&entry.pattern.prefix()));
            if let Ok(target) = name.parse::<Target>() {
                let found = known.lookup(&target, &[], None);
                // Another spelling of an address has another normal form.
                let is_unknown = matches!(found, Err(TrustError::Unknown(_)));
                assert!(!is_unknown || target.to_string() != name, "{name}");
            }
        }
    }
    for word in text.split_whitespace() {
        if let Ok(target) = word.parse::<Target>() {
            match known.lookup(&target, &[], None) {
                Ok(pin) => assert!(text.contains(&pin.key.to_string())),
                Err(error) => assert!(escape::is_clean(&error.to_string()), "{error}"),
            }
        }
    }
});
