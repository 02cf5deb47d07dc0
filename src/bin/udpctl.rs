//! The controller. Everything stands in the library.

fn main() -> std::process::ExitCode {
    udpagent::cli::ctl::main()
}
