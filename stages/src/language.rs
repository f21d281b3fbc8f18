//! The programming languages whose code is split into steps.

use std::fmt;
use std::str::FromStr;

/// Names a language, or plain text where the language is unknown.
///
/// Decided by a caller once per record; every rule of the label module takes it as given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// C, and headers whose language cannot be told (`.h`).
    C,
    /// C++.
    Cpp,
    /// Python.
    Python,
    /// Go.
    Go,
    /// Java.
    Java,
    /// Kotlin.
    Kotlin,
    /// Scala.
    Scala,
    /// Rust.
    Rust,
    /// JavaScript.
    JavaScript,
    /// TypeScript.
    TypeScript,
    /// PHP.
    Php,
    /// Anything else: lines and blank lines only.
    Text,
}

/// Says that a name is not one of [`Language::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown language {0:?}: use c, cpp, python, go, java, kotlin, scala, rust, javascript, typescript, php or text"
)]
pub struct UnknownLanguage(
    /// The name as it was given.
    pub String,
);

impl Language {
    /// Lists every language, in the order of declaration.
    pub const ALL: [Language; 12] = [
        Language::C,
        Language::Cpp,
        Language::Python,
        Language::Go,
        Language::Java,
        Language::Kotlin,
        Language::Scala,
        Language::Rust,
        Language::JavaScript,
        Language::TypeScript,
        Language::Php,
        Language::Text,
    ];

    /// Returns the lower-case name that tables hold.
    pub fn as_str(self) -> &'static str {
        match self {
            Language::C => "c",
            Language::Cpp => "cpp",
            Language::Python => "python",
            Language::Go => "go",
            Language::Java => "java",
            Language::Kotlin => "kotlin",
            Language::Scala => "scala",
            Language::Rust => "rust",
            Language::JavaScript => "javascript",
            Language::TypeScript => "typescript",
            Language::Php => "php",
            Language::Text => "text",
        }
    }

    /// Tells the language from a path's extension: the text after the last dot of the base name.
    ///
    /// Directories may hold dots (`usr.sbin/smtpd/lka_filter.c` is C). Extensions are compared without case, except
    /// `.C`, which is C++. No extension, or one we do not know, is [`Language::Text`].
    pub fn from_path(path: &str) -> Language {
        let base_name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let Some((_, extension)) = base_name.rsplit_once('.') else {
            return Language::Text;
        };
        if extension == "C" {
            return Language::Cpp;
        }
        match extension.to_ascii_lowercase().as_str() {
            "c" | "h" => Language::C,
            "cc" | "cpp" | "cxx" | "c++" | "hh" | "hpp" | "hxx" | "h++" | "ipp" | "inl" | "tcc" => Language::Cpp,
            "py" | "pyi" | "pyw" => Language::Python,
            "go" => Language::Go,
            "java" => Language::Java,
            "kt" | "kts" => Language::Kotlin,
            "scala" | "sc" => Language::Scala,
            "rs" => Language::Rust,
            "js" | "jsx" | "mjs" | "cjs" => Language::JavaScript,
            "ts" | "tsx" | "mts" | "cts" => Language::TypeScript,
            "php" | "phtml" | "php5" | "php7" => Language::Php,
            _ => Language::Text,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(name: &str) -> Result<Language, UnknownLanguage> {
        Language::ALL
            .into_iter()
            .find(|language| language.as_str() == name)
            .ok_or_else(|| UnknownLanguage(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_its_language() {
        for language in Language::ALL {
            assert_eq!(language.as_str().parse(), Ok(language));
        }
        assert!("fortran".parse::<Language>().is_err());
    }

    #[test]
    fn the_extension_is_what_follows_the_last_dot_of_the_base_name() {
        assert_eq!(Language::from_path("usr.sbin/smtpd/lka_filter.c"), Language::C);
        assert_eq!(Language::from_path("usr.sbin/Makefile"), Language::Text);
        assert_eq!(Language::from_path("a/b.tar.py"), Language::Python);
        assert_eq!(Language::from_path("src/Main.C"), Language::Cpp);
        assert_eq!(Language::from_path("include/linux/slab.h"), Language::C);
        assert_eq!(Language::from_path("README"), Language::Text);
        assert_eq!(Language::from_path(""), Language::Text);
    }
}
