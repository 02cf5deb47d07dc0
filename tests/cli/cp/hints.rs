//! Clumsy command lines: what is printed says what to write.

use std::fs;

use crate::harness::User;

#[test]
fn a_clumsy_command_line_is_answered_by_what_to_write() {
    let user = User::new();
    fs::write(user.path("f"), "f").unwrap();
    fs::create_dir(user.path("d")).unwrap();
    for (args, words) in [
        (
            &["web:f"][..],
            "no destination behind \"web:f\": to copy into this directory, add .",
        ),
        (&["f"], "no destination behind \"f\": add HOST:PATH"),
        (
            &["-w", "web", "f"],
            "no destination behind \"f\": add HOST:PATH",
        ),
        (
            &["f", "web"],
            "\"web\" is a path of this machine; the home directory of a host is written \"web:\"",
        ),
        (
            &["f", "ann@web"],
            "\"ann@web\" is a path of this machine; the home directory of a host is written \"ann@web:\"",
        ),
        (
            &["web", "f"],
            "\"web\" is a path of this machine; the home directory of a host is written \"web:\"",
        ),
        (&["f", "d"], "no place has a host: write HOST:PATH"),
        (
            &["f", ":d"],
            "no host before \":\", and no option that names hosts",
        ),
        (
            &["a:f", "b:"],
            "a copy between hosts goes through this machine: copy from one, then to the other",
        ),
        (
            &["a:f", "b:f", "d"],
            "all sources are on the same hosts: write one set of hosts in front of each",
        ),
        (
            &["a:f", "f", "d"],
            "the sources are on this machine, or on hosts, not both",
        ),
        (
            &["f", "::1:d"],
            "\"::1:d\": an IPv6 address is written in brackets, as in [::1]:PATH",
        ),
        (
            &["ssh://web/f", "."],
            "\"ssh://web/f\": a place is no URL: write HOST:PATH",
        ),
    ] {
        user.udpctl([&["cp"], args].concat())
            .stderr(format!("udpctl: {words}\n"))
            .status(2)
            .run();
    }
}
