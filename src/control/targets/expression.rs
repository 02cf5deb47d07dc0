//! Sets of targets in ClusterShell's notation: names with sets of numbers, groups, and the operators `,` (and), `!`
//! (without), `&` (in both) and `^` (in one of both), from left to right.
//!
//! An expression keeps its sets as they are written; only [`Expression::targets`] makes the names. Invariant: a target is in
//! a result once, at the place where it came first.

use std::collections::HashSet;
use std::str::FromStr;

use indexmap::IndexSet;

use super::error::TargetsError;
use super::group_name::{GroupName, is_group_name};
use super::syntax::ParseExpressionError;
use crate::control::limits;
use crate::control::name_set::{NameSet, SyntaxError};
use crate::net::{Host, Target};

/// A set of targets as the user writes it.
#[derive(Clone, Debug)]
pub struct Expression {
    terms: Vec<(Operator, Operand)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operator {
    Union,
    Difference,
    Intersection,
    SymmetricDifference,
}

#[derive(Clone, Debug)]
enum Operand {
    Targets(NameSet),
    /// `@name`, `@source:name`; a name may hold sets of numbers.
    Groups(NameSet),
    /// One group, also `@*`.
    Group(GroupName),
}

/// Groups of targets, and names that stand for other addresses.
pub trait Groups {
    /// Returns the members of a group.
    ///
    /// # Errors
    /// [`TargetsError`]: there is no such group, or its members are not known.
    fn members(&mut self, name: &GroupName) -> Result<IndexSet<Target>, TargetsError>;

    /// Returns the target that a name stands for.
    ///
    /// # Errors
    /// [`TargetsError`]: what names stand for is not known.
    fn resolve(&mut self, target: Target) -> Result<Target, TargetsError>;
}

impl Operand {
    const fn count(&self) -> u64 {
        match self {
            Self::Targets(names) | Self::Groups(names) => names.count(),
            Self::Group(_) => 1,
        }
    }
}

impl Operator {
    const fn of(letter: char) -> Option<Self> {
        match letter {
            ',' => Some(Self::Union),
            '!' => Some(Self::Difference),
            '&' => Some(Self::Intersection),
            '^' => Some(Self::SymmetricDifference),
            _ => None,
        }
    }
}

impl FromStr for Expression {
    type Err = ParseExpressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut terms = Vec::new();
        let (mut count, mut place) = (0, 0);
        let (mut operator, mut start, mut inside) = (Operator::Union, 0, false);
        for (at, letter) in text.char_indices().chain([(text.len(), ',')]) {
            match letter {
                '[' => inside = true,
                ']' => inside = false,
                _ => {}
            }
            let at_end = at == text.len();
            if let Some(next) = Operator::of(letter).filter(|_| !inside || at_end) {
                let length = text[start..at].chars().count();
                let operand = operand(&text[start..at], place)?;
                count += operand.count();
                if count > limits::TARGETS {
                    return Err(
                        SyntaxError::new(place, "the set has more than a million members").into(),
                    );
                }
                terms.push((operator, operand));
                (operator, start) = (next, at + letter.len_utf8());
                place += length + 1;
            }
        }
        Ok(Self { terms })
    }
}

fn operand(text: &str, at: usize) -> Result<Operand, ParseExpressionError> {
    let at = at
        + text
            .chars()
            .take_while(|letter| letter.is_whitespace())
            .count();
    let text = text.trim();
    if text.is_empty() {
        return Err(SyntaxError::new(at, "a name is missing").into());
    }
    let Some(group) = text.strip_prefix('@') else {
        let names = NameSet::parse(text, at)?;
        if names.is_bare() {
            let words = "the numbers need a name before them, such as web[1-3]";
            return Err(SyntaxError::new(at, words).into());
        }
        for name in names.ends() {
            target(name)?;
        }
        return Ok(Operand::Targets(names));
    };
    if group == "*" {
        return Ok(Operand::Group(GroupName::All));
    }
    let names = NameSet::parse(group, at + 1)?;
    if names.ends().any(|name| group_name(&name).is_none()) {
        return Err(SyntaxError::new(at, "this is no name of a group").into());
    }
    Ok(Operand::Groups(names))
}

fn target(name: String) -> Result<Target, ParseExpressionError> {
    name.parse()
        .map_err(|error| ParseExpressionError::Name(name, error))
}

/// Parses `name` or `source:name`.
fn group_name(text: &str) -> Option<GroupName> {
    let (source, name) = match text.split_once(':') {
        Some((source, name)) => (Some(source), name),
        None => (None, text),
    };
    if !is_group_name(name) || !source.is_none_or(is_group_name) {
        return None;
    }
    Some(match source {
        Some(source) => GroupName::Of(source.to_owned(), name.to_owned()),
        None => GroupName::Named(name.to_owned()),
    })
}

impl Expression {
    /// Returns the set of a group.
    #[must_use]
    pub fn of_group(name: GroupName) -> Self {
        let terms = vec![(Operator::Union, Operand::Group(name))];
        Self { terms }
    }

    /// Number of names, each group counted as one.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.terms.iter().map(|(_, operand)| operand.count()).sum()
    }

    /// Returns the targets, in order.
    ///
    /// # Errors
    /// Those of [`Groups::members`], and [`TargetsError::Set`].
    pub fn targets(&self, groups: &mut dyn Groups) -> Result<IndexSet<Target>, TargetsError> {
        let mut all = IndexSet::new();
        for (operator, operand) in &self.terms {
            let members = match operand {
                Operand::Targets(names) => {
                    let targets = names.names().map(|name| groups.resolve(target(name)?));
                    targets.collect::<Result<_, TargetsError>>()?
                }
                Operand::Groups(names) => {
                    let mut members = IndexSet::new();
                    for name in names.names().filter_map(|name| group_name(&name)) {
                        members.extend(groups.members(&name)?);
                    }
                    members
                }
                Operand::Group(name) => groups.members(name)?,
            };
            match operator {
                Operator::Union if all.is_empty() => all = members,
                Operator::Union => all.extend(members),
                Operator::Difference => {
                    let matches = matcher(&members);
                    all.retain(|target| !matches(target));
                }
                Operator::Intersection => all.retain(matcher(&members)),
                Operator::SymmetricDifference => {
                    let (both, rest): (IndexSet<_>, IndexSet<_>) =
                        members.into_iter().partition(|target| all.contains(target));
                    all.retain(|target| !both.contains(target));
                    all.extend(rest);
                }
            }
        }
        Ok(all)
    }
}

/// Returns what is true for targets of a set. One that is typed without a port stands for every port of its host, unless
/// it is the name of an agent in the inventory: others may be at the same address.
pub fn matcher(members: &IndexSet<Target>) -> impl Fn(&Target) -> bool {
    let is_host = |member: &&Target| {
        let typed = member.label().parse::<Target>();
        !member.names_port() && typed.is_ok_and(|typed| typed.host() == member.host())
    };
    let hosts = members.iter().filter(is_host);
    let hosts: HashSet<&Host> = hosts.map(Target::host).collect();
    move |target| members.contains(target) || hosts.contains(target.host())
}
