//! The file `authorized_keys`: a line per key, `KEY NAME [option…]`.

/// What is wrong with a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LineError {
    /// A quote without its partner.
    Quotes,
}
