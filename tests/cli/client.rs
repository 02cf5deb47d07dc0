//! The library's client against a real agent.

use std::io::{self, Read as _, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use udpagent::client::{Client, Error, Host, Message};
use udpagent::control::chat_client::End;
use udpagent::crypto::{SecretKey, key_file};
use udpagent::message::Outcome;

use crate::harness::{Agent, DEADLINE, User};

fn client(user: &User, agent: &Agent) -> (Client, Host) {
    let identity = key_file::load(&user.path("config/udpctl/identity")).unwrap();
    let client = Client::new(identity).unwrap();
    let host = client
        .host(&agent.target(), agent.key().trim().parse().unwrap())
        .unwrap();
    (client, host)
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_client_runs_commands_and_gets_their_whole_output() {
    let user = User::new();
    user.authorize("");
    let agent = user.agent();
    let (mut client, host) = client(&user, &agent);

    let report = client
        .exec(&host, ["sh", "-c", "pwd; cat; echo $WHO >&2; exit 3"])
        .env("WHO", "ann")
        .cwd("/")
        .stdin(&b"typed"[..])
        .run()
        .unwrap();
    assert_eq!(report.stdout, b"/\ntyped");
    assert_eq!(report.stderr, b"ann\n");
    assert_eq!(report.outcome, Outcome::Exited { code: 3 });
    assert_eq!((report.exit_status(), report.is_success()), (3, false));

    let report = client.exec(&host, ["seq", "200000"]).run().unwrap();
    let lines: Vec<String> = (1..=200_000).map(|line| line.to_string()).collect();
    let whole = lines.join("\n") + "\n";
    assert!(report.stdout == whole.as_bytes(), "{}", report.stdout.len());

    let report = client
        .exec(&host, ["sleep", "600"])
        .timeout(Duration::from_millis(100))
        .run()
        .unwrap();
    assert_eq!(report.outcome, Outcome::TimedOut {});
    client.close();
}

#[test]
fn a_client_writes_outputs_to_the_writers_of_its_caller() {
    let user = User::new();
    user.authorize("");
    let agent = user.agent();
    let (mut client, host) = client(&user, &agent);
    let (mut reader, writer) = io::pipe().unwrap();
    let stderr = Buffer::default();
    let report = client
        .exec(&host, ["sh", "-c", "echo out; echo err >&2"])
        .stdout(writer)
        .stderr(stderr.clone())
        .run()
        .unwrap();
    assert!(report.is_success() && report.stdout.is_empty());
    let mut stdout = String::new();
    reader.read_to_string(&mut stdout).unwrap();
    assert_eq!(stdout, "out\n");
    assert_eq!(*stderr.0.lock().unwrap(), b"err\n");

    // A reader that has gone ends the command.
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let error = client.exec(&host, ["yes"]).stdout(writer).run();
    match error.unwrap_err() {
        Error::Stream { name, error } => {
            assert_eq!(name, "standard output");
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
        error => panic!("{error:?}"),
    }
}

#[test]
fn a_client_names_the_outcome_when_there_is_no_result() {
    let user = User::new();
    user.authorize("chat-only");
    let agent = user.agent();
    let (mut client, host) = client(&user, &agent);
    let unknown = SecretKey::generate(&mut udpagent::net::rng().unwrap()).public();
    let outcome = |client: &mut Client, host: &Host, timeout| {
        let exec = client.exec(host, ["true"]);
        match exec.contact_timeout(timeout).run() {
            Err(Error::NoResult { outcome, .. }) => outcome,
            other => panic!("{other:?}"),
        }
    };
    let other = client.host(&agent.target(), unknown).unwrap();
    let short = Duration::from_millis(300);
    assert_eq!(outcome(&mut client, &other, short), Outcome::Unreachable {});
    assert!(matches!(
        client.host("host:port", unknown),
        Err(Error::Target(_))
    ));
    assert_eq!(outcome(&mut client, &host, DEADLINE), Outcome::Denied {});
}

#[test]
fn two_clients_chat_and_each_message_has_a_receipt() {
    let user = User::new();
    user.authorize("");
    let agent = user.agent();
    let (mut anns, host) = client(&user, &agent);
    let (mut bobs, _) = client(&user, &agent);
    let mut ann = anns.chat(&host, Some("ann")).unwrap();
    let mut bob = bobs.chat(&host, Some("bob")).unwrap();
    assert_eq!(bob.members(), [ann.name().to_owned()]);
    bob.send("hello").unwrap();
    let from = bob.name().to_owned();
    assert_eq!(
        ann.receive(DEADLINE).unwrap(),
        Some(Message::Came { name: from.clone() })
    );
    let said = Message::Said {
        from,
        text: "hello".into(),
        verified: true,
        action: false,
    };
    assert_eq!(ann.receive(DEADLINE).unwrap(), Some(said));
    assert_eq!(ann.receive(Duration::ZERO).unwrap(), None);
    assert!(matches!(
        ann.send(&"x".repeat(1 << 20)),
        Err(Error::MessageTooLong)
    ));
    ann.leave().unwrap();
    drop(agent);
    match bob.receive(DEADLINE) {
        Ok(Some(Message::Left { .. })) | Err(Error::Chat(End::ByPeer(_) | End::PutOut)) => {}
        other => panic!("{other:?}"),
    }
}
