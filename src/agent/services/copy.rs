//! The service `copy`: the agent's side of a copy of files, on the standard streams.
//!
//! Not the protocol, which is that of [`copy`](crate::copy). Invariant: nothing outside the directories that the supervisor
//! has granted is opened.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::pipe::fcntl_setpipe_size;

use super::limits::PIPE;
use crate::agent::access::CopyGrant;
use crate::copy::driver::{Broken, End, receive, send};
use crate::copy::{Destination, Fault, Library, Receiver, Scope, Sources, limits as copy};
use crate::message::{CopyWork, OsText};

/// Copies.
///
/// # Errors
/// [`Broken`]
pub fn run(work: &CopyWork, grant: CopyGrant) -> Result<End, Broken> {
    let scope = match grant {
        CopyGrant::Everywhere => Scope::Everywhere,
        CopyGrant::Beneath(paths) => Scope::Beneath(paths),
    };
    let (input, output) = streams()?;
    match work {
        CopyWork::Read { from, recursive } => {
            let sources = Sources {
                paths: from.iter().map(path).map(PathBuf::from).collect(),
                scope,
                recursive: *recursive,
            };
            send(
                sources,
                Rc::new(Library::new(copy::CHUNKS_PIPED)),
                input,
                output,
            )
        }
        CopyWork::Write {
            to,
            directory,
            preserve,
        } => {
            let destination = Destination {
                scope: &scope,
                path: path(to),
                is_directory: *directory,
            };
            match Receiver::open(&destination, *preserve) {
                Ok(receiver) => receive(receiver, input, output),
                Err(error) => {
                    let refusal = Receiver::refusal(&error);
                    io::Write::write_all(&mut &output, &refusal)?;
                    Ok(match error.fault {
                        Fault::Policy => End::OutOfScope,
                        _ => End::Incomplete,
                    })
                }
            }
        }
    }
}

fn path(text: &OsText) -> &Path {
    Path::new(text.as_os_str())
}

/// Returns the standard streams without buffers, made larger as far as the system allows.
fn streams() -> io::Result<(File, File)> {
    let input = rustix::stdio::stdin().as_fd().try_clone_to_owned()?;
    let output = rustix::stdio::stdout().as_fd().try_clone_to_owned()?;
    for pipe in [&input, &output] {
        let _ = fcntl_setpipe_size(pipe, PIPE);
    }
    Ok((input.into(), output.into()))
}
