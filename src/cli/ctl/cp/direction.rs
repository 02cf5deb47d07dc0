//! Direction of a copy, from the places of the command line: what goes from here to hosts, or from hosts to here.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::CpArgs;
use super::place::{Place, RemotePlace};
use crate::cli::ctl::context::note;
use crate::control::copy::{Plan, ReceiveTo};
use crate::control::exec::host_file_name;
use crate::control::targets::Expression;
use crate::copy::{Destination, Fault, Receiver, Requested, Scope};
use crate::message::CopyWork;
use crate::message::limits::COPIED_PATHS;

/// Copy in one direction.
#[derive(Debug)]
pub struct Copying {
    /// Sets of hosts that places name.
    pub sets: Vec<Expression>,
    /// User that places name.
    pub user: Option<String>,
    direction: Direction,
}

#[derive(Debug)]
enum Direction {
    /// From here to the hosts.
    Up { from: Vec<PathBuf>, to: OsString },
    /// From the hosts to here.
    Down { from: Vec<OsString>, to: PathBuf },
}

/// Returns the copy that the command line describes.
///
/// # Errors
/// If there is none.
pub fn copying(args: &CpArgs) -> Result<Copying> {
    let mut places = Vec::new();
    for word in &args.places {
        places.push(Place::parse(word)?);
    }
    let last = match places.pop() {
        Some(last) if !places.is_empty() => last,
        only => bail!("{}", without_destination(only.as_ref(), args)),
    };
    let (mut local, mut remote) = (Vec::new(), Vec::new());
    for place in places {
        match place {
            Place::Local(path) => local.push(path),
            Place::Remote(place) => remote.push(place),
        }
    }
    let (places, direction) = match last {
        _ if !local.is_empty() && !remote.is_empty() => {
            bail!("the sources are on this machine, or on hosts, not both");
        }
        Place::Local(to) if !remote.is_empty() => {
            let from = remote.iter().map(|place| place.path.clone()).collect();
            (remote, Direction::Down { from, to })
        }
        Place::Remote(_) if !remote.is_empty() => {
            bail!(
                "a copy between hosts goes through this machine: copy from one, then to the other"
            );
        }
        Place::Remote(place) => {
            let to = place.path.clone();
            (vec![place], Direction::Up { from: local, to })
        }
        // Options name the hosts, and only a destination can be there.
        Place::Local(to) if args.hosts.add_hosts() => {
            let to = to.into_os_string();
            (Vec::new(), Direction::Up { from: local, to })
        }
        Place::Local(to) => bail!("{}", without_host(&local, &to)),
    };
    let (sets, user) = hosts(args, &places)?;
    let copying = Copying {
        sets,
        user,
        direction,
    };
    copying.check()?;
    Ok(copying)
}

/// Returns what is wrong with one place alone.
fn without_destination(only: Option<&Place>, args: &CpArgs) -> String {
    let word = args.places.first().map(|word| word.to_string_lossy());
    let word = word.unwrap_or_default();
    match only {
        Some(Place::Remote(_)) => {
            format!("no destination behind \"{word}\": to copy into this directory, add .")
        }
        Some(Place::Local(_)) | None => {
            format!("no destination behind \"{word}\": add HOST:PATH")
        }
    }
}

/// Returns what is wrong with places of this machine alone, with a hint if one of them looks like a host.
fn without_host(from: &[PathBuf], to: &Path) -> String {
    let is_host = |path: &&Path| {
        !path.as_os_str().as_bytes().contains(&b'/')
            && fs::symlink_metadata(path).is_err()
            && path.to_str().is_some_and(|text| {
                let host = text.split_once('@').map_or(text, |(_, host)| host);
                host.parse::<Expression>().is_ok()
            })
    };
    let from = from.iter().map(PathBuf::as_path);
    match std::iter::once(to).chain(from).find(is_host) {
        Some(host) => {
            let host = host.display();
            format!(
                "\"{host}\" is a path of this machine; the home directory of a host is written \"{host}:\""
            )
        }
        None => "no place has a host: write HOST:PATH".to_owned(),
    }
}

