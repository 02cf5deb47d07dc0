//! LIMITS of udpagent-protocol(7) and BOUNDS PER KEY of udpagent.toml(5): the values are those of the code.

use std::collections::BTreeMap;
use std::time::Duration;

use udpagent::agent::limits as agent;
use udpagent::control::limits as control;
use udpagent::crypto::Initiator;
use udpagent::session::limits as session;
use udpagent::{message, net, wire};

use super::protocol::{page, section};

const fn ms(duration: Duration) -> u64 {
    duration.as_secs() * 1000 + duration.subsec_millis() as u64
}

/// Rows of LIMITS about datagrams and handshakes, with the constants behind them.
fn of_handshakes() -> Vec<(&'static str, u64)> {
    let s = |duration: Duration| duration.as_secs();
    let hello = wire::Frame::Hello(wire::Hello {
        epoch: 0,
        agent_time: Duration::ZERO,
        session: wire::SessionId(0),
        early: wire::Early::Accepted,
        invite: None,
        reset_token: None,
        max_datagram: wire::limits::MAX_DATAGRAM as u64,
    });
    let fixed = wire::limits::INIT_HEADER + wire::limits::TOKEN + Initiator::OVERHEAD;
    let early = wire::limits::MIN_DATAGRAM - fixed - hello.size() - wire::limits::MAC;
    let probe = session::INITIAL_RTT * 3 + session::MAX_ACK_DELAY;
    vec![
        (
            "INIT; any datagram unless more is known to pass",
            wire::limits::MIN_DATAGRAM as u64,
        ),
        ("early frames", early as u64),
        (
            "INITs of a session under way, of an address",
            session::INITS as u64,
        ),
        ("repeats of an INIT", session::INIT_REPEATS.into()),
        ("repeat over a long path", session::PROBES.into()),
        ("round-trip time of a long path", ms(session::COPIED_RTT)),
        (
            "resets followed before RESP",
            session::RESETS_FOLLOWED.into(),
        ),
        (
            "interval of resets of a session, at least",
            ms(session::RESET_INTERVAL),
        ),
        ("interval of repeats, first", ms(probe)),
        (
            "interval of repeats, at most",
            ms(session::MAX_INIT_TIMEOUT),
        ),
        (
            "interval of repeats, first, after a RETRY",
            ms(session::BUSY),
        ),
        (
            "RETRYs followed for a session, of an address",
            session::RETRIES.into(),
        ),
        (
            "INITs waiting before RETRY",
            session::HANDSHAKES_BEFORE_RETRY as u64,
        ),
        ("INITs waiting", session::HANDSHAKE_QUEUE as u64),
        ("INITs remembered", session::INIT_REGISTER as u64),
        (
            "INITs remembered, at least for",
            s(session::INIT_REGISTER_AGE),
        ),
        (
            "error of the agent time for early frames",
            s(session::EARLY_SKEW),
        ),
        ("session not confirmed", s(session::UNCONFIRMED)),
        ("sessions of an agent", session::SESSIONS as u64),
        ("silence until a session is over", s(session::IDLE)),
        ("silence until PING, with open calls", s(session::KEEPALIVE)),
        (
            "silence until PING, awaiting exit",
            s(control::CONTACT_TIMEOUT / 2),
        ),
        (
            "silence until a session is lost, awaiting exit",
            s(control::CONTACT_TIMEOUT),
        ),
    ]
}

/// Rows of LIMITS about addresses: the amplification limit, and a host with several.
fn of_addresses() -> Vec<(&'static str, u64)> {
    vec![
        ("addresses tried for a session", session::PATHS as u64),
        ("delay before the next address", ms(session::ATTEMPT_DELAY)),
        (
            "delay before the next address, at least",
            ms(session::ATTEMPT_DELAY_MIN),
        ),
        (
            "octets sent per octet received, not validated",
            session::AMPLIFICATION,
        ),
        (
            "octets sent besides, not validated, but remembered",
            session::KNOWN_ADDRESS_BUDGET,
        ),
    ]
}

