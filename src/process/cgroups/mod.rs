//! The cgroups of all jobs of an agent: their place, their making with limits, and their removal.
//!
//! Not what runs in them (`cgroup`). Invariants: each job has a cgroup of its own below one that belongs to the agent; a
//! limit that is asked for is in force before anything runs; no call waits for a process, except the first, which
//! waits for what a dead agent has left. So that a start and an end take no longer because of it, a cgroup is made before
//! it is needed and removed later, a few milliseconds after them.
//!
//! ```text
//!   PLACE                     a cgroup that may have others below it
//!   ├── udpagent-agent        the agent, where PLACE passes controllers on and must have no processes itself
//!   └── udpagent-MARK         the jobs of one agent
//!       ├── 0
//!       └── 1                 a job
//! ```

mod controllers;
mod find;
mod sweep;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::controllers::{Lack, lacks, pass_on};
use self::find::{Place, find};
use super::cgroup::{Cgroup, write};
use super::cgroup_limits::{CgroupController, CgroupLimits, names};
use super::limits;
use crate::time::Instant;

pub use find::{CgroupParent, NoCgroups};
pub use sweep::{CgroupsLock, remove_empty};

/// Pause before the removal of a cgroup is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Pause after the last start or end in which no cgroup is made or removed: the command, or the controller that has waited
/// for it, has the processors.
const TIDY: Duration = Duration::from_millis(5);

/// Mode of a directory that everybody may read.
const READABLE: u32 = 0o755;

/// Attempts to make the cgroup of the agent. Another agent that starts may remove an empty one.
const ATTEMPTS: usize = 3;

/// The cgroups of the jobs of this agent.
#[derive(Debug)]
pub struct Cgroups {
    place: Place,
    directory: PathBuf,
    lock: CgroupsLock,
    /// True if the umask of the agent hides new directories from others, so that their mode must be set.
    hides: bool,
    /// Controllers in force in the cgroups of jobs.
    controllers: BTreeSet<CgroupController>,
    /// Reasons for the absence of others that were asked for.
    lacks: BTreeMap<CgroupController, Lack>,
    /// Number of the next cgroup.
    next: u64,
    /// A cgroup for the next job.
    spare: Option<Cgroup>,
    /// Cgroups of jobs that have ended.
    ended: VecDeque<Cgroup>,
    /// Cgroups of jobs that have ended with processes left in them.
    left: VecDeque<Cgroup>,
    /// Time at which their removal is tried.
    retry: Option<Instant>,
    /// Time at which those that have ended are removed, and the next one is made.
    tidy: Option<Instant>,
}

/// Reason why a job has no cgroup with its limits.
#[derive(Debug)]
pub enum CgroupError {
    /// There are no cgroups at all.
    NoCgroups,
    /// These controllers are not in force.
    Lacking(BTreeSet<CgroupController>),
    /// It cannot be made, or its file cannot be written.
    System(PathBuf, io::Error),
}

