//! A chat, with the test as session layer and agent.

use super::*;
use crate::control::limits;
use crate::session::{Closed, Fault, Violation};
use crate::time::Instant;
use crate::wire::Early;

mod private;
mod rejoining;

const MEMBER: RequestId = RequestId([7; 16]);

const MEMBERSHIP: Purpose = Purpose::Chat {
    id: MEMBER,
    name: None,
    history: 0,
    room: None,
};

fn joined(name: &str, members: Vec<String>) -> Reply {
    Reply::Joined {
        position: Some(0),
        name: name.into(),
        members,
        room: None,
    }
}

const JOIN: Request = Request::Chat {
    after: None,
    id: Some(MEMBER),
    name: None,
    history: 0,
    room: None,
    whispers: true,
};

struct Scene {
    chat: ChatClient,
    sent: Lines,
    ticket: Option<Ticket>,
    /// Further addresses of the newest session.
    further: Vec<Path>,
    heard: Vec<Action>,
    closed: bool,
    finished: bool,
}

fn path(number: u8) -> Path {
    Path {
        socket: 0,
        local: None,
        remote: std::net::SocketAddr::from(([192, 0, 2, number], 7000)).into(),
    }
}

const TICKET: Ticket = Ticket {
    epoch: 1,
    offset: 0,
    rtt: Duration::from_millis(1),
    variation: Duration::ZERO,
};

/// Returns the request that joins again, with all messages behind a position.
fn rejoin(after: u64) -> Request {
    let Request::Chat { name, room, id, .. } = JOIN else {
        unreachable!("it joins a chat");
    };
    Request::Chat {
        name,
        history: u32::MAX,
        room,
        id,
        after: Some(after),
        whispers: true,
    }
}

impl Scene {
    fn new(purpose: Purpose, addresses: u8) -> Self {
        let mut scene = Self {
            chat: ChatClient::new(Config {
                slot: 3,
                purpose,
                agent: PublicKey([1; 32]),
                paths: (0..addresses).map(path).collect(),
                ticket: None,
                contact_timeout: Duration::from_secs(10),
                is_attended: false,
            }),
            sent: Lines::default(),
            ticket: None,
            further: Vec::new(),
            heard: Vec::new(),
            closed: false,
            finished: false,
        };
        scene.drain();
        scene
    }

    fn chat() -> Self {
        let mut scene = Self::new(MEMBERSHIP, 1);
        assert_eq!(scene.asked(), []);
        scene.connected();
        assert_eq!(scene.asked(), [JOIN]);
        scene.replies(&joined("ann", Vec::new()));
        scene.heard.clear();
        scene
    }

    fn drain(&mut self) {
        while let Some(action) = self.chat.poll() {
            match action {
                Action::Command(Command::Connect(connect)) => {
                    self.sent = Lines::default();
                    assert!(connect.first.is_empty(), "no early data");
                    self.ticket = connect.ticket;
                    self.further = connect.further;
                }
                Action::Command(Command::Write { data, fin, .. }) => {
                    self.sent.push(&data);
                    self.finished |= fin;
                }
                Action::Command(Command::Close { .. }) => self.closed = true,
                Action::Command(_) => {}
                action => self.heard.push(action),
            }
        }
    }

    fn on(&mut self, event: Event) {
        self.chat.on_event(event);
        self.drain();
    }

    fn connected(&mut self) {
        self.on(Event::Connected {
            session: self.chat.session(),
            path: path(0),
            at: Instant::from_micros(1),
            ticket: TICKET,
            early: Early::Accepted,
        });
    }

    fn data(&mut self, data: Bytes, fin: bool) {
        self.on(Event::Stream {
            session: self.chat.session(),
            event: StreamEvent::Data {
                stream: STREAM,
                offset: 0,
                data,
                fin,
            },
        });
    }

    fn replies(&mut self, reply: &Reply) {
        self.data(to_line(reply).into(), false);
    }

    fn closes(&mut self, reason: Closed) {
        self.on(Event::Closed {
            session: self.chat.session(),
            reason,
        });
    }

