//! Lines of a batch: requests for commands, or the reasons why a line is none.
//!
//! Values only.

use bytes::Bytes;
use serde_json::Value;

use crate::message::{Exec, RequestId};
use crate::net::Target;

/// Line of a batch.
#[derive(Debug)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// Mark by which the sender recognises its record.
    pub tag: Option<Value>,
    /// The request and its targets, or the reason why the line cannot be understood.
    pub content: Result<(Request, Vec<Member>), String>,
}

/// Request of a line, the same for each of its targets.
#[derive(Clone, Debug)]
pub struct Request {
    /// Command. Id and user are those of the [`Member`]. Its result is kept at the agent if the id was given.
    pub exec: Exec,
    /// Input of the command, if it takes any.
    pub stdin: Bytes,
    /// Length of the line in bytes.
    pub size: usize,
}

/// One target of a request.
#[derive(Clone, Debug)]
pub struct Member {
    /// The target.
    pub target: Target,
    /// Request id.
    pub id: RequestId,
    /// User as whom the command runs, if it is not the key's.
    pub user: Option<String>,
}
