//! Inventories in all formats, as the groups and hosts of [`Inventory`].

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::control::targets::{Expression, Inventory, TargetsError};

/// A directory with files, and an inventory of some of them.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn make_executable(&self, name: &str) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn load(&self, names: &[&str]) -> Result<Inventory, String> {
        let more: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        let cache = self.path("cache");
        let inventory = Inventory::load(&self.path("hosts.toml"), cache, &more);
        inventory.map_err(|error| self.shown(&error.to_string()))
    }

    /// Returns a text without the directory.
    fn shown(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

/// Formats the targets of a set as `LABEL=ADDRESS USER`.
fn targets(inventory: &mut Inventory, set: &str) -> String {
    let targets = set.parse::<Expression>().unwrap().targets(inventory);
    let targets = targets.unwrap_or_else(|error: TargetsError| panic!("{set}: {error}"));
    let words = targets.iter().map(|target| {
        let user = inventory.user_of(target).unwrap();
        let user = user.map(|user| format!(" as {user}")).unwrap_or_default();
        format!("{}={target}{user}", target.label())
    });
    words.collect::<Vec<_>>().join(", ")
}

const INI: &str = r#"
# Hosts without a group
Mail ansible_host=192.0.2.9 ansible_port=2222 ansible_user=ubuntu note="a b # c"
[2001:db8::1]:22

[web]   # with ranges
web[01:03].x:22 udpagent_port=7001
web02.x  udpagent_user=deploy ; no_variable=1

[db]
db-[a:b] udpagent_address=192.0.2.8:7002

[site:children]
web
db  # as well

[site:vars]
udpagent_port = 7100
udpagent_user="ops"
http_port=80
[db:vars]
udpagent_user=postgres # of the database
"#;

const YAML: &str = r"---
all:
  hosts:
    mail: {ansible_host: 192.0.2.9, ansible_port: 2222}
    2001:db8::1:
  children:
    site:
      vars:
        udpagent_port: 7100
        udpagent_user: ops
        list: [1, &db {udpagent_address: '192.0.2.8:7002'}]
      children:
        web:
          hosts:
            web[01:03].x: {udpagent_port: 7001}
            web02.x:
              udpagent_user: deploy
        db:
          hosts:
            db-[a:b]:
              <<: *db
              other: *db
          vars:
            udpagent_user: postgres
";

const JSON: &str = r#"{
  "_meta": {"hostvars": {
    "mail": {"ansible_host": "192.0.2.9", "tags": {"a": [1, null]}},
    "web01.x": {"udpagent_port": 7001},
    "web02.x": {"udpagent_port": "7001", "udpagent_user": "deploy"},
    "web03.x": {"udpagent_port": 7001},
    "db-a": {"udpagent_address": "192.0.2.8:7002"},
    "db-b": {"udpagent_address": "192.0.2.8:7002"}
  }},
  "all": {"children": ["site", "ungrouped"]},
  "ungrouped": {"hosts": ["mail", "2001:db8::1"]},
  "site": {"children": ["web", "db"], "vars": {"udpagent_port": 7100, "udpagent_user": "ops"}},
  "web": ["web01.x", "web02.x", "web03.x"],
  "db": {"hosts": ["db-a", "db-b"], "vars": {"udpagent_user": "postgres"}}
}"#;

#[test]
fn every_format_gives_the_same_hosts_and_groups() {
    let script = format!("#!/bin/sh\n[ \"$*\" = --list ] && cat <<'END'\n{JSON}\nEND\n");
    let files = Files::new(&[
        ("ini", INI.replace(" ; no_variable=1", "").as_str()),
        ("site", YAML),
        ("list.json", JSON),
        ("script", &script),
        ("bom.yml", &format!("\u{feff}{YAML}")),
    ]);
    files.make_executable("script");
    for name in ["ini", "site", "list.json", "script", "bom.yml"] {
        let mut inventory = files.load(&[name]).unwrap();
        assert_eq!(inventory.take_warnings(), [""; 0], "{name}");
        for (set, expected) in [
            (
                "@web",
                "web01.x=web01.x:7001 as ops, web02.x=web02.x:7001 as deploy, web03.x=web03.x:7001 as ops",
            ),
            ("@db", "db-a=192.0.2.8:7002 as postgres"),
            ("@site&WEB01.x", "web01.x=web01.x:7001 as ops"),
            ("@ungrouped!mail", "2001:db8::1=[2001:db8::1]:7000"),
            (
                "mail,Mail:7003",
                "mail=192.0.2.9:7000, Mail:7003=192.0.2.9:7003",
            ),
        ] {
            assert_eq!(targets(&mut inventory, set), expected, "{name} {set}");
        }
        for set in ["@all", "@*"] {
            let count = set
                .parse::<Expression>()
                .unwrap()
                .targets(&mut inventory)
                .unwrap()
                .len();
            assert_eq!(count, 6, "{name} {set}: both databases are one target");
        }
        assert_eq!(
            inventory.group_names().unwrap(),
            ["@db", "@site", "@ungrouped", "@web"],
            "{name}"
        );
    }
}

