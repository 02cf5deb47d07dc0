//! Names written as one set: `web[01-40,50],r[1-4]n[1-16]`.
//!
//! Names that differ in their numbers only are folded: first over the last number, then over those before, until no two
//! differ in one number. Invariant: the set has exactly the names.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

/// Largest number of digits that are a number.
const DIGITS: usize = 18;

/// A number as it is written. Shorter ones come first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
struct Number {
    digits: usize,
    value: u64,
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.len();
        let value = text.parse().ok().filter(|_| digits <= DIGITS)?;
        Some(Self { digits, value })
    }

    /// True if `next` follows in a range.
    fn precedes(self, next: Self) -> bool {
        let natural = Self {
            digits: next.value.to_string().len(),
            value: next.value,
        };
        self.value + 1 == next.value
            && (self.digits == next.digits || self.is_natural() && next == natural)
    }

    /// True without leading zeros.
    fn is_natural(self) -> bool {
        self.digits == self.value.to_string().len()
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:0digits$}", self.value, digits = self.digits)
    }
}

/// Sets of numbers, one for each place of a name.
type Vector = Vec<Vec<Number>>;

/// Returns the folded set of names, in the order of the alphabet.
#[must_use]
pub fn fold<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut shapes: BTreeMap<String, BTreeSet<Vec<Number>>> = BTreeMap::new();
    for name in names {
        let (shape, numbers) = split(name);
        shapes.entry(shape).or_default().insert(numbers);
    }
    let mut words = Vec::new();
    for (shape, numbers) in shapes {
        let vectors = numbers
            .into_iter()
            .map(|one| one.into_iter().map(|number| vec![number]).collect());
        let mut vectors = merge(vectors.collect());
        vectors.sort_by_cached_key(rank);
        words.extend(vectors.iter().map(|vector| write_out(&shape, vector)));
    }
    words.join(",")
}

/// Mark of a number in a shape. No name has it.
const MARK: char = '\0';

/// Splits a name into its shape, with a mark for each number, and its numbers. An IPv6 address is a shape of its own.
fn split(name: &str) -> (String, Vec<Number>) {
    if name.matches(':').count() > 1 {
        return (name.to_owned(), Vec::new());
    }
    let (mut shape, mut numbers) = (String::new(), Vec::new());
    let mut rest = name;
    while let Some(from) = rest.find(|c: char| c.is_ascii_digit()) {
        let digits = &rest[from..];
        let length = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        let (digits, after) = digits.split_at(length);
        shape.push_str(&rest[..from]);
        match Number::parse(digits) {
            Some(number) => {
                shape.push(MARK);
                numbers.push(number);
            }
            None => shape.push_str(digits),
        }
        rest = after;
    }
    shape.push_str(rest);
    (shape, numbers)
}

/// Merges vectors that differ in one place, as long as there are some.
fn merge(mut vectors: Vec<Vector>) -> Vec<Vector> {
    let places = vectors.first().map_or(0, Vec::len);
    let mut unchanged = 0;
    for place in (0..places).rev().cycle() {
        let before = vectors.len();
        vectors = merge_at(vectors, place);
        unchanged = if vectors.len() == before {
            unchanged + 1
        } else {
            0
        };
        // A pass over each place has changed nothing since.
        if unchanged >= places || vectors.len() == 1 {
            break;
        }
    }
    vectors
}

fn merge_at(vectors: Vec<Vector>, place: usize) -> Vec<Vector> {
    let mut merged: Vec<Vector> = Vec::new();
    let mut of: HashMap<Vector, usize> = HashMap::with_capacity(vectors.len());
    for mut vector in vectors {
        let numbers = std::mem::take(&mut vector[place]);
        if let Some(&at) = of.get(&vector) {
            merged[at][place].extend(numbers);
        } else {
            of.insert(vector.clone(), merged.len());
            vector[place] = numbers;
            merged.push(vector);
        }
    }
    for vector in &mut merged {
        vector[place].sort_unstable();
    }
    merged
}

/// Order of vectors: those with the most names first.
type Rank = (Reverse<usize>, Vec<(Reverse<usize>, Number, Number)>);

fn rank(vector: &Vector) -> Rank {
    let count = vector.iter().map(Vec::len).product();
    let places = vector.iter().map(|numbers| {
        let first = numbers.first().expect("a set of numbers has one");
        let last = numbers.last().expect("a set of numbers has one");
        (Reverse(numbers.len()), *first, *last)
    });
    (Reverse(count), places.collect())
}

fn write_out(shape: &str, vector: &Vector) -> String {
    let mut text = String::new();
    let mut places = vector.iter();
    for letter in shape.chars() {
        if letter != MARK {
            text.push(letter);
            continue;
        }
        let numbers = places.next().expect("each mark has its numbers");
        match &numbers[..] {
            [one] => {
                let _ = write!(text, "{one}");
            }
            several => {
                let _ = write!(text, "[{}]", ranges(several));
            }
        }
    }
    text
}

fn ranges(numbers: &[Number]) -> String {
    let runs = numbers.chunk_by(|one, next| one.precedes(*next));
    let words = runs.map(|run| match run {
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    words.collect::<Vec<_>>().join(",")
}
