//! Places of `udpctl cp`: a path of this machine, or one of hosts.
//!
//! Invariant: a word with a `/` before its first `:` is always a path of this machine, so that every path can be written.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::control::targets::Expression;

/// Place to copy from or to.
#[derive(Clone, Debug)]
pub enum Place {
    /// Path of this machine.
    Local(PathBuf),
    /// Path of hosts.
    Remote(RemotePlace),
}

/// Path of hosts.
#[derive(Clone, Debug)]
pub struct RemotePlace {
    /// User in front of the hosts.
    pub user: Option<String>,
    /// The hosts as they were written; empty if options name them.
    pub text: String,
    /// The hosts; `None` if options name them.
    pub hosts: Option<Expression>,
    /// The path; empty for the home directory.
    pub path: OsString,
}

impl Place {
    /// Parses a word of the command line.
    ///
    /// # Errors
    /// If the text before the path is no set of hosts.
    pub fn parse(word: &OsStr) -> Result<Self> {
        let bytes = word.as_bytes();
        let Some(colon) = first_colon(bytes) else {
            return Ok(Self::Local(word.into()));
        };
        let (mut hosts, mut path) = (&bytes[..colon], &bytes[colon + 1..]);
        let digits = path.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if colon > 0 && (1..=5).contains(&digits) && path.get(digits) == Some(&b':') {
            hosts = &bytes[..colon + 1 + digits];
            path = &path[digits + 1..];
        }
        let shown = word.to_string_lossy();
        if let Some(hint) = hint(hosts, path) {
            bail!("\"{shown}\": {hint}");
        }
        let text = std::str::from_utf8(hosts).with_context(|| format!("\"{shown}\": no host"))?;
        let (user, text) = match text.split_once('@') {
            Some((user, host)) if !user.is_empty() => (Some(user.to_owned()), host),
            Some(_) | None => (None, text),
        };
        let hosts = if text.is_empty() {
            if user.is_some() {
                bail!("\"{shown}\": no host");
            }
            None
        } else {
            let hosts: Expression = text
                .parse()
                .with_context(|| format!("\"{shown}\" (a local path is written ./{shown})"))?;
            Some(hosts)
        };
        Ok(Self::Remote(RemotePlace {
            user,
            text: text.to_owned(),
            hosts,
            path: OsString::from_vec(from_home(path).to_vec()),
        }))
    }
}

/// Returns what a word is likely to be instead of hosts and a path. Each path can be written otherwise, as with `./` before
/// it.
fn hint(hosts: &[u8], path: &[u8]) -> Option<&'static str> {
    let is_hexadecimal = hosts.iter().all(u8::is_ascii_hexdigit);
    if path.starts_with(b"//") && matches!(hosts, b"ssh" | b"scp" | b"sftp" | b"udp" | b"file") {
        return Some("a place is no URL: write HOST:PATH");
    }
    (is_hexadecimal && path.starts_with(b":"))
        .then_some("an IPv6 address is written in brackets, as in [::1]:PATH")
}

/// Returns the place of the colon between hosts and path, which is not inside brackets.
fn first_colon(bytes: &[u8]) -> Option<usize> {
    let mut is_inside = false;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'[' => is_inside = true,
            b']' => is_inside = false,
            b':' if !is_inside => return Some(at),
            b'/' if !is_inside => return None,
            _ => {}
        }
    }
    None
}

/// Returns a path without `~/`: every relative path of a host begins in the home directory.
fn from_home(path: &[u8]) -> &[u8] {
    match path.strip_prefix(b"~/") {
        Some(rest) => rest,
        None if path == b"~" => b"",
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// User, hosts and path of a place; no hosts for one of this machine.
    fn parts(word: &str) -> (Option<String>, Option<String>, String) {
        match Place::parse(OsStr::new(word)).unwrap() {
            Place::Local(path) => (None, None, path.display().to_string()),
            Place::Remote(place) => {
                let path = place.path.to_string_lossy().into_owned();
                (place.user, Some(place.text), path)
            }
        }
    }

    #[test]
    fn hosts_and_paths_are_told_apart() {
        for (word, hosts, path) in [
            ("file", None, "file"),
            ("./a:b", None, "./a:b"),
            ("/srv/a:b", None, "/srv/a:b"),
            ("web1:", Some("web1"), ""),
            ("web1:/etc/motd", Some("web1"), "/etc/motd"),
            ("web1:a:b", Some("web1"), "a:b"),
            ("web1:7001:/x", Some("web1:7001"), "/x"),
            ("web1:7001", Some("web1"), "7001"),
            ("web1:./7001:x", Some("web1"), "./7001:x"),
            ("[::1]:/x", Some("[::1]"), "/x"),
            ("[::1]:7001:x", Some("[::1]:7001"), "x"),
            ("web[01-40]:/x", Some("web[01-40]"), "/x"),
            (":/x", Some(""), "/x"),
            ("web1:~/x", Some("web1"), "x"),
            ("web1:~", Some("web1"), ""),
            ("web1:~ann/x", Some("web1"), "~ann/x"),
            ("@web:/x", Some("@web"), "/x"),
        ] {
            let hosts = hosts.map(str::to_owned);
            assert_eq!(parts(word), (None, hosts, path.to_owned()), "{word}");
        }
        let (user, hosts, path) = parts("ann@web1:x");
        assert_eq!(
            (user.as_deref(), hosts.as_deref(), &*path),
            (Some("ann"), Some("web1"), "x")
        );
    }

    #[test]
    fn a_url_and_an_address_without_brackets_are_refused_with_a_hint() {
        let error = |word: &str| Place::parse(OsStr::new(word)).unwrap_err().to_string();
        for word in ["ssh://web/f", "sftp://web/f"] {
            let words = format!("\"{word}\": a place is no URL: write HOST:PATH");
            assert_eq!(error(word), words);
        }
        for word in ["::1:f", "fe80::1:f", "::1:7000:f"] {
            assert!(
                error(word).ends_with("in brackets, as in [::1]:PATH"),
                "{word}"
            );
        }
        assert_eq!(parts("web://f").2, "//f");
        assert_eq!(parts("a:./:x").2, "./:x");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        assert!(Place::parse(OsStr::new("ann@:x")).is_err());
        let error = Place::parse(OsStr::from_bytes(b"\xff:x")).unwrap_err();
        assert_eq!(format!("{error:#}").split(": ").nth(1), Some("no host"));
    }
}
