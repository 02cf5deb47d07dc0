//! Names of members, as the members and the agent see them.

use super::*;

#[test]
fn a_joining_member_gets_the_list_of_members_and_the_others_are_told() {
    let mut scene = Scene::new();
    scene.join(1, "ann");
    scene.join(2, "ann");
    scene.join(3, "host");
    let joined = |name: &str, members: &[&str]| Reply::Joined {
        position: None,
        name: name.into(),
        room: None,
        members: members.iter().map(|&member| member.into()).collect(),
    };
    let came = |name: &str| Reply::Came {
        name: name.into(),
        room: None,
    };
    assert_eq!(
        scene.heard(1),
        [joined("ann", &[]), came("ann#2"), came("(host)")]
    );
    assert_eq!(scene.heard(2), [joined("ann#2", &["ann"]), came("(host)")]);
    scene.chat.on_gone(NOW, call(2), &mut scene.outbox);
    assert!(scene.has_ended(2));
    let name = "ann#2".into();
    assert_eq!(scene.heard(1), [Reply::Left { name, room: None }]);
    assert_eq!(
        scene.shown(),
        [
            "* ann came",
            "* ann#2 came",
            "* (host) came",
            "* ann#2 left"
        ]
    );
}

#[test]
fn a_key_with_the_name_of_the_agent_does_not_speak_as_its_user() {
    let mut scene = Scene::with(&["ann", "host"]);
    scene.says(2, 0, "as a member");
    let request = say(0, "without joining");
    scene
        .chat
        .on_call(NOW, call(9), &known("Host"), request, &mut scene.outbox);
    scene
        .chat
        .on_typed(NOW, "from the agent", &mut scene.outbox);
    assert_eq!(
        scene.heard(1),
        [
            said("(host)", "as a member"),
            said("(Host)", "without joining"),
            said("host", "from the agent")
        ]
    );
}
