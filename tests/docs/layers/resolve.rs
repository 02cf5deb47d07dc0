//! Name resolution: from a path that a module writes to the file of the item it means.
//!
//! Re-exports are followed to the definition. Associated items and variants count as their type.

use super::modules::{Module, Modules, Path, read};
use super::source::inline;

/// A longer chain of re-exports is a circle.
const MAX_STEPS: usize = 32;

/// The thing that a path names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    Module(Path),
    Item {
        /// The module that defines it.
        module: Path,
        name: String,
    },
    /// Something that a `use` brings from another crate.
    Foreign,
}

impl Target {
    /// The module that is meant, or that defines the item.
    pub fn module(&self) -> Option<&Path> {
        match self {
            Self::Module(module) | Self::Item { module, .. } => Some(module),
            Self::Foreign => None,
        }
    }
}

/// Resolves a path; `None` if it belongs to another crate or to a local name.
pub fn resolve(modules: &Modules, from: &Path, path: &[String]) -> Option<Target> {
    follow(modules, from, path, MAX_STEPS)
}

/// True if a path can belong to nothing but this crate.
pub fn is_ours(path: &[String]) -> bool {
    matches!(
        path.first().map(String::as_str),
        Some("crate" | "super" | "self")
    )
}

fn follow(modules: &Modules, from: &Path, path: &[String], steps: usize) -> Option<Target> {
    let steps = steps.checked_sub(1)?;
    let mut scope = from.clone();
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        match first.as_str() {
            "crate" => scope.clear(),
            "self" => {}
            "super" => drop(scope.pop()?),
            _ => break,
        }
        rest = after;
    }
    descend(modules, &scope, rest, steps)
}

/// Resolves a path whose first name stands in `scope`.
fn descend(modules: &Modules, scope: &Path, path: &[String], steps: usize) -> Option<Target> {
    let steps = steps.checked_sub(1)?;
    let Some((first, rest)) = path.split_first() else {
        return Some(Target::Module(scope.clone()));
    };
    let module = modules.get(scope)?;
    let child = [scope.as_slice(), std::slice::from_ref(first)].concat();
    let child = modules.contains_key(&child).then_some(child);
    // A module and an item may share a name: what has names below it is the module.
    if let Some(child) = child.as_ref().filter(|_| !rest.is_empty()) {
        return descend(modules, child, rest, steps);
    }
    if module.items.contains(first) {
        let (module, name) = (scope.clone(), first.clone());
        return Some(Target::Item { module, name });
    }
    imported(modules, module, scope, path, steps).or(child.map(Target::Module))
}

/// Resolves a path whose first name comes from a `use` in `scope`.
fn imported(
    modules: &Modules,
    module: &Module,
    scope: &Path,
    path: &[String],
    steps: usize,
) -> Option<Target> {
    let (first, rest) = path.split_first()?;
    let bound = module.bindings.get(first).into_iter().flatten();
    let targets = bound
        .filter(|bound| bound.first() != Some(first))
        .filter_map(|bound| {
            let whole = [bound.as_slice(), rest].concat();
            follow(modules, scope, &whole, steps)
        });
    let targets: Vec<_> = targets.collect();
    let is_item = |target: &&Target| matches!(target, Target::Item { .. });
    let best = targets.iter().find(is_item).or(targets.first());
    if let Some(best) = best {
        return Some(best.clone());
    }
    if module.bindings.contains_key(first) {
        return Some(Target::Foreign);
    }
    module.globs.iter().find_map(|glob| {
        let source = follow(modules, scope, glob, steps)?;
        descend(modules, source.module()?, path, steps)
    })
}

#[test]
fn paths_lead_to_the_defining_module() {
    let modules = read(&inline(&[
        ("lib.rs", "pub mod a; pub mod b;"),
        (
            "a/mod.rs",
            "mod deep; pub use deep::{Deep as Renamed, helper}; pub use super::b::*;",
        ),
        ("a/deep.rs", "pub struct Deep; pub fn helper() {}"),
        (
            "b.rs",
            "pub enum B { X } mod helper { pub fn f() {} } use crate::a; use std::fmt;",
        ),
    ]));
    let module = |path: &str| path.split("::").map(str::to_owned).collect::<Path>();
    let find = |from: &str, path: &str| match resolve(&modules, &module(from), &module(path))? {
        Target::Module(module) => Some(module.join("::")),
        Target::Item { module, name } => Some(format!("{}.{name}", module.join("::"))),
        Target::Foreign => Some("foreign".to_owned()),
    };
    assert_eq!(find("b", "super::a::Renamed::new").unwrap(), "a::deep.Deep");
    assert_eq!(find("b", "a::helper").unwrap(), "a::deep.helper");
    assert_eq!(find("b", "self::helper::f").unwrap(), "b::helper.f");
    assert_eq!(find("a::deep", "super::super::b::B::X").unwrap(), "b.B");
    assert_eq!(find("a::deep", "crate::a::B").unwrap(), "b.B");
    assert_eq!(find("a", "crate::b").unwrap(), "b");
    assert_eq!(find("a::deep", "crate::b::fmt").unwrap(), "foreign");
    assert_eq!(find("b", "crate::c::D"), None);
}
