//! The manual pages and the README: every page is well formed, and what they show runs.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<_> = fs::read_dir(root().join("man"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    pages.sort();
    pages
}

#[test]
fn the_four_pages_are_there() {
    let names: Vec<_> = pages()
        .iter()
        .map(|page| page.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    let four = [
        "udpagent-protocol.7",
        "udpagent.8",
        "udpagent.toml.5",
        "udpctl.1",
    ];
    assert_eq!(names, four);
}

/// The footer is the same on every machine: the version, and no date that nobody keeps up.
#[test]
fn each_page_names_the_version_and_no_date() {
    let version = concat!("udpagent ", env!("CARGO_PKG_VERSION"));
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let head: Vec<&str> = text.lines().take(3).collect();
        let of_man = head[0].starts_with(".TH ")
            && head[0].ends_with(&format!(" \"\" \"{version}\" \"udpagent\""));
        // Three words that are empty: with fewer, groff prints the date on which the page is read.
        let of_mdoc = head[0] == r".Dd \& \& \&" && head[2] == format!(".Os {version}");
        assert!(of_man || of_mdoc, "{}: {head:?}", page.display());
    }
}

/// Needs mandoc. References to pages that are not installed are no fault of the page, and neither is a page without a date.
#[test]
#[ignore = "needs mandoc"]
fn mandoc_finds_no_fault() {
    for page in pages() {
        let output = Command::new("mandoc")
            .args(["-T", "lint", "-W", "warning"])
            .arg(&page)
            .output()
            .expect("mandoc is installed");
        let text = String::from_utf8_lossy(&output.stdout);
        let is_fault = |line: &&str| {
            let of_date = [
                ": missing date, using",
                ": cannot parse date, using it verbatim: Dd \\&",
            ];
            of_date.iter().all(|words| !line.contains(words))
        };
        let faults: Vec<&str> = text.lines().filter(is_fault).collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

/// The indented lines of the README.
fn readme() -> Vec<String> {
    fs::read_to_string(root().join("README.md"))
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_first_commands_of_the_readme_are_these() {
    let lines = readme();
    assert_eq!(
        lines[..2],
        [
            "cargo build --release && target/release/udpctl exec --local -- uname -a",
            "cargo test"
        ]
    );
}

/// Every command of ours that the README or a page shows is one that the programs understand.
#[test]
fn the_commands_that_are_shown_exist() {
    let mut seen = 0;
    for line in readme() {
        for part in line.split(['|', ';']).map(str::trim) {
            let mut words = part.split_whitespace();
            let program = match words.next() {
                Some("udpctl") => env!("CARGO_BIN_EXE_udpctl"),
                Some("udpagent") => env!("CARGO_BIN_EXE_udpagent"),
                _ => continue,
            };
            let subcommand: Vec<_> = words
                .take_while(|word| !word.starts_with('-'))
                .take(1)
                .collect();
            let output = Command::new(program)
                .args(subcommand)
                .arg("--help")
                .output()
                .unwrap();
            assert!(output.status.success(), "{line}");
            seen += 1;
        }
    }
    assert!(seen > 8, "{seen}");
}

/// The README's second command, as built here.
#[test]
fn the_second_command_of_the_readme_runs() {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_udpctl"))
        .args(["exec", "--local", "--", "uname", "-a"])
        .env("XDG_CONFIG_HOME", home.path().join("config"))
        .env("XDG_STATE_HOME", home.path().join("state"))
        .output()
        .unwrap();
    let direct = Command::new("uname").arg("-a").output().unwrap();
    assert_eq!(output.stdout, direct.stdout);
    assert!(output.status.success());
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The completions of the README, of both helps and of the page are stored in the home of an account that has no directories.
#[test]
fn the_completions_that_are_shown_are_stored_in_a_new_account() {
    let programs = Path::new(env!("CARGO_BIN_EXE_udpctl")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().map(str::trim);
        let shown = lines.filter(|line| {
            line.starts_with("mkdir -p ~/")
                || line.contains(" completions ") && line.contains(">~/")
        });
        shown.map(str::to_owned).collect()
    };
    let help = |program: &str| {
        let mut command = Command::new(program);
        let output = command.args(["completions", "--help"]).output().unwrap();
        lines(&String::from_utf8(output.stdout).unwrap())
    };
    let page = fs::read_to_string(root().join("src/cli/man/udpctl-description.roff")).unwrap();
    let page = page.replace("\\-", "-").replace("\\(ti", "~");
    for (lines, files) in [
        (lines(&readme().join("\n")), 1),
        (help(env!("CARGO_BIN_EXE_udpctl")), 2),
        (help(env!("CARGO_BIN_EXE_udpagent")), 2),
        (lines(&page), 2),
    ] {
        let home = tempfile::tempdir().unwrap();
        let output = Command::new("sh")
            .args(["-ec", &lines.join("\n")])
            .env("HOME", home.path())
            .env("PATH", &path)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{lines:?}: {stderr}");
        assert_eq!(lines.len(), files + 1, "{lines:?}");
    }
}

/// An agent of its own for a test, ended when dropped.
struct Agent {
    process: Child,
    address: String,
}

impl Agent {
    fn start(home: &Path) -> Self {
        let mut process = at_home(&mut Command::new(env!("CARGO_BIN_EXE_udpagent")), home)
            .args(["--bind", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let mut log = stderr.lines().map(Result::unwrap);
        let ready = log.find(|line| line.contains(" listens on ")).unwrap();
        let address = ready.rsplit(' ').next().unwrap().to_owned();
        Self { process, address }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn at_home<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_STATE_HOME", home.join("state"))
}

/// The lines of the README, and of EXAMPLES in udpctl(1), that talk to one host, run as they stand
/// against an agent of the test's.
#[test]
fn the_examples_with_one_host_run() {
    let home = tempfile::tempdir().unwrap();
    let agent = Agent::start(home.path());
    let page = fs::read_to_string(root().join("man/udpctl.1")).unwrap();
    let examples = page.split(".SH EXAMPLES").nth(1).unwrap();
    let examples = examples
        .lines()
        .map(|line| line.replace("\\-", "-").replace("\\(aq", "'"));
    // What needs a folder of its own, or a host of that name, is not for here.
    let lines = readme().into_iter().chain(examples).filter(|line| {
        line.contains("udpctl exec") || line.contains("udpctl ping") || line.contains("udpctl chat")
    });
    let programs = Path::new(env!("CARGO_BIN_EXE_udpctl")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut ran = 0;
    for line in lines {
        let line = line.strip_prefix("target/release/").unwrap_or(&line);
        let here = line.replace("localhost:7000", &agent.address).replace(
            "exec web1 --shell",
            &format!("exec {} --shell", agent.address),
        );
        let is_elsewhere = ["web", "cargo", "exec -t", "--rerun"];
        if is_elsewhere.iter().any(|word| here.contains(word)) {
            continue;
        }
        let output = at_home(Command::new("sh").args(["-c", &here]), home.path())
            .env("PATH", &path)
            .current_dir(root().join("examples"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{here}: {stderr}");
        let expected = if line.contains("exit 7") {
            "out\n7\n"
        } else {
            ""
        };
        assert!(
            String::from_utf8_lossy(&output.stdout).starts_with(expected),
            "{here}"
        );
        ran += 1;
    }
    assert!(ran >= 6, "{ran}");
}

/// The examples of udpagent.toml(5) are read as they stand.
#[test]
fn the_examples_of_the_configuration_are_understood() {
    let page = fs::read_to_string(root().join("man/udpagent.toml.5")).unwrap();
    let example = page
        .split(".Bd -literal -offset indent\n")
        .nth(1)
        .and_then(|rest| rest.split(".Ed").next())
        .unwrap();
    udpagent::agent::config::parse(example, Path::new("udpagent.toml")).unwrap();
}

/// The authorized_keys of udpagent.toml(5) has no line that the agent reports as invalid.
#[test]
fn the_example_of_authorized_keys_is_valid() {
    let page = fs::read_to_string(root().join("man/udpagent.toml.5")).unwrap();
    let example = page
        .split(".Bd -literal -offset indent\n")
        .nth(2)
        .and_then(|rest| rest.split(".Ed").next())
        .unwrap();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("config/udpagent");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("authorized_keys"), example).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpagent"));
    let output = at_home(command.arg("check"), home.path()).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    for name in ["ops", "deploy", "monitor"] {
        assert!(stdout.contains(&format!(" {name} (")), "{stdout}");
    }
}
