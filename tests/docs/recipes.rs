//! The recording in README.md and the recipes of examples/README.md: each line is run as it stands, on hosts of the test.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::fleet::Fleet;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn indented(path: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(path)).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
    lines.map(str::to_owned).collect()
}

/// Replaces what differs between runs and machines: request ids, times, and the version of the kernel.
fn masked(text: &str) -> String {
    let kernel = rustix::system::uname();
    let text = text.replace(kernel.release().to_str().unwrap(), "KERNEL");
    let mut masked = String::new();
    for word in text.split_inclusive([' ', '\n']) {
        let core = word.trim_end();
        let is_id = core.len() == 32 && core.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = core.strip_suffix('s').unwrap_or("");
        let is_time = !number.is_empty()
            && number
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
        masked += match (is_id, is_time) {
            (true, _) => "ID",
            (_, true) => "TIME",
            _ => core,
        };
        masked += &word[core.len()..];
    }
    masked
}

/// Puts the lines of hosts, which come as the hosts answer, in the order of the hosts.
fn in_order(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_by_key(|line| {
        (
            !line.starts_with("web"),
            if line.starts_with("web") { line } else { "" }.to_owned(),
        )
    });
    lines.push("");
    lines.join("\n")
}

#[test]
fn the_recording_of_the_readme_is_what_the_programs_print() {
    let fleet = Fleet::start();
    let lines = indented("README.md");
    let begin = lines
        .iter()
        .position(|line| line.starts_with("$ "))
        .unwrap();
    let end = begin
        + lines[begin..]
            .iter()
            .position(|line| line.starts_with("udpagent --bind"))
            .unwrap();
    let (mut shown, mut printed) = (String::new(), String::new());
    let mut commands = 0;
    for line in &lines[begin..end] {
        if let Some(command) = line.strip_prefix("$ ") {
            printed.extend(["$ ", command, "\n", &in_order(&fleet.run(command).0)]);
            commands += 1;
        }
        shown.extend([line, "\n"]);
    }
    let shown = shown.replace("6.12.48+deb13-amd64", "KERNEL");
    assert_eq!(masked(&printed), masked(&shown));
    assert!(commands >= 5, "{commands}");
}

#[test]
fn the_recipes_run() {
    let fleet = Fleet::start();
    for example in fs::read_dir(root().join("examples")).unwrap() {
        let path = example.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        std::os::unix::fs::symlink(&path, fleet.path(name)).unwrap();
    }
    fleet.write("site/index.html", "hello\n");
    fs::create_dir_all(fleet.path("srv/site")).unwrap();
    let key = fleet.run("UDPCTL_CONFIG_DIR=$PWD/bob udpctl id").0;
    fleet.write("bob.pub", &key);
    let key = fleet.run("UDPCTL_CONFIG_DIR=$PWD/monitor udpctl id").0;
    fleet.write("monitor.pub", &key);
    let agent = fleet.run("udpagent key").0;
    fleet.run(&format!("udpctl trust web1 {agent}"));
    // The three hosts are one, and the agent gives commands an environment of their own.
    let config = fleet.path("config/udpagent");
    let place = format!(
        "--env UDPAGENT_CONFIG_DIR={} --env UDPAGENT_STATE_DIR={} -- {} ",
        config.display(),
        fleet.path("state/udpagent").display(),
        env!("CARGO_BIN_EXE_udpagent")
    );
    let mut ran = 0;
    for line in indented("examples/README.md") {
        let program = line.split(' ').next().unwrap();
        // The test of the bot runs them.
        if program == "./bot.py" || line.contains("'!ping'") {
            continue;
        }
        if program == "rsync" && Command::new("rsync").arg("--version").output().is_err() {
            eprintln!("SKIPPED: rsync is not installed");
            continue;
        }
        let mut here = line
            .replace("-- udpagent ", &place)
            .replace("/etc/udpagent", config.to_str().unwrap())
            .replace("/srv", fleet.path("srv").to_str().unwrap());
        if program == "tar" {
            here = here.replace("'web[1-3]'", "web1");
        }
        if here.contains("add-key.sh") {
            // A repeat adds nothing.
            fleet.run(&here);
        }
        let (text, is_success) = fleet.run(&here);
        assert!(is_success, "{here}: {text}");
        // What a host prints is shown as it is.
        assert!(!text.contains("\\t"), "{here}: {text}");
        let expected = match &line {
            line if line.starts_with("for ") => 3,
            line if line.contains("-b ") => 4,
            _ => 0,
        };
        assert!(text.lines().count() >= expected, "{here}: {text}");
        ran += 1;
    }
    assert!(ran >= 14, "{ran}");
    // What the lines were for.
    assert_eq!(
        fs::read_to_string(fleet.path("srv/site/index.html")).unwrap(),
        "hello\n"
    );
    let keys = fs::read_to_string(config.join("authorized_keys")).unwrap();
    assert_eq!(
        keys,
        format!("{} monitor allow=uptime from=192.0.2.0/24\n", key.trim())
    );
}

#[test]
fn the_bot_answers_members_and_no_plain_text() {
    let fleet = Fleet::start();
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("SKIPPED: python3 is not installed");
        return;
    }
    let mut bot = fleet.command("python3");
    let mut bot = bot
        .arg(root().join("examples/bot.py"))
        .arg("web1")
        .spawn()
        .unwrap();
    let mut chat = fleet
        .command("udpctl")
        .args(["chat", "web1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = chat.stdin.take().unwrap();
    let lines = BufReader::new(chat.stdout.take().unwrap()).lines();
    let (sender, answer) = channel();
    std::thread::spawn(move || {
        let mut lines = lines.map_while(Result::ok);
        let _ = sender.send(lines.find(|line| line.ends_with(": pong")));
    });
    // The bot may join later than this member.
    let asked = std::thread::spawn(move || {
        while stdin.write_all(b"!ping\n").is_ok() {
            std::thread::park_timeout(Duration::from_millis(200));
        }
    });
    let answer = answer.recv_timeout(Duration::from_secs(60));
    let _ = chat.kill();
    let _ = chat.wait();
    let recipe = indented("examples/README.md")
        .into_iter()
        .find(|line| line.contains("'!ping'"))
        .unwrap();
    let is_answered = (0..10).any(|_| fleet.run(&recipe).0.contains(": pong\n"));
    let _ = bot.kill();
    let _ = bot.wait();
    asked.thread().unpark();
    asked.join().unwrap();
    assert!(matches!(answer, Ok(Some(_))), "{answer:?}");
    assert!(is_answered, "{recipe}");
    let script = "import sys; sys.path[0] = sys.argv[1]; import bot; print(bot.answer('!ping'), bot.answer('ping'))";
    let output = fleet
        .command("python3")
        .args(["-B", "-c", script])
        .arg(root().join("examples"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "pong None\n");
}
