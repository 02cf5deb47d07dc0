//! Files that an agent started now would use: its secret key and its audit.
//!
//! Creates nothing, so a file that is not there yet is judged by its directory.

use std::fmt;
use std::io;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::agent::audit::{Config, Demand, Log};
use crate::crypto::key_file::{self, KeyFileError};

/// Returns the reason why the agent would not start with its secret key. A missing one is created.
pub fn refused_identity(path: &Path) -> Option<KeyFileError> {
    match key_file::load(path) {
        Err(KeyFileError::Io(_, error)) if error.kind() == io::ErrorKind::NotFound => None,
        result => result.err(),
    }
}

/// Returns the reason why records cannot be written, and what follows.
pub fn refused_audit(audit: &Config) -> Option<String> {
    let path = audit.file.as_deref()?;
    let error: Box<dyn fmt::Display> = match path.symlink_metadata() {
        Ok(_) => Box::new(
            Log::open(Config {
                file: Some(path.to_owned()),
                demand: Demand::Required,
            })
            .err()?,
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Box::new(refused_new(path)?),
        Err(error) => Box::new(error),
    };
    let consequence = match audit.demand {
        Demand::Wanted => "commands run without a record",
        Demand::Required => "the agent does not start",
    };
    Some(format!(
        "audit-file: {}: {error}; {consequence}",
        path.display()
    ))
}

/// Returns the reason why a file cannot be created.
fn refused_new(path: &Path) -> Option<io::Error> {
    let directory = path.parent()?;
    let access = Access::WRITE_OK | Access::EXEC_OK;
    let error = accessat(CWD, directory, access, AtFlags::EACCESS).err()?;
    Some(error.into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_that_the_agent_refuses_is_named_and_none_is_created() {
        let directory = tempfile::tempdir().unwrap();
        let identity = directory.path().join("identity");
        assert!(refused_identity(&identity).is_none());
        for text in ["", "junk\n"] {
            fs::write(&identity, text).unwrap();
            fs::set_permissions(&identity, fs::Permissions::from_mode(0o600)).unwrap();
            let error = refused_identity(&identity).unwrap().to_string();
            assert!(error.contains("restore the file"), "{error}");
        }
        fs::set_permissions(&identity, fs::Permissions::from_mode(0o644)).unwrap();
        let error = refused_identity(&identity).unwrap().to_string();
        assert!(error.contains("mode 0644"), "{error}");

        let audit = |name: &str, demand| Config {
            file: Some(directory.path().join(name)),
            demand,
        };
        assert_eq!(refused_audit(&audit("a", Demand::Required)), None);
        assert!(!directory.path().join("a").exists());
        for (demand, end) in [
            (
                Demand::Wanted,
                "no/a: No such file or directory (os error 2); commands run without a record",
            ),
            (
                Demand::Required,
                "no/a: No such file or directory (os error 2); the agent does not start",
            ),
        ] {
            let text = refused_audit(&audit("no/a", demand)).unwrap();
            assert!(text.ends_with(end), "{text}");
        }
        std::os::unix::fs::symlink("a", directory.path().join("link")).unwrap();
        let text = refused_audit(&audit("link", Demand::Required)).unwrap();
        assert!(text.contains("link: is a symbolic link"), "{text}");
    }
}
