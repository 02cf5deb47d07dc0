//! Jobs of other keys: `--all` of jobs, attach, wait and kill, for keys with `admin` and for no others.

use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::{Value, json};

use crate::harness::{Agent, User, eventually};

const ID: &str = "000000000000000000000000000000aa";

/// A host whose agent knows a guest, an administrator and a key without rights over others.
struct Scene {
    host: User,
    guest: User,
    admin: User,
    other: User,
    agent: Agent,
}

impl Scene {
    fn new() -> Self {
        let [host, guest, admin, other] = [(); 4].map(|()| User::new());
        let line = |user: &User, rest: &str| format!("{} {rest}\n", id(user));
        let lines = [
            line(&guest, "guest"),
            line(&admin, "ops admin"),
            line(&other, "other"),
        ];
        std::fs::create_dir_all(host.path("config/udpagent")).unwrap();
        std::fs::write(host.path("config/udpagent/authorized_keys"), lines.concat()).unwrap();
        host.write_config(&format!("audit-file = '{}'", host.path("audit").display()));
        let agent = host.agent();
        for user in [&guest, &admin, &other] {
            let target = agent.target();
            user.udpctl(["trust", &target, agent.key()])
                .stdout(format!("{target} is trusted now\n"))
                .run();
        }
        Self {
            host,
            guest,
            admin,
            other,
            agent,
        }
    }

    /// Starts a job of the guest.
    fn start(&self, id: &str, script: &str) {
        let target = self.agent.target();
        let args = ["exec", &target, "--detach", "--id", id, "--shell", script];
        let outcome = self.guest.udpctl(args).outcome();
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    }

    /// Waits for a record of the audit with these members.
    fn recorded(&self, members: &Value) -> Value {
        let wanted = members.as_object().unwrap();
        let mut found = None;
        eventually(&format!("a record {members}"), || {
            let text = std::fs::read_to_string(self.host.path("audit")).unwrap();
            let mut records = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            found = records.find(|record: &Value| {
                let mut wanted = wanted.iter();
                wanted.all(|(name, value)| record[name] == *value)
            });
            found.is_some()
        });
        found.unwrap()
    }
}

fn id(user: &User) -> String {
    let id = user.udpctl(["id"]).outcome().stdout;
    String::from_utf8(id).unwrap().trim().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn an_administrator_lists_attaches_to_waits_for_and_kills_the_jobs_of_other_keys() {
    let scene = Scene::new();
    let target = scene.agent.target();
    let go = scene.host.path("go");
    mkfifoat(CWD, &go, Mode::RWXU).unwrap();
    scene.start(ID, &format!("echo begin; cat {}; exit 5", go.display()));
    let listed = scene.admin.udpctl(["jobs", "--all", &target]).outcome();
    let listed = text(&listed.stdout);
    let [heading, row] = listed.lines().collect::<Vec<_>>()[..] else {
        panic!("{listed}")
    };
    assert!(heading.starts_with("KEY               JOB "), "{listed}");
    assert!(
        row.starts_with(&format!("guest             {ID} ")),
        "{listed}"
    );
    let json = scene
        .admin
        .udpctl(["jobs", "--all", "--json", &target])
        .outcome();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&json["name"], &json["key"]),
        (&json!("guest"), &json!(id(&scene.guest)))
    );
    // The agent's own user is an administrator without a line.
    let own = scene.host.udpctl(["jobs", "--all", &target]).outcome();
    assert!(text(&own.stdout).contains(ID), "{}", own.stderr);
    let alone = scene.admin.udpctl(["jobs", &target]).outcome();
    assert!(!text(&alone.stdout).contains(ID));

    std::fs::write(&go, "hello\n").unwrap();
    let waited = scene
        .admin
        .udpctl(["wait", "--all", &target, &ID[..30]])
        .outcome();
    assert_eq!(waited.status, 5, "{}", waited.stderr);
    scene
        .admin
        .udpctl(["attach", "--all", &target, ID])
        .stdout("begin\nhello\n")
        .status(5)
        .run();

    let other = ID.replace('a', "b");
    scene.start(&other, "exec sleep 600");
    scene
        .admin
        .udpctl(["kill", "--all", "-s", "KILL", &target, &other])
        .run();
    let waited = scene.guest.udpctl(["wait", &target, &other]).outcome();
    assert_eq!(waited.status, 137, "{}", waited.stderr);
    let admin = id(&scene.admin);
    for event in [
        json!({"event": "attached", "request": ID}),
        json!({"event": "signaled", "request": other, "signal": 9}),
    ] {
        let record = scene.recorded(&event);
        assert_eq!(
            (&record["name"], &record["key"]),
            (&json!("ops"), &json!(admin)),
            "{record}"
        );
    }
}

#[test]
fn a_key_without_admin_is_only_told_that_it_is_denied() {
    let scene = Scene::new();
    let target = scene.agent.target();
    scene.start(ID, "exec sleep 600");
    for verb in [
        &["jobs"][..],
        &["attach"],
        &["wait"],
        &["kill"],
        &["kill", "-s", "KILL"],
    ] {
        let mut args = [verb, &["--all", &target]].concat();
        if verb != ["jobs"] {
            args.push(ID);
        }
        let status = match verb {
            ["attach" | "wait"] => 255,
            _ => 1,
        };
        scene
            .other
            .udpctl(args)
            .stdout("")
            .stderr(format!("udpctl: {target}: denied\n"))
            .status(status)
            .run();
    }
    // Without --all the job of another key does not exist.
    let outcome = scene.other.udpctl(["kill", &target, ID]).outcome();
    assert!(
        outcome.stderr.contains("does not know"),
        "{}",
        outcome.stderr
    );
    let denied = scene.recorded(&json!({"event": "denied", "name": "other"}));
    assert_eq!(
        denied["reason"],
        "this key has no admin: it may not use the owner's tools"
    );
    assert_eq!(denied["outcome"], json!({"denied": {}}));
    let listed = scene.guest.udpctl(["jobs", &target]).outcome();
    assert!(
        text(&listed.stdout).contains("running, "),
        "{}",
        text(&listed.stdout)
    );
    scene
        .guest
        .udpctl(["kill", &target, ID, "-s", "KILL"])
        .run();
}
