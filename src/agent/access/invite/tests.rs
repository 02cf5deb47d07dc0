//! Tests of invitations: creation, use, expiry, and concurrent use.

use super::*;
use crate::agent::access::testing::{home_in, key, may_run};
use crate::agent::access::{Admission, Denied, Policy, Sources};
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const NOW: u64 = 1_900_000_000;

fn invite(home: &AgentHome, options: &[&str]) -> InviteToken {
    let options: Vec<String> = options.iter().map(|&word| word.to_owned()).collect();
    let mut rng = crate::net::rng().unwrap();
    create(home, &options, &mut rng, NOW).unwrap()
}

fn load(home: &AgentHome) -> Policy {
    let sources = Sources {
        agent: home.clone(),
        control: None,
    };
    let (policy, problems) = sources.load();
    assert!(problems.is_empty(), "{problems:?}");
    policy
}

#[test]
fn an_invited_key_is_entered_once_with_the_options_of_the_invitation() {
    let (_directory, home) = home_in();
    let path = home.authorized_keys();
    fs::write(&path, format!("# mine\n{} alice", key(1))).unwrap();
    let token = invite(&home, &["allow=uname -a", "max-jobs=2"]);

    let member = redeem(&home, &key(2), "alice", &token, NOW + 599).unwrap();
    assert_eq!(member.name, "alice-2");
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!(
            "# mine\n{} alice\n{} alice-2 allow='uname -a' max-jobs=2\n",
            key(1),
            key(2)
        )
    );
    let policy = load(&home);
    let admission = policy.authorize_session(&key(2), None, None, NOW);
    assert_eq!(admission, Ok(Admission::Member(&member)));
    assert!(may_run(&policy, &key(2), &["uname", "-a"]));
    assert!(!may_run(&policy, &key(2), &["id"]));

    let again = redeem(&home, &key(3), "mallory", &token, NOW + 1);
    assert!(matches!(again, Err(RedeemError::NoSuchInvite)));
}

#[test]
fn an_invitation_expires_after_ten_minutes_and_when_the_clock_is_set_back() {
    for now in [NOW + 600, NOW + 10_000, NOW - 1, 0, u64::MAX] {
        let (_directory, home) = home_in();
        let token = invite(&home, &[]);
        let late = redeem(&home, &key(2), "bob", &token, now);
        assert!(matches!(late, Err(RedeemError::NoSuchInvite)), "at {now}");
    }
}

#[test]
fn a_listed_key_uses_no_invitation_up() {
    let (_directory, home) = home_in();
    fs::write(
        home.authorized_keys(),
        format!("{} alice chat-only\n", key(1)),
    )
    .unwrap();
    let token = invite(&home, &[]);
    let member = redeem(&home, &key(1), "root", &token, NOW).unwrap();
    assert_eq!(member.name, "alice");
    assert!(member.options.chat_only);
    assert!(redeem(&home, &key(2), "bob", &token, NOW).is_ok());
}

#[test]
fn an_invitation_does_not_replace_a_line_with_an_error() {
    let (_directory, home) = home_in();
    fs::write(
        home.authorized_keys(),
        format!("{} alice chatonly\n", key(1)),
    )
    .unwrap();
    let token = invite(&home, &[]);
    let refused = redeem(&home, &key(1), "alice", &token, NOW);
    assert!(matches!(refused, Err(RedeemError::Refused)));
}

#[test]
fn concurrent_uses_of_one_invitation_enter_one_key() {
    let (_directory, home) = home_in();
    let token = invite(&home, &[]);
    let entered: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=8)
            .map(|n| {
                scope.spawn({
                    let (home, token) = (&home, &token);
                    move || redeem(home, &key(n), "guest", token, NOW).is_ok()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| usize::from(thread.join().unwrap()))
            .sum()
    });
    assert_eq!(entered, 1);
    let text = fs::read_to_string(home.authorized_keys()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn the_invites_file_has_no_token_and_is_readable_by_its_owner_only() {
    let (_directory, home) = home_in();
    let token = invite(&home, &["chat-only"]);
    let text = fs::read_to_string(home.invites()).unwrap();
    assert!(!text.contains(&token.to_text()));
    assert!(
        text.ends_with(&format!(" {} chat-only\n", NOW + 600)),
        "{text}"
    );
    let mode = fs::metadata(home.invites()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    fs::set_permissions(home.invites(), fs::Permissions::from_mode(0o640)).unwrap();
    let refused = redeem(&home, &key(1), "bob", &token, NOW);
    assert!(matches!(
        refused,
        Err(RedeemError::File(FileError::TooOpen(..)))
    ));
}

#[test]
fn an_invitation_is_bound_to_the_addresses_of_its_from_option() {
    let (_directory, home) = home_in();
    let token = invite(&home, &["from=10.0.0.0/8"]);
    let policy = load(&home);
    let denied = |from: [u8; 4], token: Option<&[u8; 16]>, now| {
        let from = Some(std::net::SocketAddr::from((from, 4444)).into());
        policy.authorize_session(&key(1), from, token, now).err()
    };
    let (inside, outside) = ([10, 0, 0, 1], [192, 0, 2, 1]);
    let token = Some(token.as_bytes());
    assert_eq!(denied(inside, token, NOW), None);
    assert_eq!(denied(inside, token, NOW + 600), Some(Denied::NotListed));
    assert_eq!(
        denied(outside, token, NOW),
        Some(Denied::Address(Some(outside.into())))
    );
    assert_eq!(denied(inside, Some(&[0; 16]), NOW), Some(Denied::NotListed));
    assert_eq!(denied(inside, None, NOW), Some(Denied::NotListed));
    assert_eq!(policy.next_expiry(NOW), Some(NOW + 600));
}

#[test]
fn invalid_options_make_no_invitation() {
    let (_directory, home) = home_in();
    let mut rng = crate::net::rng().unwrap();
    let error = create(&home, &["alow=ls".to_owned()], &mut rng, NOW).unwrap_err();
    assert!(
        error.to_string().starts_with("unknown option \"alow=ls\""),
        "{error}"
    );
    assert!(!home.invites().exists());
}

#[test]
fn the_number_of_open_invitations_is_bounded() {
    let (_directory, home) = home_in();
    for _ in 0..INVITES {
        invite(&home, &[]);
    }
    let mut rng = crate::net::rng().unwrap();
    let full = create(&home, &[], &mut rng, NOW);
    assert!(matches!(full, Err(CreateError::TooMany)));
    assert!(create(&home, &[], &mut rng, NOW + 600).is_ok());
}

proptest! {
    #[test]
    fn no_text_panics(text in "(.|\n){0,200}", rest in "[0-9a-z=\"' #]{0,40}") {
        parse(&text);
        parse(&format!("{} {rest}", InviteToken::from_bytes([0; 16]).hash()));
    }
}
