//! Surroundings of a run of `exec` or `attach`: the network, the streams and the files that it uses.

use crossbeam_channel::Receiver;

use super::exchange::Exchange;
use super::host_files::HostFiles;
use super::job_log::JobLog;
use super::recorder::Recorder;
use crate::control::client::Client;
use crate::control::host_resolver::HostResolver;
use crate::control::stdio::Streams;

/// Surroundings of a run.
pub struct Surroundings<'a> {
    /// Network.
    pub client: &'a Client,
    /// Known agents, for hosts whose names are looked up, and the store of their tickets.
    pub resolver: Option<&'a HostResolver>,
    /// Records of the requests in the journal.
    pub recorder: Option<Recorder>,
    /// Standard streams.
    pub streams: Streams,
    /// Input and standard output of each command, if they are not the standard streams.
    pub exchange: Option<Exchange>,
    /// Files with the outputs of single hosts.
    pub files: HostFiles,
    /// Log of the hosts.
    pub job_log: Option<JobLog>,
    /// Called once, when the first agent has accepted its request.
    pub on_accepted: Option<Box<dyn FnOnce() + 'a>>,
    /// Signals: those that interrupt or are forwarded, and SIGWINCH.
    pub signals: &'a Receiver<i32>,
}

impl<'a> Surroundings<'a> {
    /// Creates surroundings without records, files and a log.
    #[must_use]
    pub fn new(client: &'a Client, streams: Streams, signals: &'a Receiver<i32>) -> Self {
        Self {
            client,
            resolver: None,
            recorder: None,
            streams,
            exchange: None,
            files: HostFiles::default(),
            job_log: None,
            on_accepted: None,
            signals,
        }
    }
}
