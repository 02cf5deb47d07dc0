//! State and descriptors that a program finds when it was executed in the place of another one.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use super::state::State;
use crate::agent::jobs::{JobId, Phase};
use crate::process::inherited;

/// Variable that names the process and the descriptor of the state. It is meant for this process only.
pub const VARIABLE: &str = "UDPAGENT_HANDOVER";

/// State and descriptors of the program that was executed before in this process.
#[derive(Debug)]
pub struct Inherited {
    pub(super) state: State,
    pub(super) descriptors: Descriptors,
    /// Jobs of which bytes may have been moved that the state does not contain.
    pub(super) lost: Vec<JobId>,
}

/// Descriptors by their numbers in the state.
#[derive(Default, Debug)]
pub struct Descriptors(HashMap<RawFd, OwnedFd>);

impl Descriptors {
    /// Adds a descriptor and returns its number.
    pub fn insert(&mut self, descriptor: OwnedFd) -> RawFd {
        let number = descriptor.as_raw_fd();
        self.0.insert(number, descriptor);
        number
    }

    /// Takes a descriptor.
    ///
    /// # Errors
    /// The state does not list it, or lists it twice.
    pub fn take(&mut self, number: RawFd) -> io::Result<OwnedFd> {
        self.0.remove(&number).ok_or_else(invalid)
    }
}

/// Error of a state that cannot be.
pub(super) fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

impl Inherited {
    /// Returns what a program has left that has died. The bytes of the jobs in `lost` are not all known.
    #[must_use]
    pub const fn new(state: State, descriptors: Descriptors, lost: Vec<JobId>) -> Self {
        Self {
            state,
            descriptors,
            lost,
        }
    }

    /// Takes the state and the descriptors; `None` if nothing was handed over. Call once, while there is one thread.
    ///
    /// # Errors
    /// The state cannot be read, or a descriptor is not open. The jobs are lost; the guard of the earlier program ends
    /// them when this one ends.
    pub fn from_environment() -> io::Result<Option<Self>> {
        let value = std::env::var(VARIABLE).unwrap_or_default();
        let own = std::process::id().to_string();
        let number = value
            .split_once(':')
            .filter(|(process, _)| *process == own)
            .and_then(|(_, number)| number.parse().ok());
        let Some(file) = number.and_then(inherited) else {
            return Ok(None);
        };
        let mut text = Vec::new();
        let mut file = File::from(file);
        file.rewind()?;
        file.read_to_end(&mut text)?;
        let state = State::parse(&text)?;
        let mut descriptors = Descriptors::default();
        for number in state.descriptors() {
            let descriptor = inherited(number).ok_or_else(|| {
                let words = format!("descriptor {number} is not open");
                io::Error::new(io::ErrorKind::InvalidData, words)
            })?;
            descriptors.0.insert(number, descriptor);
        }
        Ok(Some(Self::new(state, descriptors, Vec::new())))
    }

    /// Takes the bound sockets, and tells whether a service manager has bound them.
    pub fn take_sockets(&mut self) -> (Vec<UdpSocket>, bool) {
        let numbers = std::mem::take(&mut self.state.sockets);
        let sockets = numbers.iter();
        let sockets = sockets.filter_map(|&number| self.descriptors.take(number).ok());
        (sockets.map(UdpSocket::from).collect(), self.state.activated)
    }

    /// Returns the random number that distinguishes the processes of the agent from all others.
    #[must_use]
    pub fn mark(&self) -> Option<u64> {
        u64::from_str_radix(&self.state.mark, 16).ok()
    }

    /// True if the earlier program has died.
    #[must_use]
    pub const fn is_after_death(&self) -> bool {
        self.state.is_after_death
    }

    /// Returns the limit of descriptors at the start of the agent, if it was raised.
    #[must_use]
    pub const fn original_descriptors(&self) -> Option<u64> {
        self.state.original_descriptors
    }

    /// Number of running commands.
    #[must_use]
    pub fn running(&self) -> usize {
        let phases = self.state.jobs.iter().map(|job| job.status.phase);
        phases
            .filter(|phase| matches!(phase, Phase::Starting | Phase::Running))
            .count()
    }
}
