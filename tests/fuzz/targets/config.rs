//! The agent's file `udpagent.toml`: an error is one clean line, and a valid configuration can be applied.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use udpagent::agent::config::{Config, parse};
use udpagent::escape;

fuzz_target!(|text: &str| match parse(text, Path::new("udpagent.toml")) {
    Ok(layer) => drop(Config::resolve([layer])),
    Err(error) => {
        let error = error.to_string();
        assert!(escape::is_clean(&error), "{error:?}");
    }
});
