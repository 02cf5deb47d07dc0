//! Bounds per key, and against strangers who know the agent's public key: whatever they send, the others are served.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use udpagent::wire::{CallId, Datagram, Frame, Lane, StreamId};

use crate::harness::{Agent, DEADLINE, RawPeer, User, eventually, helper, send_forged};

/// Environment variable with the INITs per second of the flood of strangers, for a measurement.
const RATE: &str = "UDPAGENT_FLOOD_RATE";

/// INITs per second of that flood on a machine with two processors: more than eight times as many as the agent
/// processes of strangers without a token.
const TEST_RATE: u32 = 4_000;

/// First contacts during that flood.
const CONTACTS: usize = 50;

/// Resident memory of a process.
fn resident(pid: rustix::process::Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() << 10
}

/// Sends at a steady rate until `done`, in bursts of a millisecond. Returns the number of datagrams.
fn flood(per_second: u32, done: &AtomicBool, mut send: impl FnMut(u64)) -> u64 {
    let (began, mut sent) = (Instant::now(), 0);
    while !done.load(Ordering::Relaxed) {
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap();
        let due = micros * u64::from(per_second) / 1_000_000;
        let burst = due.saturating_sub(sent).min(u64::from(per_second / 50));
        (0..burst).for_each(|number| send(sent + number));
        sent += burst;
        std::thread::park_timeout(Duration::from_millis(1));
    }
    sent
}

#[test]
fn three_thousand_sessions_with_gapped_data_take_bounded_memory_and_the_owner_is_served() {
    const SESSIONS: u64 = 3_000;
    const BYTES: usize = 60_000;
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let mut peer = RawPeer::new("127.0.0.1", &target, agent.key());
    user.write_line(peer.key().as_bytes(), "chat-only");
    let exec = || {
        let hello = ["exec", &target, "--", "echo", "hello"];
        user.udpctl(hello).stdout("hello\n").run();
    };
    exec();
    let front = helper(agent.child.pid(), "udpagent-front").unwrap();
    let before = resident(front);
    let data = vec![b'x'; BYTES];
    for number in 0..SESSIONS {
        let mut session = peer.connect();
        let beyond_a_gap = Frame::Stream {
            stream: StreamId::new(CallId(0), Lane::Control),
            offset: 1,
            fin: false,
            data: &data,
        };
        session.send(&peer, &[beyond_a_gap]);
        session.settle(&peer);
        if number % 1_000 == 999 {
            exec();
        }
    }
    let grown = resident(front).saturating_sub(before);
    let sent = SESSIONS * BYTES as u64;
    println!("{grown} bytes more after {sent} bytes beyond gaps");
    // A bound of 8 MiB for the bytes, and some for the sessions.
    assert!(grown < 80 << 20, "{grown} bytes of {sent} are held");
}

