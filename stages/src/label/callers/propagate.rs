//! Marks the steps of callers, from the vulnerable functions outward.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::functions::{Function, Functions};
use super::graph::{CallGraph, Ways};
use super::tree::{Parsed, parse};
use crate::label::evidence::{LineSpan, Reason};
use crate::label::lines::NormalText;
use crate::label::version::{FileVersion, FileVersions};
use crate::label::{LabelOptions, Sources, VersionLabels};
use crate::language::Language;

/// Says what is marked of a function that calls a vulnerable one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Propagate {
    /// Nothing.
    None,
    /// The steps that hold the calls.
    CallSite,
    /// Every step of it.
    #[default]
    Function,
}

/// Says how far marks spread from the vulnerable functions of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// There is no caller.
    None,
    /// All callers are marked.
    Full,
    /// The farther callers are left out: with them, too large a share of the steps would be marked.
    Capped,
}

impl Extent {
    /// Returns the name that tables hold.
    pub fn as_str(self) -> &'static str {
        match self {
            Extent::None => "none",
            Extent::Full => "full",
            Extent::Capped => "capped",
        }
    }
}

/// Reports what rule 8 did to a vulnerable version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagation {
    /// Steps with the source `caller`, those that had another source already included.
    pub steps: usize,
    /// How far marks spread.
    pub extent: Extent,
    /// Files that were too large or took too much work to parse, or would; their functions neither call nor are called.
    pub unparsed_files: usize,
}

impl Propagation {
    /// Nothing was looked for.
    pub const NONE: Propagation = Propagation { steps: 0, extent: Extent::None, unparsed_files: 0 };
}

