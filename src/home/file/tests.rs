//! Files of users, good and bad.

use super::*;
use std::os::unix::fs::symlink;

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/er/file");
    (directory, path)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_missing_file_reads_as_none_and_a_replaced_one_reads_back() {
    let (_directory, path) = directory();
    assert_eq!(read(&path, Readers::All).unwrap(), None);
    replace(&path, b"one\n", Readers::All).unwrap();
    assert_eq!(read(&path, Readers::All).unwrap().as_deref(), Some("one\n"));
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o644, 0o700));
    replace(&path, b"two\n", Readers::Owner).unwrap();
    assert_eq!(mode(&path), 0o600);
    replace(&path, b"three\n", Readers::All).unwrap();
    assert_eq!(mode(&path), 0o600, "a stricter mode is kept");
    let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(names, 1, "no temporary file remains");
}

#[test]
fn a_rewritten_file_keeps_its_mode_and_owner_and_a_missing_one_is_not_created() {
    let (_directory, path) = directory();
    assert!(rewrite(&path, b"one").is_err());
    replace(&path, b"one", Readers::All).unwrap();
    if rustix::process::geteuid().is_root() {
        fchown(File::open(&path).unwrap(), Some(12), Some(34)).unwrap();
    }
    let before = fs::metadata(&path).unwrap();
    for bits in [0o600, 0o640, 0o755] {
        chmod(&path, bits);
        rewrite(&path, b"two").unwrap();
        assert_eq!(mode(&path), bits);
    }
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
    assert_eq!(fs::read(&path).unwrap(), b"two");
}

#[test]
fn a_hint_replaces_a_file_whole_and_leaves_no_other_file() {
    let (directory, path) = directory();
    for text in ["first", "second, longer", ""] {
        replace_hint(&path, text.as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(mode(&path), 0o600);
    }
    let before = File::open(&path).unwrap();
    replace_hint(&path, b"third").unwrap();
    assert_eq!(
        io::read_to_string(before).unwrap(),
        "",
        "a reader has the old one"
    );
    let parent = path.parent().unwrap();
    assert_eq!(fs::read_dir(parent).unwrap().count(), 1);
    // What is no file is not replaced.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(replace_hint(&path, b"x").is_err());
    assert!(path.is_dir());
    assert_eq!(fs::read_dir(parent).unwrap().count(), 1);
    drop(directory);
}

#[test]
fn replacing_a_symbolic_link_replaces_its_target() {
    let (directory, path) = directory();
    let real = directory.path().join("real");
    fs::write(&real, "old").unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(&real, &path).unwrap();
    replace(&path, b"new", Readers::All).unwrap();
    assert_eq!(fs::read_to_string(&real).unwrap(), "new");
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
}

#[test]
fn a_file_that_others_could_have_written_is_refused() {
    let (_directory, path) = directory();
    replace(&path, b"x", Readers::All).unwrap();
    for (bits, readers, refused) in [
        (0o644, Readers::All, false),
        (0o600, Readers::All, false),
        (0o620, Readers::All, true),
        (0o602, Readers::All, true),
        (0o600, Readers::Owner, false),
        (0o640, Readers::Owner, true),
        (0o604, Readers::Owner, true),
    ] {
        chmod(&path, bits);
        let result = read(&path, readers);
        let is_refused = matches!(&result, Err(FileError::TooOpen(_, mode)) if *mode == bits);
        assert_eq!(is_refused, refused, "{bits:o} {result:?}");
    }
    chmod(&path, 0o644);
    chmod(path.parent().unwrap(), 0o777);
    let error = read(&path, Readers::All).unwrap_err().to_string();
    let directory = path.parent().unwrap().display();
    assert!(
        error.starts_with(&format!("{directory}: others may change it (mode 0777)")),
        "{error}"
    );
    chmod(path.parent().unwrap(), 0o1777);
    assert!(read(&path, Readers::All).is_ok(), "as in /tmp");
}

#[test]
fn a_link_is_read_only_if_the_directory_of_its_target_is_safe_too() {
    let (directory, path) = directory();
    replace(&path, b"x", Readers::All).unwrap();
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(read(&link, Readers::All).unwrap().as_deref(), Some("x"));
    chmod(path.parent().unwrap(), 0o777);
    let result = read(&link, Readers::All);
    assert!(matches!(result, Err(FileError::TooOpen(..))), "{result:?}");
    fs::remove_file(&path).unwrap();
    assert_eq!(read(&link, Readers::All).unwrap(), None);
}

#[test]
fn a_directory_a_large_file_and_invalid_utf8_are_refused() {
    let (directory, path) = directory();
    replace(&path, b"a\nb\nc\xff\n", Readers::All).unwrap();
    let error = read(&path, Readers::All).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{}:3: not UTF-8 text; write the line again", path.display())
    );
    assert!(matches!(
        read(directory.path(), Readers::All),
        Err(FileError::NotAFile(_))
    ));
    let large = usize::try_from(MAX_FILE).unwrap() + 1;
    replace(&path, &vec![b'x'; large], Readers::All).unwrap();
    assert!(matches!(
        read(&path, Readers::All),
        Err(FileError::TooLarge(_))
    ));
}

#[test]
fn a_fifo_in_place_of_a_file_is_refused_without_blocking() {
    let (directory, _) = directory();
    let pipe = directory.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_bits_retain(0o600),
        0,
    )
    .unwrap();
    assert!(matches!(
        read(&pipe, Readers::All),
        Err(FileError::NotAFile(_))
    ));
}
