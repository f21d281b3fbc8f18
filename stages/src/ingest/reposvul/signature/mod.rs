//! Reads a definition's name and parameters off its text.
//!
//! Texts are single definitions as ReposVul cuts them: functions of C, C++, Java and Python, methods without the class around them, and
//! whole classes. Only the head up to the body is looked at, and it need not be complete: macros of a project are no error. Where no name
//! can be told there is none, and the caller goes by the text.

mod head;

use crate::language::Language;
use head::{Token, head_tokens};

/// What tells a definition from the others of its file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature {
    /// The name, with the classes and namespaces that the text itself puts before it: `Reader::next`.
    pub name: String,
    /// The parameters without white space, to tell overloads apart; empty in Python, which has none.
    pub parameters: String,
}

/// Words that come before a group in parentheses and name no function.
const NO_NAMES: [&str; 16] = [
    "__attribute__",
    "__attribute",
    "__declspec",
    "__asm__",
    "__asm",
    "asm",
    "__pragma",
    "_Alignas",
    "alignas",
    "decltype",
    "explicit",
    "noexcept",
    "requires",
    "throw",
    "typeof",
    "__typeof__",
];

/// Words before a name that are no type: with these alone, what follows is a constructor or a macro.
const QUALIFIERS: [&str; 23] = [
    "abstract",
    "const",
    "constexpr",
    "extern",
    "final",
    "friend",
    "inline",
    "__inline",
    "__inline__",
    "native",
    "override",
    "private",
    "protected",
    "public",
    "register",
    "static",
    "strictfp",
    "synchronized",
    "template",
    "typename",
    "virtual",
    "volatile",
    "default",
];

/// Words that a name of a type follows.
const TYPES: [&str; 7] = ["class", "struct", "union", "enum", "interface", "record", "namespace"];

/// Words that end the name of a type.
const AFTER_TYPE_NAMES: [&str; 4] = ["extends", "implements", "permits", "final"];

/// Returns the name and parameters of a definition; `None` where they cannot be told.
pub fn signature(code: &str, language: Language) -> Option<Signature> {
    match language {
        Language::Python => python_signature(code),
        _ => {
            let tokens = head_tokens(code, language);
            function_signature(&tokens, language).or_else(|| type_signature(&tokens))
        }
    }
}

/// The first `def`, `async def` or `class`; decorators come before it.
fn python_signature(code: &str) -> Option<Signature> {
    code.lines().find_map(|line| {
        let (keyword, rest) = line.trim_start().split_once(char::is_whitespace)?;
        let (keyword, rest) =
            if keyword == "async" { rest.trim_start().split_once(char::is_whitespace)? } else { (keyword, rest) };
        let rest = rest.trim_start();
        let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
        let name = rest.get(..end).filter(|name| !name.is_empty())?;
        matches!(keyword, "def" | "class").then(|| Signature { name: name.to_owned(), parameters: String::new() })
    })
}

/// A name followed by parameters.
struct Candidate<'code> {
    name: String,
    parameters: &'code str,
    /// Words before the name say what the function returns, or the name itself says whose it is.
    is_typed: bool,
}

