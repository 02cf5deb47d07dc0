//! Inventories of Ansible, and keys and users of hosts.toml.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{Agent, User};

fn write_hosts_toml(user: &User, text: &str) {
    let directory = user.path("config/udpctl");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("hosts.toml"), text).unwrap();
}

#[test]
fn commands_run_on_the_hosts_of_inventories() {
    let user = User::new();
    let agent = Agent::start(&user, &["--bind", "127.0.0.1:0"]);
    let target = agent.target();
    user.udpctl(["trust", &target, agent.key()])
        .stdout(format!("{target} is trusted now\n"))
        .run();
    let port = agent.port_of("127.0.0.1");
    let ini =
        format!("[web]\nweb[1:2] ansible_host=127.0.0.1 ansible_port=22 udpagent_port={port}\n");
    write_hosts_toml(
        &user,
        "inventory = [\"site/hosts\"]\n[groups]\nweb = \"db\"\n",
    );
    fs::create_dir_all(user.path("config/udpctl/site")).unwrap();
    fs::write(user.path("config/udpctl/site/hosts"), ini).unwrap();
    user.udpctl(["targets", "-g", "web"])
        .stdout("db\nweb1\n")
        .run();
    user.udpctl(["exec", "web2", "--", "echo", "hi"])
        .stdout("hi\n")
        .run();
    fs::write(user.path("more.yml"), "more:\n  hosts:\n    n[1:3]:\n").unwrap();
    let more = user.path("more.yml").display().to_string();
    for (args, stdout) in [
        (
            &["-a", "--inventory", &more, "--fold"][..],
            "db,n[1-3],web1\n",
        ),
        (
            &["@all", "-x", "@web", "--inventory", &more],
            "n1\nn2\nn3\n",
        ),
        (&["--groups", "--inventory", &more], "@more\n@web\n"),
    ] {
        user.udpctl([&["targets"], args].concat())
            .stdout(stdout)
            .run();
    }
    let outcome = user
        .udpctl(["ping", "--inventory", &more, "web1"])
        .outcome();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
}

