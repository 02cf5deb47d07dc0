//! Entries of the C library's user database (NSS), by name and by user id.
//!
//! Not the conditions on an account (`login`). The functions may block for as long as a directory service
//! takes, open descriptors and allocate: another user is therefore looked up in the child.

use std::ffi::{CStr, c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr;

use rustix::io::Errno;

use crate::process::limits;

/// An entry of the password database, passwd(5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::process) struct Passwd {
    pub(in crate::process) name: Vec<u8>,
    pub(in crate::process) password: Vec<u8>,
    pub(in crate::process) uid: u32,
    pub(in crate::process) gid: u32,
    pub(in crate::process) home: Vec<u8>,
    pub(in crate::process) shell: Vec<u8>,
}

/// The fields of an entry of the shadow password database, shadow(5), that concern a login.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::process) struct Shadow {
    pub(in crate::process) password: Vec<u8>,
    /// Day on which the account expires, counted from 1970; -1 if it does not.
    pub(in crate::process) expires: i64,
}

/// Returns the entry of this name, if there is one.
pub(in crate::process) fn by_name(name: &CStr) -> Result<Option<Passwd>, Errno> {
    look_up(passwd, |entry, buffer, length, found| {
        // SAFETY: a C string, and a result and a buffer that the function may fill up to its length.
        unsafe { libc::getpwnam_r(name.as_ptr(), entry, buffer, length, found) }
    })
}

/// Returns the entry of this user id, if there is one.
pub(in crate::process) fn by_uid(uid: u32) -> Result<Option<Passwd>, Errno> {
    look_up(passwd, |entry, buffer, length, found| {
        // SAFETY: as in `by_name`.
        unsafe { libc::getpwuid_r(uid, entry, buffer, length, found) }
    })
}

/// Returns the shadow entry of this name, if there is one. Only root can read them.
pub(in crate::process) fn shadow_by_name(name: &CStr) -> Result<Option<Shadow>, Errno> {
    look_up(shadow, |entry, buffer, length, found| {
        // SAFETY: as in `by_name`.
        unsafe { libc::getspnam_r(name.as_ptr(), entry, buffer, length, found) }
    })
}

/// Returns the groups of a user, the primary one included.
pub(in crate::process) fn groups(name: &CStr, primary: u32) -> Result<Vec<u32>, Errno> {
    let mut groups: Vec<libc::gid_t> = vec![0; limits::FIRST_GROUPS];
    loop {
        let mut count = c_int::try_from(groups.len()).map_err(|_| Errno::INVAL)?;
        // SAFETY: a C string, and an array with room for `count` groups.
        let result = unsafe {
            libc::getgrouplist(name.as_ptr(), primary, groups.as_mut_ptr(), &raw mut count)
        };
        let needed = usize::try_from(count).map_err(|_| Errno::INVAL)?;
        if result >= 0 {
            groups.truncate(needed);
            return Ok(groups);
        }
        // The function returns the number needed; if not, the array is doubled.
        let more = needed.max(groups.len() * 2).min(limits::GROUPS);
        if more <= groups.len() {
            return Err(Errno::RANGE);
        }
        groups.resize(more, 0);
    }
}

/// Calls a function of the database with a buffer that grows until the entry fits.
fn look_up<Raw, Entry>(
    convert: impl Fn(&Raw) -> Entry,
    call: impl Fn(*mut Raw, *mut c_char, usize, *mut *mut Raw) -> c_int,
) -> Result<Option<Entry>, Errno> {
    let mut buffer: Vec<c_char> = vec![0; limits::FIRST_ENTRY];
    loop {
        let mut raw = MaybeUninit::<Raw>::uninit();
        let mut found = ptr::null_mut();
        match call(
            raw.as_mut_ptr(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut found,
        ) {
            0 if found.is_null() => return Ok(None),
            // SAFETY: on success it points to `raw`, which the function has filled; its strings are in `buffer`.
            0 => return Ok(Some(convert(unsafe { &*found }))),
            libc::EINTR => {}
            libc::ERANGE if buffer.len() < limits::ENTRY => buffer.resize(buffer.len() * 2, 0),
            // Values by which some databases say that they do not have the entry, getpwnam_r(3).
            libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => return Ok(None),
            error => return Err(Errno::from_raw_os_error(error)),
        }
    }
}

fn passwd(raw: &libc::passwd) -> Passwd {
    Passwd {
        name: bytes(raw.pw_name),
        password: bytes(raw.pw_passwd),
        uid: raw.pw_uid,
        gid: raw.pw_gid,
        home: bytes(raw.pw_dir),
        shell: bytes(raw.pw_shell),
    }
}

fn shadow(raw: &libc::spwd) -> Shadow {
    Shadow {
        password: bytes(raw.sp_pwdp),
        #[allow(
            clippy::useless_conversion,
            reason = "c_long has 32 bits on some architectures"
        )]
        expires: i64::from(raw.sp_expire),
    }
}

/// Copies a string of an entry. A missing one counts as empty.
fn bytes(string: *const c_char) -> Vec<u8> {
    if string.is_null() {
        return Vec::new();
    }
    // SAFETY: a field of an entry that was found, which is null or a C string.
    unsafe { CStr::from_ptr(string) }.to_bytes().to_vec()
}