fn function_signature(tokens: &[Token<'_>], language: Language) -> Option<Signature> {
    let mut candidates = candidates(tokens).into_iter();
    let first = candidates.next()?;
    // `EXPORT(int) f(int a)`: a macro around the type.
    let chosen = if first.is_typed { first } else { candidates.next().unwrap_or(first) };
    let Candidate { name, parameters, is_typed } = chosen;
    if !is_typed && matches!(language, Language::C | Language::Cpp) && is_macro(&name) {
        // `PHP_METHOD(Reader, next)`: what the macro makes the name of is all that tells one from the other.
        let arguments: Vec<&str> = parameters.split_whitespace().collect();
        return Some(Signature { name: format!("{name}({})", arguments.join(" ")), parameters: String::new() });
    }
    let parameters = parameters.chars().filter(|letter| !letter.is_whitespace()).collect();
    Some(Signature { name, parameters })
}

fn is_macro(name: &str) -> bool {
    name.len() > 1 && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The first two.
fn candidates<'code>(tokens: &[Token<'code>]) -> Vec<Candidate<'code>> {
    let mut found = Vec::new();
    let mut angles = 0usize;
    for (index, token) in tokens.iter().enumerate() {
        if found.len() == 2 {
            break;
        }
        let before = index.checked_sub(1).and_then(|index| tokens.get(index));
        match token {
            Token::Mark('<') => angles += 1,
            Token::Mark('>') if before != Some(&Token::Mark('-')) => angles = angles.saturating_sub(1),
            Token::Group(inside) if angles == 0 => {
                let next = tokens.get(index + 1);
                let is_after_macro = matches!(before, Some(Token::Word(word)) if NO_NAMES.contains(word));
                if let Some(Token::Group(parameters)) = next
                    && let Some(name) = inner_name(inside)
                {
                    found.push(Candidate { name, parameters, is_typed: true });
                } else if let Some(Token::Word(word)) = before
                    && !is_after_macro
                {
                    found.push(named(tokens, index - 1, word, inside));
                }
            }
            _ => {}
        }
    }
    found
}

/// The name in `(*name(int))(int)` and `(name)(int)`.
fn inner_name(inside: &str) -> Option<String> {
    let inside = inside.trim().trim_start_matches(['*', '&', '^', ' ']);
    let end = inside.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(inside.len());
    let (name, rest) = inside.split_at_checked(end)?;
    let rest = rest.trim_start();
    (!name.is_empty() && (rest.is_empty() || rest.starts_with('('))).then(|| name.to_owned())
}

/// Goes back from a name's last word to its classes and namespaces, without their template arguments.
fn named<'code>(tokens: &[Token<'code>], last: usize, word: &'code str, parameters: &'code str) -> Candidate<'code> {
    let mut parts = vec![word];
    let mut start = last;
    let at = |index: usize| tokens.get(index);
    let is_destructor = start.checked_sub(1).and_then(at) == Some(&Token::Mark('~'));
    if is_destructor {
        start -= 1;
    }
    while let Some(Token::Scope) = start.checked_sub(1).and_then(at) {
        start -= 1;
        let Some(mut owner) = start.checked_sub(1) else { break };
        if at(owner) == Some(&Token::Mark('>')) {
            let Some(before) = before_angles(tokens, owner) else { break };
            owner = before;
        }
        let Some(Token::Word(class)) = at(owner) else { break };
        parts.push(class);
        start = owner;
    }
    let is_qualified = parts.len() > 1;
    let is_typed = is_qualified || tokens.iter().take(start).any(is_type);
    let owners: String = parts.iter().skip(1).rev().flat_map(|class| [class, "::"]).collect();
    let name = format!("{owners}{}{word}", if is_destructor { "~" } else { "" });
    Candidate { name, parameters, is_typed }
}

fn is_type(token: &Token<'_>) -> bool {
    matches!(token, Token::Word(word) if !QUALIFIERS.contains(word))
}

/// The token before the `<` that a `>` closes.
fn before_angles(tokens: &[Token<'_>], close: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().take(close + 1).rev() {
        match token {
            Token::Mark('>') => depth += 1,
            Token::Mark('<') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index.checked_sub(1);
        }
    }
    None
}

