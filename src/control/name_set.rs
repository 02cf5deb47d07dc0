//! Names with sets of numbers, as ClusterShell writes them: `web[01-40,50]:7000`, `r[1-4]n[1-16]`, `n[0-98/2]`.
//!
//! A set keeps its ranges and makes its names one by one. Not whether a name is that of a host, and no operators between
//! sets. Invariant: a set has at least one name and at most [`limits::TARGETS`].

use std::fmt;
use std::fmt::Write as _;

use super::limits;

/// Largest number of digits: those that every number of this length fits in.
const DIGITS: usize = 18;

/// A mistake, with its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// Characters before the place.
    at: usize,
    words: &'static str,
}

impl SyntaxError {
    pub(super) const fn new(at: usize, words: &'static str) -> Self {
        Self { at, words }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at character {}", self.words, self.at + 1)
    }
}

impl std::error::Error for SyntaxError {}

/// A name in which sets of numbers stand for all their members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameSet {
    parts: Vec<Part>,
    count: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(String),
    Numbers(Vec<Range>),
}

/// Numbers from `first` to `last`, written with at least `width` digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Range {
    first: u64,
    last: u64,
    step: u64,
    width: usize,
}

impl Range {
    const fn count(self) -> u64 {
        (self.last - self.first) / self.step + 1
    }

    /// True if a word is one of the numbers, as they are written.
    fn has(self, word: &str) -> bool {
        let is_written_so = |value: &u64| word.len() == self.width.max(digits(*value));
        let value = word.parse().ok().filter(is_written_so);
        value.is_some_and(|value: u64| {
            (self.first..=self.last).contains(&value)
                && (value - self.first).is_multiple_of(self.step)
        })
    }
}

impl Part {
    /// Number of texts that it stands for, if it can be counted.
    fn count(&self) -> Option<u64> {
        match self {
            Self::Text(_) => Some(1),
            Self::Numbers(ranges) => ranges
                .iter()
                .try_fold(0_u64, |sum, range| sum.checked_add(range.count())),
        }
    }
}

impl NameSet {
    /// Parses a name. `at` is its place in the text that errors refer to, in characters.
    ///
    /// # Errors
    /// [`SyntaxError`]: a bracket or a range is not as it has to be, or there are too many names.
    pub fn parse(text: &str, at: usize) -> Result<Self, SyntaxError> {
        // The brackets of an IPv6 address are no set.
        if is_address(text) {
            return Ok(Self::of_name(text));
        }
        let mut parts = Vec::new();
        let (mut rest, mut here) = (text, at);
        while let Some(open) = rest.find('[') {
            let bracket = here + rest[..open].chars().count();
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            } else if matches!(parts.last(), Some(Part::Numbers(_))) {
                return Err(SyntaxError::new(
                    bracket,
                    "two sets of numbers need a text between them",
                ));
            }
            let inside = &rest[open + 1..];
            let Some(close) = inside.find(']') else {
                return Err(SyntaxError::new(bracket, "the bracket is not closed"));
            };
            parts.push(Part::Numbers(ranges(&inside[..close], bracket + 1)?));
            here = bracket + 2 + inside[..close].chars().count();
            rest = &inside[close + 1..];
        }
        if let Some(close) = rest.find(']') {
            let place = here + rest[..close].chars().count();
            return Err(SyntaxError::new(place, "the bracket is not opened"));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let counts = parts.iter().map(Part::count);
        let count = counts
            .into_iter()
            .try_fold(1_u64, |product, count| product.checked_mul(count?))
            .filter(|&count| count <= limits::TARGETS);
        let too_many = SyntaxError::new(at, "the set has more than a million members");
        Ok(Self {
            parts,
            count: count.ok_or(too_many)?,
        })
    }

