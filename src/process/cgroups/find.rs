//! The place for the cgroups of jobs: below the cgroup of this process, or one that the owner has chosen.
//!
//! Not their making. Invariant: nothing is written.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat, getxattr, statfs};
use rustix::io::Errno;

/// Name of the cgroup to which the agent's own processes move.
pub(super) const AGENT: &str = "udpagent-agent";

/// Type of a file system of cgroups, statfs(2).
const UNIFIED_HIERARCHY: u64 = 0x6367_7270;

/// Directory that exists while systemd is the service manager, sd_booted(3).
const SYSTEMD: &str = "/run/systemd/system";

/// Attributes by which systemd tells a delegated cgroup. Only root can read the first.
const DELEGATED: [&str; 2] = ["trusted.delegate", "user.delegate"];

/// Choice of the cgroup below which the cgroups of jobs are made.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum CgroupParent {
    /// The delegated cgroup that this process is in, or else its own, if it may write there.
    #[default]
    Auto,
    /// None: jobs have no cgroups.
    Off,
    /// This directory.
    At(PathBuf),
}

impl CgroupParent {
    /// True if the owner has chosen a directory, so that nothing else will do.
    #[must_use]
    pub const fn is_chosen(&self) -> bool {
        matches!(self, Self::At(_))
    }
}

/// Reason why jobs have no cgroups.
#[derive(Debug)]
pub enum NoCgroups {
    /// The configuration says so.
    Off,
    /// The unified hierarchy is not mounted, or this process is outside of what is mounted.
    NoHierarchy,
    /// The directory cannot be used.
    Unusable(PathBuf, io::Error),
}

impl fmt::Display for NoCgroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("they are switched off"),
            Self::NoHierarchy => {
                f.write_str("no mounted unified hierarchy contains the agent's cgroup")
            }
            Self::Unusable(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for NoCgroups {}

/// A cgroup below which others may be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// False if systemd manages its controllers.
    pub(super) is_delegated: bool,
}

/// Finds the place for the cgroups of jobs.
pub(super) fn find(parent: &CgroupParent) -> Result<Place, NoCgroups> {
    let place = match parent {
        CgroupParent::Off => return Err(NoCgroups::Off),
        CgroupParent::At(path) => Place {
            path: path.clone(),
            is_delegated: true,
        },
        CgroupParent::Auto => {
            let (own, mount) = own_cgroup().ok_or(NoCgroups::NoHierarchy)?;
            choose(&own, &mount)
        }
    };
    check(&place.path).map_err(|error| NoCgroups::Unusable(place.path.clone(), error))?;
    Ok(place)
}

/// Returns the nearest delegated cgroup, or else that of this process.
fn choose(own: &Path, mount: &Path) -> Place {
    let mut within = own.ancestors().take_while(|path| path.starts_with(mount));
    let delegated = within.find(|path| {
        let has = |name: &str| getxattr(*path, name, &mut [0_u8; 1][..]) == Ok(1);
        DELEGATED.into_iter().any(has)
    });
    let path = match delegated {
        Some(path) => path,
        // This process has moved there itself.
        None if own.ends_with(AGENT) => own.parent().unwrap_or(own),
        None => own,
    };
    Place {
        path: path.to_owned(),
        is_delegated: delegated.is_some() || !Path::new(SYSTEMD).exists(),
    }
}

/// Checks that a directory is a cgroup in which this process may make others and start processes.
fn check(path: &Path) -> io::Result<()> {
    let kind = statfs(path)?.f_type;
    if u64::try_from(kind) != Ok(UNIFIED_HIERARCHY) {
        let text = "it is no cgroup of the unified hierarchy";
        return Err(io::Error::other(text));
    }
    let may_write = |path: &Path| accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS);
    may_write(path)?;
    // A process may be started in another cgroup by whoever may move it there: cgroups(7) asks for the right to
    // write this file of the nearest cgroup that contains both.
    let common = own_cgroup().and_then(|(own, _)| common(&own, path));
    let procs = common.as_deref().unwrap_or(path).join("cgroup.procs");
    match may_write(&procs) {
        Err(Errno::NOENT) => Ok(()),
        result => Ok(result?),
    }
}

/// Returns the nearest directory that contains both.
fn common(one: &Path, other: &Path) -> Option<PathBuf> {
    let common = one.ancestors().find(|path| other.starts_with(path));
    common.map(Path::to_owned)
}

