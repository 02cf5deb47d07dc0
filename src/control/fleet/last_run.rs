//! Record of the last run over several hosts, so that the next one can take those that were not ok.
//!
//! One small file, replaced at the end of each run. Not the journal, which has the requests without a result.
//! Invariant: the hosts of a class are in the order of the run's targets.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Class;
use crate::control::limits;
use crate::home::{self, FileError, Readers};

/// Hosts of a run by their classes.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct LastRun {
    hosts: BTreeMap<Class, Vec<String>>,
}

impl LastRun {
    /// Adds a host behind those of its class.
    pub fn add(&mut self, class: Class, host: &str) {
        self.hosts.entry(class).or_default().push(host.to_owned());
    }

    /// Returns the hosts of a class.
    #[must_use]
    pub fn hosts(&self, class: Class) -> &[String] {
        self.hosts.get(&class).map_or(&[], Vec::as_slice)
    }

    /// Reads the record. Returns `None` if there is none, or a crash of the system has left an empty file.
    ///
    /// # Errors
    /// If the file cannot be read or is no record.
    pub fn load(path: &Path) -> Result<Option<Self>, FileError> {
        let text = home::read_at_most(path, Readers::Owner, limits::LAST_RUN)?;
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let broken = |error: serde_json::Error| FileError::Io(path.to_owned(), error.into());
        serde_json::from_slice(&text).map(Some).map_err(broken)
    }

    /// Replaces the record.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn store(&self, path: &Path) -> Result<(), FileError> {
        let text = serde_json::to_vec(self).expect("strings have a JSON form");
        home::replace_hint(path, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_in_the_order_of_its_hosts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/last_run.json");
        assert_eq!(LastRun::load(&path).unwrap(), None);
        let mut run = LastRun::default();
        for (class, host) in [
            (Class::Failed, "web9"),
            (Class::Ok, "web1"),
            (Class::Failed, "web2:7001"),
        ] {
            run.add(class, host);
        }
        run.store(&path).unwrap();
        let read = LastRun::load(&path).unwrap().unwrap();
        assert_eq!(read, run);
        assert_eq!(read.hosts(Class::Failed), ["web9", "web2:7001"]);
        assert!(read.hosts(Class::Skipped).is_empty());
        home::replace_hint(&path, b"{").unwrap();
        assert!(LastRun::load(&path).is_err());
        home::replace_hint(&path, b"").unwrap();
        assert_eq!(LastRun::load(&path).unwrap(), None);
    }
}
