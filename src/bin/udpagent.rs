//! The agent. All of its code is in the library.

fn main() -> std::process::ExitCode {
    udpagent::cli::agent::main()
}
