//! EXAMPLES of udpagent-protocol(7): the octets shown are those that the library computes.
//!
//! The page gives two static keys, two ephemeral keys and two ids; the rest follows. The ephemeral keys are
//! those that the library draws from the seeds below.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use udpagent::crypto::{AgentMac, Initiator, Responder, SealingKey, SecretKey, TrafficKeys};
use udpagent::message::{Exec, Outcome, Reply, Request, RequestId, to_line};
use udpagent::rng::Rng;
use udpagent::wire::limits::{DATA_HEADER, MAC, MAX_DATAGRAM, MIN_DATAGRAM, RESET_TOKEN};
use udpagent::wire::{
    self, CallId, Data, Datagram, Early, Frame, Frames, Hello, Lane, SessionId, StreamId,
    encode_ack,
};

use super::protocol::{Value, page, values};

const CONTROLLER: SessionId = SessionId(0x1112_1314_1516_1718);
const AGENT: SessionId = SessionId(0x2122_2324_2526_2728);
const CONTROLLER_SEED: [u8; 32] = [1; 32];
const AGENT_SEED: [u8; 32] = [2; 32];
const EPOCH: u64 = 0x3132_3334_3536_3738;
const AGENT_TIME: Duration = Duration::from_secs(5);
const ACK_DELAY: Duration = Duration::from_micros(250);

/// Octets of the Noise message of INIT that the page shows: both keys and HELLO.
const SHOWN: usize = 32 + 48 + 33;

/// The octets `first`, `first + 1`, …
fn counting<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = [0; N];
    for (byte, value) in bytes.iter_mut().zip(first..) {
        *byte = value;
    }
    bytes
}

fn secret(bytes: &[u8]) -> SecretKey {
    let text = format!("ua1-secret:{}", URL_SAFE_NO_PAD.encode(bytes));
    SecretKey::from_text(&text).unwrap()
}

/// The ephemeral key that a handshake draws from a source with this seed.
fn ephemeral(seed: [u8; 32]) -> [u8; 32] {
    Rng::from_seed(Rng::from_seed(seed).bytes()).bytes()
}

fn hello(
    epoch: u64,
    agent_time: Duration,
    session: SessionId,
    early: Early,
    reset_token: Option<[u8; RESET_TOKEN]>,
) -> Vec<u8> {
    let hello = Hello {
        epoch,
        agent_time,
        session,
        early,
        invite: None,
        reset_token,
        max_datagram: MAX_DATAGRAM as u64,
    };
    frames(&[Frame::Hello(hello)])
}

fn frames(frames: &[Frame<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        frame.encode(&mut out);
    }
    out
}

fn ack(counters: std::ops::RangeInclusive<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    assert!(encode_ack(
        std::iter::once(counters),
        ACK_DELAY,
        None,
        1200,
        &mut out
    ));
    out
}

const fn stream(lane: Lane, offset: u64, data: &[u8], fin: bool) -> Frame<'_> {
    Frame::Stream {
        stream: StreamId::new(CallId(0), lane),
        offset,
        fin,
        data,
    }
}

/// Values that the two ends compute, in the order of the page.
#[derive(Default)]
struct Exchange(Vec<Value>);

impl Exchange {
    fn put(&mut self, label: &str, octets: &[u8]) {
        self.0.push((label.to_owned(), octets.to_vec()));
    }

    fn keys(&mut self) {
        for (label, octets) in [
            ("controller static", counting(0x40)),
            ("agent static", counting(0x60)),
            ("controller ephemeral", ephemeral(CONTROLLER_SEED)),
            ("agent ephemeral", ephemeral(AGENT_SEED)),
        ] {
            self.put(&format!("{label} secret"), &octets);
            let public = secret(&octets).public();
            self.put(&format!("{label} public"), &public.0);
        }
    }

