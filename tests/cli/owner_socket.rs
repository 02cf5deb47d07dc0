//! The socket of the owner's tools: agents are told apart, and hostile clients and other users get nothing.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::thread::set_thread_res_uid;
use serde_json::{Value, json};

use crate::harness::{Agent, DEADLINE, User};
use crate::owner::{json, socket, status};
use crate::users::nobody;

#[test]
fn agents_with_different_state_directories_are_told_apart_and_a_killed_one_is_not_asked() {
    let user = User::new();
    let start = |state: &str| {
        let mut command = user.command("udpagent");
        command
            .args(["--bind", "127.0.0.1:0"])
            .env("UDPAGENT_STATE_DIR", user.path(state));
        Agent::from(command)
    };
    let ask = |state: &str| {
        let mut command = user.command("udpagent");
        command
            .args(["status", "--json"])
            .env("UDPAGENT_STATE_DIR", user.path(state));
        crate::harness::Test::new(command).outcome()
    };
    // The path of a socket has at most 107 bytes.
    let long = "x".repeat(120);
    let (mut one, two) = (start("one"), start(&long));
    for (state, agent) in [("one", &one), (&long, &two)] {
        let answer: Value = serde_json::from_slice(&ask(state).stdout).unwrap();
        assert_eq!(answer["listening"], json!([agent.target()]));
    }
    one.kill();
    assert!(user.path("one/agent.sock").exists());
    let outcome = ask("one");
    assert_eq!((outcome.status, outcome.stdout), (1, Vec::new()));
    assert!(outcome.stderr.ends_with("no agent answers\n"));
    let again = start("one");
    let answer: Value = serde_json::from_slice(&ask("one").stdout).unwrap();
    assert_eq!(answer["listening"], json!([again.target()]));
    drop(again);
    assert!(!user.path("one/agent.sock").exists(), "removed at its end");
}

#[test]
fn clients_that_send_garbage_nothing_or_never_read_delay_nobody() {
    let user = User::new();
    let mut text = String::new();
    for number in 0..4000_u32 {
        use base64::Engine as _;
        use std::fmt::Write as _;
        let mut bytes = [7; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        let key = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        writeln!(text, "ua1:{key} k{number} 'allow={}'", "x".repeat(100)).unwrap();
    }
    fs::create_dir_all(user.path("config/udpagent")).unwrap();
    fs::write(user.path("config/udpagent/authorized_keys"), text).unwrap();
    let agent = user.agent();
    let target = agent.target();
    let connect = |bytes: &[u8]| {
        let stream = UnixStream::connect(socket(&user)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        // It may be closed before all is written.
        let _ = (&stream).write_all(bytes);
        stream
    };
    let closed = |mut stream: UnixStream| {
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => rest,
            // Bytes that it has sent were not read.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => rest,
            Err(error) => panic!("not closed: {error}"),
        }
    };
    for garbage in [
        &[0xff; 4096][..],
        b"GET /metrics HTTP/1.1\r\n\r\n",
        &[1, 0, 0, 0, 9],
        &[2, 0, 0, 0, 0xff, 0xff],
        &[1, 4, 0, 0],
    ] {
        let rest = closed(connect(garbage));
        assert!(rest.is_empty(), "{garbage:?}");
    }
    // A long request is not read to its end.
    let length = 4_u32 << 20;
    let long = [&length.to_le_bytes()[..], &vec![0; length as usize]].concat();
    let mut stream = connect(&[]);
    stream.write_all(&long).unwrap_err();
    closed(stream);
    // A further connection takes the place of the oldest one.
    let idle: Vec<UnixStream> = (0..8).map(|_| connect(&[])).collect();
    status(&user);
    let peek = |mut stream: &UnixStream| {
        stream.set_nonblocking(true).unwrap();
        stream.read(&mut [0]).map_err(|error| error.kind())
    };
    assert_eq!(peek(&idle[0]), Ok(0));
    assert_eq!(peek(&idle[7]), Err(std::io::ErrorKind::WouldBlock));
    // The answer is larger than what a socket holds.
    let keys = [1, 0, 0, 0, 1];
    let unread: Vec<UnixStream> = (0..4).map(|_| connect(&keys)).collect();
    let idle: Vec<UnixStream> = (0..6).map(|_| connect(&[])).collect();
    for _ in 0..5 {
        user.udpctl(["exec", &target, "--", "true"]).run();
        assert_eq!(status(&user)["front_answers"], true);
    }
    assert_eq!(json(&user, &["keys"]).len(), 4001);
    // Each connection is over after a bounded time.
    for stream in idle.into_iter().chain(unread) {
        closed(stream);
    }
    user.udpctl(["exec", &target, "--", "true"]).run();
}

#[test]
fn another_user_is_refused_by_the_mode_of_the_socket_and_by_the_agent() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    let user = User::new();
    let _agent = user.agent();
    let path = socket(&user);
    for open in ["", "state", "state/udpagent"] {
        fs::set_permissions(user.path(open), fs::Permissions::from_mode(0o755)).unwrap();
    }
    // Of this thread only.
    let as_nobody = |path: PathBuf| {
        std::thread::spawn(move || {
            let uid = rustix::process::Uid::from_raw(nobody().uid);
            set_thread_res_uid(uid, uid, uid).unwrap();
            let mut stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            let _ = stream.write_all(&[1, 0, 0, 0, 0]);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            Ok::<_, std::io::Error>(answer)
        })
        .join()
        .unwrap()
    };
    let error = as_nobody(path.clone()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(as_nobody(path).unwrap(), b"", "closed without an answer");
    assert_eq!(status(&user)["front_answers"], true);
}
