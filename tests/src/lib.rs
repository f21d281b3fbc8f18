//! Nothing but tests: end-to-end runs, relations, generated documentation; and `samples/`, the raw data of the first run.
