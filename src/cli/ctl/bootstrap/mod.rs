//! `udpctl bootstrap`: brings the agent to a host over ssh, starts it, and registers this controller there.
//!
//! Not an upgrade of many hosts, nor a service of root, which udpagent(8) shows. Invariants: each step is told by a line, or
//! fails with its name and what to do; a step that was done before is not done again; the invitation is on no command line.

mod program;
mod remote;

use std::path::PathBuf;

use anyhow::{Context as _, Error, Result, anyhow, bail};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use self::program::Program;
use self::remote::Remote;
use super::accept::{self, NoAnswer, Registration};
use super::args::ContactTimeout;
use super::candidates;
use super::context::{Context, print};
use super::ping;
use crate::escape;
use crate::net::{Bind, Invite, Target};

const EXAMPLES: &str = "\
Examples:
  udpctl bootstrap web3
  udpctl bootstrap ann@web3 --bind :7001
  udpctl bootstrap web3 --ssh 'ssh -p 2222' --agent target/aarch64-unknown-linux-musl/release/udpagent";

/// Puts the program that is on standard input in the place of `$1/udpagent`, if it has `$2` bytes and runs. One line, as csh
/// takes no other in quotes.
const COPY: &str = "case $1 in /*) d=$1;; *) d=$HOME/$1;; esac; t=$d/.udpagent.$$; \
    mkdir -p \"$d\" || exit 3; trap \"rm -f \\\"$t\\\"\" EXIT; \
    cat >\"$t\" && test \"$(wc -c <\"$t\")\" -eq \"$2\" && chmod 755 \"$t\" || exit 4; \
    v=$(\"$t\" --version </dev/null) || exit 5; echo \"$v\"; \
    case $v in \"udpagent \"*) ;; *) exit 6;; esac; mv -f \"$t\" \"$d/udpagent\" || exit 3";

const PROBE: &str = include_str!("probe.sh");
const START: &str = include_str!("start.sh");

/// `udpctl bootstrap`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct BootstrapArgs {
    /// Host as ssh takes it: HOST or USER@HOST
    #[arg(value_name = "DESTINATION", value_parser = destination, add = ArgValueCompleter::new(candidates::destination))]
    pub destination: String,
    /// Run PROGRAM, which may have options, instead of ssh
    #[arg(long, value_name = "PROGRAM", default_value = "ssh")]
    pub ssh: String,
    /// Copy FILE [default: udpagent beside this program]
    #[arg(long, value_name = "FILE")]
    pub agent: Option<PathBuf>,
    /// Install to DIR, relative to the home directory there
    #[arg(long, value_name = "DIR", default_value = ".local/bin", value_parser = directory)]
    pub dir: String,
    /// Let the agent listen on ADDRESS, unless it runs already
    #[arg(long, value_name = "ADDRESS", default_value = ":7000")]
    pub bind: Bind,
    /// Reach the agent at HOST [default: the host of DESTINATION, or its address in the ssh session]
    #[arg(long, value_name = "HOST")]
    pub host: Option<Target>,
    /// Replace the key that is known for this agent
    #[arg(long)]
    pub replace: bool,
    /// The time limit.
    #[command(flatten)]
    pub timeout: ContactTimeout,
}

fn destination(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.starts_with('-') || text.contains(char::is_whitespace) {
        return Err("write HOST or USER@HOST, as for ssh");
    }
    Ok(text.to_owned())
}

/// Parses a path that no shell and no unit changes.
fn directory(text: &str) -> Result<String, &'static str> {
    let path = text.strip_prefix("~/").unwrap_or(text);
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._+-".contains(letter);
    if path.is_empty() || path.starts_with('-') || !path.chars().all(is_plain) {
        return Err("write a path of letters, digits and the characters / . _ + -");
    }
    Ok(path.to_owned())
}

/// Runs the steps.
pub fn run(args: &BootstrapArgs) -> Result<u8> {
    let ssh = shlex::split(&args.ssh).context("--ssh: a quote is not closed")?;
    let remote = Remote {
        ssh,
        destination: args.destination.clone(),
    };
    let name = args.destination.rsplit('@').next().unwrap_or_default();
    let host = Host { name, args, remote };
    let is_new = host.step("copy", host.copy())?;
    let invite = host.step("start", host.start(is_new))?;
    let mut context = Context::new()?;
    host.step("accept", host.accept(&mut context, &invite))?;
    host.step("ping", host.ping(&mut context, &invite.target))?;
    Ok(0)
}

/// The host.
struct Host<'a> {
    name: &'a str,
    args: &'a BootstrapArgs,
    remote: Remote,
}

