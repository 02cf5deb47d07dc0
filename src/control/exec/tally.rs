//! Summary of a command over several hosts: a line with counts, a line of names for each outcome class other than ok,
//! and the exit status.
//!
//! Sans-IO. Not the lines about single hosts, which are in [`summary`](super::summary). Invariant: the counts cover every
//! host, also where names are left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::control::fold::fold_in_order;
use crate::control::limits;
use crate::message::{Fate, status};

/// Outcome classes of the hosts of a command over several targets.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    hosts: BTreeMap<Fate, Vec<(usize, String)>>,
}

impl Tally {
    /// Counts a host. `rank` is its index in the order in which the user named the targets.
    pub fn add(&mut self, fate: Fate, rank: usize, label: &str) {
        let hosts = self.hosts.entry(fate).or_default();
        hosts.push((rank, label.to_owned()));
    }

    /// Returns the summary: `117 ok, 2 failed, 1 unreachable of 120 in 0.84s`, then `failed: web[3,9]` and
    /// `unreachable: web7`. The names of a class are in the order of the targets, whatever the order in which they were
    /// counted, as [`fold_in_order`] has it; beyond [`limits::SUMMARY_NAMES`] they are cut off at
    /// [`limits::SUMMARY_LINE`].
    #[must_use]
    pub fn lines(&self, took: Duration) -> Vec<String> {
        let others = || self.hosts.iter().filter(|(fate, _)| **fate != Fate::Ok);
        let mut counts = format!("{} {}", self.count(Fate::Ok), Fate::Ok.name());
        for (fate, hosts) in others() {
            let _ = write!(counts, ", {} {}", hosts.len(), fate.name());
        }
        let hosts: usize = self.hosts.values().map(Vec::len).sum();
        let _ = write!(counts, " of {hosts} in {:.2}s", took.as_secs_f64());
        let named = others().map(|(fate, hosts)| {
            let mut hosts: Vec<&(usize, String)> = hosts.iter().collect();
            hosts.sort_unstable();
            let labels: Vec<&str> = hosts.into_iter().map(|(_, label)| &label[..]).collect();
            format!("{}: {}", fate.name(), names(&labels))
        });
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

/// Returns the folded names of hosts, in their order, with `and N more` in place of those that a line has no room for.
pub fn names<T: AsRef<str>>(labels: &[T]) -> String {
    let fold_first = |count: usize| fold_in_order(labels[..count].iter().map(AsRef::as_ref));
    let whole = fold_first(labels.len());
    if labels.len() <= limits::SUMMARY_NAMES || whole.len() <= limits::SUMMARY_LINE {
        return whole;
    }
    // The least number of names that a line has no room for is in this range, which is halved.
    let (mut fits, mut exceeds) = (limits::SUMMARY_NAMES, labels.len());
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
    format!("{shown} and {} more", labels.len() - fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_all_hosts_and_folds_the_names_of_those_that_are_not_ok() {
        let mut tally = Tally::default();
        tally.add(Fate::Unreachable, 6, "web7");
        for _ in 0..117 {
            tally.add(Fate::Ok, 0, "x");
        }
        tally.add(Fate::Failed, 8, "web9");
        tally.add(Fate::Failed, 2, "web3");
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
                tally.add(fate, 0, "h");
            }
            assert_eq!(tally.exit_status(), status, "{fates:?}");
        }
    }

    /// Returns the line of names after `count` hosts have failed, the last of them first.
    fn failed(count: usize, label: impl Fn(usize) -> String) -> String {
        let mut tally = Tally::default();
        for number in (0..count).rev() {
            tally.add(Fate::Failed, number, &label(number));
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
        let line = failed(10_000, |number| format!("web{number}"));
        assert_eq!(line, "failed: web[0-9999]");
    }

    #[test]
    fn names_are_in_the_order_of_the_targets_whatever_the_order_of_their_ends() {
        let line = failed(4, |number| ["web10", "db1", "web2", "db2"][number].into());
        assert_eq!(line, "failed: web10,db[1-2],web2");
    }

    #[test]
    fn names_that_do_not_fold_are_cut_off_and_the_rest_is_counted() {
        let line = failed(10_000, word);
        let (names, more) = line.rsplit_once(" and ").unwrap();
        let shown = names.matches(',').count() + 1;
        assert_eq!(more, format!("{} more", 10_000 - shown));
        let names = names.strip_prefix("failed: ").unwrap();
        assert!(names.starts_with("a,b,c,d,e,f,g,h,i,j,ba,bb,"), "{names}");
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
