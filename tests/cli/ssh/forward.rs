//! Forwarded connections of `udpctl ssh`: `-L`, `-W`, and what a key may forward to.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use rustix::process::Signal;

use super::{Ssh, bytes};
use crate::harness::{Child, Test, eventually, shell_status};

/// A server that answers all that it has received with the same in reverse, once the client has ended its direction.
fn reverse(mut client: impl Read + Write) {
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    all.reverse();
    // A client that is killed does not read.
    let _ = client.write_all(&all);
}

/// Serves TCP connections with `reverse`, and returns the port.
pub(super) fn tcp_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            thread::spawn(move || reverse(client.unwrap()));
        }
    });
    port
}

/// The same at a unix socket.
pub(super) fn unix_server(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            thread::spawn(move || reverse(client.unwrap()));
        }
    });
}

/// A port that nothing listens at.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts `udpctl-ssh -p PORT WORDS`.
pub(super) fn start(ssh: &Ssh, words: &[&str]) -> Child {
    start_with(ssh, &[], words)
}

/// The same with variables of the environment.
pub(super) fn start_with(ssh: &Ssh, variables: &[(&str, &str)], words: &[&str]) -> Child {
    let mut command = Command::new("/usr/bin/env");
    let ours = ssh.command("udpctl-ssh");
    let envs = ours
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    command
        .env_clear()
        .envs(envs)
        .envs(variables.iter().copied());
    command
        .args([
            "--default-signal=INT,QUIT,HUP",
            "udpctl-ssh",
            "-p",
            &ssh.port(),
        ])
        .args(words);
    Child::start(command)
}

/// Connects once something listens at the port.
pub(super) fn connect(port: u16) -> TcpStream {
    let mut connected = None;
    eventually("it listens", || {
        connected = TcpStream::connect(("127.0.0.1", port)).ok();
        connected.is_some()
    });
    connected.unwrap()
}

fn exchange(mut stream: impl Read + Write, shut: impl FnOnce(), sent: &[u8]) -> Vec<u8> {
    stream.write_all(sent).unwrap();
    shut();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    back.reverse();
    back
}

pub(super) fn over_tcp(port: u16, sent: &[u8]) -> Vec<u8> {
    let stream = connect(port);
    let half = stream.try_clone().unwrap();
    exchange(stream, || half.shutdown(Shutdown::Write).unwrap(), sent)
}

pub(super) fn over_unix(path: &Path, sent: &[u8]) -> Vec<u8> {
    eventually("it listens", || path.exists());
    let stream = UnixStream::connect(path).unwrap();
    let half = stream.try_clone().unwrap();
    exchange(stream, || half.shutdown(Shutdown::Write).unwrap(), sent)
}

/// Asserts that all bytes have come back.
fn same(back: &[u8], sent: &[u8], way: &str) {
    let first = std::iter::zip(back, sent).position(|(back, sent)| back != sent);
    let lengths = (back.len(), sent.len());
    assert!(back == sent, "{way}: {lengths:?}, differing from {first:?}");
}

#[test]
fn megabytes_are_forwarded_both_ways_and_each_direction_ends_by_itself() {
    let ssh = Ssh::new();
    let (server, local) = (tcp_server(), free_port());
    let [there, here, third] = ["there", "here", "third"].map(|name| ssh.user.path(name));
    unix_server(&there);
    let forwards = [
        format!("{local}:127.0.0.1:{server}"),
        format!("{}:127.0.0.1:{server}", here.display()),
        format!("{}:{}", third.display(), there.display()),
    ];
    let [first, second, last] = &forwards;
    let words = ["-N", "-L", first, "-L", second, "-o"];
    let option = format!("LocalForward={last}");
    let mut child = start(&ssh, &[&words[..], &[&option, "127.0.0.1"]].concat());
    let bytes = bytes();
    same(&over_tcp(local, &bytes), &bytes, "over TCP");
    same(&over_unix(&here, &bytes), &bytes, "a unix socket here");
    same(&over_unix(&third, &bytes), &bytes, "unix sockets");
    assert_eq!(over_tcp(local, b""), b"");
    child.signal(Signal::INT);
    let (status, stderr) = child.wait();
    assert_eq!((shell_status(status), &*stderr), (Some(130), ""));
    assert!(!here.exists() && !third.exists(), "the sockets remain");
}

