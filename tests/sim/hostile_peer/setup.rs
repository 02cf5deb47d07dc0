//! The peer's side of the handshake, made without an endpoint, so that the peer has the keys.

use std::collections::{HashMap, HashSet};
use std::time::Duration;
use udpagent::peer_addr::PeerAddr;

use bytes::Bytes;
use udpagent::crypto::{AgentMac, Initiator, PublicKey, Responder, SecretKey, TrafficKeys};
use udpagent::rng::Rng;
use udpagent::session::{
    Authorization, Authorizer, Config, Connect, Endpoint, SessionHandle, Ticket,
};
use udpagent::session::{Command, limits};
use udpagent::time::Instant;
use udpagent::wire::limits::{INIT_HEADER, INVITE, MAC, MAX_DATAGRAM, MIN_DATAGRAM};
use udpagent::wire::{Datagram, Early, Frame, Hello, SessionId, encode_init, encode_resp};

use super::frames::Frames;
use super::input::Input;
use super::{Role, Run, path};

struct AdmitAll;

impl Authorizer for AdmitAll {
    fn authorize_session(
        &mut self,
        _: &PublicKey,
        _: PeerAddr,
        _: Option<&[u8; INVITE]>,
    ) -> Authorization {
        Authorization::UNRESTRICTED
    }
}

/// An address of the peer; 0 is its first.
pub fn peer(number: u8) -> PeerAddr {
    // Another port, then other hosts.
    let host = number.saturating_sub(1);
    std::net::SocketAddr::from(([192, 0, 2, 1 + host], 4000 + u16::from(number))).into()
}

/// Ids and keys of the session.
struct Established {
    session: SessionHandle,
    receiver: SessionId,
    local: SessionId,
    keys: TrafficKeys,
}

/// Returns an endpoint with a session, or `None` if the handshake did not complete.
pub fn run(role: Role, frames: Frames, input: &mut Input<'_>) -> Option<Run> {
    let mut rng = Rng::from_seed([7; 32]);
    let (endpoint, peer_key) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
    let now = Instant::from_micros(5_000_000);
    let windows = [1, 5_000, limits::STREAM_WINDOW, u64::MAX];
    let window = windows[usize::from(input.below(4))];
    let mut config = Config::new(
        endpoint.clone(),
        (role == Role::Agent).then(|| Box::new(AdmitAll) as Box<dyn Authorizer>),
    );
    config.segments = 8;
    config.max_datagram = MAX_DATAGRAM;
    config.stream_window = window;
    config.max_stream_window = window;
    config.session_window = window.saturating_mul(8);
    let endpoint_key = endpoint.public();
    let endpoint = Endpoint::new(config, rng.fork(), now);
    let mut run = Handshake {
        endpoint,
        now,
        frames,
        rng,
        peer_key,
        endpoint_key,
        log: Vec::new(),
    };
    let established = match role {
        Role::Agent => run.as_controller(input)?,
        Role::Controller => run.as_agent(input)?,
    };
    Some(Run {
        endpoint: run.endpoint,
        now,
        session: established.session,
        keys: established.keys,
        receiver: established.receiver,
        local: established.local,
        frames: run.frames,
        counter: 0,
        sealed: None,
        closed: false,
        offsets: HashMap::new(),
        written: 0,
        traffic: HashMap::new(),
        validated: HashSet::from([peer(0)]),
        log: run.log,
    })
}

struct Handshake {
    endpoint: Endpoint,
    now: Instant,
    frames: Frames,
    rng: Rng,
    peer_key: SecretKey,
    endpoint_key: PublicKey,
    log: Vec<Vec<u8>>,
}

