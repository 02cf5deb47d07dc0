//! Sets of targets: `udpctl targets`, groups and names of hosts.toml, and commands on sets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;

use rustix::process::Signal;

use crate::harness::{Agent, Child, User, eventually};

const HOSTS: &str = r#"
[groups]
web = "web[01-03]"
site = "@web,db1!web02"
in1 = "web01"
in2 = "web02,web03"
inner = "@outer"
outer = "@inner"
cloud = { exec = "echo x >> asked; echo 'c[1-2] @web # some'" }
broken = { exec = "echo c1; exit 3" }

[hosts.hall]
address = "127.0.0.1"
port = PORT
tags = ["blue"]
"#;

/// Writes hosts.toml, in which `hall` is at a port.
fn write_hosts(user: &User, port: u16) {
    let directory = user.path("config/udpctl");
    fs::create_dir_all(&directory).unwrap();
    let text = HOSTS.replace("PORT", &port.to_string());
    fs::write(directory.join("hosts.toml"), text).unwrap();
}

#[test]
fn targets_are_printed_in_order_folded_and_counted() {
    let user = User::new();
    write_hosts(&user, 7001);
    fs::write(user.path("list"), "# hosts\nn[1-2] n3 # three\n\nn2\n").unwrap();
    let list = user.path("list").display().to_string();
    for (args, stdout) in [
        (&["b,a[08-10]", "b"][..], "b\na08\na09\na10\n"),
        (&["r[1-2]n[1-2]", "-x", "r1n2", "--fold"], "r2n[1-2],r1n1\n"),
        (&["n[1-1000]!n5", "--count"], "999\n"),
        (&["-w", "b", "-w", "a", "-x", "b"], "a\n"),
        (&["-g", "site"], "web01\nweb03\ndb1\n"),
        (
            &["-g", "web,tag:blue", "c"],
            "c\nweb01\nweb02\nweb03\nhall\n",
        ),
        (&["@tag:blue^hall,x"], "x\n"),
        (&["--hostfile", &list, "--fold"], "n[1-3]\n"),
        (&["@cloud", "--fold"], "c[1-2],web[01-03]\n"),
        (
            &["db[1-3]:7005,db4:7006", "-x", "db[1-2],db4:7000"],
            "db3:7005\ndb4:7006\n",
        ),
        (&["db[1-3]:7005!db1&db[1-2]"], "db2:7005\n"),
        (&["-g", "in[1,2],web"], "web01\nweb02\nweb03\n"),
        (&["@cloud&c2"], "c2\n"),
        (
            &["--groups"],
            "@broken\n@cloud\n@in1\n@in2\n@inner\n@outer\n@site\n@web\n@tag:blue\n",
        ),
        (&["a!a"], ""),
        (&["a!a", "--fold"], ""),
        (&["a!a", "--count"], "0\n"),
    ] {
        let args = [&["targets"], args].concat();
        user.udpctl(args).stdout(stdout).run();
    }
    let asked = fs::read_to_string(user.path("asked")).unwrap();
    assert_eq!(asked, "x\n", "its output is kept for a minute");
    user.udpctl(["targets", "--hostfile", "-"])
        .stdin("n[1-2]\n")
        .stdout("n1\nn2\n")
        .run();
}

