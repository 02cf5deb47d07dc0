//! The agent. Everything stands in the library.

fn main() -> std::process::ExitCode {
    udpagent::cli::agent::main()
}
