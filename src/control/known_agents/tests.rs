//! Tests of `known_agents`, each with a file of its own.

use super::*;
use crate::crypto::SecretKey;
use crate::rng::Rng;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const MIXED: &[IpAddr] = &[HERE[0], FAR[0]];
const FAR: &[IpAddr] = &[IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))];
const HERE: &[IpAddr] = &[
    IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
    IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2)),
];

fn key(seed: u8) -> PublicKey {
    SecretKey::generate(&mut Rng::from_seed([seed; 32])).public()
}

fn target(text: &str) -> Target {
    text.parse().unwrap()
}

/// Returns a temporary directory, and the path of the file in it.
pub(super) fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("known_agents");
    (directory, path)
}

fn lookup(path: &Path, name: &str) -> Result<PublicKey, TrustError> {
    KnownAgents::load(path)?
        .lookup(&target(name), FAR, None)
        .map(|pin| pin.key)
}

#[test]
fn an_agent_is_known_by_host_and_port() {
    let (_directory, path) = directory();
    let text = format!(
        "# mine\n\nweb3 {}\nWEB4:7001 {} four\n[::1]:7000 {}\n",
        key(1),
        key(2),
        key(3)
    );
    fs::write(&path, text).unwrap();
    assert_eq!(lookup(&path, "Web3:7000").unwrap(), key(1));
    assert_eq!(lookup(&path, "web4:7001").unwrap(), key(2));
    assert_eq!(lookup(&path, "::1").unwrap(), key(3));
    let pin = KnownAgents::load(&path)
        .unwrap()
        .lookup(&target("web3"), FAR, None)
        .unwrap();
    assert_eq!(pin.source.to_string(), format!("{}:3", path.display()));
    let unknown = lookup(&path, "Web4").unwrap_err().to_string();
    assert_eq!(
        unknown,
        "Web4: no key known for this agent; run \"udpagent invite\" there and paste its line here"
    );
}

#[test]
fn a_line_with_an_error_fails_the_target_that_it_names() {
    let (_directory, path) = directory();
    let text = format!(
        "web1 {}\nweb2\nweb3 ua1:x\nweb4 {} a b\nweb[1-2 {}\nweb5 {}\nweb5 {}\n",
        key(1),
        key(1),
        key(1),
        key(1),
        key(2)
    );
    fs::write(&path, text).unwrap();
    assert_eq!(lookup(&path, "web1").unwrap(), key(1));
    for (name, message) in [
        (
            "web2",
            ":2: no key follows the host; write HOST:PORT KEY [NAME]",
        ),
        (
            "web3",
            ":3: not a key: 43 characters of base64url must follow the prefix; write the key that \"udpagent key\" prints there",
        ),
        ("web4", ":4: too many words; write HOST:PORT KEY [NAME]"),
        (
            "web5",
            ":7: web5:7000 has another key in line 6; remove the line that is wrong",
        ),
    ] {
        let error = lookup(&path, name).unwrap_err().to_string();
        assert_eq!(error, format!("{}{message}", path.display()));
    }
    let problems = KnownAgents::load(&path).unwrap().problems();
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| problem.to_string()[path.as_os_str().len()..][..3].to_owned())
        .collect();
    assert_eq!(lines, [":2:", ":3:", ":4:", ":5:"]);
}

#[test]
fn the_own_users_agent_is_trusted_on_loopback_and_nowhere_else() {
    let (directory, path) = directory();
    let own = directory.path().join("identity.pub");
    let find = |addresses| {
        KnownAgents::load(&path)
            .unwrap()
            .lookup(&target("localhost"), addresses, Some(&own))
    };
    let error = find(HERE).unwrap_err().to_string();
    assert!(
        error
            .starts_with("localhost: no key known for this agent; start \"udpagent\" as this user"),
        "{error}"
    );

    fs::write(&own, format!("{}\n", key(5))).unwrap();
    assert_eq!(find(HERE).unwrap().key, key(5));
    assert_eq!(find(HERE).unwrap().source, Source::SameUser(own.clone()));
    assert!(matches!(find(FAR), Err(TrustError::Unknown(_))));
    assert!(matches!(find(&[]), Err(TrustError::Unknown(_))));
    assert!(matches!(find(MIXED), Err(TrustError::Unknown(_))));

    fs::write(&own, "junk").unwrap();
    let error = find(HERE).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{}:1: not a key", own.display())),
        "{error}"
    );
}

#[test]
fn a_listed_key_takes_precedence_over_the_own_users_agent() {
    let (directory, path) = directory();
    let own = directory.path().join("identity.pub");
    fs::write(&own, format!("{}\n", key(5))).unwrap();
    fs::write(&path, format!("localhost {}\n127.0.0.1 oops\n", key(6))).unwrap();
    let known = KnownAgents::load(&path).unwrap();
    let find = |name| known.lookup(&target(name), HERE, Some(&own));
    assert_eq!(find("localhost").unwrap().key, key(6));
    assert_eq!(find("::1").unwrap().key, key(5));
    assert!(matches!(
        find("127.0.0.1"),
        Err(TrustError::Line(Source::Line(_, 2), _))
    ));
}