#[test]
fn a_program_is_run_once_a_minute_and_a_mistake_is_one_line() {
    let user = User::new();
    let script = user.path("script");
    let asked = user.path("asked").display().to_string();
    let text = format!(
        "#!/bin/sh\necho \"$@\" >>{asked}\necho '{{\"web\": [\"w1\"], \"_meta\": {{\"hostvars\": {{}}}}}}'\n"
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    for _ in 0..2 {
        user.udpctl(["targets", "-a", "--inventory", "./script"])
            .stdout("w1\n")
            .run();
    }
    assert_eq!(fs::read_to_string(&asked).unwrap(), "--list\n");
    fs::write(user.path("bad"), "[web]\nw1 x\n").unwrap();
    fs::write(user.path("warned"), "w1 ansible_host='{{ \u{1b}[31m }}'\n").unwrap();
    user.udpctl(["exec", "-a", "--inventory", "bad", "--", "true"])
        .stderr("udpctl: bad: line 2: \"x\" is no variable; write NAME=VALUE\n")
        .status(2)
        .run();
    user.udpctl(["targets", "-a", "--inventory", "none"])
        .stderr("udpctl: none: No such file or directory (os error 2)\n")
        .status(2)
        .run();
    user.udpctl(["targets", "-a", "--inventory", "warned"])
        .stdout("w1\n")
        .stderr("udpctl: warned: line 1: ansible_host: templates are not evaluated; the host is contacted under its name\n")
        .run();
}

#[test]
fn the_key_of_hosts_toml_is_trusted_and_another_one_in_known_agents_is_an_error_of_its_host() {
    let (host, user) = (User::new(), User::new());
    let agent = Agent::start(&host, &["--bind", "127.0.0.1:0"]);
    let id = user.udpctl(["id"]).outcome();
    let id = String::from_utf8(id.stdout).unwrap();
    host.write_line(id.trim().as_bytes(), "");
    let (port, key) = (agent.port_of("127.0.0.1"), agent.key());
    let text = format!("[hosts.hall]\naddress = \"127.0.0.1\"\nport = {port}\nkey = \"{key}\"\n");
    write_hosts_toml(&user, &text);
    user.udpctl(["exec", "hall", "--", "echo", "hi"])
        .stdout("hi\n")
        .run();
    let toml = user.path("config/udpctl/hosts.toml").display().to_string();
    user.udpctl(["trust", "hall", id.trim()])
        .stderr(format!(
            "udpctl: {toml}:4: 127.0.0.1:{port} has another key here; change it first\n"
        ))
        .status(1)
        .run();
    let known = user.path("config/udpctl/known_agents");
    fs::write(&known, format!("127.0.0.1:{port} {}\n", id.trim())).unwrap();
    let known = known.display();
    user.udpctl(["exec", "hall", "--", "true"])
        .stderr(format!(
            "udpctl: hall: {toml}:4: 127.0.0.1:{port} has another key in {known}:1; remove the line that is wrong\n"
        ))
        .status(255)
        .run();
}

#[test]
fn an_invitation_may_name_a_host_of_hosts_toml() {
    let (host, user) = (User::new(), User::new());
    let agent = Agent::start(&host, &["--bind", "127.0.0.1:0"]);
    let port = agent.port_of("127.0.0.1");
    write_hosts_toml(&user, "[hosts.hall]\naddress = \"127.0.0.1\"\n");
    let invite = host
        .udpagent(["invite", "--host", &format!("hall:{port}")])
        .outcome();
    let invite = String::from_utf8(invite.stdout).unwrap();
    let outcome = user.udpctl(["accept", "-"]).stdin(invite).outcome();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let known = fs::read_to_string(user.path("config/udpctl/known_agents")).unwrap();
    assert_eq!(known, format!("127.0.0.1:{port} {}\n", agent.key()));
    user.udpctl(["exec", &format!("hall:{port}"), "--", "echo", "hi"])
        .stdout("hi\n")
        .run();
}

#[test]
fn a_broken_inventory_stops_only_commands_that_need_names() {
    let user = User::new();
    let agent = Agent::start(&user, &["--bind", "127.0.0.1:0"]);
    let (target, key) = (agent.target(), agent.key());
    user.udpctl(["trust", &target, key])
        .stdout(format!("{target} is trusted now\n"))
        .run();
    let port = agent.port_of("127.0.0.1");
    let text = format!(
        "inventory = [\"none\"]\n[hosts.hall]\naddress = \"127.0.0.1\"\nport = {port}\nkey = \"{key}\"\n"
    );
    write_hosts_toml(&user, &text);
    user.udpctl(["exec", &target, "--", "echo", "hi"])
        .stdout("hi\n")
        .run();
    let outcome = user.udpctl(["ping", &target]).outcome();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let none = user.path("config/udpctl/none").display().to_string();
    let words = format!("{none}: No such file or directory (os error 2)");
    for args in [
        &["ping", "localhost:7000"][..],
        &["ping", "127.0.0.1"],
        &["targets", &target, "-x", "web1"],
        &["targets", "-a"],
        &["targets", "-g", "web"],
        &["targets", "@tag:blue"],
        &["targets", "--groups"],
        &["chat", "hall"],
    ] {
        user.udpctl(args)
            .stderr(format!("udpctl: {words}\n"))
            .status(2)
            .run();
    }
    user.udpctl(["ping", &target, "--inventory", "absent"])
        .stderr(format!("udpctl: {words}\n"))
        .status(2)
        .run();
    let lines = [&target, "web1", "web2", &target]
        .map(|target| format!("{{\"target\":\"{target}\",\"argv\":[\"true\"]}}\n"));
    let outcome = user.udpctl(["batch", "-"]).stdin(lines.concat()).outcome();
    let records = String::from_utf8(outcome.stdout).unwrap();
    assert_eq!(records.matches("\"code\":0").count(), 2, "{records}");
    let error = format!("\"error\":\"\\\"target\\\": {words}\"");
    assert_eq!(records.matches(&error).count(), 2, "{records}");
    // Without its port, the agent with the key of hosts.toml may be anywhere.
    write_hosts_toml(&user, &text.replace(&format!("port = {port}\n"), ""));
    user.udpctl(["ping", &target])
        .stderr(format!("udpctl: {words}\n"))
        .status(2)
        .run();
    write_hosts_toml(&user, "");
    user.udpctl(["ping", &target, "--inventory", "absent"])
        .stderr("udpctl: absent: No such file or directory (os error 2)\n")
        .status(2)
        .run();
}
