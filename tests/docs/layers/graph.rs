//! Files that name each other's items in a circle: there are none.
//!
//! An edge leads from a file to the file that defines an item it names. Edges between a module's file
//! and those of its descendants are nesting and do not count, nor does test code.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{self, Modules};
use super::resolve::{Target, resolve};
use super::source::{inline, library};

/// For each file, the files that it depends on, each with the names it takes from there.
type Graph = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn graph(modules: &Modules) -> Graph {
    let mut graph = Graph::new();
    for (path, module) in modules.iter().filter(|(_, module)| !module.test) {
        for mention in module.mentions.iter().filter(|mention| !mention.test) {
            let Some(target) = resolve(modules, path, &mention.path) else {
                continue;
            };
            let Some(to) = target.module() else {
                continue;
            };
            let name = match &target {
                Target::Item { name, .. } => name,
                // A module itself is no item; its names are mentioned where they are used, unless `*`
                // brings them all.
                Target::Module(_) if module.globs.contains(&mention.path) => "*",
                Target::Module(_) | Target::Foreign => continue,
            };
            if path.starts_with(to) || to.starts_with(path) {
                continue;
            }
            let edges = graph.entry(module.file.clone()).or_default();
            let names = edges.entry(modules[to].file.clone()).or_default();
            names.insert(name.to_owned());
        }
    }
    graph
}

/// Sets of files of which each reaches all others.
fn cycles(graph: &Graph) -> BTreeSet<BTreeSet<&str>> {
    let reachable: BTreeMap<&str, BTreeSet<&str>> = graph
        .keys()
        .map(|file| (file.as_str(), reachable(graph, file)))
        .collect();
    let reaches = |from: &str, to: &str| reachable.get(from).is_some_and(|set| set.contains(to));
    let cycle = |file: &&str| {
        let members = reachable[file].iter().copied();
        members.filter(|other| reaches(other, file)).collect()
    };
    let files = reachable.keys().filter(|file| reaches(file, file));
    files.map(cycle).collect()
}

/// The files that a file depends on, directly or not.
fn reachable<'a>(graph: &'a Graph, file: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        for next in graph.get(file).into_iter().flat_map(BTreeMap::keys) {
            if found.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    found
}

fn cycle_faults(modules: &Modules) -> Vec<String> {
    let graph = graph(modules);
    let mut faults = Vec::new();
    for cycle in cycles(&graph) {
        faults.push(format!("{} files depend on each other:", cycle.len()));
        for (from, edges) in graph
            .iter()
            .filter(|(from, _)| cycle.contains(from.as_str()))
        {
            for (to, names) in edges.iter().filter(|(to, _)| cycle.contains(to.as_str())) {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                faults.push(format!("    {from} -> {to} ({})", names.join(", ")));
            }
        }
    }
    faults
}

#[test]
fn files_form_no_cycle() {
    super::assert_none(&cycle_faults(&modules::read(&library())));
}

#[test]
fn a_cycle_of_siblings_is_noticed() {
    let modules = modules::read(&inline(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        (
            "a/mod.rs",
            "mod x; mod y; pub use x::X; pub use y::{Y, make};",
        ),
        ("a/x.rs", "use super::make; pub struct X;"),
        (
            "a/y.rs",
            "pub struct Y; pub fn make(x: &super::X) { crate::a::x::X::touch(x) }",
        ),
        ("b.rs", "use crate::a::Y; use crate::c; fn b() { c::run() }"),
        ("c.rs", "pub fn run() {}"),
    ]));
    let expected = [
        "2 files depend on each other:",
        "    a/x.rs -> a/y.rs (make)",
        "    a/y.rs -> a/x.rs (X)",
    ];
    assert_eq!(cycle_faults(&modules), expected);
}

#[test]
fn a_cycle_across_modules_is_noticed() {
    let modules = modules::read(&inline(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a/mod.rs", "mod x; pub use x::*;"),
        ("a/x.rs", "use crate::b::B; pub struct X;"),
        ("b.rs", "use crate::c::C; pub struct B;"),
        ("c.rs", "pub struct C(crate::a::X);"),
    ]));
    let expected = [
        "3 files depend on each other:",
        "    a/x.rs -> b.rs (B)",
        "    b.rs -> c.rs (C)",
        "    c.rs -> a/x.rs (X)",
    ];
    assert_eq!(cycle_faults(&modules), expected);
}

#[test]
fn nesting_and_test_code_are_no_cycle() {
    let modules = modules::read(&inline(&[
        ("lib.rs", "mod a; mod b;"),
        (
            "a/mod.rs",
            "mod x; #[cfg(test)] mod tests; use x::X; pub struct A;",
        ),
        ("a/x.rs", "use super::A; pub struct X;"),
        ("a/tests.rs", "use crate::b::B;"),
        (
            "b.rs",
            "use crate::a::A; pub struct B; #[cfg(test)] mod tests { use super::B; }",
        ),
    ]));
    assert_eq!(cycle_faults(&modules), [""; 0]);
}
