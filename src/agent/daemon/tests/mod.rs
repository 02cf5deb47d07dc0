//! Tests of a real agent on loopback with real processes and a minimal controller.

mod caller;
mod scenarios;