    /// Returns the set of one name.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let parts = vec![Part::Text(name.to_owned())];
        Self { parts, count: 1 }
    }

    /// Number of names.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// True if it has no set of numbers.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// True if it is a set of numbers without any text.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        let [part] = &self.parts[..] else {
            return false;
        };
        matches!(part, Part::Numbers(_))
    }

    /// Returns the text before the first set of numbers.
    #[must_use]
    pub fn prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            Some(Part::Numbers(_)) | None => "",
        }
    }

    /// Returns the names; the last set of numbers varies first.
    pub fn names(&self) -> impl Iterator<Item = String> {
        (0..self.count).map(|index| self.name(index))
    }

    /// Returns the names at the ends of the ranges: if one of the names is no host, one of these is none, as a rule.
    pub fn ends(&self) -> impl Iterator<Item = String> {
        let mut stride = self.count;
        let mut indices = vec![0, self.count - 1];
        for part in &self.parts {
            let Part::Numbers(ranges) = part else {
                continue;
            };
            stride /= part.count().unwrap_or(1);
            let mut before = 0;
            for range in ranges {
                let last = before + range.count() - 1;
                indices.extend([before * stride, last * stride]);
                before = last + 1;
            }
        }
        indices.into_iter().map(|index| self.name(index))
    }

    /// True if a name is one of the set.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        matches(&self.parts, name)
    }

    fn name(&self, index: u64) -> String {
        let (mut rest, mut stride) = (index, self.count);
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Numbers(ranges) => {
                    stride /= part.count().unwrap_or(1);
                    let mut at = rest / stride;
                    rest %= stride;
                    for range in ranges {
                        if at < range.count() {
                            let (number, width) = (range.first + at * range.step, range.width);
                            let _ = write!(name, "{number:0width$}");
                            break;
                        }
                        at -= range.count();
                    }
                }
            }
        }
        name
    }
}

/// The set as it is written.
impl fmt::Display for NameSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Numbers(ranges) => {
                    for (index, range) in ranges.iter().enumerate() {
                        f.write_str(if index == 0 { "[" } else { "," })?;
                        range.fmt(f)?;
                    }
                    f.write_str("]")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.width;
        write!(f, "{:0width$}", self.first)?;
        if self.last != self.first {
            write!(f, "-{:0width$}", self.last)?;
        }
        if self.step != 1 {
            write!(f, "/{}", self.step)?;
        }
        Ok(())
    }
}

/// True if a text is one of those that the parts stand for. A set has a million names at most, which bounds the ways to
/// divide a run of digits between its parts.
fn matches(parts: &[Part], text: &str) -> bool {
    match parts.split_first() {
        None => text.is_empty(),
        Some((Part::Text(before), rest)) => text
            .strip_prefix(&before[..])
            .is_some_and(|text| matches(rest, text)),
        Some((Part::Numbers(ranges), rest)) => {
            let digits = text.bytes().take_while(u8::is_ascii_digit);
            (1..=digits.take(DIGITS).count()).any(|length| {
                let (word, text) = text.split_at(length);
                ranges.iter().any(|range| range.has(word)) && matches(rest, text)
            })
        }
    }
}

/// Number of digits of a number.
fn digits(value: u64) -> usize {
    value.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// True for `[2001:db8::1]:7000`.
fn is_address(text: &str) -> bool {
    let inside = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    inside.is_some_and(|(inside, _)| inside.contains(':'))
}

fn ranges(text: &str, at: usize) -> Result<Vec<Range>, SyntaxError> {
    let mut here = at;
    let mut ranges = Vec::new();
    for part in text.split(',') {
        ranges.push(range(part).map_err(|words| SyntaxError::new(here, words))?);
        here += part.chars().count() + 1;
    }
    Ok(ranges)
}

fn range(text: &str) -> Result<Range, &'static str> {
    if text.is_empty() {
        return Err("a number is missing");
    }
    let (bounds, step) = match text.split_once('/') {
        Some((bounds, step)) => (bounds, number(step)?),
        None => (text, 1),
    };
    if step == 0 {
        return Err("the step is 0");
    }
    let (first, last) = bounds.split_once('-').unwrap_or((bounds, bounds));
    let width = if first.len() > 1 && first.starts_with('0') {
        first.len()
    } else {
        1
    };
    let is_padded = |word: &str| word.len() > 1 && word.starts_with('0');
    if (is_padded(first) || is_padded(last)) && first.len() != last.len() {
        return Err("both ends of a range with leading zeros need the same number of digits");
    }
    let (first, last) = (number(first)?, number(last)?);
    if last < first {
        return Err("the range runs backwards");
    }
    Ok(Range {
        first,
        last,
        step,
        width,
    })
}