/// Rows of LIMITS about the share of a key or network.
fn of_shares() -> Vec<(&'static str, u64)> {
    let per_second = |rate: udpagent::session::Rate| 1000 / ms(rate.interval);
    vec![
        (
            "INITs of a network that lead to no session",
            per_second(session::NETWORK_INITS),
        ),
        (
            "INITs without token that lead to no session",
            per_second(session::UNVALIDATED_INITS),
        ),
        ("INITs of a key", per_second(session::KEY_INITS)),
        ("uses of a token", session::TOKEN_USES.into()),
        (
            "sessions not confirmed, of a key",
            session::UNCONFIRMED_PER_KEY as u64,
        ),
        ("sessions of a key", session::SESSIONS_PER_KEY as u64),
        ("octets beyond gaps, of a key", session::GAP_BYTES_PER_KEY),
        ("octets beyond gaps, in all", session::GAP_BYTES),
        (
            "octets in order not processed, of a key",
            session::READY_BYTES_PER_KEY,
        ),
        (
            "octets in order not processed, in all",
            session::READY_BYTES,
        ),
        (
            "INITs remembered, of a key",
            session::INIT_REGISTER_PER_KEY as u64,
        ),
        ("calls open, of a key", session::CALLS_PER_KEY),
    ]
}

/// Rows of LIMITS about DATA, recovery and streams.
fn of_streams() -> Vec<(&'static str, u64)> {
    vec![
        ("octets under one key", session::BYTES_PER_KEY),
        ("ranges in an ACK", wire::limits::ACK_RANGES as u64),
        ("acknowledgement delay", ms(session::MAX_ACK_DELAY)),
        ("datagrams until an ACK is due", session::ACK_EVERY.into()),
        ("octets until an ACK is due", session::ACK_BYTES as u64),
        (
            "octets sent before larger datagrams are probed",
            session::SIZE_PROBING_BYTES,
        ),
        (
            "lost probes that rule a size out",
            session::SIZE_PROBES.into(),
        ),
        ("size ruled out for", session::SIZE_LIFETIME.as_secs()),
        (
            "round-trip time before the first sample",
            ms(session::INITIAL_RTT),
        ),
        (
            "PATH_CHALLENGE, sent in all to an address",
            session::CHALLENGES as u64,
        ),
        ("packet threshold at first", session::PACKET_THRESHOLD),
        ("packet threshold, at most", session::MAX_PACKET_THRESHOLD),
        ("probe timeout, at most", ms(session::MAX_PTO)),
        ("CLOSE, sent in all", session::CLOSE_REPEATS.into()),
        ("text of CLOSE", wire::limits::CLOSE_REASON as u64),
        ("credit of a half at first", session::INITIAL_STREAM_CREDIT),
        (
            "credit of a session's direction at first",
            session::INITIAL_SESSION_CREDIT,
        ),
        (
            "pieces of a half beyond a gap, at first",
            session::STREAM_GAPS as u64,
        ),
        (
            "credit of a half beyond what is consumed",
            session::STREAM_WINDOW,
        ),
        (
            "credit of a half when it has grown",
            session::MAX_STREAM_WINDOW,
        ),
        ("growth of all such credit", session::WINDOW_GROWTH),
        ("growth of that of a key", session::WINDOW_GROWTH_PER_KEY),
        ("calls open, for a controller", session::CALLS as u64),
        (
            "calls open, until a violation",
            session::CALLS_TOLERATED as u64,
        ),
        ("output held that is not consumed", agent::LANE),
    ]
}

/// Rows of LIMITS about messages and jobs.
fn of_messages() -> Vec<(&'static str, u64)> {
    let s = |duration: Duration| duration.as_secs();
    vec![
        ("line", message::limits::LINE as u64),
        (
            "lines without end in a session",
            agent::PARTIAL_LINES as u64,
        ),
        (
            "lines of a call that are no requests",
            agent::INVALID_LINES.into(),
        ),
        (
            "further lines of a call about a job",
            agent::CALL_LINES.into(),
        ),
        ("script", message::limits::SCRIPT as u64),
        ("chat message", message::limits::CHAT_TEXT as u64),
        ("chat name wished for", agent::CHAT_NAME as u64),
        ("name of a room", message::limits::ROOM_NAME as u64),
        ("rooms of a chat", agent::CHAT_ROOMS as u64),
        (
            "rooms of a chat, of a key",
            agent::CHAT_ROOMS_PER_KEY as u64,
        ),
        ("messages of a room kept", agent::MAX_CHAT_HISTORY as u64),
        ("octets of a message kept", agent::CHAT_HISTORY_TEXT as u64),
        (
            "octets of all messages of a room kept",
            agent::CHAT_HISTORY_BYTES as u64,
        ),
        (
            "octets of all messages kept",
            agent::CHAT_HISTORY_TOTAL as u64,
        ),
        ("members of a chat", agent::CHAT_MEMBERS as u64),
        (
            "members of a chat, of a key",
            agent::CHAT_MEMBERS_PER_KEY as u64,
        ),
        ("screen in accepted", agent::SCREEN as u64),
        (
            "rows and columns of a picture",
            message::limits::WINDOW.into(),
        ),
        ("calls waiting for a job", agent::WAITERS as u64),
        ("lease, unless given", s(agent::LEASE)),
        ("lease, at least", s(agent::MIN_LEASE)),
        (
            "lease and timeout, at most",
            s(agent::MAX_WAIT) / (24 * 3600),
        ),
        ("result held", s(agent::RETENTION)),
        ("results held", agent::JOBS_ENDED as u64),
        ("output of results held", agent::ENDED_OUTPUT),
        ("results held for one key", agent::JOBS_ENDED_PER_KEY as u64),
        (
            "output of results held for one key",
            agent::ENDED_OUTPUT_PER_KEY,
        ),
        ("consumed output held with retain", agent::RETAINED_OUTPUT),
        ("request ids remembered", agent::REGISTER as u64),
        (
            "request ids remembered for one key",
            agent::REGISTER_PER_KEY as u64,
        ),
        ("plain text shown", net::limits::PLAIN as u64),
    ]
}

