//! The request that `udpctl exec` sends: argv, script, environment and terminal from the options.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::ExecArgs;
use crate::control::console;
use crate::control::exec::JobRequest;
use crate::control::fleet::{HostWords, substitute};
use crate::duration::millis;
use crate::message::limits::{LINE, SCRIPT};
use crate::message::{Exec, OsText, Request, RequestId, Terminal, to_line};
use crate::net::Target;
use crate::rng::Rng;

/// Returns the request that the options describe, under a new id unless one was given.
pub(super) fn job_request(args: &ExecArgs, script: Option<&OsText>, rng: &mut Rng) -> JobRequest {
    let env = args.env.iter().cloned();
    JobRequest::Exec(Exec {
        id: args.id.unwrap_or_else(|| RequestId(rng.bytes())),
        argv: argv(args),
        env: env
            .map(|(name, value)| (OsText::from(name), OsText::from(value)))
            .collect(),
        cwd: args.cwd.clone().map(OsText::from),
        stdin: args.stdin,
        timeout_ms: args.timeout.map(millis),
        lease_ms: Some(millis(args.lease)),
        on_disconnect: args.on_disconnect.into(),
        retain: args.id.is_some(),
        age_ms: 0,
        script: script.cloned(),
        service: None,
        user: args.user.clone(),
        terminal: args.terminal.then(terminal),
    })
}

/// Returns the same request for another host, under an id of its own unless one was given.
pub(super) fn for_host(
    template: &JobRequest,
    args: &ExecArgs,
    target: &Target,
    rank: usize,
    rng: &mut Rng,
) -> JobRequest {
    let mut request = template.clone();
    if let JobRequest::Exec(exec) = &mut request {
        exec.id = args.id.unwrap_or_else(|| RequestId(rng.bytes()));
        if args.fleet.subst {
            let host = target.name();
            exec.argv = substitute(&exec.argv, HostWords { host, rank });
        }
    }
    request
}

/// Returns the fault of a request that is too long for an agent, which would end the session without an answer.
pub(super) fn excess(request: &JobRequest) -> Option<String> {
    let JobRequest::Exec(exec) = request else {
        return None;
    };
    let length = to_line(&Request::Exec(exec.clone())).len();
    let most = LINE - REPEATED;
    (length > most).then(|| {
        format!(
            "the command takes {length} bytes in a request, with three or more added to each argument and variable, and \
             at most {most} fit; pass long lists through standard input (-i), or as a script (--script)"
        )
    })
}

/// Room for the members of a request that are set later: its age, and the user that `hosts.toml` names.
const REPEATED: usize = 1024;

/// Reads a script, if it fits a request.
pub(super) fn read_script(file: &Path) -> Result<OsText> {
    let name = || file.display().to_string();
    let opened = File::open(file).with_context(name)?;
    let mut text = Vec::new();
    opened
        .take(SCRIPT as u64 + 1)
        .read_to_end(&mut text)
        .with_context(name)?;
    if text.len() > SCRIPT {
        bail!("{}: a script has at most {SCRIPT} bytes", name());
    }
    let text = OsText::from(OsString::from_vec(text));
    // JSON takes six bytes for a control character.
    let length = serde_json::to_string(&text).with_context(name)?.len();
    if length > LINE / 2 {
        bail!(
            "{}: the script has too many bytes that are not text",
            name()
        );
    }
    Ok(text)
}

/// Returns the command's argv.
pub(super) fn argv(args: &ExecArgs) -> Vec<OsText> {
    let mut argv: Vec<OsString> = Vec::new();
    if let Some(text) = &args.shell {
        // The word after the text is $0, which the shell's messages begin with.
        argv.extend(["/bin/sh".into(), "-c".into(), text.clone(), "sh".into()]);
    }
    if let Some(file) = &args.script {
        // The script has a name on the host, but no path.
        let name = file.file_name().unwrap_or(file.as_os_str());
        argv.push(name.to_owned());
    }
    argv.extend(args.argv.iter().cloned());
    argv.into_iter().map(OsText::from).collect()
}

/// Returns type and size of the user's terminal.
fn terminal() -> Terminal {
    Terminal {
        term: std::env::var("TERM").unwrap_or_else(|_| "dumb".into()),
        window: console::window(),
    }
}