    /// INIT and RESP; returns the keys of controller and agent.
    fn handshake(&mut self) -> (TrafficKeys, TrafficKeys) {
        let (controller, agent) = (secret(&counting::<32>(0x40)), secret(&counting::<32>(0x60)));
        let mut init = Vec::new();
        wire::encode_init(CONTROLLER, None, &mut init);
        let prologue = init.clone();
        let mut payload = hello(0, Duration::ZERO, CONTROLLER, Early::Accepted, None);
        self.put("INIT header", &prologue);
        self.put("INIT HELLO", &payload);
        let size = MIN_DATAGRAM - prologue.len() - Initiator::OVERHEAD - MAC;
        payload.resize(size, 0);
        let mut rng = Rng::from_seed(CONTROLLER_SEED);
        let public = agent.public();
        let mut initiator = Initiator::start(
            &controller,
            &public,
            &prologue,
            &payload,
            &mut rng,
            &mut init,
        )
        .unwrap();
        let mac = AgentMac::new(&public).tag(&init);
        let noise = &init[prologue.len()..];
        self.put("INIT Noise message, first 113 octets", &noise[..SHOWN]);
        self.put(
            "INIT Noise message, last 16 octets",
            &noise[noise.len() - 16..],
        );
        let label = [&b"udpagent mac v1"[..], &public.0].concat();
        let key = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &label);
        self.put("mac key", key.as_ref());
        self.put("INIT mac", &mac);

        let (responder, known) = Responder::read(
            &agent,
            &prologue,
            noise,
            &mut Vec::new(),
            &mut Rng::from_seed(AGENT_SEED),
        )
        .unwrap();
        assert_eq!(known, controller.public());
        let answer = hello(
            EPOCH,
            AGENT_TIME,
            AGENT,
            Early::Refused,
            Some(counting(0x41)),
        );
        self.put("RESP HELLO", &answer);
        let mut resp = Vec::new();
        wire::encode_resp(AGENT, CONTROLLER, &mut resp);
        let header = resp.len();
        let of_agent = responder.respond(&answer, &mut resp).unwrap();
        self.put("RESP", &resp);
        let mut opened = Vec::new();
        let of_controller = initiator.finish(&resp[header..], &mut opened).unwrap();
        assert_eq!(opened, answer);
        (of_controller, of_agent)
    }

    /// One DATA, sealed by one end and opened by the other.
    fn data(
        &mut self,
        name: &str,
        receiver: SessionId,
        keys: (&TrafficKeys, &TrafficKeys),
        frames: &[u8],
    ) {
        assert!(Frames::new(frames).all(|frame| frame.is_ok()), "{name}");
        let header = Data {
            phase: 0,
            receiver,
            counter: name[1..].parse().unwrap(),
        };
        let clear = header.encode();
        let mut datagram = [&clear[..], frames].concat();
        keys.0
            .seal
            .seal(header.counter, &clear, &mut datagram, DATA_HEADER);
        self.put(&format!("{name} frames"), frames);
        self.put(&format!("{name} datagram"), &datagram);
        assert_eq!(
            Datagram::parse(&datagram),
            Ok(Some(Datagram::Data(header))),
            "{name}"
        );
        let mut sealed = datagram.split_off(DATA_HEADER);
        let opened = keys.1.open.open(header.counter, &clear, &mut sealed);
        assert_eq!(opened.unwrap(), frames);
    }
}

fn request() -> Vec<u8> {
    let argv = vec!["echo".into(), "hi".into()];
    to_line(&Request::Exec(Exec::new(RequestId(counting(0)), argv)))
}

/// The agent's lines: what comes first, and the end.
fn replies() -> (Vec<u8>, Vec<u8>) {
    let accepted = to_line(&Reply::Accepted {
        id: RequestId(counting(0)),
        stdout: 0,
        stderr: 0,
        stdin: 0,
        terminal: false,
        kept: false,
        screen: None,
    });
    let started = to_line(&Reply::Started {
        pid: 4711,
        home: None,
    });
    let exit = to_line(&Reply::Exit {
        outcome: Outcome::Exited { code: 0 },
        stdout: 3,
        stderr: 0,
        streams_open: false,
        cause: None,
        still_running: false,
    });
    ([accepted, started].concat(), exit)
}

