//! What was typed: clap definitions, and the man pages and completions made from them.
