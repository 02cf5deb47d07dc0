//! The files in `examples/systemd`, checked by the programs of systemd where it is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/systemd")
}

/// Runs a program of systemd and returns what it complains about, or `None` if it is not installed.
fn complaints(program: &str, args: &[&str]) -> Option<String> {
    match Command::new(program).args(args).output() {
        Ok(output) => {
            let status = (!output.status.success()).then(|| output.status.to_string());
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            Some(text + &status.unwrap_or_default())
        }
        Err(error) => {
            eprintln!("SKIPPED: {program}: {error}");
            None
        }
    }
}

#[test]
fn systemd_finds_no_fault_in_the_units() {
    let copies = tempfile::tempdir().unwrap();
    let mut args = vec!["verify".to_owned(), "--man=no".to_owned()];
    for unit in ["udpagent.service", "udpagent.socket"] {
        let text = fs::read_to_string(examples().join(unit)).unwrap();
        // The program is not installed where the tests run.
        let text = text.replace("/usr/local/bin/udpagent", "/bin/true");
        let copy = copies.path().join(unit);
        fs::write(&copy, text).unwrap();
        args.push(copy.to_str().unwrap().to_owned());
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let complaints = complaints("systemd-analyze", &args).unwrap_or_default();
    // Known since systemd 254.
    let later = "Unknown key 'DelegateSubgroup' in section [Service], ignoring.";
    let faults: Vec<&str> = complaints
        .lines()
        .filter(|line| !line.ends_with(later))
        .collect();
    assert_eq!(faults, [""; 0]);
}

#[test]
fn systemd_reads_the_line_of_the_user() {
    let file = examples().join("udpagent.sysusers");
    let Some(complaints) = complaints("systemd-sysusers", &["--dry-run", file.to_str().unwrap()])
    else {
        return;
    };
    let fault = complaints
        .lines()
        .find(|line| line.contains("udpagent.sysusers"));
    assert_eq!(fault, None, "{complaints}");
}

#[test]
fn the_manual_names_every_file() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/udpagent.8");
    let page = fs::read_to_string(page).unwrap();
    for file in fs::read_dir(examples()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(page.contains(&name), "{name}");
    }
}
