//! Requirements of a bench on the machine, and the description of it beside the figures.

use std::path::Path;
use std::process::Command;

use super::ssh::SSHD;

/// User that some benches have to run as.
const ROOT: &str = "root";

/// Needs of ssh.
pub const SSH: &[&str] = &[ROOT, "ssh", "ssh-keygen", SSHD];

/// Needs of a network namespace.
pub const NAMESPACE: &[&str] = &[ROOT, "ip"];

/// Returns those of `needs` that are not there: programs, files by absolute paths, or the user root.
pub fn missing(needs: &[&'static str]) -> Vec<&'static str> {
    let is_there = |need: &str| match need {
        ROOT => rustix::process::geteuid().is_root(),
        path if path.starts_with('/') => Path::new(path).exists(),
        program => is_installed(program),
    };
    let needs = needs.iter().copied();
    needs.filter(|need| !is_there(need)).collect()
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
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