fn type_signature(tokens: &[Token<'_>]) -> Option<Signature> {
    let keyword = tokens.iter().position(|token| matches!(token, Token::Word(word) if TYPES.contains(word)))?;
    let words = tokens.iter().skip(keyword + 1).map_while(|token| match token {
        Token::Word(word) if !AFTER_TYPE_NAMES.contains(word) => Some(*word),
        _ => None,
    });
    // `class EXPORT Reader`: the last word is the name.
    words.last().map(|name| Signature { name: name.to_owned(), parameters: String::new() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(code: &str, language: Language) -> Option<String> {
        signature(code, language).map(|signature| signature.name)
    }

    #[test]
    fn python_names_a_function_or_a_class_behind_its_decorators() {
        let cases = [
            ("def f(a):\n    pass", "f"),
            ("async  def  größe (a):\n    pass", "größe"),
            ("@route('/x',\n   methods=['GET'])\n@login\ndef view(x): pass", "view"),
            ("class Plugin(Base,\n    Other):\n    def f(self): pass", "Plugin"),
            ("# def no\n\tdef yes(self):", "yes"),
        ];
        for (code, expected) in cases {
            assert_eq!(name(code, Language::Python).as_deref(), Some(expected), "{code}");
        }
        assert_eq!(name("x = 1\nasynchronous def\n", Language::Python), None);
    }

    #[test]
    fn c_names_what_the_parameters_follow() {
        let cases = [
            ("static int\nparse_head(struct buf *b, size_t n)\n{", "parse_head"),
            ("/* old(x) */ // see f(y)\n#define A(x) \\\n  g(x)\nvoid __init run(void) {", "run"),
            ("__attribute__((noinline)) static void *grow(size_t n) {", "grow"),
            ("int old_style(a, b)\n  int a; char *b;\n{", "old_style"),
            ("int (*handler_of(int x))(int) {", "handler_of"),
            ("void (quiet)(int x) {", "quiet"),
            ("EXPORT(int) shown(int x) {", "shown"),
            ("int held(int x) __acquires(lock) {", "held"),
            ("main(argc, argv) char **argv; {", "main"),
            ("PHP_METHOD(Reader,\n   next)\n{", "PHP_METHOD(Reader, next)"),
            ("static SYSCALL_DEFINE1(close, unsigned int, fd)\n{", "SYSCALL_DEFINE1(close, unsigned int, fd)"),
            ("struct point { int (*f)(int); };", "point"),
        ];
        for (code, expected) in cases {
            assert_eq!(name(code, Language::C).as_deref(), Some(expected), "{code}");
        }
    }

    #[test]
    fn cpp_names_keep_their_classes_and_lose_template_arguments() {
        let cases = [
            ("Reader::Reader(int a) : a_(a), b_(f(a)) {", "Reader::Reader"),
            ("ns::Reader<T, f(3)>::~Reader() noexcept(true) {", "ns::Reader::~Reader"),
            (
                "template <typename T, int N = size(3)>\nauto Map<T>::find(const K& k) const -> decltype(g(k)) {",
                "Map::find",
            ),
            ("bool operator==(const A& a, const A& b) {", "operator=="),
            ("int Call::operator()(int x) {", "Call::operator()"),
            ("Value::operator bool() const {", "Value::operator bool"),
            ("std::function<void(int)> make(int x) {", "make"),
            ("[[nodiscard]] extern \"C\" int f(int a = g(\")\")) {", "f"),
            ("class EXPORT Reader final : public Base {", "Reader"),
        ];
        for (code, expected) in cases {
            assert_eq!(name(code, Language::Cpp).as_deref(), Some(expected), "{code}");
        }
    }

    #[test]
    fn java_methods_are_told_apart_by_their_parameters() {
        let code =
            "@Override\n@Path(\"/(x\")\npublic <T extends A<T>> List<T> find(final Map<K, V> m, int... n) throws E {";
        let expected = Signature { name: "find".to_owned(), parameters: "finalMap<K,V>m,int...n".to_owned() };
        assert_eq!(signature(code, Language::Java), Some(expected));
        assert_eq!(name("public URI(String s) {", Language::Java).as_deref(), Some("URI"));
        assert_eq!(name("public class Reader<T> extends Base {", Language::Java).as_deref(), Some("Reader"));
    }

    #[test]
    fn what_has_no_head_has_no_name() {
        for code in ["", "{", "((((", "x", "\"", "/*", "@", "operator", "::", "a::(", "~(", "<>(", ">::f("] {
            assert_eq!(name(code, Language::Cpp), None, "{code}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(code in "[a-z(){}\\[\\]<>:;@#/*\"'\\\\~ \n=-]{0,60}", any in ".{0,40}") {
            for language in Language::ALL {
                signature(&code, language);
                signature(&any, language);
                signature(&format!("operator{code}"), language);
            }
        }
    }
}