#[test]
fn groups_of_several_files_are_united_and_hosts_toml_counts_more() {
    let toml = "inventory = [\"one\", \"two.yml\"]\n[defaults]\nport = 7009\n[groups]\nweb = \"web9\"\n\
                [hosts.web1]\nuser = \"root\"\n[hosts.web2]\naddress = \"192.0.2.2\"\n";
    let files = Files::new(&[
        ("hosts.toml", toml),
        (
            "one",
            "[web]\nweb1 udpagent_user=a udpagent_port=7001\nweb2 udpagent_port=7002\nten ansible_host=10.0.0.1\n",
        ),
        (
            "two.yml",
            "web:\n  hosts: web3\ndb:\n  hosts:\n    web1: {udpagent_port: 7011}\n",
        ),
        ("three", "[web]\nweb4\n[all]\nalone\n"),
    ]);
    let mut inventory = files.load(&["three"]).unwrap();
    assert_eq!(
        targets(&mut inventory, "@web"),
        "web9=web9:7009, web1=web1:7011 as root, web2=192.0.2.2:7002, ten=10.0.0.1:7009, web3=web3:7009, web4=web4:7009"
    );
    assert_eq!(targets(&mut inventory, "@ungrouped"), "alone=alone:7009");
    assert_eq!(targets(&mut inventory, "@db"), "web1=web1:7011 as root");
}

#[test]
fn an_address_with_its_port_stands_for_itself_whether_inventories_were_read_or_not() {
    let files = Files::new(&[
        ("hosts.toml", "inventory = [\"one\"]\n"),
        (
            "one",
            "192.0.2.1 udpagent_address=192.0.2.2 udpagent_port=7001 udpagent_user=a note=\"{{ x }}\"\nw ansible_host={{x}}\n",
        ),
    ]);
    let mut inventory = files.load(&[]).unwrap();
    for set in ["192.0.2.1:7000", "192.0.2.1:7000,[2001:db8::1]:7000"] {
        let expected: Vec<String> = set.split(',').map(|one| format!("{one}={one}")).collect();
        assert_eq!(targets(&mut inventory, set), expected.join(", "));
        assert_eq!(inventory.take_warnings(), [""; 0], "nothing was read");
    }
    assert_eq!(
        targets(&mut inventory, "192.0.2.1"),
        "192.0.2.1=192.0.2.2:7001 as a"
    );
    assert_eq!(inventory.take_warnings().len(), 1);
    assert_eq!(
        targets(&mut inventory, "192.0.2.1:7000"),
        "192.0.2.1:7000=192.0.2.1:7000"
    );
}

/// Files, each with its only mistake.
const MISTAKES: [(&str, &str, &str); 19] = [
    (
        "a",
        "web1 x",
        "line 1: \"x\" is no variable; write NAME=VALUE",
    ),
    ("a", "\nweb1 a=\"b", "line 2: a quote is not closed"),
    (
        "a",
        "[web:child]\n",
        "line 1: \"child\" is no kind of a section; write hosts, children or vars",
    ),
    ("a", "[]\n", "line 1: the name of the group is missing"),
    ("a", "[a:children]\nb\n", "line 2: there is no group b"),
    (
        "a",
        "[a:children]\nb c\n",
        "line 2: \"b c\" is not the name of a group",
    ),
    ("a", "[a:vars]\nb=1\n", "line 1: there is no group a"),
    (
        "a",
        "[a]\n[a:vars]\nb\n",
        "line 3: \"b\" is no variable; write NAME=VALUE",
    ),
    (
        "a",
        "web[1-3]",
        "line 1: a range is written [FIRST:LAST] or [FIRST:LAST:STEP]",
    ),
    (
        "a",
        "web1 udpagent_port=0",
        "line 1: udpagent_port: \"0\" is not a port; write 1 to 65535",
    ),
    (
        "a",
        "web1 udpagent_port={{x}}",
        "line 1: udpagent_port: templates are not evaluated",
    ),
    (
        "a",
        "web1 ansible_host=192.0.2.1:22",
        "line 1: ansible_host: \"192.0.2.1:22\" is not an address",
    ),
    (
        "a",
        "h/x",
        "line 1: host \"h/x\" is neither an address nor a host name",
    ),
    (
        "a.yml",
        "web:\n  hosts:\n    - web1\n",
        "line 3: hosts of group web: not a mapping",
    ),
    (
        "a.yml",
        "web:\n  hosts:\n    web1:\n      udpagent_port: x\n",
        "line 4: host web1: udpagent_port: \"x\" is not a port; write 1 to 65535",
    ),
    ("a.yml", "- a\n", "line 1: the inventory: not a mapping"),
    (
        "a.yml",
        "a: {}\n---\nb: {}\n",
        "line 2: a second document begins",
    ),
    (
        "a.json",
        "{\"a\": {\"hosts\": 1}, \"_meta\": {}}",
        "hosts of group a: not a list",
    ),
    (
        "a.json",
        "{",
        "JSON: EOF while parsing an object at line 1 column 1",
    ),
];

