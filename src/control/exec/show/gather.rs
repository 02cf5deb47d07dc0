//! Outputs of many hosts, equal ones together: held until the run ends, each different one once.
//!
//! Sans-IO. Invariant: the bytes held are bounded by [`limits::GATHERED`]; what exceeds it is given back, to be shown as it
//! comes.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::Escaping;
use super::difference::unified;
use crate::control::exec::Output;
use crate::control::fold::fold_in_order;
use crate::control::limits;
use crate::escape;

/// Line above and below the names of a group.
const RULE: &str = "---------------\n";

/// Gathering of outputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gathering {
    /// True if stderr is gathered, too. Otherwise it is shown as it comes.
    pub stderr: bool,
    /// True if all but the largest group are shown as their difference from it.
    pub diff: bool,
    /// Treatment of control characters.
    pub escaping: Escaping,
}

/// Result of a host by which it is grouped.
#[derive(PartialEq, Eq, Hash, Debug)]
struct Content {
    outputs: [Vec<u8>; 2],
    /// Outcome in words.
    outcome: String,
}

/// Held outputs.
#[derive(Default, Debug)]
pub(super) struct Gather {
    /// Outputs of the hosts in progress.
    open: HashMap<u32, [Vec<u8>; 2]>,
    /// Hosts that have ended, by their content.
    groups: HashMap<Content, Vec<(u32, String)>>,
    held: usize,
}

impl Gather {
    /// Takes the next bytes of an output. Returns false if they cannot be held.
    pub(super) fn push(&mut self, slot: u32, output: Output, data: &[u8]) -> bool {
        let buffer = &mut self.open.entry(slot).or_default()[output as usize];
        if buffer.len() + data.len() > limits::GATHERED_HOST
            || self.held + data.len() > limits::GATHERED
        {
            return false;
        }
        self.held += data.len();
        buffer.extend_from_slice(data);
        true
    }

    /// Gives back what is held of a host.
    pub(super) fn take(&mut self, slot: u32) -> [Vec<u8>; 2] {
        let outputs = self.open.remove(&slot).unwrap_or_default();
        self.held -= outputs.iter().map(Vec::len).sum::<usize>();
        outputs
    }

    /// Groups a host that has ended, unless it wrote nothing.
    pub(super) fn end(&mut self, slot: u32, label: &str, outcome: String) {
        let Some(outputs) = self.open.remove(&slot) else {
            return;
        };
        let length: usize = outputs.iter().map(Vec::len).sum();
        if length == 0 {
            return;
        }
        let content = Content { outputs, outcome };
        let hosts = self.groups.entry(content).or_insert_with(|| {
            self.held += length;
            Vec::new()
        });
        self.held -= length;
        hosts.push((slot, label.to_owned()));
    }

    /// Returns the groups as text, those that begin with an earlier target first, and forgets them.
    pub(super) fn text(&mut self, gathering: Gathering) -> Vec<String> {
        let mut groups: Vec<(Content, Vec<(u32, String)>)> = self.groups.drain().collect();
        self.held = self.open.values().flatten().map(Vec::len).sum();
        for (_, hosts) in &mut groups {
            hosts.sort_unstable();
        }
        groups.sort_unstable_by_key(|(_, hosts)| hosts[0].0);
        let largest = groups.iter().rev().max_by_key(|(_, hosts)| hosts.len());
        let largest = largest.map(|(_, hosts)| hosts[0].0);
        let is_largest = |hosts: &[(u32, String)]| Some(hosts[0].0) == largest;
        let base = groups
            .iter()
            .find(|(_, hosts)| is_largest(hosts))
            .map(|(content, hosts)| (shown(content, gathering), header(hosts)));
        let mut texts = Vec::new();
        for (content, hosts) in &groups {
            let mut text = format!("{RULE}{}\n{RULE}", header(hosts));
            match &base {
                Some((largest, name)) if gathering.diff && !is_largest(hosts) => {
                    text.push_str(&difference(
                        name,
                        largest,
                        &header(hosts),
                        &shown(content, gathering),
                    ));
                }
                Some(_) | None => text.push_str(&shown(content, gathering)),
            }
            texts.push(text);
        }
        if gathering.diff
            && let Some(index) = groups.iter().position(|(_, hosts)| is_largest(hosts))
        {
            // The others refer to it.
            texts[..=index].rotate_right(1);
        }
        texts
    }
}

