//! One bulk transfer by one of the tools, with its time and the CPU time of both ends.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::Bench;
use crate::common::Place;
use crate::common::cpu::Usage;
use crate::common::process::{Running, check_signals, children, ends_within};
use crate::common::programs::Agent;
use crate::common::ssh::Server;
use crate::quinn::Sender;
use crate::streams;

/// Bytes of a transfer, all streams together.
pub const BYTES: usize = 1 << 30;

/// Longest time for a transfer.
const LIMIT: Duration = Duration::from_secs(300);

/// Option of ssh for the cipher that the others use, too.
const CIPHER: [&str; 2] = ["-c", "aes256-gcm@openssh.com"];

/// Line after a command of ssh that reports the CPU time of its shell and of the command.
const REPORT: &str = "; cat /proc/$$/stat >&2";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// `udpctl exec`, one process a stream, of a command that writes zeros.
    UdpctlHead,
    /// The same of a command that reads a file.
    UdpctlCat,
    /// The commands of `UdpctlHead` in one session of one process, a receiver of our own.
    SessionHead,
    /// Those of `UdpctlCat`.
    SessionCat,
    Ssh,
    Quinn,
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UdpctlHead => "udpctl, `head /dev/zero`",
            Self::UdpctlCat => "udpctl, `cat` of a file",
            Self::SessionHead => "one session, `head /dev/zero`",
            Self::SessionCat => "one session, `cat` of a file",
            Self::Ssh => "ssh, `head /dev/zero`",
            Self::Quinn => "quinn",
        })
    }
}

/// Cost of a transfer.
#[derive(Clone, Copy)]
pub struct Cost {
    /// Seconds from the start of the receiver's command to its end.
    pub time: f64,
    /// CPU seconds of the receiver's command.
    pub receiver: f64,
    /// CPU seconds of the sender, without those of the command that it runs.
    pub sender: f64,
}

/// The servers of one place.
pub struct Servers<'a> {
    agent: Agent<'a>,
    /// The agent's processes.
    agent_pids: Vec<Pid>,
    place: &'a dyn Place,
    ssh: Option<Server<'a>>,
    quinn: Option<Sender<'a>>,
    file: PathBuf,
}

impl<'a> Servers<'a> {
    pub fn start(bench: &'a Bench, place: &'a dyn Place) -> Self {
        let agent = bench.programs.agent("127.0.0.1:0", place, place);
        // No command runs yet: all children of the supervisor are its own.
        let mut agent_pids = children(agent.pid());
        agent_pids.push(agent.pid());
        // A hole, whose pages the first reader makes.
        let file = bench.programs.directory().join("file");
        File::create(&file).expect("a file can be made");
        let quinn = bench.quinn.as_deref();
        Self {
            agent,
            agent_pids,
            place,
            ssh: bench.ssh.as_ref().map(|ssh| ssh.server(place, place)),
            quinn: quinn.map(|program| Sender::start(program, place)),
            file,
        }
    }

    /// Tools of a case, in the order of its rows.
    pub fn tools(&self, streams: usize) -> Vec<Tool> {
        let mut tools = vec![Tool::UdpctlHead];
        if streams == 1 {
            tools.push(Tool::UdpctlCat);
            tools.extend(self.ssh.iter().map(|_| Tool::Ssh));
        } else {
            tools.extend([Tool::SessionHead, Tool::SessionCat]);
        }
        tools.extend(self.quinn.iter().map(|_| Tool::Quinn));
        tools
    }