/// Returns the rows of a table, by their first cell: the value is in the second.
fn rows(section: &str) -> BTreeMap<&str, u64> {
    let mut rows = BTreeMap::new();
    for line in section.lines() {
        let row = line.strip_prefix(".It ").unwrap_or_default();
        let mut cells = row.split(" Ta ");
        if let (Some(name), Some(value)) = (cells.next(), cells.next())
            && let Ok(value) = value.parse()
        {
            assert_eq!(rows.insert(name, value), None, "{name} twice");
        }
    }
    rows
}

#[test]
fn the_limits_shown_are_those_of_the_code() {
    let limits_section = section(&page(), "LIMITS");
    let shown = rows(&limits_section);
    let limits = [
        of_handshakes(),
        of_addresses(),
        of_shares(),
        of_streams(),
        of_messages(),
    ]
    .concat();
    for &(name, value) in &limits {
        assert_eq!(shown.get(name), Some(&value), "{name}");
    }
    // Bounds of modules that are not public; their own tests hold them.
    let others = [
        "validity of a RETRY token",
        "replay window",
        "consumption until a report is due",
    ];
    assert_eq!(shown.len(), limits.len() + others.len());
}

#[test]
fn the_bounds_per_key_shown_are_those_of_the_code() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("man/udpagent.toml.5");
    let page = std::fs::read_to_string(path).unwrap();
    let bounds = BTreeMap::from([
        ("sessions", session::SESSIONS_PER_KEY as u64),
        ("half-open handshakes", session::UNCONFIRMED_PER_KEY as u64),
        ("new handshakes", 1000 / ms(session::KEY_INITS.interval)),
        ("new handshakes at once", session::KEY_INITS.burst.into()),
        (
            "handshakes remembered",
            session::INIT_REGISTER_PER_KEY as u64,
        ),
        ("open calls", session::CALLS_PER_KEY),
        ("unfinished lines", agent::UNREAD_PER_KEY as u64),
        ("data beyond gaps", session::GAP_BYTES_PER_KEY),
        ("data not yet processed", session::READY_BYTES_PER_KEY),
        ("larger windows", session::WINDOW_GROWTH_PER_KEY),
        ("terminal screens", agent::SCREEN_CELLS_PER_KEY),
        ("ended commands", agent::JOBS_ENDED_PER_KEY as u64),
        ("output of ended commands", agent::ENDED_OUTPUT_PER_KEY),
        ("output of running commands", agent::OUTPUT_PER_KEY),
        ("running commands", agent::jobs_per_key(agent::JOBS) as u64),
        ("ids of forgotten results", agent::REGISTER_PER_KEY as u64),
        ("members of the chat", agent::CHAT_MEMBERS_PER_KEY as u64),
        ("rooms of the chat", agent::CHAT_ROOMS_PER_KEY as u64),
        ("messages of the chat", 1000 / ms(agent::CHAT_MESSAGE_PRICE)),
        (
            "messages of the chat at once",
            ms(agent::CHAT_BURST) / ms(agent::CHAT_MESSAGE_PRICE),
        ),
        (
            "text of the chat",
            1_000_000 / u64::from(agent::CHAT_BYTE_PRICE.subsec_micros()),
        ),
    ]);
    assert_eq!(rows(&section(&page, "BOUNDS PER KEY")), bounds);
    // The agent counts calls too, behind the session layer.
    assert_eq!(agent::CALLS_PER_KEY as u64, session::CALLS_PER_KEY);
    let least = format!("The default is {};", session::SESSIONS_PER_KEY);
    let most = format!("at most {}.", session::SESSIONS);
    assert!(page.contains(&least) && page.contains(&most));
}