/// Returns the directory of the cgroup of this process, and the mount point above it.
fn own_cgroup() -> Option<(PathBuf, PathBuf)> {
    let cgroup = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read("/proc/self/mountinfo").ok()?;
    locate(&cgroup, &mounts)
}

/// Finds the cgroup of a text of proc_pid_cgroup(5) among the mounts of one of proc_pid_mountinfo(5).
fn locate(cgroup: &str, mounts: &[u8]) -> Option<(PathBuf, PathBuf)> {
    let mut lines = cgroup.lines();
    let path = Path::new(lines.find_map(|line| line.strip_prefix("0::"))?);
    mounts.split(|&byte| byte == b'\n').find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
        let separator = fields.iter().position(|&field| field == b"-")?;
        if *fields.get(separator + 1)? != b"cgroup2" {
            return None;
        }
        let (root, mount) = (unescape(fields.get(3)?), unescape(fields.get(4)?));
        let below = path.strip_prefix(root).ok()?;
        let is_inside = below.components().all(|part| part.as_os_str() != "..");
        // Joined by parts, because joining an empty path adds a slash.
        let own = below
            .components()
            .fold(mount.clone(), |at, part| at.join(part));
        is_inside.then_some((own, mount))
    })
}

/// Decodes the octal escapes of a field.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|d| std::str::from_utf8(d).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match escaped {
            Some(byte) if first == b'\\' => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "9:name=systemd:/x\n4:memory:/y\n0::/user.slice/a\n";
    const MOUNTS: &str = "\
        30 20 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755\n\
        31 30 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
        32 30 0:28 / /sys/fs/cgroup/with\\040space rw,relatime shared:9 - cgroup2 cgroup2 rw\n";

    fn found(cgroup: &str, mounts: &str) -> Option<String> {
        let (own, mount) = locate(cgroup, mounts.as_bytes())?;
        assert!(own.starts_with(mount));
        Some(own.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_own_cgroup_is_found_in_hybrid_unified_and_bind_mounted_hierarchies() {
        let hybrid = found(HYBRID, MOUNTS);
        let expected = "/sys/fs/cgroup/with space/user.slice/a";
        assert_eq!(hybrid.as_deref(), Some(expected));
        let unified = "32 30 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let own = found("0::/system.slice/udpagent.service\n", unified);
        let expected = "/sys/fs/cgroup/system.slice/udpagent.service";
        assert_eq!(own.as_deref(), Some(expected));
        let part = "32 30 0:28 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let own = found("0::/docker/1\n", part);
        assert_eq!(own.as_deref(), Some("/sys/fs/cgroup"));
        let own = found("0::/docker/1/x\n", part);
        assert_eq!(own.as_deref(), Some("/sys/fs/cgroup/x"));
        assert_eq!(found("0::/docker/12\n", part), None, "outside of the mount");
        assert_eq!(found("0::/../other\n", unified), None, "outside, by ..");
        assert_eq!(found("4:memory:/y\n", MOUNTS), None, "no unified hierarchy");
        assert_eq!(found(HYBRID, "garbage\n- cgroup2\n\n1 2 3 -\n"), None);
    }

    #[test]
    fn a_directory_that_is_no_cgroup_or_does_not_exist_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: PathBuf| find(&CgroupParent::At(path)).unwrap_err().to_string();
        let text = at(directory.path().to_owned());
        assert!(
            text.ends_with("it is no cgroup of the unified hierarchy"),
            "{text}"
        );
        let text = at(directory.path().join("none"));
        assert!(text.contains("No such file"), "{text}");
        let off = find(&CgroupParent::Off).unwrap_err();
        assert_eq!(off.to_string(), "they are switched off");
    }

    #[test]
    fn without_delegation_the_own_cgroup_is_chosen_or_that_above_the_agents() {
        let mount = Path::new("/no/such");
        let place = choose(Path::new("/no/such/a"), mount);
        assert_eq!(place.path, Path::new("/no/such/a"));
        let own = Path::new("/no/such/a").join(AGENT);
        assert_eq!(choose(&own, mount).path, Path::new("/no/such/a"));
        let other = common(Path::new("/c/a/x"), Path::new("/c/a/y/z"));
        assert_eq!(other.as_deref(), Some(Path::new("/c/a")));
    }
}