    /// Makes one transfer.
    pub fn transfer(&self, tool: Tool, streams: usize) -> Cost {
        let bytes = BYTES / streams;
        let count = bytes.to_string();
        let head = ["head", "-c", &count, "/dev/zero"];
        let file = &self.file;
        let cut = File::options().write(true).open(file);
        cut.and_then(|cut| cut.set_len(bytes as u64))
            .expect("the file can be cut");
        let cat = ["cat", file.to_str().expect("its name is UTF-8")];
        match tool {
            Tool::UdpctlHead => self.udpctl(&head, streams),
            Tool::UdpctlCat => self.udpctl(&cat, streams),
            Tool::SessionHead => self.session(&head, streams, bytes),
            Tool::SessionCat => self.session(&cat, streams, bytes),
            Tool::Ssh => self.ssh(&[&head[..], &[REPORT]].concat()),
            Tool::Quinn => self.quinn(streams, bytes),
        }
    }

    fn udpctl(&self, argv: &[&str], streams: usize) -> Cost {
        let commands = (0..streams).map(|_| self.agent.exec(&[], argv)).collect();
        self.receive(commands)
    }

    fn session(&self, argv: &[&str], streams: usize, bytes: usize) -> Cost {
        let bench = std::env::current_exe().expect("the bench has a file");
        let mut command = self.place.command(&bench);
        command.args([streams::RECEIVE, &streams.to_string(), &bytes.to_string()]);
        command.args(self.agent.contact()).args(argv);
        self.receive(vec![command])
    }

    fn receive(&self, commands: Vec<Command>) -> Cost {
        let usage = || {
            let usages = self.agent_pids.iter().map(|pid| Usage::of(*pid).own);
            usages.sum::<f64>()
        };
        let before = usage();
        let Ended { time, cpu, .. } = run(commands);
        Cost {
            time,
            receiver: cpu,
            sender: usage() - before,
        }
    }

    fn ssh(&self, argv: &[&str]) -> Cost {
        let server = self.ssh.as_ref().expect("ssh has a row only if installed");
        server.await_idle();
        let before = Usage::of(server.pid()).total();
        let Ended { time, cpu, errors } = run(vec![server.exec(&CIPHER, argv)]);
        // The processes of a session count for the server once it has waited for them.
        server.await_idle();
        let session = Usage::of(server.pid()).total() - before;
        Cost {
            time,
            receiver: cpu,
            sender: session - Usage::parse(&errors).total(),
        }
    }

    fn quinn(&self, streams: usize, bytes: usize) -> Cost {
        let sender = self.quinn.as_ref().expect("quinn has a row only if built");
        let before = Usage::of(sender.pid()).own;
        let Ended { time, cpu, .. } = run(vec![sender.receive(streams, bytes)]);
        Cost {
            time,
            receiver: cpu,
            sender: Usage::of(sender.pid()).own - before,
        }
    }
}

/// End of commands that ran at once.
struct Ended {
    /// Seconds from the first start to the last end.
    time: f64,
    /// CPU seconds of all, with the children that they waited for.
    cpu: f64,
    /// Their standard error.
    errors: String,
}

/// Runs commands at once. Each has to succeed.
fn run(commands: Vec<Command>) -> Ended {
    let begin = Instant::now();
    let start = |mut command: Command| {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::piped()).spawn();
        Running(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    };
    let mut programs: Vec<_> = commands.into_iter().map(start).collect();
    for program in &programs {
        let pid = Pid::from_child(&program.0);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("a child has a pidfd");
        let ended = ends_within(&pidfd, LIMIT.saturating_sub(begin.elapsed()));
        check_signals();
        assert!(ended, "a transfer takes longer than {LIMIT:?}");
    }
    let time = begin.elapsed().as_secs_f64();
    let (mut cpu, mut errors) = (0.0, String::new());
    for Running(program) in &mut programs {
        // They have ended, but their times can be read until they are waited for.
        cpu += Usage::of(Pid::from_child(program)).total();
        let stderr = program.stderr.as_mut().expect("stderr is a pipe");
        let read = stderr.read_to_string(&mut errors);
        read.expect("standard error is UTF-8");
        let status = program.wait().expect("a child can be waited for");
        assert!(status.success(), "{status}: {errors}");
    }
    Ended { time, cpu, errors }
}