    fn asked(&mut self) -> Vec<Request> {
        std::iter::from_fn(|| self.sent.next())
            .map(Result::unwrap)
            .collect()
    }

    fn end(&self) -> Option<&End> {
        match self.heard.last() {
            Some(Action::Ended(end)) => Some(end),
            _ => None,
        }
    }
}

fn say(number: u64, text: &str) -> Request {
    let text = text.into();
    Request::Say {
        number,
        text,
        room: None,
        bot: false,
        action: false,
    }
}

fn delivered(number: u64) -> Reply {
    let members = 1;
    Reply::Delivered {
        position: None,
        number,
        members,
    }
}

#[test]
fn a_message_counts_as_delivered_when_its_receipt_arrives() {
    let mut scene = Scene::chat();
    scene.chat.say("one".into()).unwrap();
    scene.chat.say("two".into()).unwrap();
    scene.chat.leave();
    scene.drain();
    assert_eq!(scene.asked(), [say(0, "one"), say(1, "two")]);
    scene.replies(&delivered(0));
    assert!(!scene.finished);
    assert_eq!(scene.chat.undelivered().collect::<Vec<_>>(), ["two"]);
    scene.replies(&delivered(1));
    assert!(scene.finished);
    assert_eq!(scene.end(), None);
    scene.data(Bytes::new(), true);
    assert_eq!(scene.end(), Some(&End::Left));
    assert!(scene.closed);
}

#[test]
fn a_message_said_before_the_agent_answers_waits_and_follows_the_first_request() {
    let mut scene = Scene::new(MEMBERSHIP, 1);
    assert_eq!(scene.chat.say("early".into()), Ok(0));
    scene.drain();
    assert_eq!(scene.asked(), []);
    assert_eq!(scene.chat.undelivered().collect::<Vec<_>>(), ["early"]);
    scene.connected();
    let early = Request::Say {
        room: None,
        number: 0,
        text: "early".into(),
        bot: false,
        action: false,
    };
    assert_eq!(scene.asked(), [JOIN, early]);
}

#[test]
fn messages_without_a_receipt_are_named_when_the_session_is_lost() {
    let mut scene = Scene::chat();
    scene.chat.say("one".into()).unwrap();
    scene.chat.say("two".into()).unwrap();
    scene.replies(&delivered(0));
    let violation = Violation {
        frame: None,
        fault: Fault::Malformed,
    };
    scene.closes(Closed::Violation(violation));
    assert_eq!(scene.end(), Some(&End::Violation(violation)));
    assert_eq!(scene.chat.undelivered().collect::<Vec<_>>(), ["two"]);
}

#[test]
fn a_chat_for_one_message_ends_with_its_receipt() {
    let text = String::from("disk full");
    let mut scene = Scene::new(Purpose::Send { text, room: None }, 1);
    scene.connected();
    assert_eq!(scene.asked(), [say(0, "disk full")]);
    scene.data(to_line(&delivered(0)).into(), true);
    assert!(matches!(
        scene.heard[..],
        [
            Action::Learned(_),
            Action::Delivered { members: 1, .. },
            Action::Ended(End::Left)
        ]
    ));
    assert_eq!(scene.chat.undelivered().count(), 0);
}

#[test]
fn an_agent_that_ends_the_call_without_receipt_has_not_taken_it() {
    let text = String::from("disk full");
    let mut scene = Scene::new(Purpose::Send { text, room: None }, 1);
    scene.connected();
    scene.data(Bytes::new(), true);
    assert_eq!(scene.end(), Some(&End::PutOut));
    assert_eq!(scene.chat.undelivered().count(), 1);
}

#[test]
fn every_address_is_tried_and_messages_written_meanwhile_are_sent_there() {
    let mut scene = Scene::new(MEMBERSHIP, 2);
    scene.chat.say("early".into()).unwrap();
    assert_eq!(scene.further, [path(1)]);
    assert_eq!(Contact::slot_of(scene.chat.session()), 3);
    assert_eq!(scene.asked(), []);
    scene.connected();
    assert_eq!(scene.asked(), [JOIN, say(0, "early")]);

    let mut scene = Scene::new(MEMBERSHIP, 2);
    scene.closes(Closed::Unreachable);
    let end = scene.end().unwrap().to_string();
    assert!(
        end.ends_with(": tried 192.0.2.0:7000, 192.0.2.1:7000"),
        "{end}"
    );
}

