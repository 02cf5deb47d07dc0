//! The controller's file `known_agents`: an error is one clean line, and a valid line is found by its target.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use udpagent::control::known_agents::KnownAgents;
use udpagent::escape;
use udpagent::net::Target;

fuzz_target!(|text: &str| {
    let known = KnownAgents::parse(text, Path::new("known_agents"));
    for problem in known.problems() {
        let problem = problem.to_string();
        assert!(escape::is_clean(&problem), "{problem:?}");
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
