//! Options of `udpctl exec` for the form and the places of the output of several hosts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::control::exec::{
    Escaping, Gathering, HostDirectory, HostFileError, HostFiles, JobLog, Labels, Output, Style,
};
use crate::control::fleet::{Class, LastRun};
use crate::control::limits;

/// Options for the output of several hosts.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output of several hosts")]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct OutputOptions {
    /// Print one JSON object per host instead of the output
    #[arg(long)]
    pub json: bool,
    /// Print one JSON object a line as things happen: start, out, exit, and a summary at the end
    #[arg(long, conflicts_with_all = ["json", "detach"])]
    pub jsonl: bool,
    /// Print the lines without the names of their hosts
    #[arg(short = 'N', long, conflicts_with_all = ["json", "jsonl", "gather", "gather_all", "diff"])]
    pub no_label: bool,
    /// Print equal outputs once, at the end, under the names of their hosts
    #[arg(short = 'b', long, conflicts_with_all = ["json", "jsonl", "detach"])]
    pub gather: bool,
    /// The same with standard error behind standard output
    #[arg(short = 'B', long, conflicts_with_all = ["json", "jsonl", "detach"])]
    pub gather_all: bool,
    /// Print the output that most hosts have, and those of the others as differences from it; implies --gather
    #[arg(long, conflicts_with_all = ["json", "jsonl", "detach"])]
    pub diff: bool,
    /// Print the output of several hosts with its control characters instead of escaping them
    #[arg(long)]
    pub raw: bool,
    /// Write the standard output of each host to the file DIR/HOST instead of printing it
    #[arg(short = 'o', long, value_name = "DIR", conflicts_with_all = ["json", "detach"])]
    pub outdir: Option<PathBuf>,
    /// Write the standard error of each host to the file DIR/HOST instead of printing it; to DIR/HOST.stderr, if DIR is
    /// that of --outdir
    #[arg(short = 'e', long, value_name = "DIR", conflicts_with_all = ["json", "detach"])]
    pub errdir: Option<PathBuf>,
    /// Also write the outputs to DIR/HOST.stdout and DIR/HOST.stderr, and the names of the hosts to DIR/hosts.ok,
    /// hosts.failed, hosts.unreachable and hosts.skipped
    #[arg(long, value_name = "DIR", conflicts_with = "detach")]
    pub log_dir: Option<PathBuf>,
    /// Write a line per host to FILE, in the columns of GNU parallel's --joblog
    #[arg(long, value_name = "FILE")]
    pub joblog: Option<PathBuf>,
}

impl OutputOptions {
    /// Returns the form of the output of hosts. `is_terminal` is true if it is shown on a terminal.
    pub(super) fn style(&self, labels: &[&str], is_terminal: bool) -> Style {
        let escaping = if self.raw {
            Escaping::Raw
        } else {
            Escaping::Escape
        };
        let is_one = labels.len() == 1;
        if self.json {
            return Style::Json(if is_one {
                limits::CAPTURE
            } else {
                limits::CAPTURE_FLEET
            });
        }
        if self.jsonl {
            return Style::JsonLines;
        }
        if self.gather || self.gather_all || self.diff {
            return Style::Gathered(Gathering {
                stderr: self.gather_all,
                diff: self.diff,
                escaping,
            });
        }
        if is_one {
            return Style::Plain;
        }
        let longest = labels.iter().map(|label| label.chars().count()).max();
        Style::Labelled(Labels {
            escaping,
            is_named: !self.no_label,
            width: longest
                .filter(|&width| is_terminal && width <= limits::LABEL_WIDTH)
                .unwrap_or_default(),
        })
    }

    /// Creates the directories of the files of hosts.
    pub(super) fn files(&self) -> Result<HostFiles> {
        let mut directories = Vec::new();
        let mut add = |path: &Option<PathBuf>, output, suffix, is_instead| {
            if let Some(path) = path {
                directories.push(HostDirectory {
                    output,
                    path: path.clone(),
                    suffix,
                    is_instead,
                });
            }
        };
        add(&self.outdir, Output::Stdout, "", true);
        add(&self.errdir, Output::Stderr, "", true);
        add(&self.log_dir, Output::Stdout, ".stdout", false);
        add(&self.log_dir, Output::Stderr, ".stderr", false);
        HostFiles::create(directories).map_err(|HostFileError { path, error }| {
            let options = [("-o", &self.outdir), ("-e", &self.errdir)];
            let mut options = options.into_iter();
            let named = options.find(|(_, given)| given.as_ref() == Some(&path));
            let option = named.map_or("--log-dir", |(option, _)| option);
            anyhow::Error::new(error).context(format!("{option} {}", path.display()))
        })
    }

    /// Creates the log of the hosts.
    pub(super) fn job_log(&self) -> Result<Option<JobLog>> {
        let create = |path: &Path| {
            JobLog::create(path).with_context(|| format!("--joblog {}", path.display()))
        };
        self.joblog.as_deref().map(create).transpose()
    }

    /// Writes the names of the hosts of each class.
    pub(super) fn write_lists(&self, run: &LastRun) -> Result<()> {
        let Some(directory) = &self.log_dir else {
            return Ok(());
        };
        for class in Class::ALL {
            let mut lines = run.hosts(class).join("\n");
            if !lines.is_empty() {
                lines.push('\n');
            }
            let path = directory.join(format!("hosts.{}", class.name()));
            fs::write(&path, lines).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}
