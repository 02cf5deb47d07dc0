//! Sets against a model and against `nodeset`, groups, folding, lists.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::control::fold::{fold, fold_in_order};

fn labels(targets: &[Target]) -> Vec<&str> {
    targets.iter().map(Target::label).collect()
}

fn targets_in(inventory: &str, set: &str) -> Result<Vec<Target>, TargetsError> {
    let mut inventory = Inventory::parse(inventory, &[]).unwrap();
    let targets = set.parse::<Expression>().unwrap().targets(&mut inventory)?;
    Ok(targets.into_iter().collect())
}

fn expand(set: &str) -> String {
    labels(&targets_in("", set).unwrap()).join(" ")
}

#[test]
fn operators_count_from_left_to_right_and_each_target_is_there_once() {
    for (set, names) in [
        ("b,a,b", "b a"),
        ("web1,WEB1,web1:7000,web1:7001", "web1 web1:7001"),
        ("a[1-5]!a[2-3]^a[3-6]", "a1 a3 a6"),
        ("a[1-3]&a[2-9]", "a2 a3"),
        ("a[1-3]&a[2-9],b", "a2 a3 b"),
        ("a1 , a2", "a1 a2"),
        ("a!a", ""),
        ("[::1]:7001,::1", "[::1]:7001 ::1"),
    ] {
        assert_eq!(expand(set), names, "{set}");
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (set, words) in [
        ("web[1-3", "the bracket is not closed, at character 4"),
        ("a,web[1,x]", "not a number, at character 9"),
        ("a,", "a name is missing, at character 3"),
        (",a", "a name is missing, at character 1"),
        ("a!!b", "a name is missing, at character 3"),
        (
            "a,[1-3]",
            "the numbers need a name before them, such as web[1-3], at character 3",
        ),
        (
            "10.0.[1-3].[250-256]",
            "\"10.0.3.256\" is neither an address nor a host name",
        ),
        ("@", "this is no name of a group, at character 1"),
        ("b,@x/y", "this is no name of a group, at character 3"),
        (
            "n[1-600000],b,m[1-600000]",
            "the set has more than a million members, at character 15",
        ),
        ("a,b:0", "b:0: port 0 cannot be reached"),
    ] {
        let error = set.parse::<Expression>().unwrap_err().to_string();
        assert!(error.starts_with(words), "{set}: {error}");
    }
}

#[test]
fn a_set_takes_no_memory_for_its_names_before_they_are_needed() {
    let info = allocation_counter::measure(|| {
        "n[1-600000],@g[1-300000]".parse::<Expression>().unwrap();
    });
    assert!(info.bytes_max < 4096, "{} bytes", info.bytes_max);
}

const INVENTORY: &str = r#"
[defaults]
port = 7100

[groups]
web = "web[1-3]"
db = "db[1-2]:7005"
all = "@web,@db!db1:7005"
rack1 = "web1"
rack2 = "web2"

[hosts.web1]
address = "192.0.2.1"
tags = ["blue"]

[hosts.web2]
address = "192.0.2.2:7002"
port = 7003
tags = ["blue", "new"]
"#;

#[test]
fn groups_tags_and_names_are_those_of_the_inventory() {
    for (set, names) in [
        (
            "@web",
            "web1=192.0.2.1:7100 web2=192.0.2.2:7003 web3=web3:7100",
        ),
        ("@all&@db", "db2:7005=db2:7005"),
        ("@rack[1-2]", "web1=192.0.2.1:7100 web2=192.0.2.2:7003"),
        ("@tag:new", "web2=192.0.2.2:7003"),
        ("@tag:blue!@tag:new", "web1=192.0.2.1:7100"),
        ("WEB1:7000", "WEB1:7000=192.0.2.1:7000"),
        ("192.0.2.9", "192.0.2.9=192.0.2.9:7000"),
    ] {
        let targets = targets_in(INVENTORY, set).unwrap();
        let words: Vec<String> = targets
            .iter()
            .map(|one| format!("{}={one}", one.label()))
            .collect();
        assert_eq!(words.join(" "), names, "{set}");
    }
    let all = targets_in(INVENTORY, "@*").unwrap();
    assert_eq!(
        labels(&all),
        ["web1", "web2", "web3", "db2:7005", "db1:7005"]
    );
    let mut inventory = Inventory::parse(INVENTORY, &[]).unwrap();
    let names = [
        "@all",
        "@db",
        "@rack1",
        "@rack2",
        "@web",
        "@tag:blue",
        "@tag:new",
    ];
    assert_eq!(inventory.group_names().unwrap(), names);
}

#[test]
fn what_is_wrong_with_groups_is_told() {
    let cycle = "[groups]\na = \"@b\"\nb = \"x,@c\"\nc = \"@a\"";
    for (inventory, set, words) in [
        (
            cycle,
            "@a",
            "groups that contain themselves: @a in @c in @b in @a",
        ),
        ("", "@web", "@web: the inventory has no such group"),
        (
            INVENTORY,
            "@tag:old",
            "@tag:old: the inventory has no such group",
        ),
        (
            INVENTORY,
            "@other:web",
            "@other:web: the inventory has no such group",
        ),
    ] {
        assert_eq!(targets_in(inventory, set).unwrap_err().to_string(), words);
    }
    for (inventory, words) in [
        (
            "[groups]\nweb = \"web[\"",
            "group web: the bracket is not closed, at character 4",
        ),
        (
            "[groups]\nweb = 1",
            "line 2: invalid type: integer `1`, expected a set, or a table with \"exec\"",
        ),
        (
            "[hosts.a]\ntags = [\"a b\"]",
            "host a: \"a b\" cannot be a tag",
        ),
        ("[hosts.a]\n[hosts.A]", "host a: it is there twice"),
        (
            "[groups]\nweb = { run = \"x\" }",
            "line 2: unknown field `run`, expected `exec`",
        ),
        (
            "[groups]\n\"../x\" = \"a\"",
            "group ../x: not a name of a group",
        ),
        (
            "[hosts.web1]\nadress = \"x\"",
            "line 2: unknown field `adress`, expected one of `address`, `port`, `user`, `key`, `tags`",
        ),
        (
            "[hosts.\"10.0.0.1\"]",
            "host 10.0.0.1: not a name of a host",
        ),
        (
            "[hosts.a]\n\nkey = \"x\"",
            "host a: line 3: not a key: a public one begins with \"ua1:\", a secret one with \"ua1-secret:\"",
        ),
        ("[hosts.a]\nuser = \"\"", "host a: the user is empty"),
        ("[hosts.a]\nport = 0", "host a: port 0 cannot be reached"),
    ] {
        let error = Inventory::parse(inventory, &[]).unwrap_err().to_string();
        assert_eq!(error, format!("hosts.toml: {words}"));
    }
}

#[test]
fn a_port_in_an_address_counts_more_than_the_default_one() {
    let inventory = "[defaults]\nport = 7100\n[hosts.a]\naddress = \"192.0.2.1:7002\"\n[hosts.b]\naddress = \"::1\"";
    let targets = targets_in(inventory, "a,b,c,a:7003").unwrap();
    let words: Vec<String> = targets.iter().map(Target::to_string).collect();
    assert_eq!(
        words,
        ["192.0.2.1:7002", "[::1]:7100", "c:7100", "192.0.2.1:7003"]
    );
}

#[test]
fn a_name_of_the_inventory_leaves_out_its_own_agent_alone() {
    let inventory =
        "[hosts.a]\naddress = \"192.0.2.1:7001\"\n[hosts.b]\naddress = \"192.0.2.1:7002\"";
    for (set, names) in [
        ("@*!a", "b"),
        ("@*&a", "a"),
        ("c:7001,c:7002,d!c", "d"),
        ("@*!192.0.2.1", ""),
    ] {
        let targets = targets_in(inventory, set).unwrap();
        assert_eq!(labels(&targets).join(" "), names, "{set}");
    }
}

#[test]
fn groups_are_not_nested_without_end() {
    let lines = (0..5000).map(|n| format!("g{n} = \"@g{}\"\n", n + 1));
    let inventory = format!("[groups]\n{}", lines.collect::<Vec<_>>().concat());
    let error = targets_in(&inventory, "@g0").unwrap_err();
    assert_eq!(error.to_string(), "more than 100 groups within each other");
}

#[test]
fn a_list_has_sets_comments_and_blank_lines() {
    let mut selection = Selection::default();
    let list = "# all\nweb[1-3] ! web3  # front\n\n\tdb1 db2, db3 x ^x\r\n";
    selection.add_list("hosts", list).unwrap();
    selection.without.push("web2,db2".parse().unwrap());
    let targets = selection.targets(&mut Inventory::default()).unwrap();
    assert_eq!(labels(&targets), ["web1", "db1", "db3"]);
    let error = selection.add_list("hosts", "a,\nb").unwrap_err();
    assert_eq!(
        error.to_string(),
        "hosts: line 1: a name is missing, at character 3"
    );
    let error = selection.add_list("hosts", "a\nb[").unwrap_err();
    assert_eq!(
        error.to_string(),
        "hosts: line 2: the bracket is not closed, at character 2"
    );
}

#[test]
fn names_are_folded_as_clustershell_folds_them() {
    for (names, folded) in [
        ("b a", "a,b"),
        ("n1 n2 n3 n5", "n[1-3,5]"),
        ("n1 n01", "n[1,01]"),
        ("n9 n09 n10", "n[9,09-10]"),
        ("n8 n9 n10 n011", "n[8-10,011]"),
        ("foo2 bar foo foo1", "bar,foo,foo[1-2]"),
        ("n1m n2m n1k n2k", "n[1-2]k,n[1-2]m"),
        ("n1:7000 n2:7000", "n[1-2]:7000"),
        ("10.1.0.1 10.1.0.2 10.1.1.1 10.1.1.2", "10.1.[0-1].[1-2]"),
        ("r3n1 r1n1 r1n2 r2n1 r2n2", "r[1-2]n[1-2],r3n1"),
        (
            "r1n1 r1n2 r1n3 r2n1 r2n2 r2n3 r3n2 r3n3 r3n4",
            "r[1-2]n[1-3],r3n[2-4]",
        ),
        ("::1 [2001:db8::1]:7001", "::1,[2001:db8::1]:7001"),
        (
            "n1234567890123456789 n1234567890123456780",
            "n1234567890123456780,n1234567890123456789",
        ),
        ("", ""),
    ] {
        assert_eq!(fold(names.split_whitespace()), folded);
    }
}

#[test]
fn names_that_are_folded_in_their_order_begin_with_the_first() {
    for (names, folded) in [
        ("web10 web2", "web10,web2"),
        ("web10 web2 web3", "web10,web[2-3]"),
        ("web2 web1 web10 web3", "web2,web[1,10],web3"),
        ("b2 a1 b3 a2 c", "b[2-3],a[1-2],c"),
        ("b2 a1 b1 a2", "b2,a[1-2],b1"),
        ("n8 n9 n10 n11", "n[8-11]"),
        ("n01 n1 n02", "n01,n[1,02]"),
        ("b a b a", "b,a"),
        ("r2n1 r2n2 r3n1 r3n2 r1n1 r1n2", "r[2-3]n[1-2],r1n[1-2]"),
        ("r1n1 r1n3 r2n1 r2n2 r2n3", "r1n[1,3],r2n[1-3]"),
        ("w1:7001 w2:7001 w1 w2", "w[1-2]:7001,w[1-2]"),
        ("10.1.0.9 10.1.0.10 10.1.1.9 10.1.1.10", "10.1.[0-1].[9-10]"),
        ("", ""),
    ] {
        assert_eq!(fold_in_order(names.split_whitespace()), folded, "{names}");
    }
}

/// A name with up to two numbers.
fn name() -> impl Strategy<Value = String> {
    prop::string::string_regex("[ab]{1,2}[0-3]{0,2}(-[0-2]{1,2})?").unwrap()
}

/// Splits a set at the commas outside brackets.
fn words(set: &str) -> Vec<&str> {
    let mut is_inside = false;
    let is_end = |letter: char| {
        is_inside = letter == '[' || is_inside && letter != ']';
        letter == ',' && !is_inside
    };
    set.split(is_end).collect()
}

/// Runs `nodeset` if it is installed.
fn nodeset(option: &str, set: &str) -> Option<String> {
    let output = std::process::Command::new("nodeset")
        .args([option, "--", set])
        .output()
        .ok()?;
    assert!(output.status.success(), "{set}");
    Some(
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned(),
    )
}

#[test]
fn sets_have_the_members_that_nodeset_finds() {
    for set in [
        "web[01-40,50]:7000",
        "n[0-98/2]",
        "r[1-4]n[1-16]!r2n[3-5]",
        "127.0.[0-3].[1-25]&127.0.[2-9].[20-30]",
        "a[1-5]!a[2-3]^a[3-9],b&a[1-8]",
        "n[001-003,010],n[1-3],n01",
        "n[1-3]5x[08-11]",
    ] {
        let Some(members) = nodeset("-e", set) else {
            return;
        };
        let ours: BTreeSet<String> = expand(set).split(' ').map(str::to_owned).collect();
        let theirs: BTreeSet<String> = members.split(' ').map(str::to_owned).collect();
        assert_eq!(ours, theirs, "{set}");
        let targets = targets_in("", set).unwrap();
        assert_eq!(fold(labels(&targets)), nodeset("-f", set).unwrap(), "{set}");
    }
}

proptest! {
    #[test]
    fn a_folded_set_has_exactly_its_names(names in prop::collection::btree_set(name(), 0..40)) {
        let folded = fold(names.iter().map(String::as_str));
        if names.is_empty() {
            prop_assert_eq!(folded, "");
        } else {
            let mut members = targets_in("", &folded).unwrap();
            members.sort_by(|one, other| one.label().cmp(other.label()));
            prop_assert_eq!(labels(&members), names.iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_set_folded_in_order_has_exactly_its_names_and_each_word_has_them_in_order(
        names in prop::collection::vec(name(), 1..40),
    ) {
        let folded = fold_in_order(names.iter().map(String::as_str));
        let place = |label: &str| names.iter().position(|name| name == label);
        let mut firsts = Vec::new();
        let mut members = BTreeSet::new();
        for set in words(&folded) {
            let targets = targets_in("", set).unwrap();
            let places: Vec<Option<usize>> = labels(&targets).into_iter().map(place).collect();
            prop_assert!(places.is_sorted() && places[0].is_some(), "{}", folded);
            firsts.push(places[0]);
            for place in places {
                prop_assert!(members.insert(place), "{} has a name twice", folded);
            }
        }
        prop_assert_eq!(firsts[0], Some(0));
        prop_assert!(firsts.is_sorted(), "{}", folded);
        let different: BTreeSet<&String> = names.iter().collect();
        prop_assert_eq!(members.len(), different.len());
    }

    #[test]
    fn operators_are_those_of_sets(
        first in prop::collection::vec(name(), 1..10),
        rest in prop::collection::vec((0..4_usize, prop::collection::vec(name(), 1..10)), 0..4),
    ) {
        let mut text = first.join(",");
        // Left to right, the names of a term one after the other.
        let mut set: Vec<String> = Vec::new();
        let apply = |operator: char, name: &String, set: &mut Vec<String>| {
            let there = set.contains(name);
            match operator {
                ',' if !there => set.push(name.clone()),
                '!' => set.retain(|one| one != name),
                '&' => set.retain(|one| one == name),
                '^' if there => set.retain(|one| one != name),
                '^' => set.push(name.clone()),
                _ => {}
            }
        };
        for name in &first {
            apply(',', name, &mut set);
        }
        for (operator, names) in &rest {
            let operator = [',', '!', '&', '^'][*operator];
            for name in names {
                text.push(operator);
                text.push_str(name);
                apply(operator, name, &mut set);
            }
        }
        let targets = targets_in("", &text).unwrap();
        prop_assert_eq!(labels(&targets), set);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-c0-9@,!&^:/\\[\\] -]{0,30}") {
        let _ = text.parse::<Expression>();
    }
}
