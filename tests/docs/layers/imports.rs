//! Imports between layers point downward.

use super::modules::{self, Modules};
use super::resolve::{is_ours, resolve};
use super::source::{Sources, inline, library};

/// The layers, each with all that it may name; see the documentation of the crate.
const LAYERS: [(&str, &[&str]); 21] = [
    ("time", &[]),
    ("rng", &[]),
    ("escape", &[]),
    ("duration", &[]),
    ("contain", &[]),
    ("peer_addr", &[]),
    ("saved_mode", &[]),
    ("home", &["rng", "time", "escape"]),
    ("wire", &["time", "rng", "escape"]),
    ("crypto", &["wire", "time", "rng", "escape", "peer_addr"]),
    (
        "session",
        &["crypto", "wire", "time", "rng", "escape", "peer_addr"],
    ),
    (
        "net",
        &[
            "session",
            "crypto",
            "wire",
            "time",
            "rng",
            "escape",
            "peer_addr",
        ],
    ),
    (
        "message",
        &["session", "crypto", "wire", "time", "rng", "escape"],
    ),
    ("process", &["time", "escape"]),
    ("copy", &[]),
    ("bot", &["message", "escape"]),
    ("prompt", &["message", "escape", "home", "saved_mode"]),
    (
        "agent",
        &[
            "bot",
            "prompt",
            "copy",
            "process",
            "message",
            "net",
            "session",
            "crypto",
            "wire",
            "time",
            "rng",
            "duration",
            "escape",
            "contain",
            "home",
            "peer_addr",
            "saved_mode",
        ],
    ),
    (
        "control",
        &[
            "bot",
            "prompt",
            "copy",
            "message",
            "net",
            "session",
            "crypto",
            "wire",
            "time",
            "rng",
            "escape",
            "contain",
            "home",
            "peer_addr",
            "saved_mode",
        ],
    ),
    (
        "client",
        &[
            "control",
            "message",
            "net",
            "session",
            "crypto",
            "wire",
            "time",
            "rng",
            "escape",
            "home",
            "peer_addr",
        ],
    ),
    (
        "cli",
        &[
            "bot",
            "prompt",
            "agent",
            "client",
            "control",
            "copy",
            "process",
            "message",
            "net",
            "session",
            "crypto",
            "wire",
            "time",
            "rng",
            "duration",
            "escape",
            "contain",
            "home",
            "peer_addr",
            "saved_mode",
        ],
    ),
];

fn layer_faults(modules: &Modules) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, module) in modules.iter().filter(|(path, _)| !path.is_empty()) {
        let file = &module.file;
        let Some((layer, allowed)) = LAYERS.iter().find(|(name, _)| *name == path[0]) else {
            faults.push(format!("{file} belongs to no layer"));
            continue;
        };
        for mention in &module.mentions {
            let said = mention.path.join("::");
            let Some(target) = resolve(modules, path, &mention.path) else {
                if is_ours(&mention.path) {
                    faults.push(format!(
                        "{file} names {said}, which this check does not find"
                    ));
                }
                continue;
            };
            let Some(to) = target.module().and_then(|module| module.first()) else {
                continue;
            };
            if to != layer && !allowed.contains(&to.as_str()) {
                faults.push(format!(
                    "{file} names {said} of {to}, which is not below {layer}"
                ));
            }
        }
    }
    faults.sort();
    faults.dedup();
    faults
}

/// Files that no `mod` declares.
fn unread_faults(sources: &Sources, modules: &Modules) -> Vec<String> {
    let is_read = |file: &str| modules.values().any(|module| module.file == file);
    let unread = sources
        .keys()
        .filter(|file| !file.starts_with("bin/") && !is_read(file));
    unread
        .map(|file| format!("{file} belongs to no module"))
        .collect()
}

#[test]
fn imports_point_downward() {
    let sources = library();
    let modules = modules::read(&sources);
    super::assert_none(&unread_faults(&sources, &modules));
    super::assert_none(&layer_faults(&modules));
}

#[test]
fn an_import_that_points_up_is_noticed() {
    let sources = inline(&[
        ("lib.rs", "mod agent; mod net; mod wire; mod other;"),
        ("agent.rs", "use crate::net::Net; pub struct Agent;"),
        (
            "net.rs",
            "pub struct Net; pub(in crate::net) fn f() -> super::agent::Agent {}",
        ),
        (
            "wire/mod.rs",
            "mod frame; use crate::{time, net::{self, Net}};",
        ),
        (
            "wire/frame.rs",
            "use super::super::net; fn g() { net::Net; crate::gone() }",
        ),
        ("other.rs", "fn h() {}"),
        ("stray.rs", "fn i() {}"),
    ]);
    let modules = modules::read(&sources);
    let expected = [
        "net.rs names super::agent::Agent of agent, which is not below net",
        "other.rs belongs to no layer",
        "wire/frame.rs names crate::gone, which this check does not find",
        "wire/frame.rs names net::Net of net, which is not below wire",
        "wire/frame.rs names super::super::net of net, which is not below wire",
        "wire/mod.rs names crate::net of net, which is not below wire",
        "wire/mod.rs names crate::net::Net of net, which is not below wire",
        "wire/mod.rs names crate::time, which this check does not find",
    ];
    assert_eq!(layer_faults(&modules), expected);
    assert_eq!(
        unread_faults(&sources, &modules),
        ["stray.rs belongs to no module"]
    );
}
