//! Why a sample's steps have their labels, and the chain from the raw record to the scores: what `secprm explain` prints.
//!
//! `facts` asks the release, `side_by_side` puts both versions beside each other, `text` writes it down for people.

mod facts;
mod side_by_side;
mod text;

pub use facts::{Facts, Reason, Step, find_sample, load_facts};
pub use side_by_side::{Line, Row, Style, beside};
pub use text::write_text;
