//! Scripts held in memory, and their interpreters.
//!
//! Not a file on disk, so no cleanup is needed; stdin stays free. Invariant: the text is sealed and cannot
//! change, and the interpreter inherits it as descriptor [`DESCRIPTOR`].

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::fcntl_dupfd_cloexec;

/// Number of the script's descriptor in the process: the first after the standard streams.
pub(super) const DESCRIPTOR: i32 = 3;

/// Path at which the interpreter opens the script.
const PATH: &[u8] = b"/proc/self/fd/3";

/// Interpreter of a script without a `#!` line.
const SHELL: &[u8] = b"/bin/sh";

/// Returns the words before a script's own arguments, as execve(2) builds them for a file: the interpreter
/// named by the `#!` line, the rest of that line as one argument, and the script's path.
pub(super) fn command(text: &[u8]) -> Vec<Vec<u8>> {
    let line = text.strip_prefix(b"#!").unwrap_or_default();
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let line = line.trim_ascii();
    let end = line.iter().position(blank).unwrap_or(line.len());
    let (interpreter, argument) = (&line[..end], line[end..].trim_ascii());
    let interpreter = if interpreter.is_empty() {
        SHELL
    } else {
        interpreter
    };
    [interpreter, argument, PATH]
        .into_iter()
        .filter(|word| !word.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

/// Opens a sealed memory file with the text. It is closed on exec, and its number is above [`DESCRIPTOR`], so
/// that it can be copied there.
pub(super) fn open(text: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("script", flags)?);
    file.write_all(text)?;
    let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&file, all)?;
    Ok(fcntl_dupfd_cloexec(&file, DESCRIPTOR + 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let words = command(text.as_bytes()).into_iter();
        words.map(|word| String::from_utf8(word).unwrap()).collect()
    }

    #[test]
    fn the_first_line_names_the_interpreter() {
        let script = "/proc/self/fd/3";
        for (text, wanted) in [
            ("echo hi", &["/bin/sh", script][..]),
            ("", &["/bin/sh", script]),
            ("#!\nx", &["/bin/sh", script]),
            ("#!/bin/bash\nx", &["/bin/bash", script]),
            (
                "#! /usr/bin/env  python3 -u \nx",
                &["/usr/bin/env", "python3 -u", script],
            ),
            ("#!/bin/awk\t-f", &["/bin/awk", "-f", script]),
            (" #!/bin/bash", &["/bin/sh", script]),
        ] {
            assert_eq!(words(text), wanted, "{text:?}");
        }
    }
}
