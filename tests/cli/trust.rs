//! Lists of trusted agents: `udpctl trust --import`, `--list` and `--remove`.

use std::fs;

use crate::harness::User;

/// Keys that differ in one letter.
fn key(letter: char) -> String {
    format!("ua1:{}{letter}8", "A".repeat(41))
}

fn known_agents(user: &User) -> String {
    fs::read_to_string(user.path("config/udpctl/known_agents")).unwrap_or_default()
}

#[test]
fn a_list_is_imported_as_a_whole_listed_and_imported_again() {
    let user = User::new();
    let [a, b] = ['a', 'b'].map(key);
    let list = format!("# ours\nWeb1 {a}\nweb[02-40] {a} name\n10.1.*:7001 {b}\n\nweb1:7000 {a}\n");
    user.udpctl(["trust", "--import", "-"])
        .stdin(list.clone())
        .stdout("3 added, 1 there already\n")
        .run();
    let normal = format!("web1:7000 {a}\nweb[02-40]:7000 {a}\n10.1.*:7001 {b}\n");
    assert_eq!(known_agents(&user), normal);
    let other = User::new();
    let listed = user.udpctl(["trust", "--list"]).outcome();
    assert_eq!((&listed.stdout[..], listed.status), (normal.as_bytes(), 0));
    fs::write(other.path("list"), &listed.stdout).unwrap();
    other
        .udpctl(["trust", "--import", "list"])
        .stdout("3 added, 0 there already\n")
        .run();
    assert_eq!(known_agents(&other), normal);
    for (text, stderr) in [
        (format!("x {a}\ny\n"), "list:2: no key follows the host; write HOST:PORT KEY [NAME]; nothing was changed".to_owned()),
        (format!("x {a}\ny[ {a}\n"), "list:2: the set of hosts: the bracket is not closed, at character 2; nothing was changed".to_owned()),
        (format!("x {a}\nx:7000 {b}\n"), "list:2: x:7000 has another key in line 1; remove the line that is wrong".to_owned()),
        (
            format!("y* {a}\n*.x {b}\n"),
            "list:2: y.x:7000 has another key in line 1; remove the line that is wrong".to_owned(),
        ),
        (
            format!("web?? {b}\n"),
            format!(
                "list:1: web02:7000 has another key in {}:2; remove the line that is wrong",
                other.path("config/udpctl/known_agents").display()
            ),
        ),
        (
            format!("x {a}\nweb1 {b}\nweb07 {b}\n"),
            format!(
                "2 agents have other keys: web1:7000 ({0}:1), web07:7000 ({0}:2); if they were given new keys on \
                 purpose, repeat the command with --replace; nothing was changed",
                other.path("config/udpctl/known_agents").display()
            ),
        ),
    ] {
        fs::write(other.path("list"), text).unwrap();
        other
            .udpctl(["trust", "--import", "list"])
            .stderr(format!("udpctl: {stderr}\n"))
            .status(1)
            .run();
        assert_eq!(known_agents(&other), normal);
    }
    other
        .udpctl(["trust", "--import", "list", "--replace"])
        .stdout("1 added, 2 replaced, 0 there already\n")
        .run();
    let replaced = format!(
        "web[02-40]:7000 {a}\n10.1.*:7001 {b}\nx:7000 {a}\nweb1:7000 {b}\nweb07:7000 {b}\n"
    );
    assert_eq!(known_agents(&other), replaced);
}

#[test]
fn names_are_removed_and_those_that_are_not_there_are_named() {
    let user = User::new();
    let a = key('a');
    let directory = user.path("config/udpctl");
    fs::create_dir_all(&directory).unwrap();
    let toml = "[groups]\ndb = \"db[1-2]\"\n[hosts.hall]\naddress = \"192.0.2.1\"\n";
    fs::write(directory.join("hosts.toml"), toml).unwrap();
    let text =
        format!("# mine\nbad\nweb1 {a}\nweb[1-3] {a}\ndb1 {a}\ndb2 {a}\n*.x {a}\n192.0.2.1 {a}\n");
    fs::write(directory.join("known_agents"), text).unwrap();
    user.udpctl([
        "trust", "--remove", "@db", "--remove", "*.x", "--remove", "hall",
    ])
    .stdout("4 lines removed\n")
    .run();
    let file = directory.join("known_agents").display().to_string();
    user.udpctl(["trust", "--remove", "web1", "--remove", "n[1-3],db1"])
        .stdout("1 line removed\n")
        .stderr(format!(
            "udpctl: not in known_agents: db1:7000,n[1-3]:7000\nudpctl: {file}:4 still names web1:7000\n"
        ))
        .status(1)
        .run();
    user.udpctl(["trust", "--list"])
        .stdout(format!("web[1-3]:7000 {a}\n"))
        .stderr(format!(
            "udpctl: {file}:2: no key follows the host; write HOST:PORT KEY [NAME]; the line is passed over\n"
        ))
        .status(1)
        .run();
    user.udpctl(["trust", "--remove", "web[1-3]"])
        .stdout("1 line removed\n")
        .run();
    assert_eq!(known_agents(&user), "# mine\nbad\n");
    user.udpctl(["trust", "--remove", "a!"])
        .stderr("udpctl: a name is missing, at character 3\n")
        .status(2)
        .run();
}