impl fmt::Display for CgroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCgroups => f.write_str("its limits need a cgroup, and commands have none"),
            Self::Lacking(controllers) => {
                write!(f, "its limits cannot be applied: {}", names(controllers))
            }
            Self::System(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for CgroupError {}

/// Description of the cgroups that an agent started now would have.
#[derive(Debug)]
pub struct CgroupsReport {
    place: PathBuf,
    lacks: BTreeMap<CgroupController, Lack>,
}

impl CgroupsReport {
    /// Looks at the place, and at what hinders the controllers that are wanted. Writes nothing.
    ///
    /// # Errors
    /// [`NoCgroups`]
    pub fn new(
        parent: &CgroupParent,
        wanted: &BTreeSet<CgroupController>,
    ) -> Result<Self, NoCgroups> {
        let place = find(parent)?;
        Ok(Self {
            lacks: lacks(&place, wanted),
            place: place.path,
        })
    }

    /// Returns the directory below which cgroups are made.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Returns a line for each controller that is wanted and cannot be in force.
    pub fn lacks(&self) -> impl Iterator<Item = String> {
        lack_lines(&self.place, &self.lacks)
    }
}

fn lack_lines(
    place: &Path,
    lacks: &BTreeMap<CgroupController, Lack>,
) -> impl Iterator<Item = String> {
    lacks.iter().map(|(controller, lack)| {
        let (place, name) = (place.display(), controller.name());
        format!("{place}: {lack}, so commands with a limit of {name} are denied")
    })
}

impl Cgroups {
    /// Makes the cgroup of an agent with this mark, 16 hexadecimal digits, or takes it up again, and ends what agents
    /// that have died have left beside it.
    ///
    /// # Errors
    /// [`NoCgroups`]
    pub fn open(parent: &CgroupParent, mark: &str) -> Result<Self, NoCgroups> {
        let place = find(parent)?;
        let directory = sweep::directory(&place.path, mark);
        let unusable = |error| NoCgroups::Unusable(directory.clone(), error);
        let mut lock = make(&directory);
        for _ in 1..ATTEMPTS {
            if lock.is_err() {
                lock = make(&directory);
            }
        }
        let lock = lock.map_err(unusable)?;
        if !directory.join("cgroup.kill").exists() {
            let _ = fs::remove_dir(&directory);
            let error = io::Error::other("this kernel has no cgroup.kill (Linux 5.14)");
            return Err(unusable(error));
        }
        sweep::sweep(&place.path, &directory);
        let hides = hides_new_directories(&directory).map_err(unusable)?;
        let left = sweep::below(&directory).into_iter();
        let left: VecDeque<Cgroup> = left.filter_map(Cgroup::at).collect();
        let number = |cgroup: &Cgroup| cgroup.path().file_name()?.to_str()?.parse::<u64>().ok();
        Ok(Self {
            place,
            next: left
                .iter()
                .filter_map(number)
                .max()
                .map_or(0, |last| last + 1),
            spare: None,
            ended: VecDeque::new(),
            left,
            directory,
            lock,
            hides,
            controllers: BTreeSet::new(),
            lacks: BTreeMap::new(),
            retry: None,
            tidy: Some(Instant::ZERO),
        })
    }

    /// Keeps cgroups in use, which jobs of an earlier program run in.
    pub fn keep(&mut self, in_use: &HashSet<&Path>) {
        self.left.retain(|cgroup| !in_use.contains(cgroup.path()));
    }

    /// Returns the descriptor of the lock. As long as a duplicate is open, no other agent ends what is in the cgroups.
    #[must_use]
    pub fn lock(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }

    /// Returns the directory of the cgroups of the jobs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Puts controllers in force as far as possible. Returns true if that has changed anything.
    pub fn enable(&mut self, wanted: &BTreeSet<CgroupController>) -> bool {
        let new = wanted.difference(&self.controllers);
        let new: BTreeSet<CgroupController> = new.copied().collect();
        if new.is_empty() && self.lacks.is_empty() {
            return false;
        }
        let before = self.lacks.keys().copied().collect::<BTreeSet<_>>();
        self.lacks = pass_on(&self.place, &self.directory, &new);
        let lacks = &self.lacks;
        let in_force = new.iter().filter(|one| !lacks.contains_key(one));
        let count = self.controllers.len();
        self.controllers.extend(in_force);
        count != self.controllers.len() || !before.iter().eq(self.lacks.keys())
    }

    /// Returns a line for each controller that is wanted and not in force.
    pub fn lacks(&self) -> impl Iterator<Item = String> {
        lack_lines(&self.place.path, &self.lacks)
    }

    /// Makes the cgroup of a job, with its limits.
    ///
    /// # Errors
    /// [`CgroupError`]; nothing is made then.
    pub fn create(&mut self, now: Instant, limits: &CgroupLimits) -> Result<Cgroup, CgroupError> {
        let needed = limits.controllers();
        let lacking = needed.difference(&self.controllers);
        let lacking: BTreeSet<CgroupController> = lacking.copied().collect();
        if !lacking.is_empty() {
            return Err(CgroupError::Lacking(lacking));
        }
        let cgroup = match self.spare.take() {
            Some(spare) => spare,
            None => self.make_one()?,
        };
        self.postpone_tidying(now);
        if let Err(error) = apply(cgroup.path(), limits) {
            let _ = cgroup.remove();
            return Err(error);
        }
        Ok(cgroup)
    }

    fn make_one(&mut self) -> Result<Cgroup, CgroupError> {
        let path = self.directory.join(self.next.to_string());
        self.next += 1;
        let made = fs::create_dir(&path);
        let made = made.and_then(|()| if self.hides { show(&path) } else { Ok(()) });
        match made {
            Ok(()) => Ok(Cgroup::at(path).expect("it is below an absolute path")),
            Err(error) => Err(CgroupError::System(path, error)),
        }
    }

    /// Removes some cgroups of ended jobs. Returns true if some are left.
    pub fn tidy(&mut self) -> bool {
        for _ in 0..limits::REMOVED {
            let Some(cgroup) = self.ended.pop_front() else {
                break;
            };
            self.remove(cgroup);
        }
        !self.ended.is_empty()
    }

    /// Takes back the cgroup of a job that has ended, to be removed. Processes that the job has left are left alone, and
    /// the cgroup is removed after them.
    pub fn release(&mut self, now: Instant, cgroup: Cgroup) {
        self.ended.push_back(cgroup);
        self.postpone_tidying(now);
        self.retry.get_or_insert(now + RETRY);
    }

    /// Sets the time of the next making and removal anew, unless enough is to be removed.
    fn postpone_tidying(&mut self, now: Instant) {
        let at = self.tidy.get_or_insert(now + TIDY);
        if self.ended.len() < limits::ENDED {
            *at = now + TIDY;
        }
    }

    fn remove(&mut self, cgroup: Cgroup) {
        if !cgroup.remove().unwrap_or(false) {
            let _ = cgroup.keep();
            self.left.push_back(cgroup);
        }
    }

    /// Processes the end of a child, after which a cgroup may be empty.
    pub fn on_child(&mut self, now: Instant) {
        if !self.left.is_empty() {
            self.retry.get_or_insert(now + RETRY);
        }
    }

    /// Returns the time of the next call of [`Cgroups::on_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.tidy.into_iter().chain(self.retry).min()
    }

    /// Makes the cgroup of the next job, and removes those that have become empty.
    pub fn on_timeout(&mut self, now: Instant) {
        if self.tidy.is_some_and(|at| at <= now) {
            self.tidy = self.tidy().then_some(now);
            if self.spare.is_none() {
                // A failure is reported when a job needs one.
                self.spare = self.make_one().ok();
            }
        }
        if self.retry.is_none_or(|at| at > now) {
            return;
        }
        self.retry = None;
        for _ in 0..self.left.len().min(limits::LEFTOVERS) {
            if let Some(cgroup) = self.left.pop_front()
                && !cgroup.remove().unwrap_or(false)
            {
                self.left.push_back(cgroup);
            }
        }
        if self.left.len() > limits::LEFTOVERS {
            self.on_child(now);
        }
    }

    /// Removes what is empty, at the end of the agent.
    pub fn close(&mut self) {
        while let Some(cgroup) = self.ended.pop_front() {
            self.remove(cgroup);
        }
        remove_empty(&self.directory);
    }
}

