//! What a pair's code is known by: hashes for equals, signatures for near-duplicates, and what its versions differ in.

use super::minhash::Signature;
use crate::label::{CodeDifference, NormalCode};
use crate::language::Language;

/// Version of [`CodeKeys`] beside the rules of normal code; it grows with every change that can alter a hash or a signature.
pub const CODE_KEYS_VERSION: u32 = 2;

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
    /// Signatures of the files of the vulnerable version, or of the only version, that have enough tokens; ascending, each once. A fix
    /// changes little, so the fixed version's would tell the same.
    pub signatures: Vec<Signature>,
    /// What the versions differ in: the strongest difference of any file; none where there is one version only.
    pub difference: Option<CodeDifference>,
}

impl CodeKeys {
    /// Sums up all files of a pair.
    pub fn of<'text>(files: impl IntoIterator<Item = FileVersions<'text>>) -> CodeKeys {
        let mut keys = CodeKeys::default();
        for file in files {
            let [vulnerable, secure] =
                [file.vulnerable, file.secure].map(|text| text.map(|text| NormalCode::of(text, file.language)));
            keys.code_hashes.extend([&vulnerable, &secure].into_iter().flatten().filter_map(hash));
            if let (Some(vulnerable), Some(secure)) = (&vulnerable, &secure) {
                keys.difference = keys.difference.max(Some(vulnerable.difference(secure)));
            }
            // A file that the fix adds is empty before it.
            let signed = vulnerable.filter(|code| !code.is_blank()).or(secure);
            keys.signatures.extend(signed.and_then(|code| Signature::of(code.bytes())));
        }
        keys.code_hashes.sort_unstable();
        keys.code_hashes.dedup();
        keys.signatures.sort_unstable();
        keys.signatures.dedup();
        keys
    }
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
