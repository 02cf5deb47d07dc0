//! `udpctl jobs --mine --forget`: requests without an answer are removed from the journal, and nothing else is.

use crate::harness::{User, port_to_keep};

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn requests_that_no_agent_answers_about_are_forgotten_on_request() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let running = user.udpctl(["exec", "--detach", &target, "--", "sleep", "600"]);
    let running = text(running.outcome().stdout).trim().to_owned();
    let ids = [1, 2, 3].map(|digit: u8| format!("{digit}2345678").repeat(4));
    let silent = [2, 3, 4].map(|host| format!("127.0.0.{host}:{}", port_to_keep()));
    for (id, host) in std::iter::zip(&ids, &silent) {
        assert_eq!(
            user.udpctl(["trust", host, agent.key()]).outcome().status,
            0
        );
        let line = [
            "exec",
            "--contact-timeout",
            "10ms",
            "--id",
            id,
            host,
            "--",
            "true",
        ];
        assert_eq!(user.udpctl(line).outcome().status, 255);
    }
    let mine = |args: &[&str]| {
        let line = [&["jobs", "--mine", "--contact-timeout", "1s"], args].concat();
        let outcome = user.udpctl(line).outcome();
        (text(outcome.stdout), outcome.status)
    };
    let forgotten = |at: usize| format!("forgotten: {} at {}, true\n", ids[at], silent[at]);
    assert_eq!(mine(&[]).0.matches("  no answer, true").count(), 3);
    let one = user.udpctl(["jobs", "--mine", "--forget", &ids[1][..5]]);
    one.stdout(forgotten(1)).stderr("").run();
    user.udpctl(["jobs", "--mine", "--forget", &ids[1]])
        .stderr("udpctl: no request without a result has this id; \"udpctl jobs --mine\" lists those that there are\n")
        .status(1)
        .run();
    let at_one = mine(&["--forget", "unanswered", &silent[0]]);
    assert_eq!(at_one, (forgotten(0), 0));
    assert_eq!(mine(&["--forget", "unanswered"]), (forgotten(2), 0));
    // What the agent answers about is left, and an id that was given by hand is remembered.
    let (list, status) = mine(&[]);
    assert!(list.contains(&format!("{target}  {running} ")), "{list}");
    assert_eq!((list.lines().count(), status), (2, 0), "{list}");
    let journal = std::fs::read_dir(user.path("state/udpctl/requests")).unwrap();
    let lines = journal.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let lines = String::from_utf8_lossy(&lines.collect::<Vec<_>>().concat()).into_owned();
    assert!(ids.iter().all(|id| lines.contains(id)), "{lines}");
    let json = user.udpctl(["jobs", "--mine", "--json", "--forget", "12"]);
    assert_eq!(json.outcome().status, 2);
    let word = user.udpctl(["jobs", "--mine", "--forget", "all"]).outcome();
    assert!(
        word.stderr
            .contains("nor the beginning of one, nor \"unanswered\"")
    );
}