/// Marks the steps of every function that calls a vulnerable function, directly or through others, source `caller`; `marked` are
/// the lines that are vulnerable already.
///
/// Callers come in the order of their distance, and all of one distance at once: where a distance would bring the steps
/// with source `caller` over `max_propagated_share` of all steps, it and all farther ones are left out. As long as nothing
/// is left out, more marks never give fewer propagated steps.
pub(in crate::label) fn propagate(
    files: &[FileVersions<'_>],
    marked: &[u32],
    version: &mut VersionLabels<'_>,
    options: &LabelOptions,
) -> Propagation {
    let mut propagation = Propagation::NONE;
    if options.propagate == Propagate::None || !may_have_callers(files) {
        return propagation;
    }
    let mut all = Functions::default();
    for (index, file) in files.iter().enumerate() {
        let (text, code) = (&file.vulnerable.text, &file.vulnerable.normal.stream);
        match parse(text, code, file.language) {
            Parsed::Tree(tree) => all.read(&tree, &file.vulnerable, index, file.language),
            Parsed::Nothing => {}
            Parsed::GaveUp => propagation.unparsed_files += 1,
        }
    }
    let graph = CallGraph::of(&all);
    let vulnerable = vulnerable_functions(&all, files, marked);
    let ways = graph.ways(&vulnerable);
    let callers = match options.propagate {
        Propagate::CallSite => calls(&all, &graph, &vulnerable, &ways),
        _ => whole_functions(&all, &ways),
    };
    spread(files, &callers, version, options.max_propagated_share, &mut propagation);
    propagation
}

/// A caller, or a call in it.
struct Caller {
    file: usize,
    /// Its lines within the file.
    lines: LineSpan,
    /// The names of the functions from it down to the vulnerable one.
    chain: String,
}

/// Says whether there may be two functions, so that one may call the other: a look that costs next to nothing, since most
/// samples are one function.
fn may_have_callers(files: &[FileVersions<'_>]) -> bool {
    let mut definitions = 0;
    files.iter().any(|file| {
        let version = &file.vulnerable;
        definitions += count_definitions(&version.text, version.normal.definitions, file.language);
        definitions > 1
    })
}

/// Returns how many functions a file may define; where a version may define two, mode `natural` parses its files.
pub fn possible_definitions(text: &str, language: Language) -> usize {
    count_definitions(text, NormalText::of(text, language).definitions, language)
}

fn count_definitions(text: &str, at_top_level: u32, language: Language) -> usize {
    let words = defining_words(language).iter().map(|word| text.matches(word).take(2).count());
    at_top_level as usize + words.sum::<usize>()
}

/// Words of which a file with a second function has one more, where functions are not all at the top level.
fn defining_words(language: Language) -> &'static [&'static str] {
    match language {
        Language::C | Language::Text => &[],
        Language::Cpp => &["class ", "struct "],
        Language::Python => &["def "],
        Language::Go => &["func"],
        Language::Java => &["class ", "interface ", "enum ", "record "],
        Language::Kotlin => &["fun "],
        Language::Scala => &["def "],
        Language::Rust => &["fn "],
        Language::JavaScript | Language::TypeScript => &["function", "=>", "class "],
        Language::Php => &["function"],
    }
}

fn vulnerable_functions(all: &Functions, files: &[FileVersions<'_>], marked: &[u32]) -> BTreeSet<usize> {
    let marked: BTreeSet<u32> = marked.iter().copied().collect();
    let is_vulnerable = |function: &Function| {
        let Some(file) = files.get(function.file) else { return false };
        let before = file.vulnerable.lines_before;
        marked.range(function.lines.0 + before..=function.lines.1.max(function.lines.0) + before).next().is_some()
    };
    let functions = all.functions.iter().enumerate();
    functions.filter(|(_, function)| is_vulnerable(function)).map(|(index, _)| index).collect()
}

/// All callers, by their distance.
fn whole_functions(all: &Functions, ways: &Ways) -> BTreeMap<u32, Vec<Caller>> {
    let mut callers: BTreeMap<u32, Vec<Caller>> = BTreeMap::new();
    for (index, function) in all.functions.iter().enumerate() {
        if let Some(distance) = ways.calls(index) {
            let chain = named(all, &ways.chain(index));
            let caller = Caller { file: function.file, lines: function.lines, chain };
            callers.entry(distance).or_default().push(caller);
        }
    }
    callers
}

/// All calls of vulnerable functions and of callers, by the distance of the farther end.
fn calls(all: &Functions, graph: &CallGraph, vulnerable: &BTreeSet<usize>, ways: &Ways) -> BTreeMap<u32, Vec<Caller>> {
    let mut callers: BTreeMap<u32, Vec<Caller>> = BTreeMap::new();
    for target in 0..all.functions.len() {
        let (own, below) = match vulnerable.contains(&target) {
            true => (Some(0), vec![target]),
            false => (ways.calls(target), ways.chain(target)),
        };
        let Some(own) = own else { continue };
        for (caller, lines) in graph.callers_of(target) {
            if let (Some(function), Some(distance)) = (all.functions.get(caller), ways.calls(caller)) {
                let chain = named(all, &[&[caller], below.as_slice()].concat());
                let call = |line: &u32| Caller { file: function.file, lines: (*line, *line), chain: chain.clone() };
                callers.entry((own + 1).max(distance)).or_default().extend(lines.iter().map(call));
            }
        }
    }
    callers
}

fn named(all: &Functions, chain: &[usize]) -> String {
    let name = |function: &usize| all.functions.get(*function).and_then(|function| function.name.as_deref());
    chain.iter().map(|function| name(function).unwrap_or("(unnamed)")).collect::<Vec<_>>().join(" > ")
}

fn spread(
    files: &[FileVersions<'_>],
    callers: &BTreeMap<u32, Vec<Caller>>,
    version: &mut VersionLabels<'_>,
    max_share: f64,
    propagation: &mut Propagation,
) {
    let most = max_share * version.steps.len() as f64;
    let mut reached: BTreeMap<usize, &Caller> = BTreeMap::new();
    for of_one_distance in callers.values() {
        let mut further: BTreeMap<usize, &Caller> = BTreeMap::new();
        for caller in of_one_distance {
            let Some(file) = files.get(caller.file) else { continue };
            for step in steps_of(&file.vulnerable, caller.lines.0, caller.lines.1, version) {
                if !reached.contains_key(&step) {
                    further.entry(step).or_insert(caller);
                }
            }
        }
        if (reached.len() + further.len()) as f64 > most {
            propagation.extent = Extent::Capped;
            break;
        }
        propagation.extent = Extent::Full;
        reached.append(&mut further);
    }
    propagation.steps = reached.len();
    for (step, caller) in reached {
        let lines_before = files.get(caller.file).map_or(0, |file| file.vulnerable.lines_before);
        let reason = Reason::given(Sources::CALLER, caller.lines, Some(caller.chain.clone()));
        version.mark(step, reason.moved(lines_before, 0));
    }
}

/// Yields the steps that hold code of some lines. A line that only closes says nothing: it may travel with a step of what
/// follows the function.
fn steps_of(file: &FileVersion<'_>, first: u32, last: u32, version: &VersionLabels<'_>) -> impl Iterator<Item = usize> {
    let lines = file.normal.lines_between(first, last).iter().filter(|line| !line.only_closes());
    lines.map(|line| version.step_of_line(line.number + file.lines_before))
}
