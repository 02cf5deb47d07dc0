//! Silence of the agent, and joining again after a session was lost.
//!
//! Not the delivery of messages in one session.

use super::*;

fn said(position: Option<u64>) -> Reply {
    Reply::Said {
        action: false,
        cut: None,
        from: "bob".into(),
        text: "x".into(),
        unverified: false,
        age_ms: None,
        room: None,
        bot: false,
        position,
    }
}

#[test]
fn a_lost_chat_is_joined_again_and_messages_without_a_receipt_sent_again() {
    let mut scene = Scene::chat();
    scene.chat.say("one".into()).unwrap();
    scene.chat.say("two".into()).unwrap();
    scene.replies(&delivered(0));
    let first = scene.chat.session();
    scene.heard.clear();
    scene.closes(Closed::Lost);
    scene.closes(Closed::Unreachable);
    assert_ne!(scene.chat.session(), first);
    scene.connected();
    assert_eq!(scene.asked(), [rejoin(0), say(1, "two")]);
    scene.replies(&joined("ann-2", vec!["ann".into()]));
    scene.replies(&delivered(1));
    assert_eq!(scene.chat.undelivered().count(), 0);
    assert!(
        matches!(
            scene.heard[..],
            [
                Action::Silent {
                    silence: Duration::ZERO
                },
                Action::Learned(_),
                Action::Back,
                Action::Heard(Reply::Joined { .. }),
                Action::Delivered { number: 1, .. }
            ]
        ),
        "{:?}",
        scene.heard
    );
}

#[test]
fn a_chat_is_joined_again_with_the_newest_ticket_after_a_restart_a_reset_or_a_used_up_key() {
    let mut scene = Scene::chat();
    for reason in [Closed::KeyUsedUp, Closed::Restarted, Closed::Reset] {
        scene.closes(reason);
        assert_eq!(scene.end(), None);
        assert_eq!(scene.ticket, Some(TICKET));
        scene.connected();
        assert_eq!(scene.asked(), [rejoin(0)]);
        scene.replies(&joined("ann", Vec::new()));
    }
}

#[test]
fn a_member_that_joins_again_requests_what_is_behind_the_last_position_that_it_has_seen() {
    let mut scene = Scene::chat();
    scene.replies(&said(Some(5)));
    scene.replies(&said(None));
    assert!(matches!(
        scene.heard[..],
        [.., Action::Heard(Reply::Said { position: None, .. }), _]
    ));
    scene.closes(Closed::Lost);
    scene.connected();
    assert_eq!(scene.asked(), [rejoin(5)]);
    // The session is lost before what was said meanwhile has arrived.
    let Reply::Joined {
        name,
        members,
        room,
        ..
    } = joined("ann", Vec::new())
    else {
        unreachable!("as it says");
    };
    let position = Some(9);
    scene.replies(&Reply::Joined {
        name,
        members,
        room,
        position,
    });
    scene.replies(&said(Some(6)));
    scene.closes(Closed::Lost);
    scene.connected();
    assert_eq!(scene.asked(), [rejoin(6)]);
    scene.replies(&joined("ann", Vec::new()));
    scene.chat.say("one".into()).unwrap();
    let (number, members, position) = (0, 1, Some(7));
    scene.replies(&Reply::Delivered {
        number,
        members,
        position,
    });
    scene.closes(Closed::Lost);
    scene.connected();
    assert_eq!(scene.asked(), [rejoin(7)]);
}

#[test]
fn a_chat_is_joined_again_for_as_long_as_its_user_stays() {
    let mut scene = Scene::chat();
    scene.chat.say("one".into()).unwrap();
    scene.closes(Closed::Lost);
    // More attempts than there are handles.
    for _ in 0..=u32::from(u16::MAX) {
        scene.closes(Closed::Unreachable);
        assert_eq!(scene.end(), None);
    }
    scene.connected();
    assert_eq!(scene.asked(), [rejoin(0), say(0, "one")]);

    let mut scene = Scene::chat();
    scene.closes(Closed::Lost);
    scene.chat.leave();
    scene.drain();
    assert_eq!(scene.end(), Some(&End::Left));
}

#[test]
fn an_agent_that_ends_one_session_after_the_other_is_given_up() {
    let mut scene = Scene::chat();
    scene.chat.say("one".into()).unwrap();
    for _ in 0..=limits::REJOINS {
        assert_eq!(scene.end(), None);
        scene.closes(Closed::Reset);
    }
    assert_eq!(scene.end(), Some(&End::Lost));
    assert_eq!(scene.chat.undelivered().collect::<Vec<_>>(), ["one"]);
}

