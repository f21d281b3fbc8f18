//! Static analysers' findings: from an exported tree, through SARIF, to the steps they lie in.
#![allow(clippy::unwrap_used)]

mod analysers;
mod flow;
mod project;
