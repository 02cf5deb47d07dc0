//! The agent's program as a file: the processor that it is for, and its hash.
//!
//! Not its version, which a program for another processor cannot be asked for. Invariant: only ELF programs are sent.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use aws_lc_rs::digest::{SHA256, digest};

use crate::cli::ctl::agent_program;

/// A program to send.
pub struct Program {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its file, for messages.
    pub path: PathBuf,
    /// Its processor, as uname(1) has it.
    pub machine: &'static str,
}

impl Program {
    /// Reads the named file, or the agent beside this program.
    pub fn read(named: Option<&Path>) -> Result<Self> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => beside()?,
        };
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let Some(machine) = machine(&bytes) else {
            bail!("{}: no program for Linux", path.display());
        };
        Ok(Self {
            bytes,
            path,
            machine,
        })
    }

    /// Returns its SHA-256, in hexadecimal digits.
    pub fn hash(&self) -> String {
        let mut text = String::new();
        for byte in digest(&SHA256, &self.bytes).as_ref() {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// True if it is for a processor that uname(1) calls so.
    pub fn is_for(&self, machine: &str) -> bool {
        let usual = match machine {
            "arm64" => "aarch64",
            "amd64" => "x86_64",
            "i386" | "i486" | "i586" => "i686",
            arm if arm.starts_with("armv") => "arm",
            other => other,
        };
        self.machine == usual
    }
}

fn beside() -> Result<PathBuf> {
    let path = agent_program::beside().context("this program's own file")?;
    if !path.is_file() {
        bail!(
            "no udpagent beside udpctl: {}; name it: --agent FILE",
            path.display()
        );
    }
    Ok(path)
}

/// Returns the processor of an ELF program, elf(5).
fn machine(bytes: &[u8]) -> Option<&'static str> {
    let order = *bytes.strip_prefix(b"\x7fELF")?.get(1)?;
    let code = <[u8; 2]>::try_from(bytes.get(18..20)?).ok()?;
    let code = if order == 2 {
        u16::from_be_bytes(code)
    } else {
        u16::from_le_bytes(code)
    };
    Some(match code {
        3 => "i686",
        21 if order == 1 => "ppc64le",
        22 => "s390x",
        40 => "arm",
        62 => "x86_64",
        183 => "aarch64",
        243 => "riscv64",
        258 => "loongarch64",
        _ => "another processor",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_of_a_program_is_that_of_its_elf_header() {
        let header = |order: u8, code: [u8; 2]| {
            let mut bytes = b"\x7fELF\x02".to_vec();
            bytes.push(order);
            bytes.resize(18, 0);
            bytes.extend(code);
            bytes
        };
        assert_eq!(machine(&header(1, [183, 0])), Some("aarch64"));
        assert_eq!(machine(&header(2, [0, 22])), Some("s390x"));
        assert_eq!(machine(&header(1, [1, 1])), Some("another processor"));
        assert_eq!(machine(b"#!/bin/sh\nexec udpagent\n"), None);
        assert_eq!(machine(b"\x7fELF"), None);
        let own = Program::read(Some(&std::env::current_exe().unwrap())).unwrap();
        let uname = rustix::system::uname();
        assert!(own.is_for(uname.machine().to_str().unwrap()));
        assert!(!own.is_for("sparc64"));
    }
}
