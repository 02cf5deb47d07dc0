//! Built-in services: programs of a job that are this program itself, executed again as the job's user.
//!
//! A service has the standard streams of its job and nothing else of the agent: no key, no descriptor, no policy but what was
//! granted to it. Invariant: whatever runs one has decided before that the key may use it.
//!
//! ```text
//!   request `forward` ──► jobs ──Program::Service──► supervisor ──Executable::Own──► services::main
//! ```
//!
//! A further service is a variant of [`Service`], a request that becomes it, a rule of the policy, and an arm in [`main`].

mod connect;
mod copy;
mod forward;
mod limits;

use std::ffi::OsString;

use crate::agent::access::CopyGrant;
use crate::copy::driver::End;
use crate::escape;
use crate::message::Service;
use crate::message::status::{INTERNAL, USAGE};

/// Name under which this program is a service.
pub const NAME: &str = "udpagent-service";

/// Exit status of a copy of which an item has failed. The peer knows which, and why.
const SOME_NOT_COPIED: u8 = 1;

/// Exit status of a copy of which an item lies outside of the directories that were granted.
pub const OUT_OF_SCOPE: u8 = 3;

/// Bytes of an error that are shown.
const ERROR: usize = 1024;

/// Returns the arguments with which this program is a service, its name first.
#[must_use]
pub fn argv(service: &Service, copy: Option<&CopyGrant>) -> Vec<OsString> {
    let json = serde_json::to_string(service).expect("a service has string keys only");
    let copy = copy.map(|copy| serde_json::to_string(copy).expect("its paths are text"));
    let words = [Some(NAME.to_owned()), Some(json), copy];
    words.into_iter().flatten().map(OsString::from).collect()
}

/// Returns the service that arguments name, as [`argv`] makes them, and where it may copy.
#[must_use]
pub fn requested(argv: &[OsString]) -> Option<(Service, Option<CopyGrant>)> {
    let (name, words) = argv.split_first()?;
    let (service, copy) = match words {
        [service] if name == NAME => (service, None),
        [service, copy] if name == NAME => {
            let copy = serde_json::from_slice(copy.as_encoded_bytes()).ok()?;
            (service, Some(copy))
        }
        _ => return None,
    };
    let service = serde_json::from_slice(service.as_encoded_bytes()).ok()?;
    Some((service, copy))
}

/// Runs the service that the arguments name, their first being the name of the program, and returns its exit status.
#[must_use]
pub fn main(argv: &[OsString]) -> u8 {
    let Some((service, copy)) = requested(argv) else {
        return USAGE;
    };
    // The name of the process would be the number of a descriptor.
    let _ = rustix::thread::set_name(c"udpagent-service");
    let done = match (&service, copy) {
        (Service::Forward(target), _) => match forward::run(target) {
            Ok(()) => Ok(End::Complete),
            Err(error) => Err(error.to_string()),
        },
        (Service::Copy(work), Some(grant)) => {
            copy::run(work, grant).map_err(|error| error.to_string())
        }
        (Service::Copy(_), None) => return USAGE,
    };
    match done {
        Ok(End::Complete) => 0,
        Ok(End::Incomplete) => SOME_NOT_COPIED,
        Ok(End::OutOfScope) => OUT_OF_SCOPE,
        Err(text) => {
            let line = escape::line(text.as_bytes(), ERROR);
            eprintln!("{line}");
            INTERNAL
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;
    use crate::message::{CopyWork, ForwardTarget, OsText};

    #[test]
    fn the_arguments_of_a_service_name_it_again() {
        let path = OsString::from("/run/a b.sock");
        for target in [
            ForwardTarget::tcp("::1", 5432),
            ForwardTarget::unix(OsText::from(path)),
        ] {
            let service = Service::Forward(target.unwrap());
            assert_eq!(requested(&argv(&service, None)), Some((service, None)));
        }
        let work = CopyWork::Read {
            from: vec![OsString::from_vec(b"/a \xff".to_vec()).into()],
            recursive: true,
        };
        let service = Service::Copy(work);
        let grants = [
            CopyGrant::Everywhere,
            CopyGrant::Beneath(vec!["/srv".into()]),
        ];
        for grant in grants {
            let argv = argv(&service, Some(&grant));
            assert_eq!(requested(&argv), Some((service.clone(), Some(grant))));
        }
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        for other in [
            &[][..],
            &[NAME],
            &[NAME, "{}"],
            &["forward", r#"{"forward":{"tcp":{"host":"a","port":1}}}"#],
            &[NAME, r#"{"forward":{"tcp":{"host":"a b","port":1}}}"#],
        ] {
            assert_eq!(requested(&words(other)), None, "{other:?}");
        }
    }
}