#[test]
fn a_chat_that_is_left_before_an_answer_is_joined_and_left() {
    let mut scene = Scene::new(MEMBERSHIP, 1);
    scene.chat.leave();
    scene.drain();
    assert!(!scene.finished);
    scene.connected();
    assert_eq!(scene.asked(), [JOIN]);
    assert!(scene.finished);
}

#[test]
fn a_chat_that_is_drained_says_so_once_and_stays_until_it_is_left() {
    let is_drained = |scene: &Scene| {
        let drained = scene.heard.iter();
        drained
            .filter(|action| matches!(action, Action::Drained))
            .count()
    };
    let mut scene = Scene::chat();
    scene.chat.say("one".into()).unwrap();
    scene.chat.drain();
    scene.drain();
    assert_eq!((is_drained(&scene), scene.finished), (0, false));
    scene.replies(&delivered(0));
    assert_eq!((is_drained(&scene), scene.finished), (1, false));
    let text = String::from("answer");
    let from = String::from("bob");
    let unverified = false;
    scene.replies(&Reply::Said {
        position: None,
        from,
        text,
        unverified,
        cut: None,
        age_ms: None,
        room: None,
        bot: false,
        action: false,
    });
    assert!(matches!(
        scene.heard.last(),
        Some(Action::Heard(Reply::Said { .. }))
    ));
    scene.chat.leave();
    scene.drain();
    assert!(scene.finished);
    assert_eq!(is_drained(&scene), 1);
}

#[test]
fn a_refusal_is_about_the_chat_first_and_then_about_the_oldest_message() {
    let reason = || String::from("no");
    let refusal = Reply::Unsupported { reason: reason() };
    let mut scene = Scene::chat();
    scene.chat.say("one".into()).unwrap();
    scene.chat.say("two".into()).unwrap();
    scene.replies(&refusal);
    scene.replies(&delivered(1));
    let [
        Action::Refused {
            number: 0, text, ..
        },
        Action::Delivered { number: 1, .. },
    ] = &scene.heard[..]
    else {
        panic!("{:?}", scene.heard);
    };
    assert_eq!(text, "one");

    let mut scene = Scene::new(MEMBERSHIP, 1);
    scene.chat.say("one".into()).unwrap();
    scene.connected();
    scene.replies(&refusal);
    assert_eq!(scene.end(), Some(&End::Refused(reason())));
    assert_eq!(scene.chat.undelivered().count(), 1);
}

#[test]
fn messages_in_flight_are_bounded_and_long_ones_refused() {
    let mut scene = Scene::chat();
    assert_eq!(scene.chat.say("x".repeat(CHAT_TEXT + 1)), Err(TooLong));
    let mut said = 0;
    while scene.chat.has_room() {
        scene.chat.say("x".into()).unwrap();
        said += 1;
    }
    assert_eq!(said, limits::CHAT_MESSAGES);
    scene.replies(&delivered(0));
    assert!(scene.chat.has_room());
}

#[test]
fn no_reply_of_an_agent_panics() {
    for hostile in [
        &b"\n\n\n"[..],
        b"{\"v\":1,\"delivered\":{\"number\":18446744073709551615,\"members\":0}}\n",
        b"{\"v\":1,\"later\":{}}\n{\"v\":9}\n[]\nnull\n",
        b"\xff\xfe\n",
    ] {
        let mut scene = Scene::chat();
        scene.data(Bytes::from_static(hostile), false);
        assert!(scene.heard.is_empty(), "{:?}", scene.heard);
    }
    let mut scene = Scene::chat();
    scene.data(vec![b'x'; crate::message::limits::LINE + 1].into(), false);
    assert!(matches!(scene.end(), Some(End::LineTooLong)));
}
