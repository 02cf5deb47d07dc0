//! `udpagent check`: its answers match the agent's decisions.

use std::fmt::Write as _;

use crate::harness::User;

fn id(user: &User) -> String {
    let id = user.udpctl(["id"]).outcome().stdout;
    String::from_utf8(id).unwrap().trim().to_owned()
}

fn own_name() -> String {
    let output = std::process::Command::new("id")
        .arg("-un")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A host with one line for each element of `options`, and the keys of those lines.
fn host(options: &[&str]) -> (User, Vec<String>) {
    let user = User::new();
    std::fs::create_dir_all(user.path("config/udpagent")).unwrap();
    let (mut text, mut keys) = (String::new(), Vec::new());
    for (number, options) in options.iter().enumerate() {
        let key = id(&User::new());
        writeln!(text, "{key} k{number} {options}").unwrap();
        keys.push(key);
    }
    std::fs::write(user.path("config/udpagent/authorized_keys"), text).unwrap();
    (user, keys)
}

#[test]
fn check_lists_every_key_with_its_rights() {
    let (user, keys) = host(&[
        "",
        "chat-only from=192.0.2.0/24,::1",
        "allow='uname -a' allow='df **' user=no-such-ann,no-such-bob max-jobs=3 expires=2099-01-31 \
         memory='1 MiB' pids=7 cpu=50",
        "forward=db:5432 forward=unix:/run/x",
        "admin user=* expires=2001-01-01T00:00:00+02:00",
    ]);
    let audit = user.path("audit");
    let audit = audit.display();
    user.write_config(&format!(
        "bind = ':7001'\naudit = 'required'\naudit-file = '{audit}'\n\
         [limits]\njobs = 7\nsessions-per-key = 32\nruntime = '90s'\noutput = '1 kB'\nopen-files = 64\n\
         [cgroup]\nparent = 'off'\npids = 100"
    ));
    let own = own_name();
    let place = user.path("config/udpagent/authorized_keys");
    let place = place.display();
    let no_user = "there is no such user";
    let sandbox = crate::sandbox::line_of_check();
    user.udpagent(["check"])
        .status(1)
        .stderr(format!(
            "udpagent: {place}:3: user=no-such-ann: {no_user}\n\
             udpagent: {place}:3: user=no-such-bob: {no_user}\n\
             udpagent: {place}:5: expires= has passed; remove the line or write a later time\n\
             udpagent: commands have no cgroups, so those with limits are denied\n"
        ))
        .stdout(format!(
            "listens on :7001\n\
             {sandbox}\n\
             takes 32 sessions of a key\n\
             runs 7 commands at a time, 6 of one key without max-jobs=, each for 90s at most, each with 1000 bytes of output at most, open-files 64, \
             each with 100 processes at most\n\
             runs commands without cgroups: they are switched off\n\
             keeps a record of what runs in {audit}, and runs nothing that is not recorded\n\
             {} k0 ({place}:1): runs any command as {own}\n\
             {} k1 ({place}:2): chats, and runs no commands; from 192.0.2.0/24 or ::1/128\n\
             {} k2 ({place}:3): runs \"uname -a\" or \"df **\" as no-such-ann, or no-such-bob if asked; 3 at a time; \
             each with 1048576 bytes of memory, 7 processes, 50% of a processor at most; \
             until 2099-01-31T00:00:00Z\n\
             {} k3 ({place}:4): runs any command as {own}; forwards connections to db:5432 or unix:/run/x\n\
             {} k4 ({place}:5): runs any command as {own}, or any other user if asked; \
             may list, attach to and end the commands of all keys; \
             until 2000-12-31T22:00:00Z, which has passed\n\
             this user's own controller: not admitted without a line: it has no key\n",
            keys[0], keys[1], keys[2], keys[3], keys[4]
        ))
        .run();
}

#[test]
fn check_names_keys_that_look_like_the_agent_or_like_another_key() {
    let user = User::new();
    let [first, second] = [id(&User::new()), id(&User::new())];
    let text = format!("{first} Ha11\n{second} hall\n");
    user.write("config/udpagent/authorized_keys", &text);
    user.write_config("name = \"hall\"\n");
    let place = user.path("config/udpagent/authorized_keys");
    let place = place.display();
    let outcome = user.udpagent(["check"]).outcome();
    let stdout = String::from_utf8(outcome.stdout).unwrap();
    let line = format!(
        "{first} Ha11 ({place}:1): runs any command as {}; is (Ha11) in chats, where hall is the agent\n",
        own_name()
    );
    assert!(stdout.contains(&line), "{stdout}");
    assert!(!stdout.contains(&second), "{stdout}");
    let refused = format!(
        "udpagent: {place}:2: the name \"hall\" looks like that of the key in line 1; write the same name or another one\n"
    );
    assert!(outcome.stderr.contains(&refused), "{}", outcome.stderr);
}

#[test]
fn check_of_one_command_names_the_user_or_the_reason() {
    let (user, keys) = host(&[
        "",
        "'allow=uname **' allow='df -h' from=192.0.2.0/24",
        "chat-only",
        "expires=2001-01-01",
        "user=no-such-user",
    ]);
    let own = own_name();
    let place = user.path("config/udpagent/authorized_keys");
    let says = |args: &[&str], status: i32, line: &str| {
        let line = line.replace("OWN", &own);
        let line = line.replace("FILE", &place.display().to_string());
        let outcome = user.udpagent([&["check"], args].concat()).outcome();
        let stdout = String::from_utf8(outcome.stdout).unwrap();
        assert_eq!((stdout, outcome.status), (line + "\n", status), "{args:?}");
    };
    let free = "yes: k0 runs it as OWN, as it may run anything (FILE:1)";
    says(&["k0", "--", "rm", "-rf", "/"], 0, free);
    says(&[&keys[0], "--user", &own, "--", "id"], 0, free);
    says(
        &["k0", "--user", "daemon", "--", "id"],
        1,
        "no: user= does not name that user (FILE:1)",
    );
    says(
        &["k1", "--from", "192.0.2.9", "--", "uname", "-a"],
        0,
        "yes: k1 runs it as OWN, by allow=\"uname **\" (FILE:2)",
    );
    says(
        &["k1", "--", "df"],
        1,
        "no: no allow= matches the command (FILE:2)",
    );
    says(
        &["k1", "--from", "198.51.100.1", "--", "df", "-h"],
        1,
        "no: from= does not let 198.51.100.1 connect (FILE:2)",
    );
    says(
        &["k2", "--", "true"],
        1,
        "no: chat-only: this key runs no commands (FILE:3)",
    );
    says(&["k3"], 1, "no: expires= has passed (FILE:4)");
    says(
        &["k4", "--", "true"],
        1,
        "no: as no-such-user: there is no such user (FILE:5)",
    );
    let nobody = "no: no valid line has this key or name";
    says(&["k9", "--", "true"], 1, nobody);
    says(
        &["k2"],
        0,
        &format!("{} k2 (FILE:3): chats, and runs no commands", keys[2]),
    );
}

#[test]
fn check_fails_where_the_agent_would_not_start_and_says_what_is_switched_off() {
    let (user, keys) = host(&["max-jobs=2"]);
    let audit = user.path("none/audit");
    user.write_config(&format!(
        "exec = false\nplain = false\naudit = 'required'\naudit-file = '{}'",
        audit.display()
    ));
    let identity = user.path("config/udpagent/identity");
    user.udpagent(["key"]).outcome();
    std::fs::write(&identity, "junk\n").unwrap();
    let outcome = user.udpagent(["check"]).outcome();
    let stderr = outcome.stderr;
    assert_eq!(outcome.status, 1);
    assert!(stderr.contains(&identity.display().to_string()), "{stderr}");
    let consequence = "No such file or directory (os error 2); the agent does not start\n";
    assert!(stderr.contains(consequence), "{stderr}");
    let stdout = String::from_utf8(outcome.stdout).unwrap();
    let place = user.path("config/udpagent/authorized_keys");
    let lines = [
        "ignores plain text".to_owned(),
        "runs no commands".to_owned(),
        format!(
            "{} k0 ({}:1): chats, and runs no commands",
            keys[0],
            place.display()
        ),
    ];
    for line in &lines {
        assert!(stdout.lines().any(|there| there == line), "{stdout}");
    }
    std::fs::remove_file(identity).unwrap();
    user.write_config("");
    let outcome = user.udpagent(["check"]).outcome();
    let stdout = String::from_utf8(outcome.stdout).unwrap();
    let line = "keeps a record of what runs in standard error, unless that is a terminal\n";
    assert!(stdout.contains(line), "{stdout}");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
}

#[test]
fn check_names_a_wrong_line_and_its_key_has_no_rights() {
    let (user, keys) = host(&["chatonly"]);
    let path = user.path("config/udpagent/authorized_keys");
    user.udpagent(["check", &keys[0], "--", "true"])
        .stdout("no: no valid line has this key or name\n")
        .stderr(format!(
            "udpagent: {}:1: unknown option \"chatonly\"; use one of allow=, copy=, chat-only, forward=, user=, from=, max-jobs=, \
             expires=, memory=, pids=, cpu=, admin\n",
            path.display()
        ))
        .status(1)
        .run();
}

#[test]
fn check_says_that_authorized_keys_cannot_be_used_and_what_follows() {
    let (user, _) = host(&[""]);
    let own = id(&user);
    let path = user.path("config/udpagent/authorized_keys");
    std::fs::write(&path, format!("{own} me chat-only\n# \0\n")).unwrap();
    let outcome = user.udpagent(["check"]).outcome();
    let words = format!(
        "udpagent: {0}:2: not UTF-8 text; write the line again\n\
         udpagent: {0}: no key of this file is admitted\n\
         udpagent: this user's own controller is not admitted until {0} can be used: it may restrict this key\n",
        path.display()
    );
    assert_eq!((outcome.status, outcome.stderr), (1, words));
    let text = String::from_utf8(outcome.stdout).unwrap();
    let last = format!(
        "this user's own controller: not admitted until {} can be used: it may restrict this key\n",
        path.display()
    );
    assert!(text.ends_with(&last), "{text}");
    let first = format!("udpagent: {}:2: not UTF-8 text", path.display());
    let owner = user.udpagent(["check", "owner", "--", "true"]).outcome();
    let owner = (String::from_utf8(owner.stdout).unwrap(), owner.status);
    let no = last.replacen("controller: ", "controller is ", 1);
    assert_eq!(owner, (format!("no: {no}"), 1));
    let outcome = user.udpagent(["invite", "--host", "h:1"]).outcome();
    assert_eq!((outcome.status, &outcome.stdout[..]), (1, &b""[..]));
    assert!(outcome.stderr.starts_with(&first), "{}", outcome.stderr);
    std::fs::write(&path, "").unwrap();
    let text = user.udpagent(["check"]).outcome().stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.ends_with("own controller: admitted without a line\n"),
        "{text}"
    );
}

