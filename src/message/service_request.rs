//! Requests for built-in services as those for commands, and back.
//!
//! An agent treats both alike, and so does a controller once the request is sent. Invariant: no member is lost either way.

use super::{Exec, Forward, Request, RequestId, Service};

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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{ForwardTarget, OsText};

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
}