fn computed() -> Vec<Value> {
    let mut exchange = Exchange::default();
    exchange.keys();
    let (controller, agent) = exchange.handshake();
    let (to_agent, to_controller) = ((&controller, &agent), (&agent, &controller));
    let request = request();
    let (first, exit) = replies();
    let main = StreamId::new(CallId(0), Lane::Data);
    let end = first.len() as u64;
    let (unwanted, nothing) = (0, 0);

    let c1 = frames(&[Frame::Ping, stream(Lane::Control, 0, &request, false)]);
    let a1 = frames(&[stream(Lane::Control, 0, &first, false)]);
    let a2 = frames(&[
        stream(Lane::Data, 0, b"hi\n", true),
        stream(Lane::Stderr, 0, b"", true),
        stream(Lane::Control, end, &exit, true),
    ]);
    let c2 = frames(&[stream(Lane::Control, request.len() as u64, b"", true)]);
    let a3 = frames(&[Frame::Stop {
        stream: main,
        code: unwanted,
    }]);
    let c3 = frames(&[Frame::Reset {
        stream: main,
        code: unwanted,
        final_size: nothing,
    }]);
    let c4 = frames(&[Frame::Close {
        code: 0,
        reason: "",
    }]);
    exchange.data("C1", AGENT, to_agent, &c1);
    exchange.data("A1", CONTROLLER, to_controller, &[ack(1..=1), a1].concat());
    exchange.data("A2", CONTROLLER, to_controller, &a2);
    exchange.data("C2", AGENT, to_agent, &[ack(1..=2), c2].concat());
    exchange.data("A3", CONTROLLER, to_controller, &[ack(1..=2), a3].concat());
    exchange.data("C3", AGENT, to_agent, &[ack(1..=3), c3].concat());
    exchange.data("A4", CONTROLLER, to_controller, &ack(1..=3));
    exchange.data("C4", AGENT, to_agent, &c4);
    exchange.0
}

/// Labels of the two keys that the library does not give away.
const KEYS: [&str; 2] = ["key of the controller", "key of the agent"];

/// Text of the values for the page.
fn listing(values: &[Value]) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for (label, octets) in values {
        let _ = write!(out, "{label}:");
        for (at, octet) in octets.iter().enumerate() {
            out.push_str(match at {
                _ if at % 32 == 0 => "\n  ",
                _ if at % 4 == 0 => " ",
                _ => "",
            });
            let _ = write!(out, "{octet:02x}");
        }
        out.push('\n');
    }
    out
}

#[test]
fn the_exchange_shown_is_what_the_library_computes() {
    let computed = computed();
    let shown: Vec<Value> = values(&page(), "EXAMPLES")
        .into_iter()
        .filter(|(label, _)| !KEYS.contains(&label.as_str()))
        .collect();
    assert_eq!(
        listing(&shown),
        listing(&computed),
        "EXAMPLES is to show:\n{}",
        listing(&computed)
    );
}

#[test]
fn the_keys_shown_seal_the_datagrams_shown() {
    let shown = values(&page(), "EXAMPLES");
    let find = |wanted: &str| {
        let found = shown.iter().find(|(label, _)| label == wanted);
        found.unwrap_or_else(|| panic!("no {wanted}")).1.clone()
    };
    for (label, name) in KEYS.into_iter().zip(["C1", "A1"]) {
        let key: [u8; 32] = find(label).try_into().unwrap();
        let datagram = find(&format!("{name} datagram"));
        let mut sealed = datagram[..DATA_HEADER].to_vec();
        let header = sealed.clone();
        sealed.extend_from_slice(&find(&format!("{name} frames")));
        SealingKey::new(&key).seal(1, &header, &mut sealed, DATA_HEADER);
        assert_eq!(sealed, datagram, "{label}");
    }
}