#[test]
fn an_invitation_of_a_useless_key_is_refused_with_the_reason() {
    let user = User::new();
    for (option, reason) in [
        ("expires=2001-01-01", "expires= has passed"),
        (
            "user=no-such-user",
            "user=no-such-user: there is no such user",
        ),
        ("chatonly", "unknown option \"chatonly\""),
    ] {
        let outcome = user.udpagent(["invite", "--host", "h:1", option]).outcome();
        assert_eq!((outcome.status, &outcome.stdout[..]), (1, &b""[..]));
        let first = format!("udpagent: {reason}");
        assert!(outcome.stderr.starts_with(&first), "{}", outcome.stderr);
    }
    assert!(!user.path("config/udpagent/invites").exists());
}

#[test]
fn a_denial_over_the_network_names_the_kind_of_request_and_no_other_reason() {
    let user = User::new();
    user.authorize("allow=true");
    let agent = user.agent();
    let target = agent.target();
    for (args, kind) in [
        (&["--", "false"][..], ""),
        (
            &["--env", "A=b", "--", "true"],
            ": this key may not set variables (--env)",
        ),
        (
            &["--user", "no-such-user", "--", "true"],
            ": this key may not run commands as that user (--user)",
        ),
        (
            &["--user", "nobody", "--", "true"],
            ": this key may not run commands as that user (--user)",
        ),
        (
            &["--cwd", "/", "--", "true"],
            ": this key may not choose the working directory (--cwd)",
        ),
    ] {
        let args = [&["exec", &target], args].concat();
        user.udpctl(args)
            .stderr(format!("udpctl: {target}: denied{kind}; request ID\n"))
            .status(255)
            .run();
    }
    user.udpctl(["exec", &target, "--", "true"]).run();
}
