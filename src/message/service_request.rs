//! Requests for built-in services as those for commands, and back.
//!
//! An agent treats both alike, and so does a controller once the request is sent. Invariant: no member is lost either way.

use super::{CopyFiles, Exec, Forward, Request, RequestId, Service};

/// The job that carries the connection out.
impl From<Forward> for Exec {
    fn from(forward: Forward) -> Self {
        Self {
            user: forward.user,
            lease_ms: forward.lease_ms,
            age_ms: forward.age_ms,
            ..Self::of_service(forward.id, Service::Forward(forward.to))
        }
    }
}

/// The job that carries the copy out.
impl From<CopyFiles> for Exec {
    fn from(copy: CopyFiles) -> Self {
        Self {
            user: copy.user,
            timeout_ms: copy.timeout_ms,
            lease_ms: copy.lease_ms,
            age_ms: copy.age_ms,
            ..Self::of_service(copy.id, Service::Copy(copy.work))
        }
    }
}

impl Request {
    /// Returns the job of a request for a built-in service.
    #[must_use]
    pub fn into_service(self) -> Option<Exec> {
        match self {
            Self::Forward(forward) => Some(forward.into()),
            Self::Copy(copy) => Some(copy.into()),
            Self::Exec(_)
            | Self::Attach { .. }
            | Self::Jobs { .. }
            | Self::Wait { .. }
            | Self::Signal { .. }
            | Self::Cancel {}
            | Self::Resize(_)
            | Self::Ping {}
            | Self::Chat { .. }
            | Self::Say { .. }
            | Self::Whisper { .. }
            | Self::Register { .. } => None,
        }
    }
}

impl Exec {
    /// Creates a request to run a built-in service; every other member has its default.
    #[must_use]
    pub fn of_service(id: RequestId, service: Service) -> Self {
        let mut exec = Self::new(id, service.argv());
        exec.stdin = service.reads_stdin();
        exec.service = Some(service);
        exec
    }

    /// Returns the request for it: the one of its service, if it has one.
    #[must_use]
    pub fn into_request(self) -> Request {
        match self.service {
            None => Request::Exec(self),
            Some(Service::Forward(to)) => Request::Forward(Forward {
                id: self.id,
                to,
                user: self.user,
                lease_ms: self.lease_ms,
                age_ms: self.age_ms,
            }),
            Some(Service::Copy(work)) => Request::Copy(CopyFiles {
                id: self.id,
                work,
                user: self.user,
                timeout_ms: self.timeout_ms,
                lease_ms: self.lease_ms,
                age_ms: self.age_ms,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{CopyWork, ForwardTarget, OsText};

    #[test]
    fn a_forward_becomes_a_job_and_the_same_request_again() {
        let forward = Forward {
            id: RequestId([3; 16]),
            to: ForwardTarget::tcp("db", 5432).unwrap(),
            user: Some("ann".into()),
            lease_ms: Some(7000),
            age_ms: 9,
        };
        let exec = Exec::from(forward.clone());
        assert_eq!(exec.argv, ["forward".into(), OsText::from("db:5432")]);
        assert!(exec.stdin);
        assert_eq!(exec.into_request(), Request::Forward(forward));
    }

    #[test]
    fn a_copy_becomes_a_job_and_the_same_request_again() {
        let copy = CopyFiles {
            id: RequestId([3; 16]),
            work: CopyWork::Write {
                to: "/srv".into(),
                directory: true,
                preserve: true,
            },
            user: Some("ann".into()),
            timeout_ms: Some(5000),
            lease_ms: Some(7000),
            age_ms: 9,
        };
        let exec = Exec::from(copy.clone());
        assert_eq!(exec.argv, ["copy", "write", "/srv"].map(OsText::from));
        assert!(exec.stdin);
        assert_eq!(exec.into_request(), Request::Copy(copy));
    }
}
