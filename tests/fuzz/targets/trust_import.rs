//! Lists of `udpctl trust --import`: an error is one clean line that changes nothing, and after an import into an empty
//! file no two lines contradict each other about a target.
#![no_main]

use std::fs;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use udpagent::control::known_agents::{KnownAgents, OnChange, Pattern, TrustError, import};
use udpagent::control::limits;
use udpagent::escape;
use udpagent::net::Target;

/// Largest number of names of a set that are looked up.
const MOST: u64 = 1000;

fuzz_target!(|input: (u16, bool, &str)| {
    let (port, replace, text) = input;
    let list = KnownAgents::parse_list(text, Path::new("list"), port.max(1));
    for problem in list.problems() {
        let problem = problem.to_string();
        assert!(escape::is_clean(&problem), "{problem:?}");
    }
    let entries = list.entries();
    let is_short = |pattern: &Pattern| match pattern {
        Pattern::Target(_) => true,
        Pattern::Set(set) => set.count() <= MOST,
        Pattern::Glob(glob) => glob.len() <= limits::PATTERN_COMPARED,
    };
    if !entries.iter().all(|entry| is_short(&entry.pattern)) {
        return;
    }
    for entry in &entries {
        let normal = entry.pattern.to_string();
        assert_eq!(
            Pattern::parse(&normal, 7000).as_ref(),
            Ok(&entry.pattern),
            "{normal}"
        );
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("known_agents");
    let on_change = if replace {
        OnChange::Replace
    } else {
        OnChange::Refuse
    };
    let imported = match import(&path, entries.clone(), on_change) {
        Ok(imported) => imported,
        Err(error) => {
            let error = error.to_string();
            assert!(escape::is_clean(&error), "{error:?}");
            return assert!(!path.exists());
        }
    };
    assert_eq!(
        imported.new + imported.already + imported.replaced,
        entries.len()
    );
    let written = fs::read_to_string(&path).unwrap_or_default();
    let known = KnownAgents::parse(&written, &path);
    assert!(known.problems().is_empty(), "{written}");
    let lookup = |name: &str| {
        let Ok(target) = name.parse::<Target>() else {
            return;
        };
        let found = known.lookup(&target, &[], None);
        assert!(
            !matches!(found, Err(TrustError::Contradiction { .. })),
            "{found:?}"
        );
    };
    let is_target = |pattern: &Pattern| matches!(pattern, Pattern::Target(_));
    let has_targets = entries.iter().any(|entry| is_target(&entry.pattern));
    for entry in &entries {
        match &entry.pattern {
            Pattern::Set(set) => set.names().for_each(|name| lookup(&name)),
            Pattern::Target(target) => lookup(&target.to_string()),
            // Of two patterns, some targets that match both are tried, and a line may name them alone.
            Pattern::Glob(_) if has_targets => {}
            Pattern::Glob(glob) => lookup(&glob.replace(['*', '?'], "1")),
        }
    }
});
