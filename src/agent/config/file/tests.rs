//! Tests of parsing `udpagent.toml`.

use std::time::Duration;

use super::*;
use crate::agent::config::Switch;
use crate::process::CgroupParent;
use proptest::prelude::*;

fn read(text: &str) -> Result<Layer, String> {
    parse(text, Path::new("/etc/udpagent/udpagent.toml")).map_err(|error| error.to_string())
}

#[test]
fn every_key_of_the_file_is_parsed() {
    let layer = read(
        r#"
        bind = [":7000", "127.0.0.1:7001"]
        name = "web 3"
        reply = "OK...{text}"
        on-message = "sh -c 'cat; date'"
        on-message-timeout = "3s"
        exec = false
        plain = true
        log-format = "json"
        audit = "required"
        audit-file = "/var/log/udpagent.jsonl"
        keep-jobs = true
        history = 7
        sandbox = "required"

        [limits]
        jobs = 8
        sessions-per-key = 32
        runtime = "1h"
        output = "1 GiB"
        open-files = 64
        processes = 100
        memory = "512M"
        file-size = "1.5 GiB"
        cpu = "1500ms"
        core = 0

        [cgroup]
        parent = "/sys/fs/cgroup/jobs"
        memory = "1 GiB"
        pids = 100
        cpu = "150%"
        "#,
    )
    .unwrap();
    let expected = Layer {
        bind: Some(vec![Bind::All(7000), "127.0.0.1:7001".parse().unwrap()]),
        name: Some("web 3".to_owned()),
        reply: Some("OK...{text}".parse().unwrap()),
        on_message: Some("sh -c 'cat; date'".parse().unwrap()),
        on_message_timeout: Some(Duration::from_secs(3)),
        exec: Some(Switch::Off),
        plain: Some(Switch::On),
        log_format: Some(LogFormat::Json),
        max_jobs: Some(8),
        sessions_per_key: Some(32),
        max_runtime: Some(Duration::from_secs(3600)),
        max_output: Some(1 << 30),
        resources: [
            (Resource::Nofile, 64),
            (Resource::Nproc, 100),
            (Resource::As, 512_000_000),
            (Resource::Fsize, 3 << 29),
            (Resource::Cpu, 2),
            (Resource::Core, 0),
        ]
        .map(|(resource, at_most)| Limit { resource, at_most })
        .to_vec(),
        cgroup_limits: CgroupLimits {
            memory: Some(1 << 30),
            pids: Some(100),
            cpu_percent: Some(150),
        },
        cgroup_parent: Some(CgroupParent::At("/sys/fs/cgroup/jobs".into())),
        sandbox: Some(Sandbox::Required),
        audit: Some(Audit::Required),
        audit_file: Some("/var/log/udpagent.jsonl".into()),
        keep_jobs: Some(Switch::On),
        history: Some(7),
    };
    assert_eq!(layer, expected);
}

#[test]
fn an_empty_file_has_no_values_and_a_single_value_is_a_list() {
    assert_eq!(read(""), Ok(Layer::default()));
    assert_eq!(read("bind = ':1'").unwrap().bind, Some(vec![Bind::All(1)]));
    let layer = read("limits = { runtime = 90, output = 5 }").unwrap();
    assert_eq!(layer.max_runtime, Some(Duration::from_secs(90)));
    assert_eq!(layer.max_output, Some(5));
}

/// Wrong files, and the message about each behind the path of the file.
const WRONG: &[(&str, &str)] = &[
    (
        "\nbnd = ':1'",
        "2: unknown field `bnd`, expected one of `bind`, `name`, ",
    ),
    (
        "[limits]\njob = 1",
        "2: limits: unknown field `job`, expected one of `jobs`, ",
    ),
    (
        "exec = 1",
        "1: exec: invalid type: integer `1`, expected a boolean",
    ),
    ("exec = true\nexec = false", "2: duplicate key"),
    (
        "bind = [\n':1',\n':x']",
        "3: bind: \"x\" is not a port; write 1 to 65535",
    ),
    (
        "bind = ':x'",
        "1: bind: \"x\" is not a port; write 1 to 65535",
    ),
    (
        "bind = []",
        "1: bind: the list is empty; leave the key out instead",
    ),
    (
        "bind = 7000",
        "1: bind: invalid type: integer `7000`, expected a string, or a list of strings",
    ),
    (
        "name = \"a\\u001bb\"",
        "1: name: write at most 64 bytes of visible characters",
    ),
    ("on-message = ''", "1: on-message: write a command"),
    (
        "on-message = \"sh -c 'x\"",
        "1: on-message: a quote is not closed",
    ),
    ("on-message-timeout = '0'", "1: on-message-timeout: "),
    ("reply = ''", "1: reply: a reply needs text of its own"),
    (
        "log-format = 'xml'",
        "1: log-format: unknown variant `xml`, expected `text` or `json`",
    ),
    (
        "[limits]\njobs = 0",
        "2: limits.jobs: write 1 to 16384; to run no commands, exec = false",
    ),
    (
        "[limits]\n\nruntime = '5 years'",
        "3: limits.runtime: write a number with ms, s, m, h or d, or several such as 1m30s",
    ),
    ("audit = true", "1: audit: "),
    (
        "audit = 'yes'",
        "1: audit: unknown variant `yes`, expected one of `auto`, `off`, `on`, `required`",
    ),
    (
        "audit-file = 'log'",
        "1: audit-file: write an absolute path",
    ),
    (
        "limits.output = 'big'",
        "1: limits.output: write a number of bytes such as 4096, \"10 MB\" or \"1 GiB\"",
    ),
    (
        "limits.memory = -1",
        "1: limits.memory: write a number that is not negative",
    ),
    (
        "limits.open-files = 0",
        "1: limits.open-files: write a number of at least 1",
    ),
    (
        "limits.cpu = 0",
        "1: limits.cpu: a duration must be longer than zero",
    ),
    (
        "[cgroup]\nmemory = '1 kB'",
        "2: cgroup.memory: write a size of at least 1 MiB",
    ),
    (
        "cgroup.parent = 'jobs'",
        "1: cgroup.parent: write \"auto\", \"off\" or the path of a directory",
    ),
    (
        "cgroup.cpu = 0",
        "1: cgroup.cpu: write a percentage of one processor of at least 1",
    ),
    (
        "cgroup.pids = 0",
        "1: cgroup.pids: write a number of at least 1",
    ),
    (
        "sandbox = 'on'",
        "1: sandbox: unknown variant `on`, expected one of `auto`, `required`, `off`",
    ),
    ("name = ", "1: "),
    ("bind", "1: "),
];

#[test]
fn an_error_in_the_file_names_file_line_and_key() {
    for (text, message) in WRONG {
        let error = read(text).unwrap_err();
        let start = format!("/etc/udpagent/udpagent.toml:{message}");
        assert!(error.starts_with(&start), "{text:?}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_missing_file_loads_as_none() {
    let directory = tempfile::tempdir().unwrap();
    assert!(
        load(&directory.path().join("udpagent.toml"))
            .unwrap()
            .is_none()
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in "(.|\n){0,100}", lines in proptest::collection::vec(
        ("bind|name|reply|exec|log-format|\\[limits\\]|audit|audit-file|jobs|runtime|output|cpu|core", "( ?= ?[\\['\":0-9a-z\\]]{0,9})?"), 0..5
    )) {
        let _ = read(&text);
        let near: String = lines.into_iter().map(|(key, value)| key + &value + "\n").collect();
        let _ = read(&near);
    }
}
