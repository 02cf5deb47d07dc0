//! Secret keys on disk: one line, owned by the user, mode 0600; refused if others have access.
//!
//! The only module of `crypto` that touches files. A key file is created atomically (written to a temporary
//! file, synced, linked into place), so that two programs that start at the same time agree on one key.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{ParseKeyError, PublicKey, SecretKey};
use crate::escape;
use crate::rng::Rng;

/// Upper bound of the size of a key file, so that no large file is read.
const MAX_FILE: usize = 256;

/// Permission bits that must be clear.
const OTHERS: u32 = 0o077;

/// Reason why a key file could not be used.
#[derive(Debug)]
pub enum KeyFileError {
    /// The file or its folder could not be read or written.
    Io(PathBuf, io::Error),
    /// Other users have access to the file; holds the mode.
    TooOpen(PathBuf, u32),
    /// The file belongs to another user; holds the uid of the owner.
    NotOurs(PathBuf, u32),
    /// The file does not hold a key.
    Parse(PathBuf, ParseKeyError),
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::TooOpen(path, mode) => {
                let argument = path.to_string_lossy();
                let argument = escape::shell_word(&argument);
                write!(
                    f,
                    "{}: others may use this secret key (mode {mode:04o}); run: chmod 600 {argument}",
                    path.display()
                )
            }
            Self::NotOurs(path, owner) => write!(
                f,
                "{}: this secret key belongs to uid {owner}, not to uid {}; run as that user, or use a key file of your own",
                path.display(),
                rustix::process::geteuid().as_raw()
            ),
            Self::Parse(path, error) => write!(
                f,
                "{}: {error}; restore the file, or remove it to have a new key made",
                path.display()
            ),
        }
    }
}

// No source: the text of the error contains that of its cause.
impl std::error::Error for KeyFileError {}

/// Reads the secret key at `path`.
///
/// # Errors
/// Fails if the file cannot be read, other users have access to it, or it holds no key.
pub fn load(path: &Path) -> Result<SecretKey, KeyFileError> {
    let io = |error| KeyFileError::Io(path.to_owned(), error);
    // O_NONBLOCK: opening a named pipe must not block.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(io(io::Error::other("not a regular file")));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(KeyFileError::NotOurs(path.to_owned(), metadata.uid()));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(KeyFileError::TooOpen(path.to_owned(), mode));
    }
    parse(&mut file)
        .map_err(io)?
        .map_err(|error| KeyFileError::Parse(path.to_owned(), error))
}

fn parse(file: &mut File) -> io::Result<Result<SecretKey, ParseKeyError>> {
    // The full capacity at once: growing the buffer would leave a copy of the key in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE + 1));
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FILE {
        return Ok(Err(ParseKeyError::Encoding));
    }
    Ok(std::str::from_utf8(&bytes)
        .map_err(|_| ParseKeyError::Encoding)
        .and_then(|text| SecretKey::from_text(text.trim_ascii_end())))
}

/// Reads the secret key at `path`, or creates it (and its folder, mode 0700) if there is none. Writes the
/// public key to `path` + `.pub`, mode 0644.
///
/// # Errors
/// Fails if [`load`] fails for another reason than a missing file, or the files cannot be created.
pub fn load_or_create(path: &Path, rng: &mut Rng) -> Result<SecretKey, KeyFileError> {
    match load(path) {
        Err(KeyFileError::Io(_, error)) if error.kind() == io::ErrorKind::NotFound => {}
        Ok(key) => {
            // The public key file is a convenience: on a read-only disk the program runs without it.
            drop(publish(path, &key.public(), rng));
            return Ok(key);
        }
        Err(error) => return Err(error),
    }
    create(path, rng).map_err(|error| KeyFileError::Io(path.to_owned(), error))?;
    // Another program may have created the file first, so read the key from there.
    let key = load(path)?;
    publish(path, &key.public(), rng)
        .map_err(|error| KeyFileError::Io(beside(path, ".pub"), error))?;
    Ok(key)
}

/// Creates a key at `path`, unless the file exists by now.
fn create(path: &Path, rng: &mut Rng) -> io::Result<()> {
    let folder = folder(path);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let mut text = SecretKey::generate(rng).to_text();
    text.push('\n');
    let aside = write_aside(path, text.as_bytes(), 0o600, rng)?;
    let linked = match fs::hard_link(&aside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    };
    fs::remove_file(&aside)?;
    linked?;
    File::open(folder)?.sync_all()
}

/// Writes `key` to `path` + `.pub`, if the file differs.
fn publish(path: &Path, key: &PublicKey, rng: &mut Rng) -> io::Result<()> {
    let public = beside(path, ".pub");
    let text = format!("{key}\n");
    if fs::read(&public).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(());
    }
    let aside = write_aside(&public, text.as_bytes(), 0o644, rng)?;
    fs::rename(&aside, &public).inspect_err(|_| drop(fs::remove_file(&aside)))
}

