//! Bounds per key, and against strangers who know the agent's public key: whatever they send, the others are served.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use udpagent::session::limits::{UNCONFIRMED_PER_KEY, UNVALIDATED_INITS};
use udpagent::wire::{CallId, Datagram, Frame, Lane, StreamId};

use crate::harness::{
    Agent, DEADLINE, RawPeer, User, eventually, helper, meanwhile, resident, send_forged,
};
use crate::owner::status;

/// Environment variable with the INITs per second of the flood of strangers, for a measurement.
const RATE: &str = "UDPAGENT_FLOOD_RATE";

/// INITs per second of that flood on a machine with two processors: more than eight times as many as the agent
/// processes of strangers without a token.
const TEST_RATE: u32 = 4_000;

/// First contacts during that flood.
const CONTACTS: usize = 50;

/// Datagrams at a steady rate.
struct Flood {
    per_second: u32,
    began: Instant,
    sent: u64,
}

impl Flood {
    fn new(per_second: u32) -> Self {
        Self {
            per_second,
            began: Instant::now(),
            sent: 0,
        }
    }

    /// Sends those of about a millisecond; `send` gets their numbers.
    fn burst(&mut self, send: impl FnMut(u64)) {
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap();
        let due = micros * u64::from(self.per_second) / 1_000_000;
        let most = u64::from(self.per_second / 50);
        let end = due.min(self.sent + most).max(self.sent);
        (self.sent..end).for_each(send);
        self.sent = end;
        std::thread::park_timeout(Duration::from_millis(1));
    }
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
    let mut flood = Flood::new(1_700);
    let inits = || {
        flood.burst(|_| {
            let init = peer.init();
            peer.send(&init);
        });
    };
    let refused = || {
        let refused = &status(&user)["handshakes"]["refused"];
        refused["key"].as_u64().unwrap()
    };
    meanwhile(inits, || {
        eventually("a bound of the key is reached", || {
            let args = ["exec", &target, "--", "echo", "hello"];
            user.udpctl(args).stdout("hello\n").run();
            refused() > 1_000
        });
        // Those of the commands are over, or nearly.
        let open = status(&user)["sessions"]["open"].as_u64().unwrap();
        let most = UNCONFIRMED_PER_KEY as u64 + 16;
        assert!(open <= most, "{open} sessions");
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
    let mut flood = Flood::new(rate);
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    let mut failed = Vec::new();
    let send = || {
        flood.burst(|number| {
            let number = usize::try_from(number).unwrap();
            let from = &strangers[number % strangers.len()];
            from.send(&inits[number / 3 % inits.len()]);
        });
    };
    meanwhile(send, || {
        // At least a second, so that the rate matters and not the burst.
        let mut contacts = 0..;
        while let Some(contact) = contacts.next()
            && (contact < CONTACTS || began.elapsed() < Duration::from_secs(1))
        {
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
    });
    assert!(failed.is_empty(), "{} failed: {failed:?}", failed.len());
    let sent = flood.sent;
    let refused = &status(&user)["handshakes"]["refused"];
    let took = began.elapsed();
    let opened = refused["stranger"].as_u64().unwrap();
    println!("{sent} INITs in {took:?}, {opened} opened, longest contact {longest:?}");
    // No Diffie-Hellman operations but for those.
    let interval = UNVALIDATED_INITS.interval.as_micros();
    let rate = u64::try_from(took.as_micros() / interval).unwrap();
    let most = u64::from(UNVALIDATED_INITS.burst) + rate;
    assert!(sent > 2 * most, "{sent} INITs are no flood");
    assert!(opened <= most, "{opened} INITs of strangers were opened");
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
