//! Tests of address parsing and resolution.

use super::*;
use proptest::prelude::*;

fn target(text: &str) -> Target {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn bind(text: &str) -> Bind {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_target_has_a_normal_form_and_keeps_the_typed_text() {
    for (typed, normal) in [
        ("web3", "web3:7000"),
        ("Web3.Example.ORG:7001", "web3.example.org:7001"),
        ("host.", "host.:7000"),
        ("127.0.0.1", "127.0.0.1:7000"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("::1", "[::1]:7000"),
        ("[::1]", "[::1]:7000"),
        ("[0:0::1]:9", "[::1]:9"),
        ("2001:DB8::1", "[2001:db8::1]:7000"),
        ("[fe80::1%eth0]:7000", "[fe80::1%eth0]:7000"),
        ("fe80::1%2", "[fe80::1%2]:7000"),
        ("[::ffff:192.0.2.1]:7000", "192.0.2.1:7000"),
        ("a_b-c", "a_b-c:7000"),
        ("3com", "3com:7000"),
    ] {
        let target = target(typed);
        assert_eq!(target.to_string(), normal);
        assert_eq!(target.label(), typed);
    }
}

#[test]
fn targets_are_equal_if_their_normal_forms_are() {
    assert_eq!(target("WEB"), target("web:7000"));
    assert_ne!(target("web"), target("web:7001"));
    assert_eq!(Target::new(target("::1").host, 7000), target("::1"));
}

#[test]
fn a_text_that_is_no_target_gives_an_error_that_says_what_to_write() {
    for (typed, message) in [
        ("", "the host is missing; write host:port"),
        (":7000", "the host is missing; write host:port"),
        ("web:", "\"\" is not a port; write 1 to 65535"),
        ("web:65536", "\"65536\" is not a port; write 1 to 65535"),
        ("web:+1", "\"+1\" is not a port; write 1 to 65535"),
        ("web:0", "port 0 cannot be reached; write 1 to 65535"),
        ("a b", "\"a b\" is neither an address nor a host name"),
        (
            "-oProxy",
            "\"-oProxy\" is neither an address nor a host name",
        ),
        ("a..b", "\"a..b\" is neither an address nor a host name"),
        (
            "\u{1b}x",
            "\"\\u{1b}x\" is neither an address nor a host name",
        ),
        ("1:2:3", "\"1:2\" is neither an address nor a host name"),
        (
            "7000",
            "7000 is a number without a host; write host:7000, or :7000 to listen",
        ),
        ("web[01-40]", "\"[\" cannot be part of a host"),
        ("@db", "\"@\" cannot be part of a host"),
        ("a,b", "\",\" cannot be part of a host"),
        (
            "[::1",
            "brackets hold one IPv6 address; write [::1]:7000 or [fe80::1%eth0]:7000",
        ),
        (
            "[web]:1",
            "brackets hold one IPv6 address; write [::1]:7000 or [fe80::1%eth0]:7000",
        ),
        (
            "[::1]x",
            "brackets hold one IPv6 address; write [::1]:7000 or [fe80::1%eth0]:7000",
        ),
    ] {
        let error = typed.parse::<Target>().unwrap_err().to_string();
        assert!(error.starts_with(message), "{typed}: {error}");
    }
}

#[test]
fn a_bare_port_binds_every_address_of_both_families() {
    let addresses = bind(":7000").resolve().unwrap();
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["[::]:7000", "0.0.0.0:7000"]);
}

#[test]
fn a_bind_address_may_be_an_ip_address_or_a_name() {
    for (typed, normal) in [
        (":0", ":0"),
        ("127.0.0.1:7000", "127.0.0.1:7000"),
        ("[::1]:7000", "[::1]:7000"),
        ("::1", "[::1]:7000"),
        ("::", "[::]:7000"),
        ("localhost", "localhost:7000"),
        ("localhost:0", "localhost:0"),
    ] {
        assert_eq!(bind(typed).to_string(), normal);
    }
    for typed in ["", ":", ":x", "7000", "[::1", "a,b"] {
        assert!(typed.parse::<Bind>().is_err(), "{typed}");
    }
}

#[test]
fn an_address_resolves_to_itself_and_localhost_to_loopback() {
    assert_eq!(
        target("192.0.2.7:9").resolve().unwrap(),
        ["192.0.2.7:9".parse().unwrap()]
    );
    let local = target("localhost").resolve().unwrap();
    assert!(local.iter().all(|address| address.ip().is_loopback()));
}

#[test]
fn the_unspecified_address_of_a_target_is_this_machine() {
    for (text, address) in [("0.0.0.0:9", "127.0.0.1:9"), ("[::]:9", "[::1]:9")] {
        let address: SocketAddr = address.parse().unwrap();
        assert_eq!(target(text).resolve().unwrap(), [address]);
        assert_ne!(bind(text).resolve().unwrap(), [address]);
    }
}

#[test]
fn a_name_that_cannot_be_resolved_is_named_in_the_error() {
    // RFC 6761 §6.4: "invalid" has no names.
    let error = target("no.such.invalid").resolve().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("\"no.such.invalid\""), "{text}");
}

/// Texts in which the significant characters are common.
fn tricky() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,40}",
        "[a-zA-Z0-9:.%\\[\\]-]{0,40}",
        "[0-9a-f:]{2,20}(:[0-9]{0,6})?",
    ]
}

proptest! {
    #[test]
    fn the_normal_form_of_an_address_parses_to_the_same_address(text in tricky()) {
        if let Ok(first) = text.parse::<Target>() {
            let again: Target = first.to_string().parse().unwrap();
            prop_assert_eq!(&again, &first);
            prop_assert_eq!(again.to_string(), first.to_string());
        }
        if let Ok(first) = text.parse::<Bind>() {
            prop_assert_eq!(first.to_string().parse::<Bind>().unwrap(), first);
        }
    }

    #[test]
    fn every_socket_address_is_a_target(address: SocketAddr) {
        prop_assume!(address.port() != 0);
        let text = match address {
            SocketAddr::V4(v4) => v4.to_string(),
            SocketAddr::V6(v6) => format!("[{}]:{}", v6.ip(), v6.port()),
        };
        prop_assert_eq!(target(&text).port(), address.port());
    }
}

#[test]
fn a_name_that_cannot_be_resolved_gives_the_cause_once() {
    let error = ResolveError {
        host: "web3".into(),
        error: Some(io::Error::other("no such name")),
    };
    assert_eq!(error.to_string(), "cannot resolve \"web3\": no such name");
    assert!(std::error::Error::source(&error).is_none());
}

#[test]
fn the_families_of_addresses_take_turns_and_keep_their_order() {
    let in_turn = |addresses: &[&str]| {
        let addresses: Vec<SocketAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        let in_turn = families_in_turn(&addresses);
        in_turn
            .map(|address| address.to_string())
            .collect::<Vec<_>>()
    };
    let (a6, b6, c6) = ("[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1");
    let (a4, b4) = ("192.0.2.1:1", "192.0.2.2:1");
    assert_eq!(in_turn(&[a6, b6, c6, a4, b4]), [a6, a4, b6, b4, c6]);
    assert_eq!(in_turn(&[a4, b4, a6]), [a4, a6, b4]);
    assert_eq!(in_turn(&[b6, a6]), [b6, a6]);
    assert_eq!(in_turn(&[]), [""; 0]);
}