impl Host<'_> {
    /// Prints the result of a part of a step.
    fn tell(&self, words: &str) -> Result<()> {
        print(&format!("{}: {words}\n", self.name))
    }

    /// Names the step in an error.
    fn step<T>(&self, step: &str, result: Result<T>) -> Result<T> {
        result.map_err(|error: Error| error.context(format!("{}: {step}", self.name)))
    }

    /// Copies the program unless it is there; returns true if it was copied.
    fn copy(&self) -> Result<bool> {
        let program = Program::read(self.args.agent.as_deref())?;
        let dir = &self.args.dir;
        let probe = self.remote.run_script(PROBE, &[dir])?;
        let system = probe.word("system");
        let system = system.context("the host does not run sh as expected")?;
        let (kernel, machine) = system.split_once(' ').unwrap_or((&system, ""));
        if kernel != "Linux" {
            bail!("the host runs {kernel}; the agent needs Linux");
        }
        let file = program.path.display();
        if !program.is_for(machine) {
            bail!(
                "the host is {machine}, and {file} is for {}; build one for it and name it: --agent FILE",
                program.machine
            );
        }
        if probe
            .word("hash")
            .is_some_and(|hash| hash == program.hash())
        {
            self.tell(&format!("{system}; {dir}/udpagent is the same already"))?;
            return Ok(false);
        }
        let length = program.bytes.len();
        let line = format!("sh -c '{COPY}' sh {dir} {length}");
        let copied = self.remote.run(&line, &program.bytes)?;
        match copied.status() {
            0 => {}
            3 => bail!("{dir} cannot be written there; name another directory: --dir DIR"),
            4 => bail!("{dir}/udpagent did not arrive complete; is there space?"),
            6 => bail!("{file}: not udpagent; nothing was replaced"),
            5 => bail!(
                "{file} does not run there; build it for that system, as with --target {machine}-unknown-linux-musl, \
                 and name it: --agent FILE"
            ),
            status => bail!("the command that copies ended with {status}"),
        }
        let version = escape::line(copied.text().trim().as_bytes(), 64);
        self.tell(&format!("{system}; copied {version} to {dir}/udpagent"))?;
        Ok(true)
    }

    /// Starts the agent unless it runs, and returns an invitation.
    fn start(&self, is_new: bool) -> Result<Invite> {
        let new = if is_new { "new" } else { "" };
        let bind = self.args.bind.to_string();
        let host = self.reached_at().unwrap_or_default();
        let args = [&self.args.dir, new, &bind, &host];
        let printed = self.remote.run_script(START, &args)?;
        if let Some(reason) = printed.word("failed") {
            bail!("{reason}");
        }
        if let Some(words) = printed.word("agent") {
            self.tell(&format!("agent {words}"))?;
        }
        printed
            .text()
            .parse()
            .map_err(|error| anyhow!("\"udpagent invite\": {error}"))
    }

    /// Returns the host for the invitation, unless only ssh knows it by its name.
    fn reached_at(&self) -> Option<String> {
        if let Some(host) = &self.args.host {
            return Some(host.label().to_owned());
        }
        let target: Target = self.name.parse().ok()?;
        target.resolve().ok()?;
        Some(self.name.to_owned())
    }

    /// Registers this controller.
    fn accept(&self, context: &mut Context, invite: &Invite) -> Result<()> {
        let registration = Registration {
            name: None,
            replace: self.args.replace,
            timeout: self.args.timeout.contact_timeout,
        };
        let accepted = accept::accept(context, invite, &registration);
        let accepted = accepted.map_err(|error| match error.downcast::<NoAnswer>() {
            Ok(_) => anyhow!(
                "{}: no answer; let UDP through to this port, or name another address: --host HOST",
                invite.target
            ),
            Err(error) => error,
        })?;
        self.tell(&accepted.line)?;
        if accepted.is_own_user {
            self.tell("this controller is that of the agent's own user")?;
        } else if accepted.listed {
            self.tell("this controller was listed there before")?;
        }
        Ok(())
    }

    /// Asks the agent once.
    fn ping(&self, context: &mut Context, target: &Target) -> Result<()> {
        let words = ping::ask(context, target, self.args.timeout.contact_timeout)?;
        self.tell(&format!("answers: {words}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_no_option_and_a_directory_has_nothing_to_quote() {
        for (text, is_valid) in [
            ("web3", true),
            ("ann@web3", true),
            ("", false),
            ("-oProxyCommand=x", false),
            ("a b", false),
        ] {
            assert_eq!(destination(text).is_ok(), is_valid, "{text}");
        }
        assert_eq!(directory("~/bin").unwrap(), "bin");
        assert_eq!(directory("/opt/udp").unwrap(), "/opt/udp");
        for wrong in ["", "~/", "-x", "a b", "$HOME/bin", "a'b", "~ann/bin"] {
            assert!(directory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_line_that_copies_fits_into_single_quotes_of_every_shell() {
        assert!(!COPY.contains(['\'', '\n', '!']));
    }
}
