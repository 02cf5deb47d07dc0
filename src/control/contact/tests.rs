//! A contact fed with the ends of sessions. Sans-IO.

use super::*;

const TICKET: Ticket = Ticket {
    epoch: 1,
    offset: 0,
    rtt: Duration::from_millis(1),
    variation: Duration::ZERO,
};
const TIMEOUT: Duration = Duration::from_secs(10);

fn contact(addresses: u16) -> Contact {
    Contact::new(Config {
        slot: u32::MAX,
        agent: PublicKey([1; 32]),
        paths: (0..addresses)
            .map(|port| Path {
                socket: 0,
                local: None,
                remote: std::net::SocketAddr::from(([127, 0, 0, 1], 7000 + port)).into(),
            })
            .collect(),
        ticket: None,
        invite: None,
        contact_timeout: TIMEOUT,
        retry_for: 3 * TIMEOUT,
    })
}

fn connect(contact: &mut Contact) -> Connect {
    match contact.connect(Bytes::new()) {
        Command::Connect(connect) => connect,
        command => panic!("{command:?}"),
    }
}

fn ports(connect: &Connect) -> Vec<Option<u16>> {
    let paths = std::iter::once(&connect.path).chain(&connect.further);
    paths.map(|path| path.remote.port()).collect()
}

#[test]
fn a_session_is_tried_on_every_address_for_the_contact_timeout_and_all_are_named() {
    let mut contact = contact(3);
    let connect = connect(&mut contact);
    assert_eq!(ports(&connect), [7000, 7001, 7002].map(Some));
    assert_eq!(connect.timeout, TIMEOUT);
    assert_eq!(contact.answered_at(), None);
    let tried = "tried 127.0.0.1:7000, 127.0.0.1:7001, 127.0.0.1:7002";
    assert_eq!(
        contact.on_closed(Closed::Unreachable),
        Err(Failure::Unreachable {
            is_refused: false,
            note: Some(tried.into())
        })
    );
}

#[test]
fn the_only_address_is_not_named_again() {
    let mut contact = contact(1);
    let connect = connect(&mut contact);
    assert_eq!(ports(&connect), [Some(7000)]);
    assert_eq!(
        contact.on_closed(Closed::Unreachable),
        Err(Failure::Unreachable {
            is_refused: false,
            note: None
        })
    );
    contact.on_connected(connect.path, TICKET);
    assert_eq!(contact.answered_at(), None);
}

#[test]
fn a_refusal_is_told_once_and_explains_the_end_of_a_contact_that_goes_on() {
    let refusal = Refusal {
        reason: crate::net::RefusalReason::Port,
        reporter: Some([127, 0, 0, 1].into()),
    };
    let words = "nothing listens there (port unreachable)";
    let mut refused = contact(1);
    let path = connect(&mut refused).path;
    let told = format!("{words}; still trying, for 10s in all");
    let waiting = "no answer yet; still trying, for 10s in all";
    assert_eq!(refused.waiting().as_deref(), Some(waiting));
    assert_eq!(refused.on_refused(refusal), Some(told));
    assert_eq!(refused.on_refused(refusal), None);
    assert_eq!(refused.waiting(), None, "it was told more");
    assert_eq!(
        refused.on_closed(Closed::Unreachable),
        Err(Failure::Unreachable {
            is_refused: true,
            note: Some(words.into())
        })
    );
    let mut answered = contact(1);
    answered.on_connected(path, TICKET);
    assert_eq!(answered.on_refused(refusal), None, "it restarts");
    assert_eq!(answered.waiting(), None);
}

#[test]
fn the_next_session_tries_the_address_that_has_answered_first() {
    let mut contact = contact(3);
    let first = connect(&mut contact);
    contact.on_connected(first.further[1], TICKET);
    assert_eq!(contact.answered_at(), Some(first.further[1].remote));
    for reason in [Closed::Reset, Closed::Lost, Closed::Unreachable] {
        assert_eq!(contact.on_closed(reason), Ok(()));
        let next = connect(&mut contact);
        assert_eq!(ports(&next), [7002, 7000, 7001].map(Some));
        assert_eq!(next.ticket, Some(TICKET));
    }
}

#[test]
fn sessions_are_numbered_within_the_slot() {
    let mut contact = contact(1);
    for generation in 0..3 {
        let session = connect(&mut contact).session;
        assert_eq!(session.0 & 0xffff, generation);
        assert_eq!(session, contact.session());
        assert_eq!(Contact::slot_of(session), u32::MAX);
        assert!(session.0 < 1 << 63);
    }
}

#[test]
fn a_silent_agent_is_retried_for_the_retry_time_with_the_newest_ticket() {
    let mut contact = contact(2);
    let path = connect(&mut contact).path;
    contact.on_connected(path, TICKET);
    assert_eq!(contact.on_silence(), Ok(()));
    let next = connect(&mut contact);
    assert_eq!((next.ticket, next.timeout), (Some(TICKET), TIMEOUT));
    assert_eq!(contact.on_closed(Closed::Unreachable), Ok(()));
    assert_eq!(contact.on_silence(), Err(Failure::Lost));
    contact.on_heard();
    assert_eq!(contact.on_silence(), Ok(()));
}

#[test]
fn a_restart_a_reset_or_a_used_up_key_does_not_count_as_silence() {
    let mut contact = contact(1);
    for _ in 0..10 {
        connect(&mut contact);
        let by_peer = Closed::ByPeer {
            code: CloseCode::KeyUsedUp as u64,
            reason: String::new(),
        };
        for reason in [Closed::Restarted, Closed::Reset, Closed::KeyUsedUp, by_peer] {
            assert_eq!(contact.on_closed(reason), Ok(()));
        }
    }
}

#[test]
fn session_numbers_run_out_without_an_overflow() {
    let mut contact = contact(1);
    for _ in 0..u16::MAX {
        assert!(contact.may_connect());
        let path = connect(&mut contact).path;
        contact.on_connected(path, TICKET);
    }
    assert!(!contact.may_connect());
    assert_eq!(contact.on_closed(Closed::Lost), Err(Failure::Lost));
}
