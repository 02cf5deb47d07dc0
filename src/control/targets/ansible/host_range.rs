//! Hosts as Ansible writes them: `web[01:50].example.com`, `db-[a:f]`, `host:22`.
//!
//! Not the notation of sets of targets, whose ranges have a hyphen.

use std::net::Ipv6Addr;

use crate::control::limits;

/// Returns the hosts of a word, without the port, which is ssh's.
///
/// # Errors
/// A sentence about a range.
pub fn expand(word: &str) -> Result<Vec<String>, &'static str> {
    let mut names = vec![String::new()];
    let mut rest = without_port(word);
    if rest.parse::<Ipv6Addr>().is_ok() {
        return Ok(vec![rest.to_owned()]);
    }
    while let Some((before, range)) = rest.split_once('[') {
        let (range, after) = range.split_once(']').ok_or("a bracket is not closed")?;
        let members = members(range)?;
        if (names.len() * members.len()) as u64 > limits::TARGETS {
            return Err(TOO_MANY);
        }
        let all = names.iter().flat_map(|name| {
            let members = members.iter();
            members.map(move |member| format!("{name}{before}{member}"))
        });
        names = all.collect();
        rest = after;
    }
    Ok(names.into_iter().map(|name| name + rest).collect())
}

const TOO_MANY: &str = "the range has more than a million members";

/// Returns a word without the port behind it, and an IPv6 address without its brackets.
fn without_port(word: &str) -> &str {
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((inside, after)) = word.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        && inside.parse::<Ipv6Addr>().is_ok()
        && (after.is_empty() || after.strip_prefix(':').is_some_and(is_port))
    {
        return inside;
    }
    match word.rsplit_once(':') {
        Some((name, port)) if is_port(port) && word.parse::<Ipv6Addr>().is_err() => name,
        _ => word,
    }
}

/// Largest number of digits of a number.
const DIGITS: usize = 18;

/// Returns the members of `FIRST:LAST` or `FIRST:LAST:STEP`, numbers or letters.
fn members(text: &str) -> Result<Vec<String>, &'static str> {
    let parts: Vec<&str> = text.split(':').collect();
    let (first, last, step) = match parts[..] {
        [first, last] => (first, last, "1"),
        [first, last, step] => (first, last, step),
        _ => return Err("a range is written [FIRST:LAST] or [FIRST:LAST:STEP]"),
    };
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|_| "a range needs two numbers or two letters")
    };
    let step = number(step).ok().filter(|&step| step > 0);
    let step = step.ok_or("the step of a range is a number above 0")?;
    let letter = |text: &str| match text.as_bytes() {
        [byte] if byte.is_ascii_alphabetic() => Some(*byte),
        _ => None,
    };
    let letters = letter(first).zip(letter(last));
    let (from, to, width) = if let Some((first, last)) = letters {
        (u64::from(first), u64::from(last), 0)
    } else {
        let first = if first.is_empty() { "0" } else { first };
        let is_padded = first.len() > 1 && first.starts_with('0');
        if is_padded && first.len() != last.len() {
            return Err("both ends of a range with leading zeros need the same number of digits");
        }
        let width = if is_padded { first.len() } else { 0 };
        (number(first)?, number(last)?, width)
    };
    if to < from {
        return Err("the range runs backwards");
    }
    let further = (to - from) / step;
    if further >= limits::TARGETS || width > DIGITS {
        return Err(TOO_MANY);
    }
    let count = further + 1;
    let values = (0..count).map(|index| from + index * step);
    if letters.is_none() {
        return Ok(values.map(|value| format!("{value:0width$}")).collect());
    }
    // The letters of both cases have others between them.
    let letters = values.filter_map(|value| u8::try_from(value).ok().map(char::from));
    Ok(letters
        .filter(char::is_ascii_alphabetic)
        .map(String::from)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_without_bounds_is_refused() {
        for word in ["w[0:18446744073709551615]", "w[0:1000000]"] {
            assert_eq!(members(&word[2..word.len() - 1]), Err(TOO_MANY), "{word}");
        }
        let digits = "0".repeat(19);
        assert_eq!(members(&format!("{digits}:{digits}")), Err(TOO_MANY));
    }

    #[test]
    fn ranges_are_expanded_and_the_port_of_ssh_is_left_out() {
        for (word, names) in [
            ("web1", "web1"),
            ("web1:22", "web1"),
            ("web[1:3].x", "web1.x web2.x web3.x"),
            ("web[08:11]:2222", "web08 web09 web10 web11"),
            ("w[:2]", "w0 w1 w2"),
            ("db-[a:c]", "db-a db-b db-c"),
            ("n[1:9:4][a:b]", "n1a n1b n5a n5b n9a n9b"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:22", "2001:db8::1"),
            ("[a:b]web", "aweb bweb"),
            ("x[Y:b]", "xY xZ xa xb"),
        ] {
            assert_eq!(expand(word).unwrap().join(" "), names, "{word}");
        }
        for word in [
            "a[1:",
            "a[1]",
            "a[3:1]",
            "a[01:100]",
            "a[1:3:0]",
            "a[a:3]",
            "a[1:2000000]",
            "a[0:999][0:9999]",
            "a[1-3]",
        ] {
            assert!(expand(word).is_err(), "{word}");
        }
    }
}
