//! Names of the lines of `known_agents`: a target, a set of targets, or a pattern with wildcards.
//!
//! Not groups, nor names of the inventory: a name stands for the host and port that are contacted. Invariant: the normal
//! form, which has the port, is parsed as the same name, and matches exactly the normal forms of its targets.

use std::fmt;

use super::error::LineError;
use crate::control::name_set::NameSet;
use crate::net::{DEFAULT_PORT, Host, Target};

/// Name of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// One target.
    Target(Target),
    /// Names with sets of numbers, as in `web[01-40]:7000`.
    Set(NameSet),
    /// Text in which `*` stands for any characters and `?` for one, as in `*.example.com:7000`.
    Glob(String),
}

impl Pattern {
    /// Parses a name; `port` is that of host names without one. Addresses without one have the port 7000.
    ///
    /// # Errors
    /// [`LineError`]
    pub fn parse(text: &str, port: u16) -> Result<Self, LineError> {
        if text.contains(['*', '?']) {
            return glob(&text.to_ascii_lowercase(), port).map(Self::Glob);
        }
        if text.contains('[') {
            let set = NameSet::parse(text, 0).map_err(LineError::Set)?;
            if !set.is_plain() {
                return self::set(&text.to_ascii_lowercase(), &set, port);
            }
        }
        let target: Target = text.parse().map_err(LineError::Target)?;
        let is_name = matches!(target.host(), Host::Name(_));
        let port = if target.names_port() || !is_name {
            target.port()
        } else {
            port
        };
        let target = Target::labelled(text, target.host().clone(), port);
        Ok(Self::Target(target))
    }

    /// Returns the text before the first set of numbers or wildcard, with which all its targets begin.
    #[must_use]
    pub fn prefix(&self) -> String {
        match self {
            Self::Target(target) => target.to_string(),
            Self::Set(set) => set.prefix().to_owned(),
            Self::Glob(glob) => glob.split(['*', '?']).next().unwrap_or_default().to_owned(),
        }
    }

    /// True if it stands for the target with this normal form.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Target(target) => target.to_string() == name,
            Self::Set(set) => set.contains(name),
            Self::Glob(glob) => glob_matches(glob.as_bytes(), name.as_bytes()),
        }
    }
}

/// The normal form.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(target) => target.fmt(f),
            Self::Set(set) => set.fmt(f),
            Self::Glob(glob) => f.write_str(glob),
        }
    }
}

/// Returns the set with its port, if its names are in their normal form then.
fn set(text: &str, set: &NameSet, port: u16) -> Result<Pattern, LineError> {
    let target = |name: &str| name.parse::<Target>().map_err(LineError::Target);
    let first = target(&set.names().next().unwrap_or_default())?;
    if matches!(first.host(), Host::Ip(ip) if ip.is_ipv6()) {
        return Err(LineError::Ipv6Set);
    }
    let text = match first.host() {
        _ if first.names_port() => text.to_owned(),
        Host::Name(_) => format!("{text}:{port}"),
        Host::Ip(_) | Host::Zoned(..) => format!("{text}:{DEFAULT_PORT}"),
    };
    let set = NameSet::parse(&text, 0).map_err(LineError::Set)?;
    for name in set.ends() {
        if target(&name)?.to_string() != name {
            return Err(LineError::NotNormal);
        }
    }
    Ok(Pattern::Set(set))
}

/// Returns the pattern with its port.
fn glob(text: &str, port: u16) -> Result<String, LineError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]%*?".contains(&byte);
    if !text.bytes().all(plain) {
        return Err(LineError::Glob);
    }
    let (inside, is_ipv6, typed) = if let Some(rest) = text.strip_prefix('[') {
        let (inside, typed) = rest.split_once(']').ok_or(LineError::Glob)?;
        (inside, true, typed)
    } else if text.matches(':').count() > 1 {
        (text, true, "")
    } else {
        let (inside, typed) = text.split_at(text.find(':').unwrap_or(text.len()));
        (inside, false, typed)
    };
    if inside.is_empty() || inside.contains(['[', ']']) {
        return Err(LineError::Glob);
    }
    let host = if is_ipv6 {
        format!("[{inside}]")
    } else {
        inside.to_owned()
    };
    let is_address = |byte: u8| byte.is_ascii_digit() || b".*?".contains(&byte);
    let has_digit = inside.contains(|c: char| c.is_ascii_digit());
    let port = if is_ipv6 || has_digit && inside.bytes().all(is_address) {
        DEFAULT_PORT
    } else {
        port
    };
    match typed.strip_prefix(':') {
        None if typed.is_empty() => Ok(format!("{host}:{port}")),
        Some(port) if is_port(port) => Ok(format!("{host}:{port}")),
        Some(_) | None => Err(LineError::Glob),
    }
}

