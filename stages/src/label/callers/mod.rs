//! Rule 8: the steps of functions that call a vulnerable function, directly or through others.
//!
//! - `tree` parses a file within fixed limits; `syntax` says what the trees of each language call things;
//! - `functions` collects definitions and calls; `graph` resolves names and measures how far a function is from a
//!   vulnerable one;
//! - `propagate` marks steps, from the vulnerable functions outward, until the cap.
//!
//! A function is vulnerable where a marked line lies in it, and a caller where a call in it reaches a vulnerable function
//! other than itself, so that recursion alone makes no caller. What lies in a nested function lies in the outer one too.

mod functions;
mod graph;
mod propagate;
mod syntax;
mod tree;

pub use propagate::{Extent, Propagate, Propagation, possible_definitions};
pub use syntax::grammar;

pub(super) use propagate::propagate;
