//! Tests of `known_agents`, each with a file of its own.

use super::*;
use crate::crypto::SecretKey;
use crate::rng::Rng;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

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
fn directory() -> (tempfile::TempDir, PathBuf) {
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
        "web1 {}\nweb2\nweb3 ua1:x\nweb4 {} a b\nweb[1-2] {}\nweb5 {}\nweb5 {}\n",
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
    assert!(matches!(find("127.0.0.1"), Err(TrustError::Line(_, 2, _))));
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
            "{}:1: web3:7000 has the key {}, not {}; if its agent was given a new key on purpose, trust it with --replace; if not, something else may be in its place",
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
    fn no_text_panics(text in "(.|\n){0,200}", words in "([a-z:0-9#]{0,6}[ \t\n]?){0,9}") {
        let _ = KnownAgents::parse(&text, Path::new("f")).problems();
        let _ = KnownAgents::parse(&words, Path::new("f")).problems();
    }
}
