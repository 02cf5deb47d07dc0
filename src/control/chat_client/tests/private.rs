//! Actions and private messages.

use super::*;

fn private(scene: &mut Scene, to: &str, text: &str) -> Result<u64, TooLong> {
    let kind = Kind::Private { to: to.into() };
    let number = scene.chat.say_as(kind, text.into());
    scene.drain();
    number
}

fn whisper(number: u64, to: &str, text: &str) -> Request {
    let (to, text) = (to.into(), text.into());
    Request::Whisper { number, to, text }
}

#[test]
fn an_action_and_a_private_message_are_named_as_they_are_typed() {
    let mut scene = Scene::chat();
    scene.chat.say_as(Kind::Action, "waves".into()).unwrap();
    private(&mut scene, "bob#2", "psst").unwrap();
    let action = Request::Say {
        number: 0,
        text: "waves".into(),
        room: None,
        bot: false,
        action: true,
    };
    assert_eq!(scene.asked(), [action, whisper(1, "bob#2", "psst")]);
    let undelivered: Vec<_> = scene.chat.undelivered().collect();
    assert_eq!(undelivered, ["/me waves", "/msg bob#2 psst"]);
    scene.replies(&delivered(0));
    let reason = String::from("nobody here is named bob#2");
    scene.replies(&Reply::Unsupported {
        reason: reason.clone(),
    });
    match scene.heard.last() {
        Some(Action::Refused {
            number: 1,
            text,
            reason: why,
        }) => assert_eq!((&text[..], why), ("/msg bob#2 psst", &reason)),
        other => panic!("{other:?}"),
    }
    assert_eq!(scene.chat.undelivered().count(), 0);
}

#[test]
fn a_private_message_with_a_long_name_or_text_is_not_sent() {
    let mut scene = Scene::chat();
    for (to, text) in [(MEMBER_NAME + 1, 1), (1, CHAT_TEXT + 1)] {
        let (to, text) = ("x".repeat(to), "x".repeat(text));
        assert_eq!(private(&mut scene, &to, &text), Err(TooLong));
    }
    let to = "x".repeat(MEMBER_NAME);
    assert_eq!(private(&mut scene, &to, &"x".repeat(CHAT_TEXT)), Ok(0));
    assert_eq!(scene.asked().len(), 1);
}

#[test]
fn an_agent_that_does_not_know_private_messages_is_named_as_too_old() {
    let mut scene = Scene::chat();
    private(&mut scene, "bob", "psst").unwrap();
    let reason = "unknown variant `whisper`, expected one of `exec`, `say`".into();
    scene.replies(&Reply::Unsupported { reason });
    let Some(Action::Refused { reason, .. }) = scene.heard.last() else {
        panic!("{:?}", scene.heard);
    };
    assert_eq!(reason, "the agent is too old for private messages");
}

#[test]
fn a_private_message_is_not_sent_again_when_the_chat_is_joined_again() {
    let mut scene = Scene::chat();
    scene.chat.say("public".into()).unwrap();
    private(&mut scene, "bob#2", "before").unwrap();
    scene.asked();
    scene.closes(Closed::Lost);
    private(&mut scene, "bob#2", "meanwhile").unwrap();
    scene.heard.clear();
    scene.connected();
    // The name may be that of another session now.
    assert_eq!(scene.asked(), [rejoin(0), say(0, "public")]);
    let refused = scene.heard.iter().filter_map(|action| match action {
        Action::Refused { text, .. } => Some(&text[..]),
        _ => None,
    });
    let refused: Vec<_> = refused.collect();
    assert_eq!(refused, ["/msg bob#2 before", "/msg bob#2 meanwhile"]);
    scene.replies(&joined("ann", vec!["bob#2".into()]));
    private(&mut scene, "bob#2", "after").unwrap();
    assert_eq!(scene.asked(), [whisper(3, "bob#2", "after")]);
}
