//! Tests of the agent's user as a member.

use super::*;

/// Lets a key enter a room, and returns the names that it is told.
fn enters(scene: &mut Scene, number: u64, room: Option<&str>) -> Vec<String> {
    let request = Request::Chat {
        after: None,
        id: None,
        name: None,
        history: 0,
        room: room.map(|room| room.parse().unwrap()),
        whispers: true,
    };
    let member = known("ann");
    scene
        .chat
        .on_call(NOW, call(number), &member, request, &mut scene.outbox);
    match &scene.heard(number)[..] {
        [Reply::Joined { members, .. }] => members.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_user_of_the_agent_is_listed_in_all_rooms_while_present() {
    let mut scene = Scene::new();
    assert_eq!(enters(&mut scene, 1, None), [""; 0]);
    scene.chat.on_user_came(&mut scene.outbox);
    let came = |room: Option<&str>| Reply::Came {
        name: "host".into(),
        room: room.map(|room| room.parse().unwrap()),
    };
    assert_eq!(scene.heard(1), [came(None)]);
    assert_eq!(enters(&mut scene, 2, Some("build")), ["host"]);
    assert_eq!(enters(&mut scene, 3, None), ["host", "ann"]);
    scene.heard(1);
    scene.shown();
    // Once.
    scene.chat.on_user_came(&mut scene.outbox);
    assert_eq!(scene.heard(1), []);
    let delivered = |members| Reply::Delivered {
        number: 0,
        members,
        position: None,
    };
    scene
        .chat
        .on_line(NOW, call(1), say(0, "hello"), &mut scene.outbox);
    assert_eq!(scene.heard(1), [delivered(2)]);
    scene.heard(3);
    scene.shown();
    for _ in 0..2 {
        scene.chat.on_user_left(&mut scene.outbox);
    }
    for (number, room) in [(1, None), (2, Some("build")), (3, None)] {
        let left = Reply::Left {
            name: "host".into(),
            room: room.map(|room: &str| room.parse().unwrap()),
        };
        assert_eq!(scene.heard(number), [left]);
    }
    // It is no news to the user.
    assert_eq!(scene.shown(), [""; 0]);
    assert_eq!(enters(&mut scene, 4, Some("build")), ["ann"]);
}