#[test]
fn a_key_that_sends_one_init_after_the_other_does_not_stop_the_commands_of_another() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let mut peer = RawPeer::new("127.0.0.1", &target, agent.key());
    user.write_line(peer.key().as_bytes(), "");
    // As many as 17 000 in 10 s.
    let (done, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            flood(1_700, &done, |number| {
                let init = peer.init();
                peer.send(&init);
                sent.store(number + 1, Ordering::Relaxed);
            })
        });
        let mut commands = 0;
        while commands < 5 || sent.load(Ordering::Relaxed) < 5_000 {
            let args = ["exec", &target, "--", "echo", "hello"];
            let outcome = user.udpctl(args).outcome();
            let ended = (outcome.status, &outcome.stdout[..]);
            if ended != (0, b"hello\n") {
                done.store(true, Ordering::Relaxed);
                panic!("command {commands}: {outcome:?}");
            }
            commands += 1;
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn first_contacts_succeed_in_a_flood_of_inits_of_strangers_from_many_networks() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    user.udpctl(["ping", &target]).outcome();
    let rate = std::env::var(RATE).ok();
    // A measurement is about the time, a test is not.
    let within = if rate.is_some() { "2s" } else { "20s" };
    let rate = rate.map_or(TEST_RATE, |rate| rate.parse().unwrap());
    let mut strangers: Vec<_> = (0..250_u8)
        .map(|network| {
            let from = format!("127.{}.{network}.9", 1 + network % 7);
            RawPeer::new(&from, &target, agent.key())
        })
        .collect();
    let inits: Vec<_> = strangers.iter_mut().map(RawPeer::init).collect();
    let done = AtomicBool::new(false);
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    let sent = std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            flood(rate, &done, |number| {
                let number = usize::try_from(number).unwrap();
                let from = &strangers[number % strangers.len()];
                from.send(&inits[number / 3 % inits.len()]);
            })
        });
        let mut failed = Vec::new();
        for contact in 0..CONTACTS {
            // Without a ticket: nothing is known of the agent but its key.
            let mut ping = user.command("udpctl");
            ping.env("XDG_STATE_HOME", user.path(format!("state-{contact}")));
            ping.args(["ping", &target, "--contact-timeout", within]);
            let at = Instant::now();
            let output = ping.output().unwrap();
            longest = longest.max(at.elapsed());
            if !output.status.success() {
                failed.push(output);
            }
        }
        done.store(true, Ordering::Relaxed);
        let sent = flood.join().unwrap();
        assert!(failed.is_empty(), "{} failed: {failed:?}", failed.len());
        sent
    });
    let took = began.elapsed();
    println!("{sent} INITs in {took:?}, longest contact {longest:?}");
    assert!(sent > 1_000, "{sent} INITs are no flood");
}

/// An INIT with `exec` as early data, made by udpctl for the agent and held back on its way.
fn held_back(user: &User, agent: &Agent, marker: &str) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let elsewhere = socket.local_addr().unwrap().to_string();
    let trusted = format!("{elsewhere} is trusted now\n");
    user.udpctl(["trust", &elsewhere, agent.key()])
        .stdout(trusted)
        .run();
    let args = ["exec", &elsewhere, "--contact-timeout", "500ms", "--"];
    let outcome = user.udpctl([&args[..], &["touch", marker]].concat());
    assert_eq!(outcome.outcome().status, 255);
    let mut buffer = [0; 2_000];
    let length = socket.recv(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

#[test]
fn a_captured_init_from_a_forged_address_that_from_allows_runs_nothing() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let to: SocketAddr = target.parse().unwrap();
    for (options, runs) in [("from=127.0.0.0/8", false), ("", true)] {
        user.authorize(options);
        // The agent takes the changed file within a second.
        eventually("the key may connect", || {
            user.udpctl(["exec", &target, "--", "true"])
                .outcome()
                .status
                == 0
        });
        let marker = user.path(format!("marker-{runs}"));
        let init = held_back(&user, &agent, marker.to_str().unwrap());
        assert!(matches!(
            Datagram::parse(&init),
            Ok(Some(Datagram::Init(_)))
        ));
        // The holder of the forged address receives the answer and ignores it.
        let victim = UdpSocket::bind("127.0.0.2:0").unwrap();
        victim.set_read_timeout(Some(DEADLINE)).unwrap();
        if send_forged(victim.local_addr().unwrap(), to, &init).is_none() {
            println!("skipped: no raw sockets here");
            return;
        }
        let mut buffer = [0; 2_000];
        let (length, from) = victim.recv_from(&mut buffer).unwrap();
        assert_eq!(from, to);
        let parsed = Datagram::parse(&buffer[..length]);
        if runs {
            // Without `from=` it is as good as one that was delayed.
            assert!(matches!(parsed, Ok(Some(Datagram::Resp(_)))), "{parsed:?}");
            eventually("the command has run", || marker.exists());
        } else {
            assert!(matches!(parsed, Ok(Some(Datagram::Retry(_)))), "{parsed:?}");
            user.udpctl(["exec", &target, "--", "true"]).run();
            assert!(!marker.exists(), "the command ran");
        }
    }
}
