//! Summary of a command over several hosts: a line with counts, a line of names for each outcome class other than ok,
//! and the exit status.
//!
//! Sans-IO. Not the lines about single hosts, which are in [`summary`](super::summary). Invariant: the counts cover every
//! host, also where names are left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::control::fold::fold;
use crate::control::limits;
use crate::message::{Fate, status};

/// Outcome classes of the hosts of a command over several targets.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    hosts: BTreeMap<Fate, Vec<String>>,
}

impl Tally {
    /// Counts a host.
    pub fn add(&mut self, fate: Fate, label: &str) {
        self.hosts.entry(fate).or_default().push(label.to_owned());
    }

    /// Returns the summary: `117 ok, 2 failed, 1 unreachable of 120 in 0.84s`, then `failed: web[3,9]` and
    /// `unreachable: web7`. The names of a class are in the order of the alphabet, whatever the order in which they were
    /// counted; beyond [`limits::SUMMARY_NAMES`] they are cut off at [`limits::SUMMARY_LINE`].
    #[must_use]
    pub fn lines(&self, took: Duration) -> Vec<String> {
        let others = || self.hosts.iter().filter(|(fate, _)| **fate != Fate::Ok);
        let mut counts = format!("{} {}", self.count(Fate::Ok), Fate::Ok.name());
        for (fate, labels) in others() {
            let _ = write!(counts, ", {} {}", labels.len(), fate.name());
        }
        let hosts: usize = self.hosts.values().map(Vec::len).sum();
        let _ = write!(counts, " of {hosts} in {:.2}s", took.as_secs_f64());
        let named = others().map(|(fate, labels)| format!("{}: {}", fate.name(), names(labels)));
        std::iter::once(counts).chain(named).collect()
    }

    /// Returns the number of hosts of a class.
    #[must_use]
    pub fn count(&self, fate: Fate) -> usize {
        self.hosts.get(&fate).map_or(0, Vec::len)
    }

    /// Returns the exit status of `udpctl`: that of the gravest class, by [`status::severity`].
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        status_of(self.hosts.keys())
    }

    /// Returns the same as if no host were of the class.
    #[must_use]
    pub fn exit_status_without(&self, fate: Fate) -> u8 {
        status_of(self.hosts.keys().filter(|other| **other != fate))
    }
}

fn status_of<'a>(fates: impl Iterator<Item = &'a Fate>) -> u8 {
    fates
        .map(|fate| fate.exit_status())
        .max_by_key(|&number| status::severity(number))
        .unwrap_or(status::SUCCESS)
}

/// Returns the folded names of hosts, with `and N more` in place of those that a line has no room for.
pub fn names(labels: &[String]) -> String {
    let whole = fold(labels.iter().map(String::as_str));
    if labels.len() <= limits::SUMMARY_NAMES || whole.len() <= limits::SUMMARY_LINE {
        return whole;
    }
    let mut sorted: Vec<&str> = labels.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let fold_first = |count: usize| fold(sorted[..count].iter().copied());
    // The least number of names that a line has no room for is in this range, which is halved.
    let (mut fits, mut exceeds) = (limits::SUMMARY_NAMES, sorted.len());
    let mut shown = fold_first(fits);
    while exceeds - fits > 1 {
        let middle = usize::midpoint(fits, exceeds);
        let folded = fold_first(middle);
        if folded.len() > limits::SUMMARY_LINE {
            exceeds = middle;
        } else {
            (fits, shown) = (middle, folded);
        }
    }
    format!("{shown} and {} more", sorted.len() - fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_all_hosts_and_folds_the_names_of_those_that_are_not_ok() {
        let mut tally = Tally::default();
        tally.add(Fate::Unreachable, "web7");
        for _ in 0..117 {
            tally.add(Fate::Ok, "x");
        }
        tally.add(Fate::Failed, "web9");
        tally.add(Fate::Failed, "web3");
        assert_eq!(
            tally.lines(Duration::from_millis(842)),
            [
                "117 ok, 2 failed, 1 unreachable of 120 in 0.84s",
                "failed: web[3,9]",
                "unreachable: web7"
            ]
        );
        assert_eq!(tally.exit_status(), 4);
    }

    #[test]
    fn the_gravest_class_decides_the_exit_status() {
        for (fates, status) in [
            (&[Fate::Ok][..], 0),
            (&[Fate::Ok, Fate::Failed], 5),
            (&[Fate::Stopped, Fate::Failed], 3),
            (&[Fate::Stopped, Fate::Denied, Fate::Failed], 4),
            (&[Fate::Skipped, Fate::Lost], 130),
        ] {
            let mut tally = Tally::default();
            for &fate in fates {
                tally.add(fate, "h");
            }
            assert_eq!(tally.exit_status(), status, "{fates:?}");
        }
    }

    /// Returns the line of names after `count` hosts have failed.
    fn failed(count: usize, label: impl Fn(usize) -> String) -> String {
        let mut tally = Tally::default();
        for number in 0..count {
            tally.add(Fate::Failed, &label(number));
        }
        tally.lines(Duration::ZERO).swap_remove(1)
    }

    /// Returns a name that differs from others in more than its numbers.
    fn word(number: usize) -> String {
        let letters = number.to_string().into_bytes().into_iter();
        letters.map(|digit| char::from(digit + 49)).collect()
    }

    #[test]
    fn ten_thousand_names_that_fold_are_one_word() {
        let line = failed(10_000, |number| format!("web{}", 9999 - number));
        assert_eq!(line, "failed: web[0-9999]");
    }

    #[test]
    fn names_that_do_not_fold_are_cut_off_and_the_rest_is_counted() {
        let line = failed(10_000, word);
        let (names, more) = line.rsplit_once(" and ").unwrap();
        let shown = names.matches(',').count() + 1;
        assert_eq!(more, format!("{} more", 10_000 - shown));
        let names = names.strip_prefix("failed: ").unwrap();
        assert!(names.starts_with("a,b,ba,baa,baaa,baab,"), "{names}");
        let room = limits::SUMMARY_LINE - names.len();
        assert!(room < "bbbb,".len(), "{room} bytes of room are left");
    }

    #[test]
    fn some_hundred_names_are_shown_whatever_their_length() {
        let long = "x".repeat(200);
        let line = failed(limits::SUMMARY_NAMES, |number| {
            format!("{}{long}", word(number))
        });
        assert_eq!(line.matches(',').count() + 1, limits::SUMMARY_NAMES);
        assert!(line.ends_with(&long));
        let line = failed(limits::SUMMARY_NAMES + 1, |number| {
            format!("{}{long}", word(number))
        });
        assert!(line.ends_with(" and 1 more"));
    }
}
