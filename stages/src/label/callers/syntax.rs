//! What the syntax trees of each language call functions, methods and calls.

use tree_sitter::Node;

use crate::language::Language;

/// Returns the grammar of a language, if it has one; PHP without an opening tag is code from its first byte.
pub fn grammar(language: Language, text: &str) -> Option<tree_sitter::Language> {
    let grammar = match language {
        Language::C => tree_sitter_c::LANGUAGE,
        Language::Cpp => tree_sitter_cpp::LANGUAGE,
        Language::Python => tree_sitter_python::LANGUAGE,
        Language::Go => tree_sitter_go::LANGUAGE,
        Language::Java => tree_sitter_java::LANGUAGE,
        Language::Kotlin => tree_sitter_kotlin_ng::LANGUAGE,
        Language::Scala => tree_sitter_scala::LANGUAGE,
        Language::Rust => tree_sitter_rust::LANGUAGE,
        Language::JavaScript => tree_sitter_javascript::LANGUAGE,
        Language::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
        Language::Php if text.contains("<?") => tree_sitter_php::LANGUAGE_PHP,
        Language::Php => tree_sitter_php::LANGUAGE_PHP_ONLY,
        Language::Text => return None,
    };
    Some(grammar.into())
}

/// Says how a function can be called by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// From anywhere.
    Free,
    /// Through an object or a type; without either where the language implies one.
    Member,
}

/// Says how a call names its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// `f()`.
    Plain,
    /// `a::f()`.
    Path,
}

/// A function that a node defines.
pub(super) struct Definition<'t> {
    /// Nothing where it cannot be called by a name: constructors, operators.
    pub(super) name: Option<Node<'t>>,
    pub(super) reach: Reach,
}

/// Says whether functions within a node are members of it.
pub(super) fn is_type(node: Node<'_>) -> bool {
    matches!(
        node.kind(),
        "class_specifier"
            | "struct_specifier"
            | "union_specifier"
            | "class_definition"
            | "class_declaration"
            | "class"
            | "object_declaration"
            | "companion_object"
            | "object_definition"
            | "trait_definition"
            | "enum_definition"
            | "given_definition"
            | "impl_item"
            | "trait_item"
    )
}

/// Returns the function that a node defines, given whether it stands directly in a type; a declaration without a body
/// defines none.
pub(super) fn definition<'t>(node: Node<'t>, in_type: bool) -> Option<Definition<'t>> {
    let field = |name| node.child_by_field_name(name);
    let reach = if in_type { Reach::Member } else { Reach::Free };
    let definition = match node.kind() {
        "function_definition" => match field("declarator") {
            Some(declarator) => declared(declarator, reach),
            None => Definition { name: field("name"), reach },
        },
        "function_declaration" | "function_item" | "generator_function_declaration" => {
            Definition { name: field("name"), reach }
        }
        "method_declaration" | "method_definition" => Definition { name: field("name"), reach: Reach::Member },
        "constructor_declaration" | "compact_constructor_declaration" | "secondary_constructor" => {
            Definition { name: None, reach: Reach::Member }
        }
        "variable_declarator" => {
            let is_function =
                matches!(field("value")?.kind(), "arrow_function" | "function_expression" | "generator_function");
            return is_function.then_some(Definition { name: field("name"), reach });
        }
        _ => return None,
    };
    let has_body = field("body").is_some() || has_child(node, "function_body") || has_child(node, "block");
    has_body.then_some(definition)
}

fn has_child(node: Node<'_>, kind: &str) -> bool {
    node.named_children(&mut node.walk()).any(|child| child.kind() == kind)
}

/// Follows a declarator of C or C++ to the name of its function.
fn declared(declarator: Node<'_>, reach: Reach) -> Definition<'_> {
    let mut node = declarator;
    let mut reach = reach;
    loop {
        let inner = match node.kind() {
            "identifier" | "field_identifier" => return Definition { name: Some(node), reach },
            "qualified_identifier" => {
                reach = Reach::Member;
                node.child_by_field_name("name")
            }
            "template_function" | "template_method" => node.child_by_field_name("name"),
            "parenthesized_declarator" | "reference_declarator" | "attributed_declarator" => node.named_child(0),
            _ => node.child_by_field_name("declarator"),
        };
        match inner {
            Some(inner) => node = inner,
            None => return Definition { name: None, reach },
        }
    }
}

/// Returns the name that a node defines as a macro with parameters.
pub(super) fn macro_name(node: Node<'_>) -> Option<Node<'_>> {
    (node.kind() == "preproc_function_def").then(|| node.child_by_field_name("name"))?
}

/// Returns the name that a node calls, unless it calls a method, a macro or the value of an expression.
pub(super) fn called(node: Node<'_>) -> Option<(Node<'_>, Naming)> {
    match node.kind() {
        "call_expression" | "call" | "function_call_expression" => {
            // Kotlin's calls have no fields: what is called comes first.
            let function = node.child_by_field_name("function").or_else(|| node.named_child(0))?;
            named(function)
        }
        "method_invocation" if node.child_by_field_name("object").is_none() => {
            // `super.f()` has no object either.
            let is_plain = node.child(0)?.kind() == "identifier";
            is_plain.then_some((node.child_by_field_name("name")?, Naming::Plain))
        }
        _ => None,
    }
}

fn named(function: Node<'_>) -> Option<(Node<'_>, Naming)> {
    let mut node = function;
    let mut naming = Naming::Plain;
    loop {
        node = match node.kind() {
            "identifier" | "name" => return Some((node, naming)),
            "qualified_identifier" | "scoped_identifier" => {
                naming = Naming::Path;
                node.child_by_field_name("name")?
            }
            "template_function" => node.child_by_field_name("name")?,
            "generic_function" => node.child_by_field_name("function")?,
            // The last part of a PHP namespace's function.
            "qualified_name" => node.named_child(node.named_child_count().checked_sub(1)? as u32)?,
            _ => return None,
        };
    }
}

/// Returns the node that holds a function with what stands before it: decorators, template parameters.
pub(super) fn whole(node: Node<'_>) -> Node<'_> {
    match node.parent() {
        Some(parent) if matches!(parent.kind(), "decorated_definition" | "template_declaration") => parent,
        _ => node,
    }
}

/// Says whether a call in one function may mean a function, by language and by how both are named.
pub(super) fn may_mean(language: Language, naming: Naming, from: Reach, to: Reach) -> bool {
    match (to, naming) {
        (Reach::Free, _) => true,
        (Reach::Member, Naming::Path) => matches!(language, Language::Cpp | Language::Rust),
        (Reach::Member, Naming::Plain) => {
            let implies_object =
                matches!(language, Language::Cpp | Language::Java | Language::Kotlin | Language::Scala);
            implies_object && from == Reach::Member
        }
    }
}

/// Says whether functions of two languages call each other by name.
pub(super) fn are_kin(one: Language, other: Language) -> bool {
    let family = |language| match language {
        Language::Cpp => Language::C,
        Language::TypeScript => Language::JavaScript,
        language => language,
    };
    family(one) == family(other)
}
