//! Command lines that programs make, recorded from a program that stood in the place of ssh.

use std::time::Duration;

use super::*;
use crate::cli::ctl::ssh::options::RequestTty;

fn parse(words: &[&str]) -> Result<CommandLine> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    CommandLine::parse(&words)
}

/// A line that is understood, with a bar between its words: its host, user, port and command, and its other options.
struct Known {
    words: &'static str,
    host: &'static str,
    user: Option<&'static str>,
    port: Option<u16>,
    command: &'static str,
    others: Options,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            words: "",
            host: "web1",
            user: None,
            port: None,
            command: "",
            others: Options::default(),
        }
    }
}

/// Lines of file transfer: rsync, scp, sftp, git.
fn transfers() -> Vec<Known> {
    let subsystem = || Options {
        session_type: Some(SessionType::Subsystem),
        remote_command: Some(String::new()),
        request_tty: Some(RequestTty::No),
        clear_forwards: Some(true),
        ..Options::default()
    };
    vec![
        // rsync -a -e 'udpctl ssh -p 7001' a ann@web1:b
        Known {
            words: "-p|7001|-l|ann|web1|rsync|--server|-logDtpre.iLsfxCIvu|.|b",
            user: Some("ann"),
            port: Some(7001),
            command: "rsync|--server|-logDtpre.iLsfxCIvu|.|b",
            ..Known::default()
        },
        // scp -S udpctl-ssh a ann@web1:b
        Known {
            words: "-x|-oPermitLocalCommand=no|-oClearAllForwardings=yes|-oRemoteCommand=none|-oRequestTTY=no|-oForwardAgent=no|-l|ann|-s|--|web1|sftp",
            user: Some("ann"),
            command: "sftp",
            others: subsystem(),
            ..Known::default()
        },
        // scp -O -P 7001 -C -S udpctl-ssh a web1:b
        Known {
            words: "-x|-oPermitLocalCommand=no|-oClearAllForwardings=yes|-oRemoteCommand=none|-oRequestTTY=no|-C|-oForwardAgent=no|-p|7001|--|web1|scp -t b",
            port: Some(7001),
            command: "scp -t b",
            others: Options {
                session_type: None,
                ..subsystem()
            },
            ..Known::default()
        },
        // sftp -b - -P 7001 -S udpctl-ssh ann@web1
        Known {
            words: "-oForwardX11 no|-oPermitLocalCommand no|-oClearAllForwardings yes|-obatchmode yes|-oForwardAgent no|-oPort 7001|-l|ann|-s|--|web1|sftp",
            user: Some("ann"),
            port: Some(7001),
            command: "sftp",
            others: Options {
                session_type: Some(SessionType::Subsystem),
                clear_forwards: Some(true),
                ..Options::default()
            },
            ..Known::default()
        },
        // git clone ssh://ann@web1:7001/srv/site.git
        Known {
            words: "-o|SendEnv=GIT_PROTOCOL|-p|7001|ann@web1|git-upload-pack '/srv/site.git'",
            user: Some("ann"),
            port: Some(7001),
            command: "git-upload-pack '/srv/site.git'",
            others: Options {
                send_env: vec!["GIT_PROTOCOL".into()],
                ..Options::default()
            },
            ..Known::default()
        },
    ]
}

/// Lines of programs that run commands on many hosts.
fn fleets() -> Vec<Known> {
    vec![
        // ansible -m ping, with a become that wants a terminal
        Known {
            words: "-vvv|-C|-o|ControlMaster=auto|-o|ControlPersist=60s|-o|KbdInteractiveAuthentication=no|-o|PreferredAuthentications=gssapi-with-mic,gssapi-keyex,hostbased,publickey|-o|PasswordAuthentication=no|-o|User=\"ann\"|-o|ConnectTimeout=10|-o|Port=7001|-o|ControlPath=\"/root/.ansible/cp/1f2a\"|-tt|web1|/bin/sh -c 'echo ~ann && sleep 0'",
            user: Some("ann"),
            port: Some(7001),
            command: "/bin/sh -c 'echo ~ann && sleep 0'",
            others: Options {
                log_level: Some(LogLevel::Verbose),
                connect_timeout: Some(Duration::from_secs(10)),
                request_tty: Some(RequestTty::Force),
                ..Options::default()
            },
            ..Known::default()
        },
        // parallel --ssh 'udpctl ssh' -S ann@web1 echo ::: 1
        Known {
            words: "-l|ann|web1|--|exec|parallel|--number-of-threads",
            user: Some("ann"),
            command: "exec|parallel|--number-of-threads",
            ..Known::default()
        },
        // clush -w web1 -l ann uname -r
        Known {
            words: "-oForwardAgent=no|-oForwardX11=no|-l|ann|-oConnectTimeout=15|-oBatchMode=yes|web1|uname -r",
            user: Some("ann"),
            command: "uname -r",
            others: Options {
                connect_timeout: Some(Duration::from_secs(15)),
                ..Options::default()
            },
            ..Known::default()
        },
        // pdsh -R ssh -w ann@web1 uname -r
        Known {
            words: "-oConnectTimeout=10|-2|-a|-x|-lann|web1|uname|-r",
            user: Some("ann"),
            command: "uname|-r",
            others: Options {
                connect_timeout: Some(Duration::from_secs(10)),
                ..Options::default()
            },
            ..Known::default()
        },
    ]
}