/// Writes and syncs a temporary file in the folder of `path`.
fn write_aside(path: &Path, bytes: &[u8], mode: u32, rng: &mut Rng) -> io::Result<PathBuf> {
    let aside = beside(path, &format!(".{:016x}.new", rng.u64()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&aside)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .inspect_err(|_| drop(fs::remove_file(&aside)))?;
    Ok(aside)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    fn rng(seed: u8) -> Rng {
        Rng::from_seed([seed; 32])
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn message(result: Result<SecretKey, KeyFileError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_key_is_created_once_and_loaded_again() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config/udpctl/identity");
        let created = load_or_create(&path, &mut rng(1)).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);

        let public = fs::read_to_string(path.with_extension("pub")).unwrap();
        assert_eq!(public, format!("{}\n", created.public()));

        let found = load_or_create(&path, &mut rng(2)).unwrap();
        assert_eq!(found.public(), created.public());
        assert_eq!(load(&path).unwrap().public(), created.public());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2);
    }

    #[test]
    fn programs_that_create_a_key_at_the_same_time_agree_on_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("identity");
        let start = Barrier::new(8);
        let keys: Vec<_> = thread::scope(|scope| {
            let creators: Vec<_> = (0..8)
                .map(|seed| {
                    let (path, start) = (&path, &start);
                    scope.spawn(move || {
                        start.wait();
                        load_or_create(path, &mut rng(seed)).unwrap().public()
                    })
                })
                .collect();
            creators
                .into_iter()
                .map(|one| one.join().unwrap())
                .collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        let public = fs::read_to_string(home.path().join("identity.pub")).unwrap();
        assert_eq!(public, format!("{}\n", keys[0]));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_key_that_others_may_access_is_refused_and_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("my identity");
        let made = load_or_create(&path, &mut rng(1)).unwrap();
        for open in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
            let text = message(load_or_create(&path, &mut rng(2)));
            assert_eq!(
                text,
                format!(
                    "{0}: others may use this secret key (mode {open:04o}); run: chmod 600 '{0}'",
                    path.display()
                )
            );
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(load(&path).unwrap().public(), made.public());
    }

    #[test]
    fn a_key_of_another_user_is_refused() {
        // Root can change the owner of a file; other users can name a file of root.
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("identity");
        let (path, owner) = if rustix::process::geteuid().is_root() {
            load_or_create(&path, &mut rng(1)).unwrap();
            std::os::unix::fs::chown(&path, Some(1), None).unwrap();
            (path, 1)
        } else {
            (PathBuf::from("/etc/passwd"), 0)
        };
        let text = message(load(&path));
        let expected = format!("this secret key belongs to uid {owner}, not to uid ");
        assert!(text.contains(&expected), "{text}");
    }

    #[test]
    fn a_file_that_holds_no_key_is_never_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("identity");
        let key = SecretKey::generate(&mut rng(1)).to_text();
        let two = format!("{}\n{}\n", *key, *key);
        let long = format!("{}{}", *key, " ".repeat(MAX_FILE));
        let cases: [&[u8]; 6] = [
            b"",
            b"secret\n",
            b"\xFF\xFE",
            two.as_bytes(),
            long.as_bytes(),
            &key.as_bytes()[1..],
        ];
        for bytes in cases {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = load_or_create(&path, &mut rng(2)).unwrap_err();
            assert!(matches!(error, KeyFileError::Parse(..)), "{error:?}");
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn a_path_that_is_not_a_regular_file_is_refused_without_blocking() {
        let home = tempfile::tempdir().unwrap();
        let pipe = home.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        assert!(message(load(&pipe)).ends_with("pipe: not a regular file"));
        assert!(message(load(home.path())).ends_with(": not a regular file"));
        let error = load(&home.path().join("none")).unwrap_err();
        assert!(matches!(error, KeyFileError::Io(..)), "{error:?}");
    }

    #[test]
    fn a_missing_or_wrong_public_key_file_is_written_again() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("identity");
        let public = home.path().join("identity.pub");
        let made = load_or_create(&path, &mut rng(1)).unwrap();
        for wrong in [None, Some("ua1:other\n")] {
            fs::remove_file(&public).unwrap();
            if let Some(wrong) = wrong {
                fs::write(&public, wrong).unwrap();
            }
            load_or_create(&path, &mut rng(2)).unwrap();
            let text = fs::read_to_string(&public).unwrap();
            assert_eq!(text, format!("{}\n", made.public()));
        }
        assert_eq!(mode(&public), 0o644);
    }
}
