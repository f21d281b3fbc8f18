//! What is wrong with a record, and the reject that it becomes.

use super::record::{Reject, RejectReason};

/// Bytes of a bad record that a reject keeps.
const KEPT_OF_RAW: usize = 1 << 20;

/// Why a record is rejected, and in words which field and what was found.
pub type Flaw = (RejectReason, String);

/// The flaw of a record of so many bytes, where fewer are allowed.
pub fn too_large(bytes: u64, max_record_bytes: usize) -> Flaw {
    (RejectReason::TooLarge, format!("{bytes} bytes; [limits] max_record_bytes is {max_record_bytes}"))
}

/// Makes a reject of a record, of which it keeps what can be shown.
pub fn rejected((reason, detail): Flaw, bytes: &[u8]) -> Reject {
    Reject { reason, detail, raw: Some(shown(bytes)) }
}

/// Returns a record's text as far as a reject keeps it.
pub fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(KEPT_OF_RAW)]).into_owned()
}
