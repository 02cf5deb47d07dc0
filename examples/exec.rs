//! Runs a command on a host, with the library's client.
//!
//! `cargo run --example exec -- HOST:PORT AGENT-KEY KEY-FILE ARGV…`, where AGENT-KEY is the output of `udpagent key` and
//! KEY-FILE a key that the agent lists, such as `~/.config/udpctl/identity`.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use udpagent::client::Client;
use udpagent::crypto::key_file;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || {
        arguments
            .next()
            .ok_or("usage: exec HOST:PORT AGENT-KEY KEY-FILE ARGV…")
    };
    let (target, agent, file) = (next()?, next()?, next()?);

    let mut client = Client::new(key_file::load(file.as_ref())?)?;
    let host = client.host(&target, agent.parse()?)?;
    let report = client
        .exec(&host, arguments)
        .stdout(io::stdout())
        .stderr(io::stderr())
        .run()?;
    client.close();
    Ok(ExitCode::from(report.exit_status()))
}
