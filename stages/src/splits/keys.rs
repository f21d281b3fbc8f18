//! What a pair's code is known by: hashes for equals, signatures for near-duplicates, and what its versions differ in.

use memchr::memchr_iter;

use super::minhash::Signature;
use crate::label::{CodeDifference, NormalCode};
use crate::language::Language;

/// Version of [`CodeKeys`] beside the rules of normal code; it grows with every change that can alter a hash or a signature.
pub const CODE_KEYS_VERSION: u32 = 4;

/// One file of a pair's versions; the whole of them where they are one text.
#[derive(Debug, Clone, Copy)]
pub struct FileVersions<'text> {
    /// The file's language.
    pub language: Language,
    /// The vulnerable version.
    pub vulnerable: Option<&'text str>,
    /// The fixed, or never vulnerable, version.
    pub secure: Option<&'text str>,
}

/// The keys of a pair's code.
///
/// Keys are a file's, not those of all files together: the same file in two commits makes a leak, whatever else the commits changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeKeys {
    /// Hashes of the normal code of every file of both versions, ascending, each once. A text without code has none: empty files are
    /// equal and tell nothing.
    pub code_hashes: Vec<i64>,
    /// Those of vulnerable versions alone, without files that both versions have: what a fixed version elsewhere contradicts.
    pub vulnerable_hashes: Vec<i64>,
    /// Those of fixed, or never vulnerable, versions, again without files that both versions have.
    pub secure_hashes: Vec<i64>,
    /// Signatures of the files of the vulnerable version, or of the only version, that have enough tokens; ascending, each once. A fix
    /// changes little, so the fixed version's would tell the same.
    pub signatures: Vec<Signature>,
    /// How many lines of the version with most of them repeat the line before: a sign of damaged raw data.
    pub repeated_lines: u32,
    /// What the versions differ in: the strongest difference of any file; none where there is one version only.
    pub difference: Option<CodeDifference>,
}

impl CodeKeys {
    /// Sums up all files of a pair.
    pub fn of<'text>(files: impl IntoIterator<Item = FileVersions<'text>>) -> CodeKeys {
        let mut keys = CodeKeys::default();
        let mut repeated = [0, 0];
        for file in files {
            for (count, text) in repeated.iter_mut().zip([file.vulnerable, file.secure]) {
                *count += text.map_or(0, repeated_lines);
            }
            let [vulnerable, secure] =
                [file.vulnerable, file.secure].map(|text| text.map(|text| NormalCode::of(text, file.language)));
            let hashes = [&vulnerable, &secure].map(|code| code.as_ref().and_then(hash));
            keys.code_hashes.extend(hashes.iter().flatten());
            if hashes[0] != hashes[1] {
                keys.vulnerable_hashes.extend(hashes[0]);
                keys.secure_hashes.extend(hashes[1]);
            }
            if let (Some(vulnerable), Some(secure)) = (&vulnerable, &secure) {
                keys.difference = keys.difference.max(Some(vulnerable.difference(secure)));
            }
            // A file that the fix adds is empty before it.
            let signed = vulnerable.filter(|code| !code.is_blank()).or(secure);
            keys.signatures.extend(signed.and_then(|code| Signature::of(code.bytes())));
        }
        for hashes in [&mut keys.code_hashes, &mut keys.vulnerable_hashes, &mut keys.secure_hashes] {
            hashes.sort_unstable();
            hashes.dedup();
        }
        keys.repeated_lines = repeated[0].max(repeated[1]);
        keys.signatures.sort_unstable();
        keys.signatures.dedup();
        keys
    }
}

/// Shorter lines, closing brackets for example, may well follow their like.
const LEAST_REPEATED_BYTES: usize = 20;

/// Counts the lines that say what the line before them says, but for white space at their ends. Code that was put together
/// from a patch by mistake has its changed lines twice.
fn repeated_lines(text: &str) -> u32 {
    let text = text.as_bytes();
    let (mut before, mut start, mut count): (&[u8], _, _) = (&[], 0, 0);
    for end in memchr_iter(b'\n', text).chain([text.len()]) {
        let line = text.get(start..end).unwrap_or_default();
        // Most lines are short enough to need no look at their ends.
        let line = if line.len() >= LEAST_REPEATED_BYTES { line.trim_ascii() } else { &[] };
        count += u32::from(line.len() >= LEAST_REPEATED_BYTES && line == before);
        before = line;
        start = end + 1;
    }
    count
}

/// The first 64 bits of BLAKE3; a million texts meet by chance once in 40 million datasets.
fn hash(code: &NormalCode<'_>) -> Option<i64> {
    if code.is_blank() {
        return None;
    }
    blake3::hash(code.bytes()).as_bytes().first_chunk().map(|first| i64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(vulnerable: Option<&str>, secure: Option<&str>) -> CodeKeys {
        CodeKeys::of([FileVersions { language: Language::C, vulnerable, secure }])
    }

    #[test]
    fn versions_that_differ_in_layout_share_their_hash_in_either_role() {
        let one = keys(Some("int f(void) { return 1; }"), Some("int f(void) { return 2; }"));
        let other = keys(Some("int f(void)\n{\n\treturn 2; /* two */\n}\n"), None);
        assert_eq!(one.code_hashes.len(), 2);
        assert!(one.code_hashes.contains(&other.code_hashes[0]));
    }

    #[test]
    fn long_lines_that_repeat_are_counted_in_the_version_that_has_more_of_them() {
        let twice = "    memcpy(to, from, length);\n    memcpy(to, from, length);\n}\n}\n}\n";
        assert_eq!(keys(Some(twice), Some("    memcpy(to, from, length);\n")).repeated_lines, 1);
        assert_eq!(keys(None, Some("a;\na;\n")).repeated_lines, 0);
    }

    #[test]
    fn a_file_that_both_versions_have_contradicts_no_other() {
        let same = FileVersions { language: Language::C, vulnerable: Some("int a;"), secure: Some("int  a;") };
        let fixed = FileVersions { language: Language::C, vulnerable: Some("int b;"), secure: Some("int c;") };
        let keys = CodeKeys::of([same, fixed]);
        assert_eq!((keys.code_hashes.len(), keys.vulnerable_hashes.len(), keys.secure_hashes.len()), (3, 1, 1));
    }

    #[test]
    fn a_text_without_code_has_no_keys() {
        let expected = CodeKeys { difference: Some(CodeDifference::Comment), ..CodeKeys::default() };
        assert_eq!(keys(Some(""), Some("/* gone */\n")), expected);
    }

    #[test]
    fn short_code_has_a_hash_and_no_signature() {
        let keys = keys(Some("int f(void) { return 0; }"), Some("int f(void) { return 0; }"));
        assert_eq!((keys.code_hashes.len(), keys.signatures.len()), (1, 0));
    }
}
