//! `udpctl doctor`: one line a check, for an agent that answers and for each reason why none does.

use crate::harness::{User, port_to_keep};

/// Runs `udpctl doctor`, and returns its output, with MS for times and KEY for keys, and its status.
#[track_caller]
fn doctor(user: &User, args: &[&str]) -> (String, i32) {
    let outcome = user
        .udpctl([&["doctor", "--contact-timeout", "300ms"], args].concat())
        .outcome();
    assert_eq!(outcome.stderr, "");
    let text = String::from_utf8(outcome.stdout).unwrap();
    let words = text.split_inclusive([' ', '\n']).map(|word| {
        let end = word.len() - word.trim_end_matches([' ', '\n', ',', ')']).len();
        let (word, end) = word.split_at(word.len() - end);
        let is_key = word.starts_with("ua1:");
        let is_time = word.parse::<f64>().is_ok() && word.contains('.');
        let masked = match (is_key, is_time) {
            (true, _) => "KEY",
            (_, true) => "MS",
            _ => word,
        };
        format!("{masked}{end}")
    });
    (words.collect(), outcome.status)
}

/// The lines of checks that were not made.
fn skipped(names: &[&str]) -> String {
    let line = |name: &&str| format!("{name:<6}  skip  not checked\n");
    names.iter().map(line).collect()
}

#[test]
fn all_checks_of_an_agent_that_answers_are_ok() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let mtu = std::fs::read_to_string("/sys/class/net/lo/mtu").unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let (text, status) = doctor(&user, &[&target]);
    let name = text.lines().find(|line| line.starts_with("agent"));
    let name = name.and_then(|line| line.split_once("  ok    ")?.1.split_once(','));
    let (name, _) = name.unwrap_or_else(|| panic!("{text}"));
    let own = user.path("config/udpagent/identity.pub");
    assert_eq!(
        text,
        format!(
            "name    ok    {target} (no name to look up)\n\
             route   ok    from 127.0.0.1 by lo\n\
             key     ok    KEY, from {}\n\
             port    ok    answers at {target}\n\
             agent   ok    {name}, udpagent {version}, answered in MS ms\n\
             access  ok    the agent admits the key of {}\n\
             mtu     ok    datagrams of {} bytes pass, as many as the MTU of lo ({}) holds\n\
             rtt     ok    5 of 5 pings answered, median MS ms, MS ms to MS ms\n",
            own.display(),
            user.path("config/udpctl/identity").display(),
            (mtu.trim().parse::<usize>().unwrap() - 28).min(65_507),
            mtu.trim()
        )
    );
    assert_eq!(status, 0);
    let json = user.udpctl(["doctor", "--json", &target]).outcome();
    let lines = std::str::from_utf8(&json.stdout).unwrap().lines();
    let objects: Vec<serde_json::Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let checks: Vec<&str> = objects
        .iter()
        .map(|object| object["check"].as_str().unwrap())
        .collect();
    let all = [
        "name", "route", "key", "port", "agent", "access", "mtu", "rtt",
    ];
    assert_eq!(checks, all);
    assert!(objects.iter().all(|object| object["state"] == "ok"));
    assert!(objects.iter().all(|object| object["host"] == target));
}

#[test]
fn each_reason_for_no_answer_has_its_line_and_what_to_do_next() {
    let user = User::new();
    let refused = format!("127.0.0.1:{}", port_to_keep());
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent
        .local_addr()
        .map(|address| (silent, address))
        .unwrap();
    let (_socket, silent) = (silent.0, silent.1.to_string());
    let agent = user.agent();
    for target in [&refused, &silent] {
        let trusted = user.udpctl(["trust", target, agent.key()]).outcome();
        assert_eq!(trusted.status, 0);
    }
    let known = user.path("config/udpctl/known_agents");
    let known = known.display();
    let begin = |target: &str, line| {
        format!(
            "name    ok    {target} (no name to look up)\n\
             route   ok    from 127.0.0.1 by lo\n\
             key     ok    KEY, from {known}:{line}\n"
        )
    };
    let wanted = begin(&refused, 1)
        + "port    fail  nothing listens there (port unreachable); \
           \"udpagent status\" there names the port, if it runs\n"
        + &skipped(&["agent", "access", "mtu", "rtt"]);
    assert_eq!(doctor(&user, &[&refused]), (wanted, 1));
    let wanted = begin(&silent, 2)
        + &format!(
            "port    warn  neither refused nor answered; \
             a firewall that drops UDP to it looks like an agent that is silent\n\
             agent   fail  no answer (is udpagent running there, and does it know this controller's key?); \
             \"udpagent status\" there shows whether it runs, and \"udpagent key\" whether it has this key\n\
             access  warn  not known, because an agent is silent to keys that it does not list; \
             add the key of {} (\"udpctl id\") to authorized_keys there, or run \"udpagent invite\" there and \
             \"udpctl accept\" here\n",
            user.path("config/udpctl/identity").display()
        )
        + &skipped(&["mtu", "rtt"]);
    assert_eq!(doctor(&user, &[&silent]), (wanted, 1));
    // The key is known from another address.
    assert_eq!(user.udpctl(["ping", &agent.target()]).outcome().status, 0);
    let (text, _) = doctor(&user, &[&silent]);
    let line = text.lines().find(|line| line.starts_with("agent"));
    let words = "an agent with this key has answered before, perhaps elsewhere: \"udpagent status\" there shows whether it runs, \
                 and \"udpagent key\" whether it has this key";
    assert!(line.is_some_and(|line| line.ends_with(words)), "{text}");
}