#[test]
fn a_mistake_in_a_set_is_one_line_with_its_place_and_nothing_is_sent() {
    let user = User::new();
    write_hosts(&user, 7001);
    fs::write(user.path("list"), "a\nb[2-1]\n").unwrap();
    let list = user.path("list").display().to_string();
    for (args, stderr) in [
        (
            &["targets", "web[1-3"][..],
            "\"web[1-3\": the bracket is not closed, at character 4",
        ),
        (
            &["ping", "a,b[3-1]"],
            "\"a,b[3-1]\": the range runs backwards, at character 5",
        ),
        (
            &["exec", "a,,b", "--", "true"],
            "\"a,,b\": a name is missing, at character 3",
        ),
        (
            &["exec", "-w", "a[", "--", "true"],
            "\"a[\": the bracket is not closed, at character 2",
        ),
        (
            &["exec", "host:notaport", "--", "id"],
            "\"notaport\" is not a port; write 1 to 65535",
        ),
        (
            &["ping", "a,h_ st"],
            "\"h_ st\" is neither an address nor a host name",
        ),
        (
            &["targets", "10.0.0.[008-010]"],
            "\"10.0.0.008\" is neither an address nor a host name",
        ),
        (
            &["targets", "[1-3]"],
            "\"[1-3]\": the numbers need a name before them, such as web[1-3], at character 1",
        ),
        (
            &["targets", "-g", "web!web02"],
            "\"web!web02\": this is no name of a group, at character 1",
        ),
        (
            &["exec", "-w", "web1", "uptime", "-p"],
            "put \"--\" before the command: udpctl exec -w web1 -- uptime -p",
        ),
        (
            &["exec", "root@web[1-2]", "--", "id"],
            "root@web[1-2] is not a target; to run as another user: udpctl exec --user root 'web[1-2]' -- id",
        ),
        (&["jobs", "@nope"], "@nope: the inventory has no such group"),
        (
            &["exec", "@inner", "--", "true"],
            "groups that contain themselves: @inner in @outer in @inner",
        ),
        (
            &["exec", "a!a", "--", "true"],
            "the set of targets is empty",
        ),
        (
            &["send", "a!a", "--", "text"],
            "the set of targets is empty",
        ),
        (
            &["targets", "--hostfile", &list],
            &format!("{list}: line 2: the range runs backwards, at character 3"),
        ),
        (
            &["exec", "-i", "--hostfile", "-", "--", "true"],
            "-i and --hostfile - both read standard input",
        ),
    ] {
        let stderr = format!("udpctl: {stderr}\n");
        user.udpctl(args)
            .stdin("a\n")
            .stderr(stderr)
            .status(2)
            .run();
    }
}

#[test]
fn a_line_that_may_be_read_in_two_ways_is_refused() {
    let user = User::new();
    for (args, stderr) in [
        (
            &["send", "--hostfile", "-", "--", "-"][..],
            "\"-- -\" and --hostfile - both read standard input",
        ),
        (
            &["kill", "-w", "a", "3f2a"],
            "with -w, -g, -a or --hostfile, the job is written as --job JOB: udpctl kill -w SET --job JOB",
        ),
        (
            &["wait", "-g", "web", "3f2a", "--job", "4b"],
            "with -w, -g, -a or --hostfile, the job is written as --job JOB: udpctl wait -w SET --job JOB",
        ),
    ] {
        user.udpctl(args)
            .stdin("a\n")
            .stderr(format!("udpctl: {stderr}\n"))
            .status(2)
            .run();
    }
}

#[test]
fn a_hostfile_may_be_a_pipe_belong_to_a_group_and_begin_with_a_byte_order_mark() {
    let user = User::new();
    let list = user.path("list");
    fs::write(&list, "\u{feff}n[1-3] ! n2\n").unwrap();
    fs::set_permissions(&list, fs::Permissions::from_mode(0o664)).unwrap();
    let fifo = user.path("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_bits_retain(0o600),
        0,
    )
    .unwrap();
    let writer = fifo.clone();
    let writer = std::thread::spawn(move || fs::write(writer, "p[1-2]\n").unwrap());
    let (list, fifo) = (list.display().to_string(), fifo.display().to_string());
    user.udpctl(["targets", "--hostfile", &list, "--hostfile", &fifo])
        .stdout("n1\nn3\np1\np2\n")
        .run();
    writer.join().unwrap();
    fs::write(user.path("list"), b"a\nb\xff\n").unwrap();
    user.udpctl(["targets", "--hostfile", &list])
        .stderr(format!("udpctl: {list}: line 2: not UTF-8 text\n"))
        .status(2)
        .run();
    user.udpctl(["targets", "--hostfile", "none"])
        .stderr("udpctl: none: No such file or directory (os error 2)\n")
        .status(2)
        .run();
}

