//! `udpctl man`: shows the manual pages, which are part of the program, or writes them where man(1) finds them, and removes
//! them from there.
//!
//! Not their generation. Invariant: the pages are those of this version.

use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, IsTerminal as _, Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use super::context::{note, print};
use crate::home::environment;

const EXAMPLES: &str = "\
Examples:
  udpctl man
  udpctl man udpagent.toml
  udpctl man --install
  udpctl man --install /usr/local/share/man
  udpctl man --uninstall
  udpctl man udpagent | groff -man -T pdf >udpagent.pdf";

/// `udpctl man`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ManArgs {
    /// Page to show
    #[arg(value_name = "PAGE", default_value = "udpctl")]
    pub page: Page,
    /// Write all pages below DIR, as DIR/man1/udpctl.1 [default: man in $XDG_DATA_HOME, ~/.local/share]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["page", "list"])]
    #[expect(
        clippy::option_option,
        reason = "an option whose value may be left out"
    )]
    pub install: Option<Option<PathBuf>>,
    /// Remove the pages that --install has written below DIR, and directories that are empty then [default: as --install]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["page", "list", "install"])]
    #[expect(
        clippy::option_option,
        reason = "an option whose value may be left out"
    )]
    pub uninstall: Option<Option<PathBuf>>,
    /// List the pages
    #[arg(long, conflicts_with = "page")]
    pub list: bool,
}

/// A page of the manual.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Page {
    /// The controller
    #[value(alias = "udpctl.1")]
    Udpctl,
    /// The agent
    #[value(alias = "udpagent.8")]
    Udpagent,
    /// Files of the agent
    #[value(name = "udpagent.toml", alias = "udpagent.toml.5")]
    Configuration,
    /// The protocol
    #[value(name = "udpagent-protocol", alias = "udpagent-protocol.7")]
    Protocol,
}

impl Page {
    const ALL: [Self; 4] = [
        Self::Udpctl,
        Self::Udpagent,
        Self::Configuration,
        Self::Protocol,
    ];

    /// Returns the name, the section and the roff text.
    const fn content(self) -> (&'static str, u8, &'static str) {
        match self {
            Self::Udpctl => ("udpctl", 1, include_str!("../../../man/udpctl.1")),
            Self::Udpagent => ("udpagent", 8, include_str!("../../../man/udpagent.8")),
            Self::Configuration => (
                "udpagent.toml",
                5,
                include_str!("../../../man/udpagent.toml.5"),
            ),
            Self::Protocol => (
                "udpagent-protocol",
                7,
                include_str!("../../../man/udpagent-protocol.7"),
            ),
        }
    }
}

/// Shows, lists, installs or removes pages.
pub fn run(args: &ManArgs) -> Result<u8> {
    match (&args.install, &args.uninstall) {
        (Some(directory), _) => install(directory.as_deref())?,
        (None, Some(directory)) => uninstall(directory.as_deref())?,
        (None, None) if args.list => list()?,
        (None, None) => show(args.page)?,
    }
    Ok(0)
}

/// Shows a page by man(1) on a terminal, and otherwise prints its roff text.
fn show(page: Page) -> Result<()> {
    let (name, section, text) = page.content();
    if !stdout().is_terminal() {
        return print(text);
    }
    let man = Command::new("man")
        .args(["-l", "-"])
        .stdin(Stdio::piped())
        .spawn();
    let mut man = match man {
        Ok(man) => man,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!(
                "man is not installed; \"udpctl man {name} >{name}.{section}\" writes the page to a file"
            )
        }
        Err(error) => return Err(error).context("man"),
    };
    let mut pipe = man.stdin.take().expect("standard input is a pipe");
    // man reports what is wrong with it, also if it ends early.
    let _ = pipe.write_all(text.as_bytes());
    drop(pipe);
    let status = man.wait().context("man")?;
    if !status.success() {
        bail!("\"man -l -\" failed: {status}");
    }
    Ok(())
}

/// Lists the pages.
fn list() -> Result<()> {
    let line = |page: Page| {
        let (name, section, text) = page.content();
        format!("{name}({section}) - {}\n", purpose(text))
    };
    print(&Page::ALL.map(line).concat())
}

/// Returns the purpose of a page, from its section NAME in man(7) or mdoc(7).
fn purpose(text: &str) -> String {
    let name = text
        .lines()
        .skip_while(|line| !line.starts_with(".S"))
        .nth(1);
    let mdoc = text.lines().find_map(|line| line.strip_prefix(".Nd "));
    let man = name.and_then(|line| line.split_once(" \\- "));
    mdoc.or(man.map(|(_, purpose)| purpose))
        .unwrap_or_default()
        .replace("\\-", "-")
}

/// Returns the directory of a page, and its path.
fn place(directory: &Path, page: Page) -> (PathBuf, PathBuf) {
    let (name, section, _) = page.content();
    let folder = directory.join(format!("man{section}"));
    let path = folder.join(format!("{name}.{section}"));
    (folder, path)
}

/// Removes all pages that are there.
fn uninstall(directory: Option<&Path>) -> Result<()> {
    let directory = chosen(directory, "--uninstall")?;
    let mut removed = String::new();
    for page in Page::ALL {
        let (folder, path) = place(&directory, page);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            result => result.with_context(|| path.display().to_string())?,
        }
        let _ = writeln!(removed, "{}", path.display());
        // Fails if other pages are there.
        let _ = fs::remove_dir(&folder);
    }
    if removed.is_empty() {
        note(&format!("udpctl: no page is below {}", directory.display()));
    }
    print(&removed)
}

/// Writes all pages.
fn install(directory: Option<&Path>) -> Result<()> {
    let directory = chosen(directory, "--install")?;
    let mut written = String::new();
    for page in Page::ALL {
        let (_, _, text) = page.content();
        let (folder, path) = place(&directory, page);
        write(&folder, &path, text).with_context(|| path.display().to_string())?;
        let _ = writeln!(written, "{}", path.display());
    }
    print(&written)?;
    let directory = std::path::absolute(&directory).context("the current directory")?;
    if !has_manual(&directory) {
        note(&format!(
            "udpctl: man may not look there; to make it: export MANPATH={}:",
            directory.display()
        ));
    }
    Ok(())
}

/// Replaces a file as a whole.
fn write(folder: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let aside = path.with_extension(format!("{}.part", std::process::id()));
    let written = fs::write(&aside, text).and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written
}

/// Returns the directory that an option names, or else that of a user's own manual pages, by the XDG base directory
/// specification.
fn chosen(directory: Option<&Path>, option: &str) -> Result<PathBuf> {
    if let Some(directory) = directory {
        return Ok(directory.to_owned());
    }
    let absolute = |name: &str| {
        let path = environment(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let data = absolute("XDG_DATA_HOME");
    let data = data.or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    let missing = || format!("no home directory is known; name the directory: {option} DIR");
    let data = data.with_context(missing)?;
    Ok(data.join("man"))
}

/// True if man(1) has the directory by its rule: beside one of the programs' directories, or in MANPATH.
fn has_manual(directory: &Path) -> bool {
    let split = |name: &str| {
        let value = std::env::var_os(name).unwrap_or_default();
        std::env::split_paths(&value).collect::<Vec<_>>()
    };
    let beside = |bin: &PathBuf| {
        let parent = bin.parent();
        parent.is_some_and(|parent| {
            directory == parent.join("share/man") || directory == parent.join("man")
        })
    };
    split("MANPATH").iter().any(|path| path == directory) || split("PATH").iter().any(beside)
}