#[test]
fn an_unknown_key_is_named_and_lines_of_several_hosts_begin_with_the_host() {
    let user = User::new();
    let other = User::new();
    let agent = other.agent();
    let target = agent.target();
    let text = format!(
        "{target}: name    ok    {target} (no name to look up)\n\
         {target}: route   ok    from 127.0.0.1 by lo\n\
         {target}: key     fail  no key known for this agent; start \"udpagent\" as this user, or run \
         \"udpagent invite\" as the agent's user and the command that it prints here\n\
         {target}: port    warn  not refused; only the agent's key can tell who listens there\n"
    );
    let rest = skipped(&["agent", "access", "mtu", "rtt"]);
    let rest = rest.lines().map(|line| format!("{target}: {line}\n"));
    let text = text + &rest.collect::<String>();
    let second = "127.0.0.2:9";
    let (got, status) = doctor(&user, &[&target, second]);
    assert!(got.starts_with(&text), "{got}");
    assert!(
        got.contains("127.0.0.2:9: port    fail  nothing listens there"),
        "{got}"
    );
    assert_eq!(status, 1);
}

#[test]
fn a_name_is_looked_up_or_comes_from_the_inventory_and_is_needed_for_all_other_checks() {
    let user = User::new();
    let rest = skipped(&["route", "key", "port", "agent", "access", "mtu", "rtt"]);
    let wanted = "name    fail  cannot resolve \"nowhere.invalid\": failed to lookup address information: Name or service \
                  not known; write an address, or name the host in hosts.toml\n"
        .to_owned()
        + &rest;
    assert_eq!(doctor(&user, &["nowhere.invalid"]), (wanted, 1));
    let (text, _) = doctor(&user, &["localhost:9"]);
    let first = text.lines().next().unwrap();
    assert!(
        first.starts_with("name    ok    ") && first.ends_with(" (looked up in MS ms)"),
        "{text}"
    );
    user.write(
        "config/udpctl/hosts.toml",
        "[hosts.web1]\naddress = \"127.0.0.1\"\nport = 9\n",
    );
    let (text, _) = doctor(&user, &["web1"]);
    let first = text.lines().next();
    assert_eq!(
        first,
        Some("name    ok    127.0.0.1:9 (from the inventory)"),
        "{text}"
    );
    user.write(
        "config/udpctl/hosts.toml",
        "[hosts.web1]\naddress = \"localhost\"\nport = 9\n",
    );
    let (text, _) = doctor(&user, &["web1"]);
    let first = text.lines().next().unwrap();
    let words = " (from the inventory, looked up in MS ms)";
    assert!(first.ends_with(words), "{text}");
}

#[test]
fn without_a_route_nothing_is_sent_and_the_checks_behind_it_are_skipped() {
    let user = User::new();
    // The system refuses the broadcast address to a socket that has not asked for it.
    let (text, status) = doctor(&user, &["255.255.255.255:9"]);
    let wanted = "name    ok    255.255.255.255:9 (no name to look up)\n\
                  route   fail  Permission denied; \"ip route get 255.255.255.255\" shows why\n\
                  key     fail  no key known for this agent; run \"udpagent invite\" there and paste its line here\n"
        .to_owned()
        + &skipped(&["port", "agent", "access", "mtu", "rtt"]);
    assert_eq!((text, status), (wanted, 1));
}
