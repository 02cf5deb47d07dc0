//! Sets of targets in ClusterShell's notation: names with sets of numbers, groups, and the operators `,` (and), `!`
//! (without), `&` (in both) and `^` (in one of both), from left to right.
//!
//! Invariant: a target is in a result once, at the place where it came first.

use std::str::FromStr;

use indexmap::IndexSet;

use super::error::TargetsError;
use super::group_name::{GroupName, is_group_name};
use super::pattern::Pattern;
use super::syntax::{ParseExpressionError, SyntaxError};
use crate::net::Target;

/// A set of targets as the user writes it.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
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
    Targets(Vec<Target>),
    /// `@name`, `@source:name`, `@*`; a name may hold sets of numbers.
    Groups(Vec<GroupName>),
}

/// Groups of targets, and names that stand for other addresses.
pub trait Groups {
    /// Returns the members of a group.
    ///
    /// # Errors
    /// [`TargetsError`]: there is no such group, or its members are not known.
    fn members(&mut self, name: &GroupName) -> Result<IndexSet<Target>, TargetsError>;

    /// Returns the target that a name stands for.
    fn resolve(&self, target: Target) -> Target;
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
        let (mut operator, mut start, mut inside) = (Operator::Union, 0, false);
        for (at, letter) in text.char_indices().chain([(text.len(), ',')]) {
            match letter {
                '[' => inside = true,
                ']' => inside = false,
                _ => {}
            }
            let at_end = at == text.len();
            if let Some(next) = Operator::of(letter).filter(|_| !inside || at_end) {
                let place = text[..start].chars().count();
                terms.push((operator, operand(&text[start..at], place)?));
                (operator, start) = (next, at + letter.len_utf8());
            }
        }
        let text = text.to_owned();
        Ok(Self { text, terms })
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
        let targets = Pattern::parse(text, at)?.expand().into_iter().map(|name| {
            let target = name.parse();
            target.map_err(|error| ParseExpressionError::Name(name, error))
        });
        return Ok(Operand::Targets(targets.collect::<Result<_, _>>()?));
    };
    if group == "*" {
        return Ok(Operand::Groups(vec![GroupName::All]));
    }
    let names = Pattern::parse(group, at + 1)?.expand().into_iter();
    let names = names.map(|name| match name.split_once(':') {
        Some((source, name)) => (Some(source.to_owned()), name.to_owned()),
        None => (None, name),
    });
    let names = names.map(|(source, name)| {
        if !is_group_name(&name) || !source.as_deref().is_none_or(is_group_name) {
            return Err(SyntaxError::new(at, "this is no name of a group"));
        }
        Ok(match source {
            Some(source) => GroupName::Of(source, name),
            None => GroupName::Named(name),
        })
    });
    Ok(Operand::Groups(names.collect::<Result<_, _>>()?))
}

impl Expression {
    /// Returns the set of a group.
    #[must_use]
    pub fn of_group(name: GroupName) -> Self {
        let text = name.to_string();
        let terms = vec![(Operator::Union, Operand::Groups(vec![name]))];
        Self { text, terms }
    }

    /// Returns the text as the user has written it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns its only target, if it is written as one without numbers in brackets or groups.
    #[must_use]
    pub fn single(&self) -> Option<&Target> {
        match &self.terms[..] {
            [(_, Operand::Targets(targets))] if targets.len() == 1 => targets.first(),
            _ => None,
        }
    }

    /// Returns the targets, in order.
    ///
    /// # Errors
    /// Those of [`Groups::members`].
    pub fn targets(&self, groups: &mut dyn Groups) -> Result<IndexSet<Target>, TargetsError> {
        let mut all = IndexSet::new();
        for (operator, operand) in &self.terms {
            let members = match operand {
                Operand::Targets(targets) => {
                    let targets = targets.iter().map(|target| groups.resolve(target.clone()));
                    targets.collect()
                }
                Operand::Groups(names) => {
                    let mut members = IndexSet::new();
                    for name in names {
                        members.extend(groups.members(name)?);
                    }
                    members
                }
            };
            match operator {
                Operator::Union if all.is_empty() => all = members,
                Operator::Union => all.extend(members),
                Operator::Difference => all.retain(|target| !members.contains(target)),
                Operator::Intersection => all.retain(|target| members.contains(target)),
                Operator::SymmetricDifference => {
                    all = all.symmetric_difference(&members).cloned().collect();
                }
            }
        }
        Ok(all)
    }
}