impl Handshake {
    fn hello(&mut self, session: SessionId, input: &mut Input<'_>) -> Vec<u8> {
        let mut payload = Vec::new();
        Frame::Hello(Hello {
            epoch: self.endpoint.epoch(),
            agent_time: Duration::from_micros(input.varint()),
            session,
            early: [Early::Accepted, Early::Refused][usize::from(input.below(2))],
            invite: None,
            reset_token: None,
            max_datagram: input.varint().max(MIN_DATAGRAM as u64),
        })
        .encode(&mut payload);
        for _ in 0..input.below(4) {
            self.frames.write(input, &mut payload);
        }
        payload
    }

    fn first_datagram(&mut self) -> Option<Vec<u8>> {
        let mut buf = Vec::new();
        let transmit = self.endpoint.poll_transmit(self.now, &mut buf)?;
        buf.truncate(transmit.segment.unwrap_or(buf.len()));
        Some(buf)
    }

    fn deliver(&mut self, mut datagram: Vec<u8>) {
        self.log.push(datagram.clone());
        self.endpoint
            .handle_datagram(self.now, path(peer(0)), None, &mut datagram);
    }

    fn as_controller(&mut self, input: &mut Input<'_>) -> Option<Established> {
        let local = SessionId(77);
        let mut payload = self.hello(local, input);
        let size = MIN_DATAGRAM - INIT_HEADER - Initiator::OVERHEAD - MAC;
        if payload.len() > size {
            return None;
        }
        payload.resize(size, 0);
        let mut init = Vec::new();
        encode_init(local, None, &mut init);
        let prologue = init.clone();
        let mut initiator = Initiator::start(
            &self.peer_key,
            &self.endpoint_key,
            &prologue,
            &payload,
            &mut self.rng,
            &mut init,
        )
        .expect("a valid key");
        let mac = AgentMac::new(&self.endpoint_key).tag(&init);
        init.extend(mac);
        self.deliver(init);
        let answer = self.first_datagram()?;
        let Ok(Some(Datagram::Resp(resp))) = Datagram::parse(&answer) else {
            panic!("the agent answers INIT with something else than RESP");
        };
        let keys = initiator.finish(resp.noise, &mut Vec::new());
        Some(Established {
            session: SessionHandle(1 << 63),
            receiver: resp.sender,
            local,
            keys: keys.expect("a valid RESP"),
        })
    }

    fn as_agent(&mut self, input: &mut Input<'_>) -> Option<Established> {
        let session = SessionHandle(1);
        let ticket = Ticket {
            epoch: 0,
            offset: input.word().cast_signed(),
            rtt: Duration::from_micros(input.varint() >> 20),
            variation: Duration::from_micros(input.varint() >> 20),
        };
        let first = Bytes::from(vec![5; usize::from(input.byte()) * 10]);
        self.frames.calls = u32::from(!first.is_empty());
        let connect = Connect {
            session,
            agent: self.peer_key.public(),
            path: path(peer(0)),
            further: Vec::new(),
            ticket: (input.below(2) == 0).then_some(ticket),
            invite: None,
            first,
            timeout: Duration::from_secs(10),
        };
        self.endpoint.apply(self.now, Command::Connect(connect));
        let init = self.first_datagram()?;
        let Ok(Some(Datagram::Init(init))) = Datagram::parse(&init) else {
            panic!("the controller begins with something else than INIT");
        };
        let (receiver, local) = (init.sender, SessionId(99));
        let read = Responder::read(
            &self.peer_key,
            init.prologue,
            init.noise,
            &mut Vec::new(),
            &mut self.rng,
        );
        let (responder, _) = read.expect("a valid INIT");
        // The application may release the call before RESP arrives.
        if input.below(4) == 0 {
            let call = udpagent::wire::CallId(0);
            let release = Command::Release { session, call };
            self.endpoint.apply(self.now, release);
        }
        let payload = self.hello(local, input);
        let mut resp = Vec::new();
        encode_resp(local, receiver, &mut resp);
        let keys = responder
            .respond(&payload, &mut resp)
            .expect("a valid share");
        if resp.len() > MIN_DATAGRAM {
            return None;
        }
        self.deliver(resp);
        Some(Established {
            session,
            receiver,
            local,
            keys,
        })
    }
}
