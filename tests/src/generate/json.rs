//! Writes JSON as Python's `json.dumps` spaces it, key by key and without building values.

use std::io::Write;

/// An object that is being written.
pub struct Object<'out> {
    out: &'out mut Vec<u8>,
    is_empty: bool,
}

impl<'out> Object<'out> {
    /// Opens an object.
    pub fn open(out: &'out mut Vec<u8>) -> Object<'out> {
        out.push(b'{');
        Object { out, is_empty: true }
    }

    /// Closes the object.
    pub fn close(self) {
        self.out.push(b'}');
    }

    /// Writes a key, and hands out what its value is to be appended to.
    pub fn key(&mut self, key: &str) -> &mut Vec<u8> {
        let start: &[u8] = if self.is_empty { b"\"" } else { b", \"" };
        self.is_empty = false;
        self.out.extend_from_slice(start);
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\": ");
        self.out
    }

    /// Writes a string; returns where in the output it begins.
    pub fn text(&mut self, key: &str, value: &str) -> usize {
        let out = self.key(key);
        let start = out.len() + 1;
        push_text(value, out);
        start
    }

    /// Writes a number, or JSON that is there already.
    pub fn raw(&mut self, key: &str, value: impl std::fmt::Display) {
        // Writing to memory cannot fail.
        let _ = write!(self.key(key), "{value}");
    }

    /// Writes a list; `item` appends one of its items.
    pub fn list<T>(&mut self, key: &str, items: impl IntoIterator<Item = T>, item: impl FnMut(T, &mut Vec<u8>)) {
        push_list(items, item, self.key(key));
    }
}

/// Appends a string with its quotes.
pub fn push_text(value: &str, out: &mut Vec<u8>) {
    // A string into memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

/// Appends a list.
pub fn push_list<T>(items: impl IntoIterator<Item = T>, mut item: impl FnMut(T, &mut Vec<u8>), out: &mut Vec<u8>) {
    out.push(b'[');
    for (position, value) in items.into_iter().enumerate() {
        if position > 0 {
            out.extend_from_slice(b", ");
        }
        item(value, out);
    }
    out.push(b']');
}
