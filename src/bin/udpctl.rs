//! The controller. All of its code is in the library.

fn main() -> std::process::ExitCode {
    udpagent::cli::ctl::main()
}
