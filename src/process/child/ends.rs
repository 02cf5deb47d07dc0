//! The child's ends of its pipes, and its separation from its parent.
//!
//! Invariant: as that of `child`: nothing here allocates, takes a lock or touches `errno`.

use std::ffi::c_int;
use std::os::fd::AsRawFd;

use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{setsid, umask};

use super::kernel::{self, number};
use crate::process::report::Record;
use crate::process::streams::{Descriptors, PassedFile};
use crate::process::{SpawnError, Stage, script};

/// File mode creation mask of every job, umask(2): other users may read its files but not change them.
const UMASK: Mode = Mode::WGRP.union(Mode::WOTH);

/// Highest descriptor that is closed one by one by a kernel without close_range(2), before Linux 5.9.
const LAST_CLOSED: c_int = 65_535;

/// Exit status of a child that could not execute its program.
const FAILED: usize = 127;

/// Numbers of the child's descriptors in its own table.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    standard: [c_int; 3],
    /// Script or file of this program, and the flags of its copy.
    file: Option<(c_int, c_int)>,
    report: c_int,
    cgroup: Option<c_int>,
    /// True if the child is made outside of its cgroup.
    moves: bool,
}

impl Ends {
    pub(super) fn of(descriptors: &Descriptors) -> Self {
        Self {
            standard: [0, 1, 2].map(|index| descriptors.standard[index].as_raw_fd()),
            file: descriptors.file.as_ref().map(|file| match file {
                PassedFile::Script(file) => (file.as_raw_fd(), 0),
                PassedFile::Own(file) => (file.as_raw_fd(), libc::O_CLOEXEC),
            }),
            report: descriptors.report.as_raw_fd(),
            cgroup: descriptors.cgroup.as_ref().map(AsRawFd::as_raw_fd),
            moves: false,
        }
    }

    /// Returns the directory of the cgroup.
    pub(super) const fn cgroup(&self) -> Option<c_int> {
        self.cgroup
    }

    /// Lets the child move to its cgroup itself.
    pub(super) const fn moving(mut self) -> Self {
        self.moves = true;
        self
    }

    /// Moves the child to its cgroup, unless it was made there.
    pub(super) fn enter_cgroup(&self) -> Result<(), SpawnError> {
        let (Some(directory), true) = (self.cgroup, self.moves) else {
            return Ok(());
        };
        let at = SpawnError::of_errno(Stage::Prepare);
        // SAFETY: the parent holds it open until the child is made, and the child has a copy.
        let directory = unsafe { BorrowedFd::borrow_raw(directory) };
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let procs = openat(directory, c"cgroup.procs", flags, Mode::empty()).map_err(at)?;
        rustix::io::write(&procs, b"0").map(drop).map_err(at)
    }

    /// Returns the final number of the report pipe.
    const fn final_report(&self) -> c_int {
        match self.file {
            Some(_) => script::DESCRIPTOR + 1,
            None => script::DESCRIPTOR,
        }
    }

    /// Writes a record. If the parent has ended, nobody needs it.
    pub(super) fn report(&self, record: Record) {
        let bytes = record.encode();
        let args = [
            number(self.final_report()),
            bytes.as_ptr().expose_provenance(),
            bytes.len(),
            0,
            0,
        ];
        // SAFETY: reads the record.
        let _ = unsafe { kernel::call(libc::SYS_write, args) };
    }

    /// Reports a failure and ends the child, without the exit handlers of its parent.
    pub(super) fn fail(&self, failure: SpawnError) -> ! {
        self.report(Record::Failed(failure));
        loop {
            // SAFETY: does not return.
            let _ = unsafe { kernel::call(libc::SYS_exit_group, [FAILED, 0, 0, 0, 0]) };
        }
    }

    /// Separates the child from its parent: a session and descriptors of its own.
    ///
    /// A child that does not get further for a while must hold none of the parent's descriptors, such as the
    /// pipes of other processes, which would not end then.
    pub(super) fn separate(&self) -> Result<(), SpawnError> {
        let at = SpawnError::of_errno(Stage::Prepare);
        setsid().map_err(at)?;
        self.install().map_err(at)?;
        close_from(self.final_report() + 1);
        umask(UMASK);
        Ok(())
    }

    /// Marks other descriptors close-on-exec: those that the user database has opened.
    pub(super) fn close_others_on_exec(&self) {
        close_on_exec_from(self.final_report() + 1);
    }

    /// Copies the descriptors to 0, 1, 2 and, for a script, 3, which stay open on exec, that of this program's file to 3,
    /// and that of the report to the next number.
    fn install(&self) -> Result<(), Errno> {
        for (target, &fd) in (0..).zip(&self.standard) {
            copy_descriptor(fd, target, 0)?;
        }
        if let Some((fd, flags)) = self.file {
            copy_descriptor(fd, script::DESCRIPTOR, flags)?;
        }
        copy_descriptor(self.report, self.final_report(), libc::O_CLOEXEC)
    }
}

/// Copies a descriptor to another number, which must be lower.
fn copy_descriptor(fd: c_int, target: c_int, flags: c_int) -> Result<(), Errno> {
    let args = [number(fd), number(target), number(flags), 0, 0];
    // SAFETY: the child has its own descriptor table, and each source has a number above its target.
    unsafe { kernel::call(libc::SYS_dup3, args) }.map(drop)
}

/// Closes all descriptors from `first` on.
fn close_from(first: c_int) {
    let last = u32::MAX as usize;
    // SAFETY: the child has its own descriptor table and uses none of them any more.
    if unsafe { kernel::call(libc::SYS_close_range, [number(first), last, 0, 0, 0]) }.is_err() {
        for fd in first..=LAST_CLOSED {
            // SAFETY: as above.
            let _ = unsafe { kernel::call(libc::SYS_close, [number(fd), 0, 0, 0, 0]) };
        }
    }
}

/// Marks the descriptors from `first` on close-on-exec.
fn close_on_exec_from(first: c_int) {
    let flags = libc::CLOSE_RANGE_CLOEXEC as usize;
    let args = [number(first), u32::MAX as usize, flags, 0, 0];
    // SAFETY: takes no pointers, and the child has its own descriptor table. Linux before 5.11 returns an
    // error, which is ignored: this is a second line of defence.
    let _ = unsafe { kernel::call(libc::SYS_close_range, args) };
}
