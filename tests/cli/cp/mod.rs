//! `udpctl cp`: files and directories to hosts and from them.

mod failures;
mod fleet;
mod hints;
mod policy;
mod resume;

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime};

use crate::harness::User;

/// Content without a pattern that repeats.
fn bytes(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

#[test]
fn a_file_goes_up_and_comes_down_as_it_is() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let content = bytes(3_000_000);
    fs::write(user.path("f"), &content).unwrap();
    fs::set_permissions(user.path("f"), fs::Permissions::from_mode(0o750)).unwrap();
    let to = user.path("there");
    fs::create_dir(&to).unwrap();
    let place = format!("{target}:{}", to.display());
    user.udpctl(["cp", "f", &place]).run();
    assert!(fs::read(to.join("f")).unwrap() == content);
    assert_eq!(fs::metadata(to.join("f")).unwrap().mode() & 0o777, 0o750);
    user.udpctl(["cp", &format!("{place}/f"), "back"]).run();
    assert!(fs::read(user.path("back")).unwrap() == content);
    // An empty file, and a name for a port and a path with a colon.
    fs::write(user.path("a:b"), "").unwrap();
    let (host, port) = target.split_once(':').unwrap();
    user.udpctl([
        "cp",
        "./a:b",
        &format!("{host}:{port}:{}/x:y", to.display()),
    ])
    .run();
    assert_eq!(fs::read(to.join("x:y")).unwrap(), b"");
    user.udpctl(["cp", "-v", "f", &place])
        .stderr(format!("udpctl: {target}: 1 file, 3000000 bytes\n"))
        .run();
}

#[test]
fn a_tree_keeps_names_links_holes_and_with_p_permissions_and_times() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let odd = std::ffi::OsStr::from_bytes(b"tree/\xff\n x");
    fs::create_dir_all(user.path("tree/sub/empty")).unwrap();
    fs::write(user.path(odd), "odd").unwrap();
    symlink("/no/where", user.path("tree/sub/link")).unwrap();
    let sparse = fs::File::create(user.path("tree/sparse")).unwrap();
    sparse.write_all_at(b"end", 64 << 20).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 7);
    sparse.set_modified(old).unwrap();
    fs::set_permissions(user.path("tree/sparse"), fs::Permissions::from_mode(0o604)).unwrap();
    fs::create_dir(user.path("there")).unwrap();
    let to = user.path("there").display().to_string();
    user.udpctl(["cp", "-rp", "tree", &format!("{target}:{to}")])
        .run();
    user.udpctl(["cp", "-rp", &format!("{target}:{to}/tree"), "back"])
        .run();
    for copy in ["there/tree", "back"] {
        let at = |path: &str| user.path(copy).join(path);
        assert_eq!(
            fs::read(at("").join(std::ffi::OsStr::from_bytes(b"\xff\n x"))).unwrap(),
            b"odd"
        );
        assert_eq!(
            fs::read_link(at("sub/link")).unwrap().to_str(),
            Some("/no/where")
        );
        assert!(at("sub/empty").is_dir());
        let data = fs::metadata(at("sparse")).unwrap();
        assert_eq!((data.len(), data.mode() & 0o777), ((64 << 20) + 3, 0o604));
        assert!(data.blocks() * 512 < 1 << 20, "{} blocks", data.blocks());
        assert_eq!(data.modified().unwrap(), old);
    }
}

#[test]
fn relative_paths_of_a_host_begin_in_the_home_directory() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let home = user.udpctl(["exec", &target, "--", "pwd"]).outcome();
    let home = String::from_utf8(home.stdout).unwrap();
    let home = std::path::PathBuf::from(home.trim());
    let name = format!(".udpagent-test-{}", std::process::id());
    fs::write(user.path("f"), "f").unwrap();
    for place in [format!("{target}:{name}"), format!("{target}:~/{name}")] {
        user.udpctl(["cp", "f", &place]).run();
        assert_eq!(fs::read(home.join(&name)).unwrap(), b"f");
        fs::remove_file(home.join(&name)).unwrap();
    }
}
