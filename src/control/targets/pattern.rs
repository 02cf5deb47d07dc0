//! Names with sets of numbers, as ClusterShell writes them: `web[01-40,50]:7000`, `r[1-4]n[1-16]`, `n[0-98/2]`.
//!
//! Not whether a name is that of a host. Invariant: an expansion is no longer than its [`count`](Pattern::count).

use super::syntax::SyntaxError;
use crate::control::limits;

/// Largest number of digits: those that every number of this length fits in.
const DIGITS: usize = 18;

/// A name in which sets of numbers stand for all their members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    parts: Vec<Part>,
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

    fn words(self) -> impl Iterator<Item = String> {
        let Self {
            first, step, width, ..
        } = self;
        (0..self.count()).map(move |index| format!("{:0width$}", first + index * step))
    }
}

impl Pattern {
    /// Parses a name. `at` is its place in the text that errors refer to, in characters.
    ///
    /// # Errors
    /// [`SyntaxError`]: a bracket or a range is not as it has to be, or there are too many names.
    pub fn parse(text: &str, at: usize) -> Result<Self, SyntaxError> {
        // The brackets of an IPv6 address are no set.
        if is_address(text) {
            let parts = vec![Part::Text(text.to_owned())];
            return Ok(Self { parts });
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
        let pattern = Self { parts };
        match pattern.count() {
            Some(count) if count <= limits::TARGETS => Ok(pattern),
            _ => Err(SyntaxError::new(
                at,
                "the set has more than a million members",
            )),
        }
    }

    /// Number of names, if it can be counted.
    fn count(&self) -> Option<u64> {
        let counts = self.parts.iter().map(|part| match part {
            Part::Text(_) => Some(1),
            Part::Numbers(ranges) => ranges
                .iter()
                .try_fold(0_u64, |sum, range| sum.checked_add(range.count())),
        });
        counts
            .into_iter()
            .try_fold(1_u64, |product, count| product.checked_mul(count?))
    }

    /// Returns the names; the last set of numbers varies first.
    pub fn expand(&self) -> Vec<String> {
        let mut names = vec![String::new()];
        for part in &self.parts {
            names = match part {
                Part::Text(text) => names.into_iter().map(|name| name + text).collect(),
                Part::Numbers(ranges) => {
                    let words: Vec<String> =
                        ranges.iter().flat_map(|range| range.words()).collect();
                    let all = names
                        .iter()
                        .flat_map(|name| words.iter().map(move |word| format!("{name}{word}")));
                    all.collect()
                }
            };
        }
        names
    }
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
        Pattern::parse(text, 0).unwrap().expand().join(" ")
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
            let error = Pattern::parse(text, 0).unwrap_err();
            assert_eq!(error, SyntaxError::new(at, words), "{text}");
        }
    }
}