#[test]
fn what_is_not_understood_is_named_with_file_and_line() {
    for (name, text, words) in MISTAKES {
        let files = Files::new(&[(name, text)]);
        let error = files.load(&[name]).unwrap_err();
        assert_eq!(error, format!("{name}: {words}"), "{text}");
    }
    let files = Files::new(&[]);
    let error = files.load(&["none"]).unwrap_err();
    assert_eq!(error, "none: No such file or directory (os error 2)");
    let error = files.load(&["."]).unwrap_err();
    assert!(
        error.ends_with("a directory; name the files in it"),
        "{error}"
    );
}

#[test]
fn what_is_passed_over_is_a_warning() {
    for (name, text, words) in [
        (
            "a",
            "web1 ansible_host=\"{{ x }}\"",
            "line 1: ansible_host: templates are not evaluated; the host is contacted under its name",
        ),
        (
            "a.yml",
            "web:\n  hosts:\n  port: 1\n",
            "line 3: group web: \"port\" is passed over; a group has hosts, children and vars",
        ),
        (
            "b.json",
            "{\"web\": {\"hosts\": [\"a\"], \"port\": 1}, \"_meta\": {\"hostvars\": {}}}",
            "group web: \"port\" is passed over; a group has hosts, children and vars",
        ),
        (
            "a.json",
            "{\"web\": [\"a\"], \"_meta\": {}}",
            "the output has no \"_meta\" with \"hostvars\", so its hosts have no variables",
        ),
    ] {
        let files = Files::new(&[(name, text)]);
        let mut inventory = files.load(&[name]).unwrap();
        let warnings = inventory.take_warnings();
        let warnings = warnings.iter();
        let warnings: Vec<String> = warnings.map(|words| files.shown(words)).collect();
        assert_eq!(warnings, [format!("{name}: {words}")]);
    }
}

#[test]
fn yaml_that_repeats_itself_or_is_nested_deeply_is_refused() {
    use std::fmt::Write as _;
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let alias = vec![format!("*a{}", n - 1); 10].join(", ");
        writeln!(text, "a{n}: &a{n} [{alias}]").unwrap();
    }
    let deep = format!("a: {}", "[".repeat(100_000));
    let block = format!("a:\n{}x\n", "- ".repeat(1000));
    let files = Files::new(&[
        ("a.yml", &text),
        ("b.yml", &deep),
        ("c.yml", "a: &a [*a]\n"),
        ("d.yml", &block),
    ]);
    for (name, words) in [
        ("a.yml", "a.yml: line 6: there are too many values"),
        ("b.yml", "b.yml: line 1: recursion limit exceeded"),
        ("c.yml", "c.yml: line 1: an alias names what contains it"),
        ("d.yml", "d.yml: line 2: it is nested too deeply"),
    ] {
        assert_eq!(files.load(&[name]).unwrap_err(), words);
    }
}

#[test]
fn a_program_that_fails_gives_no_inventory() {
    let files = Files::new(&[
        ("script", "#!/bin/sh\nexit 3\n"),
        ("lost", "#!/no/such/interpreter\nweb1\n"),
        ("empty", "#!\nweb1\n"),
        ("binary", "\x7fELF of another machine\n"),
    ]);
    for (name, words) in [
        ("script", "the command failed: exit status: 3"),
        (
            "lost",
            "the program cannot be started: No such file or directory (os error 2)",
        ),
        (
            "empty",
            "the program cannot be started: Exec format error (os error 8)",
        ),
        (
            "binary",
            "the program cannot be started: Exec format error (os error 8)",
        ),
    ] {
        files.make_executable(name);
        let error = files.load(&[name]).unwrap_err();
        assert_eq!(error, format!("{name}: {words}"));
    }
}

#[test]
fn a_file_that_may_be_executed_and_is_no_program_is_read_as_text() {
    let files = Files::new(&[
        ("hosts", "[web]\nweb1\n"),
        ("site.yml", "web:\n  hosts: web1\n"),
        ("list.json", "{\"web\": {\"hosts\": {\"web1\": null}}}"),
        ("bad", "[web]\nweb1 x\n"),
        ("none", ""),
    ]);
    for name in ["hosts", "site.yml", "list.json", "bad", "none"] {
        files.make_executable(name);
    }
    for name in ["hosts", "site.yml", "list.json"] {
        let mut inventory = files.load(&[name]).unwrap();
        assert_eq!(targets(&mut inventory, "@web"), "web1=web1:7000", "{name}");
    }
    assert_eq!(
        files.load(&["none"]).unwrap().group_names().unwrap(),
        [""; 0]
    );
    let error = files.load(&["bad"]).unwrap_err();
    assert_eq!(error, "bad: line 2: \"x\" is no variable; write NAME=VALUE");
}
