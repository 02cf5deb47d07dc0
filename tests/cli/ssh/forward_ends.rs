//! Forwarded connections of `udpctl ssh` that end in an error, at one side or the other, and the files of unix sockets.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::process::Signal;

use super::Ssh;
use super::forward::{connect, free_port, over_unix, start, start_with, tcp_server};
use crate::harness::{DEADLINE, Pty, eventually, shell_status};

/// Waits for the reset of a connection.
#[track_caller]
fn reset(mut stream: &TcpStream) {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_connection_whose_link_is_lost_for_longer_than_the_lease_is_reset_at_both_sides() {
    let ssh = Ssh::new();
    let (listener, local) = (TcpListener::bind("127.0.0.1:0").unwrap(), free_port());
    let server = listener.local_addr().unwrap().port();
    let forward = format!("{local}:127.0.0.1:{server}");
    let words = ["-N", "-L", &forward, "127.0.0.1"];
    let mut child = start_with(&ssh, &[("UDPCTL_LEASE", "500ms")], &words);
    let mut open = connect(local);
    open.write_all(b"request").unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    accepted.read_exact(&mut [0; 7]).unwrap();
    accepted.write_all(b"answer").unwrap();
    open.read_exact(&mut [0; 6]).unwrap();
    ssh.agent.stop();
    reset(&open);
    let target = ssh.agent.target();
    let line = child.stderr_line(|line| line.contains("lost"));
    let words = format!(
        "udpctl: {target}: lost: accepted, but its result is not known: the agent does not answer; request "
    );
    assert!(line.starts_with(&words), "{line}");
    ssh.agent.resume();
    reset(&accepted);
    // The next connection is made anew.
    let mut open = connect(local);
    open.write_all(b"request").unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    accepted.read_exact(&mut [0; 7]).unwrap();
    child.signal(Signal::TERM);
    child.wait();
}

#[test]
fn a_socket_file_that_was_left_behind_is_replaced_on_request_and_has_the_mode_of_the_mask() {
    use std::os::unix::fs::PermissionsExt as _;
    let ssh = Ssh::new();
    let (server, here) = (tcp_server(), ssh.user.path("here"));
    drop(UnixListener::bind(&here).unwrap());
    let forward = format!("{}:127.0.0.1:{server}", here.display());
    ssh.run(&["-N", "-L", &forward, "127.0.0.1"])
        .stderr(format!(
            "udpctl: cannot listen on {}: Address already in use\n",
            here.display()
        ))
        .status(255)
        .run();
    let options = ["-oStreamLocalBindUnlink=yes", "-oStreamLocalBindMask=0111"];
    let words = [&["-N", "-L", &forward], &options[..], &["127.0.0.1"]].concat();
    let mut child = start(&ssh, &words);
    eventually("it listens", || UnixStream::connect(&here).is_ok());
    assert_eq!(over_unix(&here, b"abc"), b"abc");
    let mode = std::fs::metadata(&here).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    child.signal(Signal::TERM);
    child.wait();
    assert!(!here.exists());
}

#[test]
fn a_message_about_a_connection_ends_its_line_on_a_terminal_in_raw_modes() {
    let ssh = Ssh::new();
    let (local, refused) = (free_port(), free_port());
    let forward = format!("{local}:127.0.0.1:{refused}");
    let mut command = ssh.user.command("udpctl");
    let line = "echo ready; exec sleep 600";
    command.args([
        "ssh",
        "-t",
        "-p",
        &ssh.port(),
        "-L",
        &forward,
        "127.0.0.1",
        line,
    ]);
    let mut pty = Pty::start(command);
    pty.shows("ready");
    assert!(pty.is_raw());
    let mut stream = connect(local);
    assert!(stream.read(&mut [0]).is_err());
    let target = ssh.agent.target();
    pty.shows(&format!(
        "udpctl: {target}: cannot connect to 127.0.0.1:{refused}: Connection refused\r\n"
    ));
}

#[test]
fn a_connection_that_is_refused_there_or_whose_ssh_is_killed_is_reset_here() {
    let ssh = Ssh::new();
    let (server, local, refused, other) = (tcp_server(), free_port(), free_port(), free_port());
    let forwards = [
        format!("{local}:127.0.0.1:{server}"),
        format!("{other}:127.0.0.1:{refused}"),
    ];
    let words = ["-N", "-L", &forwards[0], "-L", &forwards[1], "127.0.0.1"];
    let mut child = start(&ssh, &words);
    let mut open = connect(local);
    open.write_all(b"begun").unwrap();
    reset(&connect(other));
    let target = ssh.agent.target();
    let line = child.stderr_line(|line| line.contains("cannot connect"));
    assert_eq!(
        line,
        format!("udpctl: {target}: cannot connect to 127.0.0.1:{refused}: Connection refused")
    );
    child.signal(Signal::INT);
    reset(&open);
    assert_eq!(shell_status(child.wait().0), Some(130));
}

#[test]
fn a_server_that_resets_its_connection_resets_ours() {
    let ssh = Ssh::new();
    let (listener, local) = (TcpListener::bind("127.0.0.1:0").unwrap(), free_port());
    let server = listener.local_addr().unwrap().port();
    let forward = format!("{local}:127.0.0.1:{server}");
    let mut child = start(&ssh, &["-N", "-L", &forward, "127.0.0.1"]);
    let mut client = connect(local);
    client.write_all(b"request").unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    accepted.read_exact(&mut [0; 3]).unwrap();
    accepted.write_all(b"half an ans").unwrap();
    client.read_exact(&mut [0; 11]).unwrap();
    // Bytes that were not read make it a reset.
    drop(accepted);
    reset(&client);
    child.signal(Signal::TERM);
    child.wait();
}