#[test]
fn a_key_is_added_once_and_replaced_only_on_request() {
    let (_directory, path) = directory();
    let add = |name, key, on_change| add(&path, &target(name), &key, on_change);
    assert_eq!(add("web3", key(1), OnChange::Refuse).unwrap(), Added::New);
    assert_eq!(
        add("WEB3:7000", key(1), OnChange::Refuse).unwrap(),
        Added::Already
    );
    let error = add("web3", key(2), OnChange::Refuse)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        format!(
            "{}:1: web3:7000 has the key {}, not {}; if its agent was given a new key on purpose, repeat the command with --replace; if not, something else may be in its place",
            path.display(),
            key(1),
            key(2)
        )
    );
    assert_eq!(lookup(&path, "web3").unwrap(), key(1));
    assert_eq!(
        add("web3", key(2), OnChange::Replace).unwrap(),
        Added::Replaced
    );
    assert_eq!(lookup(&path, "web3").unwrap(), key(2));
}

#[test]
fn adding_keeps_comments_and_other_lines() {
    let (_directory, path) = directory();
    let before = format!("# mine\nweb1 {} one\nnonsense[\n\nweb2 {}", key(1), key(2));
    fs::write(&path, &before).unwrap();
    add(&path, &target("web3"), &key(3), OnChange::Refuse).unwrap();
    add(&path, &target("web1"), &key(4), OnChange::Replace).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!(
            "# mine\nnonsense[\n\nweb2 {}\nweb3:7000 {}\nweb1:7000 {}\n",
            key(2),
            key(3),
            key(4)
        )
    );
}

/// Formats lines `NAME KEY`.
pub(super) fn lines(names: &[(&str, u8)]) -> String {
    let lines = names
        .iter()
        .map(|(name, seed)| format!("{name} {}\n", key(*seed)));
    lines.collect()
}

#[test]
fn a_line_may_name_a_set_or_a_pattern_and_a_target_alone_wins() {
    let (_directory, path) = directory();
    let text = lines(&[
        ("web[01-40]", 1),
        ("10.1.*:7001", 2),
        ("*.example.com", 3),
        ("*.dev.example.com", 3),
        ("web07", 4),
        ("web[40-50]", 5),
    ]);
    fs::write(&path, text + "bad[1-2] ua1:x\n").unwrap();
    for (name, seed) in [
        ("web01", 1),
        ("WEB39:7000", 1),
        ("web07", 4),
        ("10.1.2.3:7001", 2),
        ("a.dev.example.com", 3),
        ("web41", 5),
    ] {
        assert_eq!(lookup(&path, name).unwrap(), key(seed), "{name}");
    }
    for name in ["web1", "web01:7001", "10.1.2.3", "example.com"] {
        assert!(
            matches!(lookup(&path, name), Err(TrustError::Unknown(_))),
            "{name}"
        );
    }
    let error = lookup(&path, "web40").unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "{}:6: web40:7000 has another key in line 1; remove the line that is wrong",
            path.display()
        )
    );
    let error = lookup(&path, "bad2").unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{}:7: not a key", path.display())),
        "{error}"
    );
}

#[test]
fn ten_thousand_targets_are_found_among_ten_thousand_lines_and_a_large_set_at_once() {
    use std::fmt::Write as _;
    let mut text = lines(&[("n[1-1000000]", 1), ("*.example.com", 2)]);
    let key = key(3);
    for n in 0..10_000 {
        writeln!(text, "web{n}:7000 {key}").unwrap();
        writeln!(text, "r{n}n[1-16] {key}").unwrap();
    }
    let known = KnownAgents::parse(&text, Path::new("f"));
    let began = std::time::Instant::now();
    for n in 0..10_000 {
        for name in [format!("web{n}"), format!("r{n}n7"), format!("n{}", n + 1)] {
            assert!(known.lookup(&target(&name), FAR, None).is_ok(), "{name}");
        }
    }
    let took = began.elapsed();
    assert!(took.as_secs() < 5, "{took:?}");
}

/// Imports lines as those of the file `list`.
pub(super) fn import_text(
    path: &Path,
    text: &str,
    on_change: OnChange,
) -> Result<Imported, TrustError> {
    let list = KnownAgents::parse(text, Path::new("list"));
    import(path, list.entries(), on_change)
}

