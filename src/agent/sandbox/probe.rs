//! A child process that restricts itself, tries what the restriction denies, and reports.
//!
//! A restriction cannot be undone, and the features of a kernel do not tell what a container manager lets through.
//! So it is tried in a process that ends at once.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use quinn_udp::UdpSocketState;
use rustix::process::{getppid, test_kill_process};
use serde::{Deserialize, Serialize};

use super::{InForce, Plan, apply};
use crate::agent::switch::Switch;
use crate::message::status::INTERNAL;

/// Name of the program as a probe, as its argument 0.
pub const PROBE: &str = "udpagent-sandbox";

/// Second argument with which a probe fails in a thread, so that a test sees the end of a restricted program.
const PANIC: &str = "panic";

/// Result of a probe.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Parts in force.
    pub in_force: InForce,
    /// Actions that are still possible.
    pub possible: Vec<String>,
    /// True if a socket can still be set up for segmentation offload, which an error of one peer turns off.
    pub offload: bool,
    /// True if a pair of stream sockets can still be made, which the line editor of a prompt needs.
    pub stream_pair: bool,
}

/// Executes `program` as a probe of a restriction.
///
/// # Errors
/// It cannot be executed, or it ends without a report.
pub fn probe(program: &Path, plan: &Plan) -> io::Result<Report> {
    let plan = serde_json::to_string(plan)?;
    let output = Command::new(program)
        .arg0(PROBE)
        .arg(plan)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Runs the probe and returns its exit status.
#[must_use]
pub fn main() -> u8 {
    match run() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{PROBE}: {error}; it is started by udpagent only");
            INTERNAL
        }
    }
}

fn run() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let plan: Plan = serde_json::from_str(&arguments.next().unwrap_or_default())?;
    let parent = getppid();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let segments = || {
        Some(
            UdpSocketState::new((&socket).into())
                .ok()?
                .max_gso_segments(),
        )
    };
    let before = segments();
    let in_force = apply(&plan, Switch::On)?;
    if arguments.next().is_some_and(|argument| argument == PANIC) {
        let thread = std::thread::Builder::new().name("restricted".into());
        let failing = thread.spawn(|| panic!("on purpose"))?;
        // The hook of the program ends it before.
        let _: Result<(), _> = failing.join();
    }
    let tried = [
        ("open a file", File::open("/").map(drop)),
        ("start a program", start()),
        (
            "make a socket",
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map(drop),
        ),
        (
            "make a pair of datagram sockets",
            UnixDatagram::pair().map(drop),
        ),
        (
            "connect a socket",
            TcpStream::connect((Ipv4Addr::LOCALHOST, 1)).map(drop),
        ),
        (
            "signal another process",
            parent.map_or(Ok(()), |parent| Ok(test_kill_process(parent)?)),
        ),
    ];
    let possible = tried.into_iter().filter(|(_, result)| !is_denied(result));
    let report = Report {
        in_force,
        possible: possible.map(|(action, _)| action.to_owned()).collect(),
        offload: before == segments(),
        stream_pair: UnixStream::pair().is_ok(),
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// Starts this program in a form that ends at once.
fn start() -> io::Result<()> {
    let status = Command::new("/proc/self/exe")
        .arg0(PROBE)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.map(drop)
}

fn is_denied(result: &io::Result<()>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::PermissionDenied)
}
