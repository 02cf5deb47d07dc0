//! Requirements of the bench on the machine, and the description of it beside the figures.

use std::path::Path;
use std::process::Command;

use crate::ssh::SSHD;

/// Returns the names of what the bench cannot do without.
pub fn missing() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !rustix::process::geteuid().is_root() {
        missing.push("root");
    }
    missing.extend(["gcc", "ip"].into_iter().filter(|name| !is_installed(name)));
    missing.extend(absent("/dev/net/tun"));
    missing
}

/// Returns the names of what ssh needs besides.
pub fn missing_for_ssh() -> Vec<&'static str> {
    let programs = ["ssh", "ssh-keygen"];
    let mut missing: Vec<_> = programs
        .into_iter()
        .filter(|name| !is_installed(name))
        .collect();
    missing.extend(absent(SSHD));
    missing
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn absent(path: &str) -> Option<&str> {
    (!Path::new(path).exists()).then_some(path)
}

/// Returns a line that says on what machine, and beside what other load, the figures were measured.
pub fn description() -> String {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let system = rustix::system::uname();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let release = system.release().to_string_lossy();
    let mut description = format!("machine: {cores} cores, {model}, Linux {release}, load {load}");
    // ssh -V writes to standard error.
    if let Ok(version) = Command::new("ssh").arg("-V").output() {
        let version = String::from_utf8_lossy(&version.stderr);
        let name = version.split([' ', ',']).next().unwrap_or_default();
        description = format!("{description}, {name}");
    }
    description
}
