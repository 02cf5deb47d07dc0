//! Copies to several hosts, and from them.

use std::fs;

use crate::harness::{Agent, User};

#[test]
fn one_file_goes_to_twenty_hosts_and_comes_back_into_a_directory_each() {
    let user = User::new();
    let agent = Agent::start(&user, &["--bind", "0.0.0.0:0"]);
    agent.is_trusted_by(&user, 20);
    let targets = agent.targets(20);
    fs::write(user.path("f"), vec![7; 700_000]).unwrap();
    fs::create_dir(user.path("there")).unwrap();
    let port = agent.addresses()[0].port();
    let set = format!("127.0.0.[1-20]:{port}");
    let to = user.path("there/f").display().to_string();
    user.udpctl(["cp", "f", &format!("{set}:{to}")])
        .stderr("20 ok of 20 in TIME\n")
        .run();
    assert!(fs::read(&to).unwrap() == vec![7; 700_000]);
    assert_eq!(fs::read_dir(user.path("there")).unwrap().count(), 1);
    fs::create_dir(user.path("back")).unwrap();
    user.udpctl(["cp", "-w", &set, &format!(":{to}"), "back"])
        .stderr("20 ok of 20 in TIME\n")
        .run();
    for target in targets {
        let file = user.path("back").join(target).join("f");
        assert!(fs::read(file).unwrap() == vec![7; 700_000]);
    }
}

#[test]
fn an_item_of_this_machine_that_fails_is_named_once() {
    let user = User::new();
    let agent = Agent::start(&user, &["--bind", "0.0.0.0:0"]);
    agent.is_trusted_by(&user, 3);
    fs::write(user.path("f"), "f").unwrap();
    fs::create_dir(user.path("there")).unwrap();
    let port = agent.addresses()[0].port();
    let to = user.path("there").display().to_string();
    let set = format!("127.0.0.[1-3]:{port}");
    let outcome = user.udpctl(["cp", "-w", &set, "f", "none", &to]).outcome();
    assert_eq!(outcome.status, 5);
    let named = "udpctl: none: No such file or directory\n";
    assert_eq!(
        outcome.stderr.matches(named).count(),
        1,
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.contains("0 ok, 3 failed of 3 in "),
        "{}",
        outcome.stderr
    );
}