/// Returns the names of a group, which are in the order of the targets, and their number if there are several: `web[1-37] (37)`.
fn header(hosts: &[(u32, String)]) -> String {
    let mut header = fold_in_order(hosts.iter().map(|(_, label)| label.as_str()));
    if hosts.len() > 1 {
        let _ = write!(header, " ({})", hosts.len());
    }
    header
}

/// Returns the outputs line by line, stdout first.
fn shown(content: &Content, gathering: Gathering) -> String {
    let mut text = String::new();
    for output in &content.outputs {
        for line in output.split_inclusive(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            match gathering.escaping {
                Escaping::Escape => text.push_str(&escape::line(line, usize::MAX)),
                Escaping::Raw => text.push_str(&String::from_utf8_lossy(line)),
            }
            text.push('\n');
        }
    }
    text
}

/// Returns a unified difference with the names of both groups.
fn difference(old_name: &str, old: &str, new_name: &str, new: &str) -> String {
    if old == new {
        // They differ in what is not shown, as in their outcomes.
        return "(the same output, with another outcome)\n".into();
    }
    unified(old_name, old, new_name, new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Gathering = Gathering {
        stderr: false,
        diff: false,
        escaping: Escaping::Escape,
    };

    fn gather(outputs: &[(&str, &str)]) -> Gather {
        let mut gather = Gather::default();
        for (slot, (label, text)) in (0..).zip(outputs) {
            assert!(gather.push(slot, Output::Stdout, text.as_bytes()));
            gather.end(slot, label, "ok".into());
        }
        gather
    }

    #[test]
    fn equal_outputs_are_one_group_under_the_folded_names() {
        let outputs = [
            ("web2", "6.1\n"),
            ("web1", "5.9\n"),
            ("web10", "6.1\n"),
            ("web3", "6.1\n"),
        ];
        let mut gather = gather(&outputs);
        let texts = gather.text(PLAIN);
        assert_eq!(
            texts.concat(),
            "---------------\nweb[2,10],web3 (3)\n---------------\n6.1\n\
             ---------------\nweb1\n---------------\n5.9\n"
        );
        assert_eq!(gather.held, 0);
        assert!(gather.text(PLAIN).is_empty());
    }

    #[test]
    fn equal_outputs_are_held_once() {
        let text = "x".repeat(1000);
        let mut gather = Gather::default();
        for slot in 0..100 {
            assert!(gather.push(slot, Output::Stdout, text.as_bytes()));
            gather.end(slot, &format!("web{slot}"), "ok".into());
            assert_eq!(gather.held, 1000);
        }
    }

    #[test]
    fn the_same_output_with_another_outcome_is_another_group() {
        let mut gather = Gather::default();
        for (slot, outcome) in [(0, "ok"), (1, "failed")] {
            gather.push(slot, Output::Stdout, b"same\n");
            gather.end(slot, ["a", "b"][slot as usize], outcome.into());
        }
        assert_eq!(gather.text(PLAIN).len(), 2);
    }

    #[test]
    fn a_difference_refers_to_the_largest_group_which_comes_first() {
        let outputs = [
            ("web1", "a\nX\nc\n"),
            ("web2", "a\nb\nc\n"),
            ("web3", "a\nb\nc\n"),
        ];
        let texts = gather(&outputs).text(Gathering {
            diff: true,
            ..PLAIN
        });
        assert_eq!(
            texts.concat(),
            "---------------\nweb[2-3] (2)\n---------------\na\nb\nc\n\
             ---------------\nweb1\n---------------\n\
             --- web[2-3] (2)\n+++ web1\n@@ -1,3 +1,3 @@\n a\n-b\n+X\n c\n"
        );
    }

    #[test]
    fn what_cannot_be_held_is_given_back() {
        let mut gather = Gather::default();
        let most = vec![b'x'; limits::GATHERED_HOST];
        assert!(gather.push(1, Output::Stdout, &most));
        assert!(!gather.push(1, Output::Stdout, b"x"));
        assert_eq!(gather.take(1), [most, Vec::new()]);
        assert_eq!(gather.held, 0);
    }

    #[test]
    fn control_characters_are_escaped_and_the_last_line_is_ended() {
        let texts = gather(&[("web1", "a\x1b[31m\n\nb")]).text(PLAIN);
        assert_eq!(
            texts,
            ["---------------\nweb1\n---------------\na\\u{1b}[31m\n\nb\n"]
        );
    }
}