impl fmt::Display for Cgroups {
    /// Writes the directory and the limits that can be applied.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.directory.display().fmt(f)?;
        if self.controllers.is_empty() {
            return f.write_str(", without limits");
        }
        write!(f, ", with limits of {}", names(&self.controllers))
    }
}

/// Writes limits to the files of a cgroup.
fn apply(directory: &Path, limits: &CgroupLimits) -> Result<(), CgroupError> {
    for (file, text) in limits.files() {
        let path = directory.join(file);
        write(&path, &text).map_err(|error| CgroupError::System(path, error))?;
    }
    Ok(())
}

/// Makes the cgroup of an agent and locks it.
fn make(directory: &Path) -> io::Result<CgroupsLock> {
    match fs::create_dir(directory).and_then(|()| show(directory)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    CgroupsLock::hold(directory)
}

/// Lets others read a directory, whatever the umask of the agent is: a command of another user looks its limits up in its
/// cgroup.
fn show(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(READABLE))
}

/// Makes a cgroup to see what the umask of the agent leaves of its mode.
fn hides_new_directories(parent: &Path) -> io::Result<bool> {
    let path = parent.join("umask");
    let _ = fs::remove_dir(&path);
    fs::create_dir(&path)?;
    let mode = fs::metadata(&path).map(|made| made.permissions().mode());
    fs::remove_dir(&path)?;
    Ok(mode? & READABLE != READABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_to_the_files_of_a_cgroup_and_a_missing_file_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let files = ["memory.max", "memory.oom.group", "pids.max", "cpu.max"];
        for file in files {
            fs::write(path.join(file), "").unwrap();
        }
        let limits = CgroupLimits {
            memory: Some(64 << 20),
            pids: Some(7),
            cpu_percent: Some(150),
        };
        apply(path, &limits).unwrap();
        let texts = files.map(|file| fs::read_to_string(path.join(file)).unwrap());
        assert_eq!(texts, ["67108864", "1", "7", "150000 100000"]);
        fs::remove_file(path.join("pids.max")).unwrap();
        let error = apply(path, &limits).unwrap_err().to_string();
        assert!(error.contains("pids.max: No such file"), "{error}");
    }
}
