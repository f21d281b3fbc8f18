//! The words that tell what kind of statement begins.

use crate::language::Language;

/// Groups statements by their first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// Any other word: a declaration, an assignment, a call, a label.
    Word,
    /// Something that no declaration starts with.
    Expression,
    /// Leaves the block: `return`, `break`, `continue`, `goto`, `throw`, `raise`, `pass`.
    Terminator,
    /// Has a header in parentheses, then a body: `if`, `while`, `switch`, `catch`.
    Control,
    /// Like [`Head::Control`], with semicolons in the header.
    For,
    /// A body follows at once: `do`, `try`, `finally`.
    Bare,
    /// The other branch of an `if`.
    Else,
    /// `case` and `default`: a label follows.
    Case,
    /// `public`, `private`, `protected`: an access label, or a modifier.
    Access,
    /// Brings in names: `import`, `using`, `global`.
    Import,
    /// `namespace`.
    Namespace,
    /// `extern`, which may open a block in another language.
    Extern,
    /// `class`, `struct`, `union`.
    Class,
    /// `def`, at the start of a function.
    Function,
    /// A decorator.
    Decorator,
}

/// Tells the kind of statement in the languages with braces.
///
/// Words that are no keywords in C or C++ (`use`, `loop`) are ordinary there.
pub(super) fn braces(word: &[u8], language: Language) -> Head {
    use Language::{C, Cpp, Go, JavaScript, Kotlin, Php, Rust, Scala, TypeScript};
    match word {
        b"return" | b"break" | b"continue" | b"goto" | b"throw" | b"co_return" => Head::Terminator,
        b"if" | b"while" | b"switch" | b"catch" => Head::Control,
        b"for" => Head::For,
        b"else" => Head::Else,
        b"do" | b"try" => Head::Bare,
        b"case" | b"default" if !matches!(language, Rust | Kotlin) => Head::Case,
        b"public" | b"private" | b"protected" => Head::Access,
        b"using" => Head::Import,
        b"namespace" => Head::Namespace,
        b"extern" => Head::Extern,
        b"class" | b"struct" | b"union" => Head::Class,
        b"delete" | b"new" | b"sizeof" | b"operator" | b"assert" | b"asm" | b"co_await" | b"co_yield" => {
            Head::Expression
        }
        _ if matches!(language, C | Cpp) => Head::Word,
        b"package" if language == Scala => Head::Namespace,
        b"import" | b"package" | b"use" => Head::Import,
        b"finally" | b"loop" | b"defer" => Head::Bare,
        b"synchronized" | b"elseif" => Head::Control,
        b"foreach" => Head::For,
        b"await" | b"yield" | b"echo" => Head::Expression,
        b"go" if language == Go => Head::Bare,
        b"fallthrough" if language == Go => Head::Terminator,
        b"exit" | b"die" if language == Php => Head::Terminator,
        b"require" | b"require_once" | b"include" | b"include_once" | b"global" if language == Php => Head::Import,
        b"print" | b"clone" | b"list" if language == Php => Head::Expression,
        b"typeof" | b"void" | b"async" if matches!(language, JavaScript | TypeScript) => Head::Expression,
        // Two names side by side may be a call here: only a keyword tells a declaration.
        _ if matches!(language, Kotlin | Scala) && !begins_declaration(word) => Head::Expression,
        _ => Head::Word,
    }
}

/// Says whether a word begins a declaration in Kotlin or Scala.
fn begins_declaration(word: &[u8]) -> bool {
    matches!(
        word,
        b"val"
            | b"var"
            | b"fun"
            | b"def"
            | b"type"
            | b"typealias"
            | b"interface"
            | b"object"
            | b"trait"
            | b"enum"
            | b"data"
            | b"sealed"
            | b"abstract"
            | b"open"
            | b"final"
            | b"override"
            | b"internal"
            | b"lateinit"
            | b"lazy"
            | b"implicit"
            | b"const"
            | b"inline"
            | b"suspend"
            | b"companion"
    )
}

/// Says whether a brace that follows this word in the statement opens a body, where other braces hold values.
pub(super) fn opens_body(word: &[u8], language: Language) -> bool {
    match language {
        Language::Go => matches!(word, b"func" | b"struct" | b"interface"),
        Language::Rust => matches!(
            word,
            b"match" | b"if" | b"else" | b"loop" | b"while" | b"for" | b"unsafe" | b"async" | b"move" | b"fn" | b"impl"
        ),
        _ => false,
    }
}

/// Says whether a statement with this word before any value names a type or module, given whether parentheses came before.
pub(super) fn names_type(word: &[u8], after_group: bool, language: Language) -> bool {
    match word {
        b"class" | b"struct" | b"union" | b"interface" | b"enum" | b"trait" => true,
        b"impl" | b"mod" => language == Language::Rust && !after_group,
        b"object" => matches!(language, Language::Kotlin | Language::Scala),
        b"record" => language == Language::Java && !after_group,
        b"module" | b"namespace" => language == Language::TypeScript,
        _ => false,
    }
}

/// Says whether a value follows this word of JavaScript, so that a slash opens a pattern and a brace an object.
pub(super) fn asks_for_value(word: &[u8]) -> bool {
    matches!(
        word,
        b"return"
            | b"typeof"
            | b"instanceof"
            | b"in"
            | b"of"
            | b"new"
            | b"delete"
            | b"void"
            | b"throw"
            | b"case"
            | b"await"
            | b"yield"
            | b"default"
    )
}

/// Says whether a word closes a block of PHP, as a brace would.
pub(super) fn closes_block(word: &[u8]) -> bool {
    matches!(word, b"endif" | b"endfor" | b"endforeach" | b"endwhile" | b"endswitch" | b"enddeclare")
}

/// Tells the kind of statement in Python.
pub(super) fn python(word: &[u8]) -> Head {
    match word {
        b"return" | b"break" | b"continue" | b"raise" | b"pass" => Head::Terminator,
        b"import" | b"from" | b"global" | b"nonlocal" => Head::Import,
        b"class" => Head::Class,
        b"def" | b"async" => Head::Function,
        b"if" | b"elif" | b"else" | b"while" | b"for" | b"with" | b"try" | b"except" | b"finally" => Head::Control,
        b"assert" | b"del" | b"print" | b"exec" | b"yield" | b"await" | b"lambda" | b"not" => Head::Expression,
        _ => Head::Word,
    }
}

/// Says whether a word can only be the first of a Python statement, never the next of an expression in brackets.
pub(super) fn starts_python_statement(word: &[u8]) -> bool {
    matches!(
        word,
        b"def"
            | b"class"
            | b"return"
            | b"while"
            | b"try"
            | b"with"
            | b"import"
            | b"raise"
            | b"except"
            | b"finally"
            | b"pass"
            | b"break"
            | b"continue"
            | b"del"
            | b"global"
            | b"nonlocal"
            | b"assert"
            | b"elif"
    )
}

/// Says whether a word before a quote belongs to a Python literal.
pub(super) fn is_python_prefix(word: &[u8]) -> bool {
    word.len() <= 2 && word.iter().all(|byte| matches!(byte.to_ascii_lowercase(), b'r' | b'b' | b'u' | b'f' | b't'))
}

/// Says whether a word before a quote makes a C or C++ literal raw.
pub(super) fn is_raw_prefix(word: &[u8]) -> bool {
    matches!(word, b"R" | b"LR" | b"uR" | b"UR" | b"u8R")
}