/// Lines of people, and corners of the syntax.
fn corners() -> Vec<Known> {
    let tty = |request_tty| Options {
        request_tty: Some(request_tty),
        ..Options::default()
    };
    vec![
        Known {
            words: "web1|-t|-p7001|--|-x|-t",
            port: Some(7001),
            command: "-x|-t",
            others: tty(RequestTty::Yes),
            ..Known::default()
        },
        Known {
            words: "--|web1|--|-t",
            command: "--|-t",
            ..Known::default()
        },
        Known {
            words: "-tt4q|web1|ls|-l|--|-a",
            command: "ls|-l|--|-a",
            others: Options {
                family: Some(Family::V4),
                log_level: Some(LogLevel::Quiet),
                ..tty(RequestTty::Force)
            },
            ..Known::default()
        },
        Known {
            words: "-lann|bob@web1|-l|eve|-o|user = joe|-",
            user: Some("ann"),
            command: "-",
            ..Known::default()
        },
        Known {
            words: "ssh://ann@[::1]:7001/|ls",
            host: "[::1]",
            user: Some("ann"),
            port: Some(7001),
            command: "ls",
            ..Known::default()
        },
        Known {
            words: "a@b@::1",
            host: "::1",
            user: Some("a@b"),
            ..Known::default()
        },
        Known {
            words: "-nfT|-F/dev/null|-i|key|-S|none|-Jnone|web1",
            others: Options {
                stdin_null: Some(true),
                background: Some(true),
                ..tty(RequestTty::No)
            },
            ..Known::default()
        },
    ]
}

#[test]
fn command_lines_of_real_programs_are_understood() {
    for known in [transfers(), fleets(), corners()].into_iter().flatten() {
        let words: Vec<&str> = known.words.split('|').collect();
        let line = parse(&words).unwrap_or_else(|error| panic!("{}: {error:#}", known.words));
        let command = known.command.split('|').filter(|word| !word.is_empty());
        let wanted = CommandLine {
            host: Some(known.host.into()),
            command: command.map(OsString::from).collect(),
            options: Options {
                user: known.user.map(str::to_owned),
                port: known.port,
                ..known.others
            },
            query: None,
        };
        assert_eq!(line, wanted, "{}", known.words);
    }
}

#[test]
fn an_option_that_would_change_something_is_refused_in_words() {
    for (words, message) in [
        (
            &["-A", "h"][..],
            "-A: an authentication agent is not forwarded",
        ),
        (&["-Y", "h"], "-Y: X11 is not forwarded"),
        (
            &["-N", "h"],
            "-N: a session without a command serves forwarded connections, and there are none",
        ),
        (
            &["-D", "1080", "h"],
            "-D: only -L and -W forward connections",
        ),
        (
            &["-L8080:localhost", "h"],
            "-L: [BIND:]PORT:HOST:PORT, PORT:/SOCKET, /SOCKET:HOST:PORT or /SOCKET:/SOCKET is expected",
        ),
        (
            &["-N", "-oClearAllForwardings=yes", "-L1:a:1", "h"],
            "-N: a session without a command serves forwarded connections, and there are none",
        ),
        (
            &["-R", "1:h:1", "h"],
            "-R: only -L and -W forward connections",
        ),
        (&["-W", "db", "h"], "-W: HOST:PORT or /SOCKET is expected"),
        (
            &["-J", "gate", "h"],
            "-J: the host is contacted directly, without other hosts or a proxy",
        ),
        (&["-O", "exit", "h"], "-O: there is no control connection"),
        (
            &["-o", "ForwardAgent=yes", "h"],
            "-o ForwardAgent=yes: an authentication agent is not forwarded",
        ),
        (
            &["-oProxyCommand nc %h %p", "h"],
            "-o ProxyCommand=nc %h %p: the host is contacted directly, without other hosts or a proxy",
        ),
        (
            &["-o", "Prot=2", "h"],
            "command-line: line 0: Bad configuration option: Prot",
        ),
        (&["-o", "Port", "h"], "-o Port: a value is missing"),
        (&["-o", "Port=a", "h"], "-o Port=a: Bad port 'a'"),
        (&["-p", "0", "h"], "-p: Bad port '0'"),
        (
            &["-o", "User=a b", "h"],
            "-o User=a b: one value is expected, not 2",
        ),
        (
            &["-e", "xy", "h"],
            "-e: a character, ^ and a letter, or none is expected",
        ),
        (
            &["-oStreamLocalBindMask=9", "h"],
            "-o StreamLocalBindMask=9: octal bits such as 0177 are expected",
        ),
    ] {
        let error = parse(words).expect_err(words[0]);
        assert_eq!(format!("{error:#}"), message);
    }
}

#[test]
fn a_line_without_a_host_shows_the_usage() {
    for (words, message) in [
        (&[][..], "the host is missing"),
        (&["-v"], "the host is missing"),
        (&["@h"], "\"@h\" is no host"),
        (&["ann@"], "\"ann@\" is no host"),
        (&["h", "-p"], "-p: a value is missing"),
        (&["-Z", "h"], "unknown option -Z"),
    ] {
        let error = format!("{:#}", parse(words).unwrap_err());
        assert_eq!(error, format!("{message}\nusage: {USAGE}"), "{words:?}");
    }
}

#[test]
fn questions_need_no_command() {
    assert_eq!(parse(&["-V"]).unwrap().query, Some(Query::Version));
    for words in [&["-h"][..], &["--help"], &["-vh"], &["h", "-p1", "--help"]] {
        assert_eq!(parse(words).unwrap().query, Some(Query::Help), "{words:?}");
    }
    assert_eq!(parse(&["h", "ls", "--help"]).unwrap().query, None);
    assert_eq!(
        parse(&["-G", "h"]).unwrap().query,
        Some(Query::Configuration)
    );
}