#[test]
fn fifty_connections_at_once_have_their_own_bytes() {
    let ssh = Ssh::new();
    let (server, local) = (tcp_server(), free_port());
    let forward = format!("{local}:127.0.0.1:{server}");
    let mut child = start(&ssh, &["-N", "-L", &forward, "127.0.0.1"]);
    let streams: Vec<TcpStream> = (0..50).map(|_| connect(local)).collect();
    for (number, mut stream) in (0..50).zip(&streams) {
        stream.write_all(&[number; 1000]).unwrap();
    }
    for (number, mut stream) in (0..50).zip(&streams).rev() {
        stream.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        assert_eq!(back, [number; 1000]);
    }
    child.signal(Signal::TERM);
    assert_eq!(shell_status(child.wait().0), Some(143));
}

#[test]
fn standard_input_and_output_are_a_connection_with_w() {
    let ssh = Ssh::new();
    let (bytes, server) = (bytes(), tcp_server());
    let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
    let to = format!("127.0.0.1:{server}");
    ssh.run(&["-W", &to, "127.0.0.1"])
        .stdin(bytes)
        .stdout(reversed)
        .run();
    let refused = free_port();
    let to = format!("localhost:{refused}");
    let target = ssh.agent.target();
    ssh.run(&["-W", &to, "127.0.0.1"])
        .stderr(format!(
            "udpctl: {target}: cannot connect to {to}: Connection refused\n"
        ))
        .status(255)
        .run();
    ssh.run(&["-W", "no-such-host.invalid:1", "-q", "127.0.0.1"])
        .status(255)
        .run();
    let path = ssh.user.path("none");
    ssh.run(&["-W", path.to_str().unwrap(), "127.0.0.1"])
        .stderr(format!(
            "udpctl: {target}: cannot connect to {}: No such file or directory\n",
            path.display()
        ))
        .status(255)
        .run();
}

#[test]
fn a_key_forwards_to_what_its_line_names_and_nowhere_else() {
    let mut ssh = Ssh::new();
    let (server, target) = (tcp_server(), ssh.agent.target());
    let to = format!("127.0.0.1:{server}");
    let denied = |words: &[&str], ssh: &Ssh| {
        // Whether the key may forward to others is not told.
        let kind = match words {
            ["-W", ..] => ": this key may not forward connections there (-L, -W)",
            _ => "",
        };
        ssh.run(words)
            .stderr(format!("udpctl: {target}: denied{kind}; request ID\n"))
            .status(255)
            .run();
    };
    let forward = ["-W", &to, "127.0.0.1"];
    let reason = |ssh: &mut Ssh, reason: &str| {
        let reason = format!("denied: {reason}");
        ssh.agent.child.stderr_line(|line| line.contains(&reason));
    };
    let listed = |ssh: &mut Ssh, options: &str| {
        ssh.user.authorize(options);
        ssh.agent
            .child
            .stderr_line(|line| line.contains("keys read again"));
    };
    listed(&mut ssh, "allow=true");
    denied(&forward, &ssh);
    reason(
        &mut ssh,
        "a key with allow= cannot forward connections without forward=",
    );
    listed(&mut ssh, "forward=127.0.0.1:1 forward=unix:/run/x");
    denied(&forward, &ssh);
    reason(&mut ssh, "no forward= names the destination");
    listed(&mut ssh, &format!("allow=true forward=*:{server}"));
    ssh.run(&forward).stdin("abc").stdout("cba").run();
    denied(&["127.0.0.1", "true"], &ssh);
    listed(&mut ssh, "user=no-such-user");
    denied(&forward, &ssh);
    reason(
        &mut ssh,
        "only the agent's own user may forward connections without forward=",
    );
}

#[test]
fn a_place_that_is_taken_is_named_and_fatal_only_if_asked_for() {
    let ssh = Ssh::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let forward = format!("{}:127.0.0.1:1", address.port());
    let line = format!("udpctl: cannot listen on {address}: Address already in use\n");
    ssh.run(&["-L", &forward, "127.0.0.1", "echo hi"])
        .stdout("hi\n")
        .stderr(line.clone())
        .run();
    let exit = "-oExitOnForwardFailure=yes";
    for words in [
        &["-L", &forward, exit, "127.0.0.1", "echo hi"][..],
        &["-N", "-L", &forward, exit, "127.0.0.1"],
        &["-N", "-f", "-L", &forward, exit, "127.0.0.1"],
        &["-N", "-L", &forward, "127.0.0.1"],
    ] {
        ssh.run(words).stderr(line.clone()).status(255).run();
    }
}

