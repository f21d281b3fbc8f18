//! The names that a pair's files have in the tree that an analyser reads.

use std::collections::BTreeSet;

use crate::language::Language;

/// Letters of a name that are kept, from its end; file systems allow 255.
const KEPT_LETTERS: usize = 120;

/// Folders of a path that are kept, from its end, so that a whole path stays below 4096 bytes.
const KEPT_PARTS: usize = 16;

/// Returns the path of each file of a pair below the pair's folder, `/` between folders.
///
/// `files` are path and language of each where there are several; one text has the base name of `file_path`, or `code` with the
/// ending of its language. The names are of plain ASCII, lead nowhere else, differ in more than case, and depend on the arguments
/// alone, so that a finding's file is found again.
pub fn code_names(file_path: Option<&str>, language: Language, files: &[(&str, Language)]) -> Vec<String> {
    if files.is_empty() {
        let base = plain_parts(file_path.unwrap_or("")).pop();
        return vec![base.filter(|name| Language::from_path(name) == language).unwrap_or_else(|| unnamed(language))];
    }
    let mut taken = Taken::default();
    files.iter().enumerate().map(|(index, (path, language))| taken.free_name(index, path, *language)).collect()
}

/// Returns a text as the name of one file or folder; `None` where nothing of it is left.
pub fn plain_part(text: &str) -> Option<String> {
    let plain: String = text.chars().map(plain_letter).collect();
    let plain = plain.get(plain.len().saturating_sub(KEPT_LETTERS)..).unwrap_or_default();
    match plain.chars().all(|letter| letter == '.') {
        true => None,
        false => Some(plain.to_owned()),
    }
}

fn plain_letter(letter: char) -> char {
    match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' | '+' | '@' | '=' => letter,
        _ => '_',
    }
}

fn plain_parts(path: &str) -> Vec<String> {
    let parts: Vec<String> = path.split(['/', '\\']).filter_map(plain_part).collect();
    parts[parts.len().saturating_sub(KEPT_PARTS)..].to_vec()
}

fn unnamed(language: Language) -> String {
    let ending = match language {
        Language::C => "c",
        Language::Cpp => "cpp",
        Language::Python => "py",
        Language::Go => "go",
        Language::Java => "java",
        Language::Kotlin => "kt",
        Language::Scala => "scala",
        Language::Rust => "rs",
        Language::JavaScript => "js",
        Language::TypeScript => "ts",
        Language::Php => "php",
        Language::Text => "txt",
    };
    format!("code.{ending}")
}

/// The names a pair's files have so far, in lower case, since some file systems tell no case.
#[derive(Default)]
struct Taken {
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl Taken {
    /// A path that another one is in the way of moves into a folder of its number.
    fn free_name(&mut self, index: usize, path: &str, language: Language) -> String {
        let parts = plain_parts(path);
        let path = if parts.is_empty() { unnamed(language) } else { parts.join("/") };
        let mut name = path.clone();
        let mut marks = String::new();
        while !self.take(&name.to_ascii_lowercase()) {
            marks.push('_');
            name = format!("{marks}{index}/{path}");
        }
        name
    }

    fn take(&mut self, name: &str) -> bool {
        let folders: Vec<&str> = name.match_indices('/').filter_map(|(at, _)| name.get(..at)).collect();
        let is_free = !self.files.contains(name)
            && !self.folders.contains(name)
            && !folders.iter().any(|folder| self.files.contains(*folder));
        if is_free {
            self.files.insert(name.to_owned());
            self.folders.extend(folders.into_iter().map(str::to_owned));
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_text_has_the_base_name_of_its_path_where_that_tells_its_language() {
        let name = |path, language| code_names(path, language, &[]).remove(0);
        assert_eq!(name(Some("usr.sbin/smtpd/lka_filter.c"), Language::C), "lka_filter.c");
        assert_eq!(name(Some("src\\a b;rm -rf.py"), Language::Python), "a_b_rm_-rf.py");
        assert_eq!(name(Some("../../etc/passwd"), Language::C), "code.c");
        assert_eq!(name(Some(".."), Language::Go), "code.go");
        assert_eq!(name(None, Language::TypeScript), "code.ts");
        assert_eq!(name(Some(&format!("{}.rs", "x".repeat(300))), Language::Rust).len(), KEPT_LETTERS);
    }

    #[test]
    fn paths_that_would_meet_are_told_apart() {
        let files = ["a/b.c", "A/B.c", "a", "a/b.c/d.c", "../a/b.c", "", "_1/A/B.c"].map(|path| (path, Language::C));
        assert_eq!(
            code_names(None, Language::C, &files),
            ["a/b.c", "_1/A/B.c", "_2/a", "_3/a/b.c/d.c", "_4/a/b.c", "code.c", "_6/_1/A/B.c"]
        );
    }

    proptest! {
        #[test]
        fn names_stay_below_their_folder_and_never_meet(paths in prop::collection::vec("[aA./\\\\:\u{e9}]{0,6}", 0..8)) {
            let files: Vec<(&str, Language)> = paths.iter().map(|path| (path.as_str(), Language::C)).collect();
            let names = code_names(None, Language::C, &files);
            prop_assert_eq!(names.len(), files.len().max(1));
            for (at, name) in names.iter().enumerate() {
                prop_assert!(name.split('/').all(|part| !part.is_empty() && part != "." && part != ".."), "{}", name);
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'%'));
                for other in names.iter().skip(at + 1) {
                    let (name, other) = (name.to_ascii_lowercase(), other.to_ascii_lowercase());
                    let is_below = |a: &str, b: &str| a.starts_with(&format!("{b}/"));
                    prop_assert!(name != other && !is_below(&name, &other) && !is_below(&other, &name));
                }
            }
        }
    }
}