/// Returns the set of hosts and the user that all places name.
fn hosts(args: &CpArgs, places: &[RemotePlace]) -> Result<(Vec<Expression>, Option<String>)> {
    let Some(first) = places.first() else {
        return Ok((Vec::new(), None));
    };
    let is_same = |place: &RemotePlace| place.text == first.text && place.user == first.user;
    if !places.iter().all(is_same) {
        bail!("all sources are on the same hosts: write one set of hosts in front of each");
    }
    if first.hosts.is_none() && !args.hosts.add_hosts() {
        bail!("no host before \":\", and no option that names hosts");
    }
    if first.user.is_some() && args.user.is_some() {
        bail!("USER@ and --user both name a user");
    }
    Ok((first.hosts.iter().cloned().collect(), first.user.clone()))
}

impl Copying {
    /// Checks that the paths fit a request.
    fn check(&self) -> Result<()> {
        let length = match &self.direction {
            Direction::Up { to, .. } => to.len(),
            Direction::Down { from, .. } => from.iter().map(|path| path.len()).sum(),
        };
        if length > COPIED_PATHS {
            bail!(
                "the paths on the hosts have {length} bytes; a request has at most {COPIED_PATHS}"
            );
        }
        Ok(())
    }

    /// Returns the work of the agents.
    pub fn work(&self, args: &CpArgs) -> CopyWork {
        match &self.direction {
            Direction::Up { from, to } => CopyWork::Write {
                to: to.clone().into(),
                directory: from.len() > 1,
                preserve: args.preserve,
            },
            Direction::Down { from, .. } => CopyWork::Read {
                from: from.iter().cloned().map(Into::into).collect(),
                recursive: args.recursive,
            },
        }
    }

    /// Returns the work of this machine. What is wrong here is found before a host is contacted; `None` if no source can be
    /// read, and each was named.
    ///
    /// # Errors
    /// If the destination cannot be used.
    pub fn plan(&self, args: &CpArgs, labels: &[String]) -> Result<Option<Plan>> {
        match &self.direction {
            Direction::Up { from, .. } => {
                let faults: Vec<_> = from
                    .iter()
                    .map(|path| fault(path, args.recursive))
                    .collect();
                if faults.iter().all(Option::is_some) {
                    for (path, fault) in std::iter::zip(from, faults.into_iter().flatten()) {
                        note(&format!("udpctl: {}: {fault}", path.display()));
                    }
                    return Ok(None);
                }
                Ok(Some(Plan::Send {
                    paths: from.clone(),
                    recursive: args.recursive,
                }))
            }
            Direction::Down { from, to } => {
                let is_directory = from.len() > 1;
                let sources: Vec<PathBuf> = from.iter().map(PathBuf::from).collect();
                let mut destinations = Vec::new();
                for label in labels {
                    destinations.push(destination(to, label, labels.len() > 1, is_directory)?);
                }
                Ok(Some(Plan::Receive {
                    destinations,
                    preserve: args.preserve,
                    requested: Requested::of(&sources, args.recursive),
                }))
            }
        }
    }
}

/// Returns the reason why a source cannot be sent, as far as it shows without reading it.
fn fault(path: &Path, is_recursive: bool) -> Option<Fault> {
    match fs::metadata(path) {
        Ok(data) if data.is_dir() && !is_recursive => Some(Fault::Directory),
        Ok(_) => None,
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or_default();
            Some(Fault::System(errno.unsigned_abs()))
        }
    }
}

/// Returns the destination of a host here: with several, a directory of its own in the one that is named.
fn destination(
    to: &Path,
    label: &str,
    is_one_of_several: bool,
    is_directory: bool,
) -> Result<ReceiveTo> {
    let mut path = to.to_owned();
    let needs_directory =
        is_directory || is_one_of_several || to.as_os_str().as_bytes().ends_with(b"/");
    if needs_directory && !to.exists() {
        bail!("{}: no such directory; make it first", to.display());
    }
    if is_one_of_several {
        path.push(host_file_name(label, ""));
        if !path.is_dir() {
            fs::create_dir(&path).with_context(|| path.display().to_string())?;
        }
    }
    let destination = Destination {
        scope: &Scope::Everywhere,
        path: &path,
        is_directory: is_directory || is_one_of_several,
    };
    if let Err(error) = Receiver::open(&destination, false) {
        bail!("{}: {}", error.path.display(), error.fault);
    }
    let is_directory = destination.is_directory;
    Ok(ReceiveTo { path, is_directory })
}
