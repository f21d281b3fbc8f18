//! Breaks a record so that it is exactly one reject of ingest.

use super::draw::Draw;

/// Breaks a record of JSON, written whole at the end of `out` from `start` on.
///
/// `code` is where in `out` the text of its code begins, `key` names a field that must be there.
pub fn break_json(out: &mut Vec<u8>, start: usize, code: usize, key: &str, draw: &mut Draw) {
    let value = value_of(&out[start..], key).map(|value| start + value);
    match (draw.below(5), value) {
        // No start of an object is JSON.
        (0, _) => {
            let length = out.len() - start;
            out.truncate(start + length / 4 + draw.below(length / 2));
        }
        // Among the code, where it is read and not passed over.
        (1, _) => out[code] = 0xff,
        (2, Some(value)) => splice(out, value, "4711, \"was\": "),
        (3, Some(value)) => splice(out, value, "null, \"was\": "),
        _ => {
            out.truncate(start);
            out.extend_from_slice(format!("[\"{key}\", {}]", draw.below(1000)).as_bytes());
        }
    }
}

fn splice(out: &mut Vec<u8>, at: usize, text: &str) {
    out.splice(at..at, text.bytes());
}

/// Finds where the value of a key begins; quotes within strings are escaped, so the first match is the key.
fn value_of(record: &[u8], key: &str) -> Option<usize> {
    let wanted = format!("\"{key}\": ");
    record.windows(wanted.len()).position(|window| window == wanted.as_bytes()).map(|found| found + wanted.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_record_is_never_an_object_with_its_field() {
        for number in 0..200 {
            let mut record = b"before\n{\"idx\": 7, \"func\": \"int f;\", \"target\": 1}".to_vec();
            break_json(&mut record, 7, 26, "func", &mut Draw::new(3, number));
            let parsed: Option<serde_json::Value> = serde_json::from_slice(&record[7..]).ok();
            assert!(!parsed.is_some_and(|value| value["func"].is_string()), "{}", String::from_utf8_lossy(&record));
            assert!(record.starts_with(b"before\n") && !record[7..].contains(&b'\n'));
        }
    }
}