#[test]
fn a_command_runs_beside_forwarded_connections_which_it_waits_for() {
    let ssh = Ssh::new();
    let (server, local) = (tcp_server(), free_port());
    let forward = format!("{local}:127.0.0.1:{server}");
    let line = "echo begun; read line; exit 3";
    let mut child = start(&ssh, &["-L", &forward, "127.0.0.1", line]);
    child.stdout_line(|line| line == "begun");
    let mut open = connect(local);
    open.write_all(b"abc").unwrap();
    assert_eq!(over_tcp(local, b"meanwhile"), b"meanwhile");
    child.type_in("go\n");
    eventually("nothing is accepted any more", || {
        TcpStream::connect(("127.0.0.1", local)).is_err()
    });
    assert!(child.is_running(), "a connection is open");
    open.shutdown(Shutdown::Write).unwrap();
    let mut back = String::new();
    open.read_to_string(&mut back).unwrap();
    assert_eq!(back, "cba");
    assert_eq!(shell_status(child.wait().0), Some(3));
}

#[test]
fn forwards_go_to_the_background_once_they_listen() {
    let ssh = Ssh::new();
    let (server, local) = (tcp_server(), free_port());
    let pid = ssh.user.path("pid");
    let line = format!(
        "udpctl-ssh -f -N -p $PORT -L {local}:127.0.0.1:{server} 127.0.0.1 >/dev/null 2>&1 && \
         pgrep -nf -- '-N -p '$PORT' -L {local}:' >{}",
        pid.display()
    );
    ssh.bash(&line).run();
    // Without a wait: it listens already.
    let stream = TcpStream::connect(("127.0.0.1", local)).unwrap();
    drop(stream);
    assert_eq!(over_tcp(local, b"abc"), b"abc");
    let pid: i32 = std::fs::read_to_string(&pid)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    eventually("it listens no more", || {
        TcpStream::connect(("127.0.0.1", local)).is_err()
    });
}

#[test]
fn a_slow_reader_stops_the_sender_and_loses_nothing() {
    let ssh = Ssh::new();
    let (listener, local) = (TcpListener::bind("127.0.0.1:0").unwrap(), free_port());
    let server = listener.local_addr().unwrap().port();
    let sender = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        // More than all buffers on the way hold.
        let bytes = vec![7; 64 << 20];
        client.write_all(&bytes).unwrap();
    });
    let forward = format!("{local}:127.0.0.1:{server}");
    let mut child = start(&ssh, &["-N", "-L", &forward, "127.0.0.1"]);
    let mut client = connect(local);
    client.read_exact(&mut vec![0; 1 << 20]).unwrap();
    assert!(!sender.is_finished(), "nothing holds the sender up");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), 63 << 20);
    sender.join().unwrap();
    drop(client);
    child.signal(Signal::TERM);
    child.wait();
}

/// OpenSSH's client reaches its server through `-W`.
#[test]
fn real_ssh_uses_w_as_its_proxy_command() {
    let sshd = Path::new("/usr/sbin/sshd");
    let is_there =
        sshd.exists() && Path::new("/run/sshd").exists() && Path::new("/usr/bin/ssh").exists();
    if !is_there || !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: there is no OpenSSH that can be served here");
        return;
    }
    let ssh = Ssh::new();
    let path = |name: &str| ssh.user.path(name).display().to_string();
    let keygen = |name: &str| {
        let status = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f", &path(name)])
            .status();
        assert!(status.unwrap().success());
    };
    keygen("host");
    keygen("user");
    let config = format!(
        "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n",
        path("host"),
        path("user.pub")
    );
    std::fs::write(path("config-of-sshd"), config).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let file = path("config-of-sshd");
    thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let [stdin, stdout] =
            [0, 1].map(|_| std::os::fd::OwnedFd::from(client.try_clone().unwrap()));
        drop(client);
        let served = Command::new("/usr/sbin/sshd")
            .args(["-i", "-f", &file])
            .stdin(stdin)
            .stdout(stdout)
            .stderr(Stdio::null())
            .status();
        let _ = served;
    });
    let proxy = format!(
        "ProxyCommand=udpctl-ssh -p {} -W %h:%p 127.0.0.1",
        ssh.port()
    );
    let mut command = ssh.command("/usr/bin/ssh");
    command
        .args(["-F", "none", "-i", &path("user"), "-p", &port, "-o", &proxy])
        .args([
            "-oBatchMode=yes",
            "-oStrictHostKeyChecking=no",
            "-oLogLevel=ERROR",
        ])
        .args([
            "-oUserKnownHostsFile=/dev/null",
            "root@127.0.0.1",
            "cat; exit 5",
        ]);
    Test::new(command)
        .stdin("through")
        .stdout("through")
        .status(5)
        .run();
}
