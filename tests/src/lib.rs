//! Nothing that ships: end-to-end runs, relations, generated documentation; `samples/`, the raw data of the first run; and the
//! generator of raw data at any size.

pub mod generate;
