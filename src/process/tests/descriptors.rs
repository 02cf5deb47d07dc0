//! Descriptors of a child while its parent has many, or changes them at the same time.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{FdFlags, dup, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::pipe::pipe;

use super::*;

/// Descriptors of a supervisor with 200 commands.
const MANY: usize = 600;

/// Descriptors of `ls`, which lists the directory by the last of them.
const STANDARD: &str = "0\n1\n2\n3\n";

/// Command that runs a test in a process of its own, because its descriptors would be inherited by those of other tests.
const ALONE: [&str; 4] = ["sh", "-c", r#"shift && exec "$@""#, "sh"];

/// Opens descriptors that a child would inherit, with numbers from here on.
fn inheritable(first: i32, count: usize) -> Vec<OwnedFd> {
    let file = open("/dev/null", OFlags::RDONLY, Mode::empty()).unwrap();
    let opened = (0..count).map(|_| {
        let fd = fcntl_dupfd_cloexec(&file, first).unwrap();
        fcntl_setfd(&fd, FdFlags::empty()).unwrap();
        fd
    });
    opened.collect()
}

fn listed() -> String {
    let (stdout, ..) = run(&spec(&["ls", "/proc/self/fd"]));
    String::from_utf8(stdout).unwrap()
}

#[test]
fn a_child_of_a_parent_with_many_descriptors_has_the_standard_ones_only() {
    let name = "a_child_of_a_parent_with_many_descriptors_has_the_standard_ones_only";
    if again(module_path!(), name, &ALONE).is_none() {
        return;
    }
    let many = inheritable(3, MANY);
    assert_eq!(listed(), STANDARD);
    let mut script = spec(&["script"]);
    script.executable = Executable::Script(b"#!/bin/sh\nls /proc/$$/fd".to_vec());
    let (stdout, ..) = run(&script);
    let stdout = String::from_utf8(stdout).unwrap();
    // A shell may read the script by a second number.
    let expected = [STANDARD, "0\n1\n10\n2\n3\n"];
    assert!(expected.contains(&&*stdout), "{stdout}");
    drop(many);
}

#[test]
fn a_thread_that_opens_and_closes_descriptors_during_starts_neither_leaks_nor_loses_one() {
    let name =
        "a_thread_that_opens_and_closes_descriptors_during_starts_neither_leaks_nor_loses_one";
    if again(module_path!(), name, &ALONE).is_none() {
        return;
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let changing = scope.spawn(|| {
            let mut count = 0_usize;
            while !stop.load(Ordering::Relaxed) {
                let (reader, writer) = pipe().unwrap();
                let copies: Vec<_> = (0..8).map(|_| dup(&writer).unwrap()).collect();
                let byte = count.to_le_bytes()[0];
                rustix::io::write(copies.last().unwrap(), &[byte]).unwrap();
                drop((writer, copies));
                let mut read = [0];
                assert_eq!(rustix::io::read(&reader, &mut read).unwrap(), 1);
                assert_eq!(read, [byte]);
                // The end comes as soon as no child has a copy of the other end.
                wait_readable(&reader);
                assert_eq!(rustix::io::read(&reader, &mut read).unwrap(), 0);
                count += 1;
            }
            count
        });
        for _ in 0..100 {
            assert_eq!(listed(), STANDARD);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(changing.join().unwrap() > 0);
    });
}
