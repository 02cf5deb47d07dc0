//! Built-in services: programs of a job that are this program itself, executed again as the job's user.
//!
//! A service has the standard streams of its job and nothing else of the agent: no key, no descriptor, no policy. Invariant:
//! whatever runs one has decided before that the key may use it.
//!
//! ```text
//!   request `forward` ──► jobs ──Program::Service──► supervisor ──Executable::Own──► services::main
//! ```
//!
//! A further service is a variant of [`Service`], a request that becomes it, a rule of the policy, and an arm in [`main`].

mod connect;
mod forward;
mod limits;

use std::ffi::OsString;

use crate::escape;
use crate::message::Service;
use crate::message::status::{INTERNAL, USAGE};

/// Name under which this program is a service.
pub const NAME: &str = "udpagent-service";

/// Bytes of an error that are shown.
const ERROR: usize = 1024;

/// Returns the arguments with which this program is a service, its name first.
#[must_use]
pub fn argv(service: &Service) -> Vec<OsString> {
    let json = serde_json::to_string(service).expect("a service has string keys only");
    vec![NAME.into(), json.into()]
}

/// Returns the service that arguments name, as [`argv`] makes them.
#[must_use]
pub fn requested(argv: &[OsString]) -> Option<Service> {
    match argv {
        [name, json] if name == NAME => serde_json::from_slice(json.as_encoded_bytes()).ok(),
        _ => None,
    }
}

/// Runs the service that the arguments name, their first being the name of the program, and returns its exit status.
#[must_use]
pub fn main(argv: &[OsString]) -> u8 {
    let Some(service) = requested(argv) else {
        return USAGE;
    };
    // The name of the process would be the number of a descriptor.
    let _ = rustix::thread::set_name(c"udpagent-service");
    let done = match &service {
        Service::Forward(target) => forward::run(target),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            let text = error.to_string();
            let line = escape::line(text.as_bytes(), ERROR);
            eprintln!("{line}");
            INTERNAL
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{ForwardTarget, OsText};

    #[test]
    fn the_arguments_of_a_service_name_it_again() {
        let path = OsString::from("/run/a b.sock");
        for target in [
            ForwardTarget::tcp("::1", 5432),
            ForwardTarget::unix(OsText::from(path)),
        ] {
            let service = Service::Forward(target.unwrap());
            assert_eq!(requested(&argv(&service)), Some(service));
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
