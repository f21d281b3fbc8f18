//! A text whose names and numbers can be exchanged, the same way everywhere in a record.

use super::draw::mix;
use super::words::{VOCABULARY, is_kept};

/// Names shorter than this stay: they are words like `if`, or say nothing.
const SHORTEST_NAME: usize = 4;

/// A text, cut into what stays and what is exchanged.
#[derive(Debug, Clone)]
pub struct Template {
    text: Box<str>,
    pieces: Box<[Piece]>,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    kind: Kind,
    start: usize,
    end: usize,
    /// Hash of the name or number, the same for one name in all texts.
    hash: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Stays as it is.
    Text,
    /// The first word of a name in lower case, capitalised, or in capitals.
    Lower,
    Capitalised,
    Upper,
    /// A decimal number of 2 to 6 digits.
    Number,
}

impl Template {
    /// Finds the names and numbers of a text.
    pub fn new(text: &str) -> Template {
        Template { pieces: pieces(text).into(), text: text.into() }
    }

    /// Returns the bytes of the text as it was.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Appends the text; texts of one salt exchange a name for the same other one.
    pub fn render(&self, salt: u64, out: &mut String) {
        for piece in &*self.pieces {
            let original = &self.text[piece.start..piece.end];
            let chosen = mix(salt ^ piece.hash);
            // Every other name stays, so that texts are similar in parts, as versions of real code are.
            if piece.kind == Kind::Text || chosen & 1 == 0 {
                out.push_str(original);
                continue;
            }
            let word = VOCABULARY[(chosen >> 8) as usize % VOCABULARY.len()];
            match piece.kind {
                Kind::Text => {}
                Kind::Lower => out.push_str(word),
                Kind::Capitalised => {
                    out.extend(word.chars().take(1).map(|first| first.to_ascii_uppercase()));
                    out.push_str(&word[1..]);
                }
                Kind::Upper => out.extend(word.chars().map(|letter| letter.to_ascii_uppercase())),
                Kind::Number => push_number(chosen >> 8, original.len(), out),
            }
        }
    }
}

/// Appends a number of so many digits, the first not 0.
fn push_number(chosen: u64, digits: usize, out: &mut String) {
    let mut rest = chosen;
    for digit in 0..digits {
        let (value, first) = if digit == 0 { (rest % 9, b'1') } else { (rest % 10, b'0') };
        out.push((first + value as u8) as char);
        rest /= 10;
    }
}

fn pieces(text: &str) -> Vec<Piece> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut taken = 0;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'\\' {
            // What follows belongs to an escape.
            at += 2;
            continue;
        }
        let end = at + bytes[at..].iter().take_while(|byte| is_of_name(**byte)).count();
        if end == at {
            at += 1;
            continue;
        }
        if let Some((kind, length)) = exchangeable(&bytes[at..end]) {
            if taken < at {
                found.push(Piece { kind: Kind::Text, start: taken, end: at, hash: 0 });
            }
            taken = at + length;
            let hash = hash_of(bytes[at..taken].iter().map(u8::to_ascii_lowercase));
            found.push(Piece { kind, start: at, end: taken, hash });
        }
        at = end;
    }
    if taken < bytes.len() {
        found.push(Piece { kind: Kind::Text, start: taken, end: bytes.len(), hash: 0 });
    }
    found
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Returns what of a name or number is exchanged: the first word, or all digits.
fn exchangeable(name: &[u8]) -> Option<(Kind, usize)> {
    if name.iter().all(u8::is_ascii_digit) {
        return ((2..=6).contains(&name.len()) && name[0] != b'0').then_some((Kind::Number, name.len()));
    }
    let capitals = name.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let small = name[capitals..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let (kind, length) = match (capitals, small) {
        (0, small) => (Kind::Lower, small),
        (1, small) if small > 0 => (Kind::Capitalised, 1 + small),
        (capitals, 0) => (Kind::Upper, capitals),
        _ => return None,
    };
    let is_plain = name.get(length).is_none_or(|next| *next == b'_' || next.is_ascii_uppercase());
    if length < SHORTEST_NAME || !is_plain || name.ends_with(b"_t") {
        return None;
    }
    let word = std::str::from_utf8(&name[..length]).ok()?.to_ascii_lowercase();
    (!is_kept(&word)).then_some((kind, length))
}

/// FNV-1a: the same everywhere, which the hash of the standard library is not.
fn hash_of(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str, salt: u64) -> String {
        let mut out = String::new();
        Template::new(text).render(salt, &mut out);
        out
    }

    #[test]
    fn words_of_a_language_and_short_names_stay() {
        for text in
            ["return x;", "static_cast<int>(v)", "if (a) while (b) {}", "size_t n = 7;", "0x1000 042", "\"\\nif\""]
        {
            for salt in 0..20 {
                assert_eq!(rendered(text, salt), text);
            }
        }
    }

    #[test]
    fn a_name_is_exchanged_the_same_way_everywhere() {
        for salt in 0..50 {
            let text = rendered("frame_count FrameCount FRAME_MAX frame 4711 4711", salt);
            let parts: Vec<&str> = text.split(' ').collect();
            let word = parts[3];
            assert_eq!(parts[0], format!("{word}_count"));
            assert_eq!(parts[1].to_lowercase(), format!("{word}count"));
            assert_eq!(parts[2], format!("{}_MAX", word.to_uppercase()));
            assert_eq!(parts[4], parts[5]);
        }
        assert!((0..50).any(|salt| rendered("frame 4711", salt) != "frame 4711"));
    }
}
