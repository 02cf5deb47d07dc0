//! Names written as one set: `web[01-40,50],r[1-4]n[1-16]`.
//!
//! Names of one pattern, which differ in their numbers only, are folded: first over the last number, then over those
//! before, until no two words differ in one number. [`fold`] has the order of `nodeset`, [`fold_in_order`] that of the
//! names. Invariant: the set has exactly the names.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
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

/// Names of a pattern that are one word: all combinations of the numbers of each place.
#[derive(Debug)]
struct Product {
    /// Numbers of each place, ascending.
    places: Vec<Vec<Number>>,
    /// Index of the first of the names.
    first: usize,
}

impl Product {
    fn of_name(numbers: Vec<Number>, first: usize) -> Self {
        let places = numbers.into_iter().map(|number| vec![number]).collect();
        Self { places, first }
    }
}

/// Returns the folded set of names as `nodeset` writes it: patterns in the order of the alphabet, and words with more names
/// first.
#[must_use]
pub fn fold<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut patterns: BTreeMap<String, BTreeSet<Vec<Number>>> = BTreeMap::new();
    for name in names {
        let (pattern, numbers) = split(name);
        patterns.entry(pattern).or_default().insert(numbers);
    }
    let mut words = Vec::new();
    for (pattern, numbers) in patterns {
        let products = std::iter::zip(numbers, 0..);
        let products = products.map(|(numbers, first)| Product::of_name(numbers, first));
        let mut products = merge(products.collect());
        products.sort_by_cached_key(rank);
        words.extend(products.iter().map(|product| write_out(&pattern, product)));
    }
    words.join(",")
}

/// Returns the folded set of names in their own order, as far as a folded set has one:
///
/// - Names of a pattern are folded as long as their numbers ascend, also if names of other patterns are between them: `a1 b1
///   a2` is `a[1-2],b1`. Where the numbers do not ascend, folding begins anew: `web10 web2 web3` is `web10,web[2-3]`.
/// - Each word is at the place of the first of its names.
///
/// So the set begins with the first name, patterns are in the order of their first names, and the names of each word are in
/// order. A name that is there several times counts once.
#[must_use]
pub fn fold_in_order<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut known = HashSet::new();
    let names = names.into_iter().filter(|name| known.insert(*name));
    let mut patterns: HashMap<String, Vec<(Vec<Number>, usize)>> = HashMap::new();
    for (index, name) in names.enumerate() {
        let (pattern, numbers) = split(name);
        patterns.entry(pattern).or_default().push((numbers, index));
    }
    let mut words = Vec::new();
    for (pattern, names) in &patterns {
        for ascending in names.chunk_by(|(one, _), (next, _)| one < next) {
            let products = ascending.iter().cloned();
            let products = products.map(|(numbers, first)| Product::of_name(numbers, first));
            for product in merge(products.collect()) {
                words.push((product.first, write_out(pattern, &product)));
            }
        }
    }
    words.sort_unstable();
    let words: Vec<String> = words.into_iter().map(|(_, word)| word).collect();
    words.join(",")
}

/// Mark of a number in a pattern. No name has it.
const MARK: char = '\0';

/// Splits a name into its pattern, with a mark for each number, and its numbers. An IPv6 address is a pattern of its own.
fn split(name: &str) -> (String, Vec<Number>) {
    if name.matches(':').count() > 1 {
        return (name.to_owned(), Vec::new());
    }
    let (mut pattern, mut numbers) = (String::new(), Vec::new());
    let mut rest = name;
    while let Some(from) = rest.find(|c: char| c.is_ascii_digit()) {
        let digits = &rest[from..];
        let length = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        let (digits, after) = digits.split_at(length);
        pattern.push_str(&rest[..from]);
        match Number::parse(digits) {
            Some(number) => {
                pattern.push(MARK);
                numbers.push(number);
            }
            None => pattern.push_str(digits),
        }
        rest = after;
    }
    pattern.push_str(rest);
    (pattern, numbers)
}

/// Merges products that differ in one place, as long as there are some.
fn merge(mut products: Vec<Product>) -> Vec<Product> {
    let places = products.first().map_or(0, |product| product.places.len());
    let mut unchanged = 0;
    for place in (0..places).rev().cycle() {
        let before = products.len();
        // A pass over each place has changed nothing since.
        if unchanged >= places || before == 1 {
            break;
        }
        products = merge_at(products, place);
        unchanged = if products.len() == before {
            unchanged + 1
        } else {
            0
        };
    }
    products
}

fn merge_at(products: Vec<Product>, place: usize) -> Vec<Product> {
    let mut merged: Vec<Product> = Vec::new();
    let mut of: HashMap<Vec<Vec<Number>>, usize> = HashMap::with_capacity(products.len());
    for mut product in products {
        let numbers = std::mem::take(&mut product.places[place]);
        if let Some(&at) = of.get(&product.places) {
            let there = &mut merged[at];
            there.places[place].extend(numbers);
            there.first = there.first.min(product.first);
        } else {
            of.insert(product.places.clone(), merged.len());
            product.places[place] = numbers;
            merged.push(product);
        }
    }
    for product in &mut merged {
        product.places[place].sort_unstable();
    }
    merged
}

/// Order of the words of a pattern: those with the most names first.
type Rank = (Reverse<usize>, Vec<(Reverse<usize>, Number, Number)>);

fn rank(product: &Product) -> Rank {
    let count = product.places.iter().map(Vec::len).product();
    let places = product.places.iter().map(|numbers| {
        let first = numbers.first().expect("a set of numbers has one");
        let last = numbers.last().expect("a set of numbers has one");
        (Reverse(numbers.len()), *first, *last)
    });
    (Reverse(count), places.collect())
}

fn write_out(pattern: &str, product: &Product) -> String {
    let mut text = String::new();
    let mut places = product.places.iter();
    for letter in pattern.chars() {
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