#[test]
fn what_is_wrong_in_hosts_toml_or_in_a_list_is_told_and_nothing_is_cut_off() {
    let user = User::new();
    write_hosts(&user, 7001);
    let outcome = user.udpctl(["targets", "@broken"]).outcome();
    assert_eq!((outcome.status, outcome.stdout.len()), (2, 0));
    let words = "hosts.toml: group broken: the command failed: exit status: 3\n";
    assert!(outcome.stderr.ends_with(words), "{}", outcome.stderr);
    fs::write(user.path("config/udpctl/hosts.toml"), "[groups]\nweb = 3\n").unwrap();
    let outcome = user.udpctl(["targets", "a"]).outcome();
    assert_eq!(outcome.status, 2);
    assert!(
        outcome.stderr.contains("hosts.toml: line 2: invalid type"),
        "{}",
        outcome.stderr
    );
    fs::remove_file(user.path("config/udpctl/hosts.toml")).unwrap();
    let outcome = user
        .udpctl(["targets", "--hostfile", "-"])
        .stdin("web1\n".repeat(1_000_000))
        .outcome();
    assert_eq!((outcome.status, outcome.stdout.len()), (2, 0));
    assert_eq!(
        outcome.stderr,
        "udpctl: standard input: larger than 4194304 bytes\n"
    );
}

#[test]
fn commands_run_on_the_hosts_of_a_set_under_the_names_of_the_inventory() {
    let user = User::new();
    let agent = Agent::start(&user, &["--bind", "127.0.0.1:0", "--bind", "127.0.0.2:0"]);
    let [first, second] = agent.addresses() else {
        panic!("two addresses");
    };
    write_hosts(&user, first.port());
    for target in ["hall", &second.to_string()] {
        let trusted = user.udpctl(["trust", target, agent.key()]).outcome();
        assert_eq!(trusted.status, 0, "{}", trusted.stderr);
    }
    user.udpctl(["exec", "hall", "--", "echo", "hi"])
        .stdout("hi\n")
        .run();
    // Both names are one target, and the label is the first.
    let both = format!("hall,{first},{second}");
    let outcome = user
        .udpctl(["exec", &both, "-x", "other", "--", "echo", "hi"])
        .outcome();
    let mut lines: Vec<&str> = std::str::from_utf8(&outcome.stdout)
        .unwrap()
        .lines()
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, [format!("{second}: hi"), "hall: hi".to_owned()]);
    for args in [
        &["ping", "@tag:blue"][..],
        &["ping", "-g", "tag:blue", "-x", "web[01-03]"],
        &["jobs", "hall"],
    ] {
        let outcome = user.udpctl(args).outcome();
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    }
}

#[test]
fn the_command_of_a_group_ends_with_udpctl() {
    let user = User::new();
    let directory = user.path("config/udpctl");
    fs::create_dir_all(&directory).unwrap();
    let pid = user.path("pid").display().to_string();
    let script = format!("echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 600");
    let groups = format!("[groups]\nslow = {{ exec = \"{script}\" }}\n");
    fs::write(directory.join("hosts.toml"), groups).unwrap();
    let mut command = user.command("udpctl");
    command.args(["targets", "@slow"]);
    let mut udpctl = Child::start(command);
    eventually("the command runs", || fs::exists(&pid).unwrap());
    let number = fs::read_to_string(&pid).unwrap();
    let process = format!("/proc/{}", number.trim());
    assert!(fs::exists(&process).unwrap());
    udpctl.signal(Signal::TERM);
    let (status, stderr) = udpctl.wait();
    assert_eq!((status.signal(), stderr.as_str()), (Some(15), ""));
    // A process that nobody waits for yet has ended all the same.
    eventually("the command has ended", || {
        let stat = fs::read_to_string(format!("{process}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z "))
    });
}
