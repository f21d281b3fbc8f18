//! The functions of a file and the calls in them, off its syntax tree.

use tree_sitter::{Node, Tree};

use super::syntax::{self, Naming, Reach};
use crate::label::version::FileVersion;
use crate::language::Language;

/// Deeper nested functions are part of the one around them.
const MOST_NESTED: usize = 16;

/// A function with a body.
pub(super) struct Function {
    /// Nothing where it cannot be called by a name.
    pub(super) name: Option<String>,
    pub(super) reach: Reach,
    pub(super) language: Language,
    /// The file it lies in, and its first and last line there.
    pub(super) file: usize,
    pub(super) lines: (u32, u32),
}

/// A call of a function by its name.
pub(super) struct Call {
    pub(super) name: String,
    pub(super) naming: Naming,
    /// The function that the call lies in, as an index.
    pub(super) caller: usize,
    /// The line of the name, in the caller's file.
    pub(super) line: u32,
}

/// Everything that the files of a version define and call.
#[derive(Default)]
pub(super) struct Functions {
    pub(super) functions: Vec<Function>,
    pub(super) calls: Vec<Call>,
    /// Names of macros with parameters: a call of one is no call of a function.
    pub(super) macros: Vec<String>,
}

impl Functions {
    /// Adds the functions and calls of one file.
    pub(super) fn read(&mut self, tree: &Tree, version: &FileVersion<'_>, file: usize, language: Language) {
        let lines = LineStarts::of(&version.text);
        let mut reading = Reading { all: self, text: &version.text, lines, file, language, open: Vec::new() };
        let mut cursor = tree.walk();
        let mut depth = 0;
        loop {
            reading.enter(cursor.node(), depth);
            if cursor.goto_first_child() {
                depth += 1;
                continue;
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return;
                }
                depth -= 1;
            }
        }
    }
}

/// What a node lies in.
#[derive(Clone, Copy)]
enum Scope {
    Type,
    Function(usize),
}

struct Reading<'f, 't> {
    all: &'f mut Functions,
    text: &'t str,
    lines: LineStarts,
    file: usize,
    language: Language,
    /// Types and functions around the node, with their depth in the tree.
    open: Vec<(usize, Scope)>,
}

impl Reading<'_, '_> {
    fn enter(&mut self, node: Node<'_>, depth: usize) {
        while self.open.last().is_some_and(|(outer, _)| *outer >= depth) {
            self.open.pop();
        }
        if !node.is_named() {
            return;
        }
        let in_type = matches!(self.open.last(), Some((_, Scope::Type)));
        if syntax::is_type(node) {
            self.open.push((depth, Scope::Type));
        } else if let Some(definition) = syntax::definition(node, in_type) {
            if self.functions_around().count() < MOST_NESTED {
                let range = syntax::whole(node).byte_range();
                let lines = (self.lines.line_of(range.start), self.lines.line_of(range.end.max(1) - 1));
                let name = definition.name.and_then(|name| self.name(name));
                self.open.push((depth, Scope::Function(self.all.functions.len())));
                self.all.functions.push(Function {
                    name,
                    reach: definition.reach,
                    language: self.language,
                    file: self.file,
                    lines,
                });
            }
        } else if let Some((name, naming)) = syntax::called(node) {
            self.call(name, naming);
        } else if let Some(name) = syntax::macro_name(node).and_then(|name| self.name(name)) {
            self.all.macros.push(name);
        }
    }

    fn functions_around(&self) -> impl Iterator<Item = usize> {
        self.open.iter().filter_map(|(_, scope)| match scope {
            Scope::Function(function) => Some(*function),
            Scope::Type => None,
        })
    }

    fn call(&mut self, node: Node<'_>, naming: Naming) {
        let Some(name) = self.name(node) else { return };
        let line = self.lines.line_of(node.start_byte());
        let callers: Vec<usize> = self.functions_around().collect();
        let calls = callers.into_iter().map(|caller| Call { name: name.clone(), naming, caller, line });
        self.all.calls.extend(calls);
    }

    fn name(&self, node: Node<'_>) -> Option<String> {
        let name = self.text.get(node.byte_range()).filter(|name| !name.is_empty())?;
        Some(match self.language {
            // The one language whose functions are found without regard to case.
            Language::Php => name.to_ascii_lowercase(),
            _ => name.to_owned(),
        })
    }
}

/// Where the lines of a text start: after LF, CRLF or CR, as steps count them.
struct LineStarts(Vec<usize>);

impl LineStarts {
    fn of(text: &str) -> LineStarts {
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        for (position, byte) in bytes.iter().enumerate() {
            let ends_line = match byte {
                b'\n' => true,
                b'\r' => bytes.get(position + 1) != Some(&b'\n'),
                _ => false,
            };
            if ends_line {
                starts.push(position + 1);
            }
        }
        LineStarts(starts)
    }

    /// Returns the number of the line that holds a byte, from 1.
    fn line_of(&self, byte: usize) -> u32 {
        self.0.partition_point(|start| *start <= byte) as u32
    }
}