fn number(text: &str) -> Result<u64, &'static str> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits && text.len() <= DIGITS);
    number.ok_or("not a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> String {
        NameSet::parse(text, 0)
            .unwrap()
            .names()
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn sets_of_numbers_are_expanded_as_written() {
        for (text, names) in [
            ("web", "web"),
            ("web[8-11]", "web8 web9 web10 web11"),
            ("web[08-11]", "web08 web09 web10 web11"),
            ("web[5,1-2]:7001", "web5:7001 web1:7001 web2:7001"),
            ("n[0-8/3]", "n0 n3 n6"),
            ("r[1-2]n[1-2]x", "r1n1x r1n2x r2n1x r2n2x"),
            ("10.1.[0-1].[1-2]", "10.1.0.1 10.1.0.2 10.1.1.1 10.1.1.2"),
            ("n12[3-4]5", "n1235 n1245"),
            ("[2001:db8::1]:7000", "[2001:db8::1]:7000"),
        ] {
            assert_eq!(expand(text), names);
        }
    }

    #[test]
    fn a_set_contains_its_names_as_they_are_written_and_no_others() {
        for (text, others) in [
            (
                "web[8-11]:7000",
                "web08:7000 web12:7000 web8:70000 web:7000 web8",
            ),
            ("web[08-11]", "web8 web008 web12 xweb08"),
            ("n[0-98/2]", "n1 n99 n00"),
            ("n12[3-4]5", "n125 n1255 n12345"),
            ("n[1-2]5[5-6]", "n15 n1555x n555"),
            ("[2001:db8::1]:7000", "[2001:db8::1]"),
            (
                "n[999999999999999998-999999999999999999]",
                "n9999999999999999981",
            ),
        ] {
            let set = NameSet::parse(text, 0).unwrap();
            for name in set.names().chain(set.ends()) {
                assert!(set.contains(&name), "{text} {name}");
            }
            for name in others.split(' ') {
                assert!(!set.contains(name), "{text} {name}");
            }
            assert_eq!(set.to_string(), text);
        }
    }

    #[test]
    fn the_ends_of_all_ranges_are_among_the_ends() {
        let set = NameSet::parse("r[1-3]n[1-5,9/2,20]", 0).unwrap();
        let ends: Vec<String> = set.ends().collect();
        let expected = "r1n1 r3n20 r1n1 r3n1 r1n1 r1n5 r1n9 r1n9 r1n20 r1n20";
        assert_eq!(ends.join(" "), expected);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, at, words) in [
            ("web[0000000000000000001]", 4, "not a number"),
            ("web[1-3", 3, "the bracket is not closed"),
            ("web1-3]", 6, "the bracket is not opened"),
            ("web[]", 4, "a number is missing"),
            ("web[1,,2]", 6, "a number is missing"),
            ("web[1,b]", 6, "not a number"),
            ("web[-1]", 4, "not a number"),
            ("web[3-1]", 4, "the range runs backwards"),
            ("web[1-5/0]", 4, "the step is 0"),
            (
                "web[01-100]",
                4,
                "both ends of a range with leading zeros need the same number of digits",
            ),
            (
                "web[1-2][3-4]",
                8,
                "two sets of numbers need a text between them",
            ),
            (
                "n[1-1000]m[1-1000]o[1-2]",
                0,
                "the set has more than a million members",
            ),
            ("n[1-18446744073709551615]", 2, "not a number"),
            (
                "n[0-184467440737095516]",
                0,
                "the set has more than a million members",
            ),
        ] {
            let error = NameSet::parse(text, 0).unwrap_err();
            assert_eq!(error, SyntaxError::new(at, words), "{text}");
        }
    }
}
