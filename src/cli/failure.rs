//! Immediate exit of a program after a panic in any thread, with one line on standard error and a non-zero
//! status.
//!
//! A panic hook covers every thread. Without it only the thread would end while the others wait for it: an
//! agent without its network thread appears to run.

use std::any::Any;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::contain::is_contained;
use crate::escape;
use crate::saved_mode;

/// Bytes displayed of a panic's message: a sentence or two.
const MESSAGE: usize = 512;

/// Time to wait for standard error to become writable.
const WRITE: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Installs the panic hook: a panic in any thread ends the process with `status`, after a line that begins with
/// the program's name. The modes of the user's terminal are restored first.
pub fn install(program: &'static str, status: u8) {
    std::panic::set_hook(Box::new(move |info| {
        if !is_contained() {
            end(program, status, info);
        }
    }));
}

fn end(program: &str, status: u8, info: &PanicHookInfo<'_>) -> ! {
    static ENDING: AtomicBool = AtomicBool::new(false);
    // Only the first panic is reported; later ones may be its consequences.
    while ENDING.swap(true, Ordering::SeqCst) {
        std::thread::park();
    }
    let newline = if saved_mode::restore() { "\r\n" } else { "" };
    let line = format!("{newline}{program}: {}\n", description(info));
    write_stderr(line.as_bytes());
    std::process::exit(status.into())
}

/// Returns `thread NAME failed: MESSAGE (FILE:LINE)`.
fn description(info: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let name = escape::line(thread.name().unwrap_or("unnamed").as_bytes(), 64).into_owned();
    let message = escape::line(message(info.payload()).as_bytes(), MESSAGE);
    match info.location() {
        Some(at) => format!(
            "thread {name} failed: {message} ({}:{})",
            at.file(),
            at.line()
        ),
        None => format!("thread {name} failed: {message}"),
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given")
}

/// Writes to standard error without its lock, which another thread may hold at a stopped terminal.
fn write_stderr(line: &[u8]) {
    let stderr = rustix::stdio::stderr();
    let ready = poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&WRITE));
    if ready.is_ok_and(|count| count > 0) {
        let _ = rustix::io::write(stderr, line);
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::os::unix::ffi::OsStrExt as _;
    use std::process::Command;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::tcgetattr;

    use super::*;
    use crate::contain::contain;
    use crate::control::console;
    use crate::message::status::UDPCTL_FAILURE;

    /// Variable that turns the test below into the failing program, in a child process.
    const CHILD: &str = "UDPAGENT_TEST_FAILURE";

    /// Variable that turns the next test into a program that fails with its terminal in raw mode.
    const TERMINAL: &str = "UDPAGENT_TEST_TERMINAL";

    #[test]
    fn a_panic_restores_the_terminal() {
        if std::env::var_os(TERMINAL).is_some() {
            install("udpctl", UDPCTL_FAILURE);
            let _console = console::Console::enter_raw(console::Escape::default()).unwrap();
            panic!("no reason");
        }
        let open = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let window = openpt(open).unwrap();
        grantpt(&window).unwrap();
        unlockpt(&window).unwrap();
        let name = ptsname(&window, Vec::new()).unwrap();
        let name = OsStr::from_bytes(name.as_bytes());
        let terminal = File::options().read(true).write(true).open(name).unwrap();
        let before = tcgetattr(&window).unwrap();
        let this = "cli::failure::tests::a_panic_restores_the_terminal";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this, "--nocapture"])
            .env(TERMINAL, "1")
            .stdin(terminal.try_clone().unwrap())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(255), "{stderr}");
        // The line begins behind what the command has left.
        assert!(
            stderr.starts_with("\r\nudpctl: thread ") && stderr.contains(" failed: no reason ("),
            "{stderr}"
        );
        let after = tcgetattr(&window).unwrap();
        assert_eq!(after.local_modes, before.local_modes);
        assert_eq!(after.input_modes, before.input_modes);
        assert_eq!(after.output_modes, before.output_modes);
    }

    #[test]
    fn a_panic_in_a_thread_ends_the_program_with_a_status_and_one_line() {
        if std::env::var_os(CHILD).is_some() {
            install("udpagent", crate::message::status::AGENT_FAILURE);
            // A contained panic is not reported.
            assert_eq!(contain(|| -> u8 { panic!("not reported") }), None);
            let network = std::thread::Builder::new().name("network".into());
            let fails = || panic!("cannot wait\x1b[2J:\n{}", "no reason");
            let thread = network.spawn(fails).unwrap();
            let _: Result<(), _> = thread.join();
            // Not reached: the exit ends this thread too.
            std::process::exit(0);
        }
        let this =
            "cli::failure::tests::a_panic_in_a_thread_ends_the_program_with_a_status_and_one_line";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(70), "{stderr}");
        let line = "udpagent: thread network failed: cannot wait\\u{1b}[2J:\\n";
        assert!(stderr.starts_with(&line[..line.len() - 2]), "{stderr}");
        assert!(stderr.trim_end().ends_with(')'), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}
