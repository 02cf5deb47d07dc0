//! Whole trees: names, links, permissions, times and failures of single items.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

/// Paths and contents of a tree; links with their targets.
fn contents(root: &Path) -> Vec<(PathBuf, String, Vec<u8>)> {
    let mut open = vec![root.to_owned()];
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let shown = path.strip_prefix(root).unwrap().to_owned();
            let data = path.symlink_metadata().unwrap();
            if data.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                found.push((shown, "link".into(), target.as_os_str().as_bytes().to_vec()));
            } else if data.is_dir() {
                found.push((shown, "directory".into(), Vec::new()));
                open.push(path);
            } else {
                let kind = format!("file {:o}", data.mode() & 0o777);
                found.push((shown, kind, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn odd_tree(area: &Area) {
    let odd = OsStr::from_bytes(b"from/t/\xff\n \\x").to_owned();
    fs::create_dir_all(area.at("from/t/a/b/empty")).unwrap();
    fs::write(area.0.path().join(odd), "odd").unwrap();
    area.write("from/t/none", "");
    area.write("from/t/a/small", bytes(3000));
    area.write("from/t/a/b/large", bytes(1_500_000));
    area.write("from/t/a/border", bytes(128 << 10));
    area.write("from/t/a/beyond", bytes((128 << 10) + 1));
    symlink("../../sibling", area.at("from/t/a/out")).unwrap();
    symlink("nowhere", area.at("from/t/dangling")).unwrap();
    let run = fs::Permissions::from_mode(0o755);
    fs::set_permissions(area.at("from/t/a/small"), run).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_tree_arrives_whatever_the_chunks(cuts in proptest::collection::vec(1_usize..100_000, 1..20)) {
        let area = Area::new();
        odd_tree(&area);
        let mut copy = Copy::new(area.sender(&["from/t"]), area.receiver("to", false));
        copy.cuts = cuts;
        copy.run();
        prop_assert!(copy.sender.is_complete() && copy.receiver.is_complete());
        prop_assert_eq!(contents(&area.at("to/t")), contents(&area.at("from/t")));
        let counts = copy.receiver.counts();
        prop_assert_eq!((counts.files, counts.failed), (8, 0));
        prop_assert_eq!(copy.receiver.progress(), counts.bytes);
        prop_assert_eq!(copy.sender.progress(), counts.bytes);
        area.assert_untouched();
    }
}

#[test]
fn permissions_and_times_are_kept_only_on_request() {
    let area = Area::new();
    fs::create_dir(area.at("from/d")).unwrap();
    area.write("from/d/f", "x");
    symlink("f", area.at("from/d/l")).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    let file = fs::File::open(area.at("from/d/f")).unwrap();
    file.set_modified(old).unwrap();
    fs::set_permissions(area.at("from/d/f"), fs::Permissions::from_mode(0o4701)).unwrap();
    fs::set_permissions(area.at("from/d"), fs::Permissions::from_mode(0o555)).unwrap();
    let directory = fs::File::open(area.at("from/d")).unwrap();
    directory.set_modified(old).unwrap();
    let data = |path: &str| area.at(path).symlink_metadata().unwrap();
    for preserve in [true, false] {
        let to = ["to/plain", "to/kept"][usize::from(preserve)];
        let mut copy = Copy::new(area.sender(&["from/d"]), area.receiver(to, preserve));
        copy.run();
        assert_eq!(copy.reports(), [""; 0]);
        let f = data(&format!("{to}/f"));
        let d = data(to);
        let mode = |data: &fs::Metadata| data.mode() & 0o7777;
        let umask = directory::umask();
        if preserve {
            // Not the bit by which it would run as another user.
            assert_eq!((mode(&f), mode(&d)), (0o701, 0o555));
            assert_eq!((f.modified().unwrap(), d.modified().unwrap()), (old, old));
            let link = data(&format!("{to}/l")).modified().unwrap();
            assert_eq!(link, data("from/d/l").modified().unwrap());
        } else {
            assert_eq!((mode(&f), mode(&d)), (0o701 & !umask, 0o555 & !umask));
            assert_ne!(f.modified().unwrap(), old);
        }
    }
}

#[test]
fn a_file_that_is_replaced_keeps_its_permissions() {
    let area = Area::new();
    area.write("from/f", "new");
    area.write("to/f", "old content");
    fs::set_permissions(area.at("to/f"), fs::Permissions::from_mode(0o400)).unwrap();
    let open = fs::File::open(area.at("to/f")).unwrap();
    Copy::new(area.sender(&["from/f"]), area.receiver("to", false)).run();
    assert_eq!(area.read("to/f"), b"new");
    assert_eq!(area.at("to/f").metadata().unwrap().mode() & 0o777, 0o400);
    let mut before = [0; 11];
    open.read_exact_at(&mut before, 0).unwrap();
    assert_eq!(&before, b"old content", "it was replaced, not written to");
}

#[test]
fn an_item_that_fails_is_named_and_the_rest_is_copied() {
    let area = Area::new();
    fs::create_dir_all(area.at("from/d/sub")).unwrap();
    fs::create_dir_all(area.at("to/d/busy/in")).unwrap();
    area.write("from/d/a", "a");
    area.write("from/d/busy", "a directory is there");
    area.write("from/d/sub/lost", "its directory cannot be made");
    area.write("from/d/z", "z");
    area.write("to/d/sub", "a file is there");
    mknodat(CWD, area.at("from/d/pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let mut copy = Copy::new(
        area.sender(&["from/none", "from/d"]),
        area.receiver("to", false),
    );
    copy.run();
    assert!(!copy.sender.is_complete() && !copy.receiver.is_complete());
    let mut reports = copy.reports();
    reports.sort();
    assert_eq!(
        reports,
        [
            "Here busy: Is a directory",
            "Here none: No such file or directory",
            "Here pipe: not a file, directory or symbolic link",
            "Here sub: Not a directory",
            "There busy: Is a directory",
            "There none: No such file or directory",
            "There pipe: not a file, directory or symbolic link",
            "There sub: Not a directory",
        ]
    );
    assert_eq!(copy.receiver.counts().files, 2);
    assert_eq!(area.names("to/d"), ["a", "busy", "sub", "z"]);
    assert_eq!(area.read("to/d/sub"), b"a file is there");
}

#[test]
fn one_call_passes_over_a_bounded_number_of_items_that_fail() {
    const ITEMS: u64 = 3000;
    const MOST: u64 = limits::WORK / limits::FRAME_WORK;
    let area = Area::new();
    for index in 0..ITEMS / 2 {
        let pipe = area.at(&format!("from/pipe{index}"));
        mknodat(CWD, pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
    }
    // Neither the entries of a directory nor named items may hold a call.
    let absent = vec!["absent"; usize::try_from(ITEMS / 2).unwrap()];
    let paths = [vec!["from"], absent].concat();
    let mut copy = Copy::new(area.sender(&paths), area.receiver("to", false));
    let (mut calls, mut failures) = (0, 0);
    while !copy.sender.is_done() {
        match copy.sender.pull() {
            Pulled::Bytes(bytes) => {
                push(&mut copy.receiver, &bytes).unwrap();
                copy.sender.push(&copy.receiver.take_replies()).unwrap();
            }
            Pulled::Busy => calls += 1,
            Pulled::Nothing => panic!("the receiver has everything"),
        }
        assert!(copy.sender.failures() <= failures + MOST);
        failures = copy.sender.failures();
    }
    assert_eq!(failures, ITEMS);
    assert!(calls >= ITEMS / MOST - 1, "{calls}");
}

#[test]
fn a_report_has_the_whole_path() {
    let area = Area::new();
    fs::create_dir_all(area.at("from/d/a/b")).unwrap();
    area.write("from/d/a/b/f", "f");
    area.write("from/d/z", "z");
    for directory in ["to/d/a/b/f", "to/d/z"] {
        fs::create_dir_all(area.at(directory)).unwrap();
    }
    let mut copy = Copy::new(area.sender(&["from/d"]), area.receiver("to", false));
    copy.run();
    let path = |report: Report| PathBuf::from(OsStr::from_bytes(&report.path));
    let sender = std::iter::from_fn(|| copy.sender.next_report()).map(path);
    let failed = ["to/d/a/b/f", "to/d/z"].map(|path| area.at(path));
    assert_eq!(sender.collect::<Vec<_>>(), failed);
}

#[test]
fn directories_nested_too_deeply_are_named() {
    let area = Area::new();
    let mut path = area.at("from/d");
    for _ in 0..=limits::DEPTH {
        fs::create_dir(&path).unwrap();
        path.push("d");
    }
    let mut copy = Copy::new(area.sender(&["from/d"]), area.receiver("to", false));
    copy.run();
    let words = "d: directories are nested too deeply";
    assert_eq!(
        copy.reports(),
        [format!("Here {words}"), format!("There {words}")]
    );
}

#[test]
fn deep_trees_of_many_copies_take_few_descriptors() {
    // More than a process has, if each directory took one.
    const COPIES: usize = 40;
    let area = Area::new();
    let deep = format!("from{}", "/d".repeat(limits::DEPTH - 1));
    fs::create_dir_all(area.at(&deep)).unwrap();
    area.write(&format!("{deep}/f"), bytes(200_000));
    let library = Rc::new(Library::new(1));
    let mut copies: Vec<_> = (0..COPIES)
        .map(|index| {
            let to = format!("to/{index}");
            let sources = Sources {
                paths: vec![area.at("from")],
                scope: Scope::Everywhere,
                recursive: true,
            };
            let sender = Sender::new(sources, Rc::clone(&library));
            Copy::new(sender, area.receiver(&to, false))
        })
        .collect();
    // All are in the innermost directory at the same time.
    for copy in &mut copies {
        assert!(copy.step() && copy.step());
        assert!(copy.receiver.progress() > 0);
    }
    for copy in &mut copies {
        copy.run();
        assert_eq!(copy.reports(), [""; 0]);
        assert!(copy.sender.is_complete() && copy.receiver.is_complete());
    }
}

#[test]
fn directories_that_are_moved_meanwhile_are_passed_over_with_what_follows_in_them() {
    let area = Area::new();
    fs::create_dir_all(area.at("from/a/b/c/d")).unwrap();
    area.write("from/a/b/c/d/f", bytes(3_000_000));
    area.write("from/a/z", "z");
    area.write("from/z", "z");
    // The directory is moved once the sender, or the receiver, is in it.
    for moved in ["from/from/a/b", "to/from/a/b"] {
        let _ = fs::remove_dir_all(area.at("to"));
        fs::create_dir(area.at("to")).unwrap();
        let moved = area.at(moved.strip_prefix("from/").unwrap_or(moved));
        let mut copy = Copy::new(
            area.sender(&["from", "sibling/kept"]),
            area.receiver("to", false),
        );
        assert!(copy.step() && copy.step());
        let away = area.at("sibling/b");
        fs::rename(&moved, &away).unwrap();
        copy.run();
        assert!(!copy.receiver.is_complete());
        let reports = copy.reports();
        let named = reports.iter().filter(|words| words.contains("moved while"));
        // Each side names it.
        assert_eq!(named.count(), 2, "{reports:?}");
        assert!(!area.at("to/from/a/z").exists(), "{}", moved.display());
        assert_eq!(area.read("to/kept"), b"kept");
        assert_eq!(area.names("sibling"), ["b", "kept"]);
        fs::rename(away, moved).unwrap();
    }
}
