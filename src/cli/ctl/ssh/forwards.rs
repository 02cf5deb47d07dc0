//! The texts of `-L`, `-W` and `LocalForward`: where to listen, and the destination there.
//!
//! Not the sockets. Invariant: what is parsed names a destination that an agent can connect to.

use anyhow::{Context as _, Result, bail};

use super::port::port;
use crate::control::forward::{Place, SocketFile};
use crate::message::ForwardTarget;

/// Listening place with its destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalForward {
    /// Address that was given: empty or `*` for all, `None` for the default.
    bind: Option<String>,
    at: At,
    /// Destination.
    pub to: ForwardTarget,
}

/// Settings of all places.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PlaceSettings {
    /// True if a port without an address is one of all addresses.
    pub is_gateway: bool,
    /// Files of unix sockets.
    pub socket: SocketFile,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum At {
    Port(u16),
    Path(String),
}

/// Words for a text of another form.
const FORM: &str =
    "[BIND:]PORT:HOST:PORT, PORT:/SOCKET, /SOCKET:HOST:PORT or /SOCKET:/SOCKET is expected";

impl LocalForward {
    /// Parses the value of `-L`.
    pub fn parse(text: &str) -> Result<Self> {
        let fields = fields(text)?;
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let is_path = |field: &&str| field.starts_with('/');
        let (bind, at, to) = match &fields[..] {
            [path, to @ ..] if is_path(path) => (None, At::Path((*path).to_owned()), to),
            [at, to] if is_path(to) => (None, At::Port(port(at)?), &fields[1..]),
            [bind, at, to] if is_path(to) => {
                (Some((*bind).to_owned()), At::Port(port(at)?), &fields[2..])
            }
            [at, _, _] => (None, At::Port(port(at)?), &fields[1..]),
            [bind, at, _, _] => (Some((*bind).to_owned()), At::Port(port(at)?), &fields[2..]),
            _ => bail!(FORM),
        };
        let to = target(to)?;
        Ok(Self { bind, at, to })
    }

    /// Returns the place to listen at.
    pub fn place(&self, settings: PlaceSettings) -> Place {
        match (&self.at, self.bind.as_deref()) {
            (At::Path(path), _) => Place::Unix(path.into(), settings.socket),
            (&At::Port(port), None) if settings.is_gateway => Place::Everywhere(port),
            (&At::Port(port), None | Some("localhost")) => Place::Loopback(port),
            (&At::Port(port), Some("" | "*")) => Place::Everywhere(port),
            (&At::Port(port), Some(host)) => Place::Host(host.to_owned(), port),
        }
    }
}

/// Parses `StreamLocalBindMask`, the octal bits that the mode of a socket file lacks. Returns the mode.
pub fn socket_mode(text: &str) -> Result<u32> {
    let is_octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let mask = u32::from_str_radix(text, 8).ok();
    let mask = mask.filter(|&mask| is_octal && mask <= 0o777);
    let mask = mask.context("octal bits such as 0177 are expected")?;
    Ok(0o777 & !mask)
}

/// Parses the value of `-W`.
pub fn stdio_target(text: &str) -> Result<ForwardTarget> {
    let fields = fields(text)?;
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    match &fields[..] {
        [_, _] => target(&fields),
        [path] if path.starts_with('/') => target(&fields),
        _ => bail!("HOST:PORT or /SOCKET is expected"),
    }
}

/// Parses `HOST`, `PORT` or a path.
fn target(fields: &[&str]) -> Result<ForwardTarget> {
    match fields {
        [path] if path.starts_with('/') => Ok(ForwardTarget::unix(*path)?),
        [host, at] => Ok(ForwardTarget::tcp(*host, port(at)?)?),
        _ => bail!(FORM),
    }
}

/// Splits a text at colons, except those in brackets, which are removed.
fn fields(text: &str) -> Result<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, behind) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']').context("a bracket is not closed")?,
            None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
        };
        fields.push(field.to_owned());
        match behind.strip_prefix(':') {
            Some(more) => rest = more,
            None if behind.is_empty() => return Ok(fields),
            None => bail!(FORM),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_destinations_are_those_of_ssh() {
        let tcp = |host: &str, port| ForwardTarget::tcp(host, port).unwrap();
        let unix = |path: &str| ForwardTarget::unix(path).unwrap();
        let host = |host: &str, port| Place::Host(host.into(), port);
        let path = |path: &str| Place::Unix(path.into(), SocketFile::default());
        for (text, place, to) in [
            ("8080:db:5432", Place::Loopback(8080), tcp("db", 5432)),
            ("8080:[::1]:80", Place::Loopback(8080), tcp("::1", 80)),
            ("localhost:1:a:2", Place::Loopback(1), tcp("a", 2)),
            ("*:1:a:2", Place::Everywhere(1), tcp("a", 2)),
            (":1:a:2", Place::Everywhere(1), tcp("a", 2)),
            ("[::1]:1:a:2", host("::1", 1), tcp("a", 2)),
            ("127.0.0.2:1:a:2", host("127.0.0.2", 1), tcp("a", 2)),
            ("1:/run/x", Place::Loopback(1), unix("/run/x")),
            ("127.0.0.2:1:/x", host("127.0.0.2", 1), unix("/x")),
            ("/a:/b", path("/a"), unix("/b")),
            ("/a:db:1", path("/a"), tcp("db", 1)),
        ] {
            let forward = LocalForward::parse(text).unwrap();
            let settings = PlaceSettings::default();
            assert_eq!((forward.place(settings), forward.to), (place, to), "{text}");
        }
        let settings = PlaceSettings {
            is_gateway: true,
            ..PlaceSettings::default()
        };
        let open = |text: &str| LocalForward::parse(text).unwrap().place(settings);
        assert_eq!(open("1:a:2"), Place::Everywhere(1));
        assert_eq!(open("localhost:1:a:2"), Place::Loopback(1));
    }

    #[test]
    fn a_mask_is_octal_and_leaves_the_mode() {
        for (text, mode) in [("0177", 0o600), ("0111", 0o666), ("0", 0o777), ("777", 0)] {
            assert_eq!(socket_mode(text).unwrap(), mode, "{text}");
        }
        for text in ["", "8", "1000", "+7", "0x7", "rw"] {
            assert!(socket_mode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_text_of_another_form_is_refused() {
        for text in [
            "",
            "1",
            "1:2",
            "a:b:c",
            "1:a:0",
            "0:a:1",
            "1:a:b",
            "1:a:2:3:4",
            "[::1:1:a:2",
            "[a]b:1",
            "/a",
            "/a:b",
            "1:a b:2",
            "x:y:/z",
        ] {
            assert!(LocalForward::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            stdio_target("db:1").unwrap(),
            ForwardTarget::tcp("db", 1).unwrap()
        );
        for text in ["db", "db:", ":1", "db:1:2", "1:db:2"] {
            assert!(stdio_target(text).is_err(), "{text}");
        }
    }
}
