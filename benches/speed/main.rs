//! `cargo bench --bench speed`: the cost of the parts, side by side with alternatives, in one run.
//!
//! `cargo bench --bench speed -- seal` runs the sections whose name contains `seal`. Without `--bench`, as under
//! `cargo test --all-targets`, everything runs once, as a test.

mod exec;
mod handshake;
mod measure;
mod seal;

use measure::{Bench, Effort};

/// A section: its name, and the function that measures it and prints the result.
type Section = (&'static str, fn(&Bench));

const SECTIONS: &[Section] = &[
    ("seal", seal::run),
    ("handshake", handshake::run),
    ("exec", exec::run),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (flags, wanted): (Vec<_>, Vec<_>) = arguments
        .into_iter()
        .partition(|argument| argument.starts_with("--"));
    let effort = if flags.iter().any(|flag| flag == "--bench") {
        Effort::Measure
    } else {
        Effort::Once
    };
    let bench = Bench::new(effort);
    for (name, run) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())) {
            println!("\n{name}");
            run(&bench);
        }
    }
}
