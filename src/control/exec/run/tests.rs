//! Runs with outputs to a buffer or a pipe of the caller.

use std::io::{Read as _, Write};
use std::sync::{Arc, Mutex};

use super::*;
use crate::control::client::NoSocket;
use crate::control::console::Escape;
use crate::control::exec::{
    ATTACH, Escaping, Fleet, Goal, JobRequest, Labels, Style, TerminalMode,
};
use crate::control::host_resolver::{Host, HostError};
use crate::control::stdio::{Sink, Streams};
use crate::crypto::SecretKey;
use crate::message::{Exec, RequestId};
use crate::rng::Rng;

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

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Runs a command on a host that has no address of a family with a socket here.
fn run_on_no_host(style: Style, verbosity: Verbosity, stdout: Sink, stderr: Sink) -> Finish {
    let identity = SecretKey::generate(&mut Rng::from_seed([1; 32]));
    let client = Client::open(identity).unwrap();
    let task = Task {
        label: "web".into(),
        host: TaskHost::Found(Err(HostError::NoSocket(NoSocket))),
        request: JobRequest::Exec(Exec::new(RequestId([7; 16]), vec!["true".into()])),
    };
    let settings = Settings {
        goal: Goal::Result,
        contact_timeout: limits::CONTACT_TIMEOUT,
        retry_for: limits::RETRY_FOR,
        style,
        stdin: false,
        terminal_mode: TerminalMode::Apart,
        escape: Escape::default(),
        way_back: ATTACH,
        forward: Vec::new(),
        verbosity,
        fleet: Fleet::default(),
    };
    let streams = Streams {
        stdin: None,
        stdout,
        stderr,
    };
    let signals = never();
    let surroundings = Surroundings::new(&client, streams, &signals);
    run(vec![task], settings, surroundings)
}

#[test]
fn a_run_writes_to_the_streams_of_its_caller() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let stderr = Buffer::default();
    let finish = run_on_no_host(
        Style::Json(10),
        Verbosity::Quiet,
        writer.into(),
        Sink::writer(stderr.clone()),
    );
    let mut stdout = String::new();
    std::fs::File::from(reader)
        .read_to_string(&mut stdout)
        .unwrap();
    assert!(
        stdout.starts_with("{\"") && stdout.ends_with("}\n"),
        "{stdout}"
    );
    assert_eq!(
        stderr.text(),
        "udpctl: web: this machine has no network of its address family\n"
    );
    assert!(finish.interruption.is_none() && finish.failure.is_none());
}

#[test]
fn a_silent_run_writes_no_message() {
    let stderr = Buffer::default();
    let stdout = Buffer::default();
    let finish = run_on_no_host(
        Style::Labelled(Labels {
            escaping: Escaping::Escape,
            is_named: true,
            width: 0,
        }),
        Verbosity::Silent,
        Sink::writer(stdout.clone()),
        Sink::writer(stderr.clone()),
    );
    assert_eq!(
        (stdout.text(), stderr.text()),
        (String::new(), String::new())
    );
    let note = finish.report.unwrap().note.unwrap();
    assert_eq!(note, "this machine has no network of its address family");
}

#[test]
fn a_writer_that_fails_ends_the_run_and_is_named() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let stderr = Buffer::default();
    let finish = run_on_no_host(
        Style::Json(10),
        Verbosity::Quiet,
        Sink::writer(Full),
        Sink::writer(stderr.clone()),
    );
    assert_eq!(finish.interruption, Some(Interruption::Failed));
    let failure = finish.failure.unwrap().to_string();
    assert!(failure.starts_with("standard output: "), "{failure}");
    assert!(stderr.text().contains(&failure), "{}", stderr.text());
}

/// Input that notes whether the messages in `stderr` were there when it was first read.
struct Input {
    stderr: std::fs::File,
    seen: Arc<Mutex<Option<String>>>,
}

impl io::Read for Input {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        let mut seen = self.seen.lock().unwrap();
        if seen.is_none() {
            let mut text = vec![0; 4096];
            let length = self.stderr.read(&mut text).unwrap_or(0);
            *seen = Some(String::from_utf8_lossy(&text[..length]).into_owned());
        }
        Ok(0)
    }
}

#[test]
fn no_input_is_read_while_a_name_is_looked_up() {
    let identity = SecretKey::generate(&mut Rng::from_seed([1; 32]));
    let client = Client::open(identity).unwrap();
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let paths = client.paths(&[silent.local_addr().unwrap()]).unwrap();
    let task = |label: &str, host| {
        let mut exec = Exec::new(RequestId([7; 16]), vec!["cat".into()]);
        exec.stdin = true;
        Task {
            label: label.into(),
            host,
            request: JobRequest::Exec(exec),
        }
    };
    let host = Host {
        label: "web".into(),
        agent: SecretKey::generate(&mut Rng::from_seed([2; 32])).public(),
        paths,
        ticket: None,
    };
    let tasks = vec![
        task("web", TaskHost::Found(Ok(host))),
        task("name", TaskHost::Named("nowhere.invalid".parse().unwrap())),
    ];
    let settings = Settings {
        goal: Goal::Result,
        contact_timeout: Duration::from_secs(2),
        retry_for: limits::RETRY_FOR,
        style: Style::Plain,
        stdin: true,
        terminal_mode: TerminalMode::Apart,
        escape: Escape::default(),
        way_back: ATTACH,
        forward: Vec::new(),
        verbosity: Verbosity::Quiet,
        fleet: Fleet::default(),
    };
    let (reader, stderr) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
    let seen = Arc::default();
    let streams = Streams {
        stdin: Some(Box::new(Input {
            stderr: reader.into(),
            seen: Arc::clone(&seen),
        })),
        stdout: Sink::writer(Buffer::default()),
        stderr: stderr.into(),
    };
    let signals = never();
    let finish = run(
        tasks,
        settings,
        Surroundings::new(&client, streams, &signals),
    );
    assert_eq!(finish.fates, [Fate::Unreachable; 2]);
    let seen = seen.lock().unwrap().take().unwrap();
    assert_eq!(seen, "udpctl: name: names cannot be looked up here\n");
}