#[test]
fn a_person_waits_for_an_agent_that_was_shut_down_and_a_script_does_not() {
    for (is_attended, is_fin) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut scene = Scene::chat();
        scene.chat.is_attended = is_attended;
        if is_fin {
            // The end of the call may arrive before that of the session.
            scene.data(Bytes::new(), true);
        } else {
            scene.closes(Closed::ByPeer {
                code: CloseCode::Shutdown as u64,
                reason: "the agent ends".into(),
            });
        }
        assert_eq!(scene.end().is_none(), is_attended);
        if is_attended {
            scene.closes(Closed::Unreachable);
            scene.connected();
            assert_eq!(scene.asked(), [rejoin(0)]);
        }
    }
}

#[test]
fn a_silent_agent_is_reported_during_a_chat_and_ends_one_that_is_left() {
    let mut scene = Scene::chat();
    let session = scene.chat.session();
    scene.on(Event::Silent { session });
    assert!(matches!(
        scene.heard[..],
        [Action::Silent {
            silence: limits::CHAT_SILENCE
        }]
    ));
    scene.on(Event::Heard { session });
    scene.chat.say("one".into()).unwrap();
    scene.chat.leave();
    scene.on(Event::Silent { session });
    assert_eq!(scene.end(), Some(&End::Lost));
    assert_eq!(scene.chat.undelivered().count(), 1);
}

#[test]
fn a_person_gets_another_session_after_a_silence_because_the_agent_may_have_been_started_again() {
    let mut scene = Scene::chat();
    scene.chat.is_attended = true;
    scene.chat.say("one".into()).unwrap();
    let session = scene.chat.session();
    scene.on(Event::Silent { session });
    assert!(
        matches!(scene.heard[0], Action::Silent { silence } if silence == limits::ATTENDED_SILENCE)
    );
    assert!(scene.closed);
    assert_ne!(scene.chat.session(), session);
    scene.asked();
    scene.connected();
    assert_eq!(scene.asked(), [rejoin(0), say(0, "one")]);
    assert_eq!(scene.end(), None);
}

#[test]
fn a_program_that_waits_for_receipts_gets_another_session_after_a_silence() {
    let mut scene = Scene::chat();
    let session = scene.chat.session();
    // One that only listens waits for the agent.
    scene.on(Event::Silent { session });
    assert!(!scene.closed);
    assert_eq!(scene.chat.vigilance().0, limits::CHAT_SILENCE);
    scene.chat.say("one".into()).unwrap();
    assert!(scene.chat.vigilance().0 < limits::CHAT_SILENCE);
    scene.on(Event::Silent { session });
    assert!(scene.closed);
    assert_ne!(scene.chat.session(), session);
    scene.asked();
    scene.connected();
    assert_eq!(scene.asked(), [rejoin(0), say(0, "one")]);
    assert_eq!(scene.end(), None);
}

#[test]
fn an_agent_that_answers_and_takes_nobody_as_a_member_is_asked_again_after_a_silence() {
    let mut scene = Scene::chat();
    scene.closes(Closed::Lost);
    scene.connected();
    let session = scene.chat.session();
    scene.heard.clear();
    scene.on(Event::Silent { session });
    assert_ne!(scene.chat.session(), session);
    assert!(scene.closed && scene.heard.is_empty(), "{:?}", scene.heard);
    scene.connected();
    assert_eq!(scene.asked(), [rejoin(0)]);
}

#[test]
fn a_silence_after_the_end_of_the_input_is_answered_with_one_more_session() {
    let silent = |scene: &mut Scene| {
        let session = scene.chat.session();
        scene.on(Event::Silent { session });
    };
    for is_back in [true, false] {
        let mut scene = Scene::chat();
        scene.chat.say("one".into()).unwrap();
        scene.chat.drain();
        scene.drain();
        silent(&mut scene);
        assert_eq!(scene.end(), None);
        if is_back {
            scene.connected();
            assert_eq!(scene.asked(), [rejoin(0), say(0, "one")]);
            scene.replies(&joined("ann", Vec::new()));
            silent(&mut scene);
        } else {
            scene.closes(Closed::Unreachable);
        }
        assert_eq!(scene.end(), Some(&End::Lost));
        assert_eq!(scene.chat.undelivered().collect::<Vec<_>>(), ["one"]);
    }
    // The input may end while the chat joins again.
    let mut scene = Scene::chat();
    scene.chat.say("one".into()).unwrap();
    silent(&mut scene);
    scene.chat.drain();
    scene.drain();
    assert_eq!(scene.end(), None);
    scene.closes(Closed::Unreachable);
    assert_eq!(scene.end(), Some(&End::Lost));
}