#[test]
fn an_import_adds_all_lines_or_none() {
    let (_directory, path) = directory();
    let before = format!("# mine\n{}", lines(&[("web1", 1), ("db[1-9]", 2)]));
    fs::write(&path, &before).unwrap();
    let import = |names: &[(&str, u8)], on_change| {
        let imported = import_text(&path, &lines(names), on_change);
        imported.map_err(|error| error.to_string().replace(&path.display().to_string(), "F"))
    };
    let refused = [
        (
            &[("a", 1), ("a:7000", 2)][..],
            "list:2: a:7000 has another key in line 1; remove the line that is wrong",
        ),
        (
            &[("a", 1), ("n[1-2]", 1), ("n[2-3]", 2)],
            "list:3: n2:7000 has another key in line 2; remove the line that is wrong",
        ),
        (
            &[("a", 1), ("db[0-1]", 3)],
            "list:2: db1:7000 has another key in F:3; remove the line that is wrong",
        ),
        (
            &[("a", 1), ("web1", 3), ("db3", 3), ("db[1-9]", 3)],
            "3 agents have other keys: web1:7000 (F:2), db3:7000 (F:3), db[1-9]:7000 (F:3); if they were given new keys on purpose, repeat the command with --replace; nothing was changed",
        ),
    ];
    for (names, words) in refused {
        assert_eq!(import(names, OnChange::Refuse).unwrap_err(), words);
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }
    let names = [
        ("a", 4),
        ("web1", 1),
        ("db3", 2),
        ("db[1-9]", 2),
        ("a:7000", 4),
        ("*.x", 5),
    ];
    let imported = import(&names, OnChange::Refuse).unwrap();
    assert_eq!(
        imported,
        Imported {
            new: 2,
            already: 4,
            replaced: 0
        }
    );
    let imported = import(
        &[("a", 6), ("db3", 6), ("db[1-9]", 7), ("web1", 1)],
        OnChange::Replace,
    )
    .unwrap();
    assert_eq!(
        imported,
        Imported {
            new: 0,
            already: 1,
            replaced: 3
        }
    );
    let normal = lines(&[
        ("web1", 1),
        ("*.x:7000", 5),
        ("a:7000", 6),
        ("db3:7000", 6),
        ("db[1-9]:7000", 7),
    ]);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!("# mine\n{normal}")
    );
}

#[test]
fn removing_names_what_is_not_there_and_keeps_other_lines() {
    let (_directory, path) = directory();
    let text = lines(&[
        ("web1", 1),
        ("db[1-9]", 2),
        ("db3", 3),
        ("*.x", 4),
        ("c[1-2]", 5),
    ]);
    fs::write(&path, format!("# mine\nnonsense[\n{text}")).unwrap();
    let removal = |pattern: &str, targets: &str| Removal {
        pattern: (!pattern.is_empty()).then(|| Pattern::parse(pattern, 7000).unwrap()),
        targets: targets.split_whitespace().map(target).collect(),
    };
    let removed = remove(
        &path,
        &[
            removal("", "web1 web2 db3"),
            removal("c[1-2]", "c1 c2"),
            removal("d[1-2]", "d1 d2"),
            removal("*.y", ""),
        ],
    )
    .unwrap();
    assert_eq!(removed.lines, 3);
    assert_eq!(
        removed.missing,
        ["web2:7000", "d1:7000", "d2:7000", "*.y:7000"]
    );
    let still: Vec<_> = removed
        .still_named
        .iter()
        .map(|(name, _)| &name[..])
        .collect();
    assert_eq!(still, ["db3:7000"]);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!(
            "# mine\nnonsense[\n{}",
            lines(&[("db[1-9]", 2), ("*.x", 4)])
        )
    );
}

#[test]
fn a_file_that_other_users_may_write_is_refused() {
    let (_directory, path) = directory();
    fs::write(&path, format!("web3 {}\n", key(1))).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o646)).unwrap();
    let error = lookup(&path, "web3").unwrap_err().to_string();
    assert!(
        error.starts_with(&format!(
            "{}: others may change it (mode 0646)",
            path.display()
        )),
        "{error}"
    );
    assert!(add(&path, &target("web3"), &key(1), OnChange::Replace).is_err());
}

#[test]
fn concurrent_additions_lose_no_key() {
    let (_directory, path) = directory();
    std::thread::scope(|scope| {
        for n in 1..=16 {
            let path = &path;
            scope.spawn(move || {
                add(path, &target(&format!("web{n}")), &key(n), OnChange::Refuse).unwrap();
            });
        }
    });
    for n in 1..=16 {
        assert_eq!(lookup(&path, &format!("web{n}")).unwrap(), key(n));
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "(.|\n){0,200}", words in "([a-z:0-9#*\\[\\]-]{0,6}[ \t\n]?){0,9}") {
        let _ = KnownAgents::parse(&text, Path::new("f")).problems();
        let _ = KnownAgents::parse(&words, Path::new("f")).problems();
    }
}