/// True for a port in its normal form, or a pattern of one.
fn is_port(text: &str) -> bool {
    let is_wild = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"*?".contains(&byte));
    match text.parse::<u16>() {
        Ok(port) => port != 0 && port.to_string() == text,
        Err(_) => is_wild && text.contains(['*', '?']),
    }
}

/// True if a pattern matches the whole name. Only the last `*` is tried again, so the time is that of both lengths
/// multiplied at most.
fn glob_matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match glob.get(at) {
            Some(b'*') => {
                star = Some((at + 1, read));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[read] => {
                at += 1;
                read += 1;
            }
            Some(_) | None => match &mut star {
                Some((after, from)) => {
                    *from += 1;
                    (at, read) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    glob[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Pattern, LineError> {
        Pattern::parse(text, 7000)
    }

    #[test]
    fn a_name_has_a_normal_form_that_is_parsed_as_the_same_name() {
        for (text, normal) in [
            ("Web1", "web1:7000"),
            ("::1", "[::1]:7000"),
            ("Web[01-40]", "web[01-40]:7000"),
            ("web1:[7000-7009]", "web1:[7000-7009]"),
            ("10.1.[0-3].[1-9]:7001", "10.1.[0-3].[1-9]:7001"),
            ("10.1.*", "10.1.*:7000"),
            ("*.Example.com:*", "*.example.com:*"),
            ("web?:7001", "web?:7001"),
            ("2001:db8:*", "[2001:db8:*]:7000"),
            ("[2001:db8:*]:7001", "[2001:db8:*]:7001"),
            ("*", "*:7000"),
        ] {
            let pattern = parse(text).unwrap();
            assert_eq!(pattern.to_string(), normal, "{text}");
            assert_eq!(Pattern::parse(normal, 1).unwrap(), pattern, "{text}");
        }
    }

    #[test]
    fn only_host_names_have_another_default_port() {
        for (text, normal) in [
            ("web1", "web1:7100"),
            ("web[1-2]", "web[1-2]:7100"),
            ("*.example.com", "*.example.com:7100"),
            ("10.1.2.3", "10.1.2.3:7000"),
            ("10.1.2.[3-4]", "10.1.2.[3-4]:7000"),
            ("10.1.*", "10.1.*:7000"),
            ("::1", "[::1]:7000"),
            ("web1:7001", "web1:7001"),
        ] {
            assert_eq!(Pattern::parse(text, 7100).unwrap().to_string(), normal);
        }
    }

    #[test]
    fn a_name_that_would_match_nothing_is_refused() {
        for text in [
            "web[",
            "[1-3]",
            "web[1-3]:0",
            "web[1-3]:07000",
            "10.0.0.[250-256]",
            "10.0.0.[008-009]",
            "2001:db8::[1-9]",
            "web*:",
            "web*:0",
            "web*:x",
            "*.example.com:70000",
            "web*[1-3]",
            "[web*",
            "a/*",
            "[2001:*]7000",
            "*]",
            "",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_matches_the_whole_normal_form() {
        for (text, name, expected) in [
            ("10.1.*", "10.1.2.3:7000", true),
            ("10.1.*", "10.1.2.3:7001", false),
            ("10.1.*", "10.11.2.3:7000", false),
            ("*.example.com", "a.b.example.com:7000", true),
            ("*.example.com", "example.com:7000", false),
            ("web?", "web10:7000", false),
            ("w*b*1", "webb11:7000", true),
            ("w*b*1", "webb12:7000", false),
            ("*:*", "[::1]:7000", true),
            ("[2001:db8:*]", "[2001:db8::1]:7000", true),
            ("web[01-40]", "web7:7000", false),
            ("web[01-40]", "web07:7000", true),
            ("web1", "web1:7000", true),
        ] {
            let pattern = parse(text).unwrap();
            assert_eq!(pattern.matches(name), expected, "{text} {name}");
            assert!(!expected || name.starts_with(&pattern.prefix()), "{text}");
        }
    }
}
