//! Rule 8: the callers of a vulnerable function, in each language, and how far their marks spread.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use secprm_stages::label::{
    CodePair, Extent, FileEnds, Label, LabelMode, LabelOptions, PairLabels, Propagate, Sources, label_pair,
};
use secprm_stages::language::Language;

fn options(propagate: Propagate, max_propagated_share: f64) -> LabelOptions {
    LabelOptions { propagate, max_propagated_share, ..LabelOptions::default() }
}

/// The first lines of the steps that are marked because they call.
fn callers(labels: &PairLabels<'_>) -> Vec<String> {
    let version = &labels.vulnerable;
    let marked = (0..version.steps.len()).filter(|step| version.sources[*step].contains(Sources::CALLER));
    marked.map(|step| version.step_text(step).trim().lines().next().unwrap_or("").trim().to_owned()).collect()
}

/// Labels a text in which the fix replaces `BAD` by `GOOD`, and returns the callers' first lines.
fn callers_of(language: Language, vulnerable: &str, options: &LabelOptions) -> Vec<String> {
    let fixed = vulnerable.replace("BAD", "GOOD");
    callers(&label_pair(vulnerable, &fixed, language, LabelMode::Natural, options).unwrap())
}

fn assert_callers(language: Language, code: &str, expected: &[&str]) {
    assert_eq!(callers_of(language, code, &options(Propagate::Function, 1.0)), expected, "{language}");
}

#[test]
fn c_calls_are_followed_through_others_but_not_through_members_and_macros() {
    assert_callers(
        Language::C,
        "static char *read_it(char *p)\n{\n    return BAD(p);\n}\n\nint direct(char *p)\n{\n    a();\n    return *read_it(p);\n}\n\n\
         int indirect(void)\n{\n    return direct(0);\n}\n\nint member(struct s *s)\n{\n    return s->read_it(s->p);\n}\n\n\
         int other(void)\n{\n    return 0;\n}\n",
        &["int direct(char *p)", "int indirect(void)"],
    );
    let with_macro = "#define get(p) BAD(p)\n\nint get(char *p)\n{\n    return BAD(p);\n}\n\nint f(void)\n{\n    return get(0);\n}\n";
    assert_callers(Language::C, with_macro, &[]);
}

#[test]
fn a_name_with_two_definitions_is_not_resolved() {
    let code = "int get(int a)\n{\n    return BAD(a);\n}\n\nint f(void)\n{\n    return get(1);\n}\n";
    assert_callers(Language::C, code, &["int f(void)"]);
    assert_callers(Language::C, &format!("{code}\nint get(int b)\n{{\n    return b;\n}}\n"), &[]);
}

#[test]
fn cpp_members_are_called_from_members_and_by_path() {
    assert_callers(
        Language::Cpp,
        "int A::get(int i) {\n  return BAD(i);\n}\n\nint A::use() {\n  return get(1) + 1;\n}\n\nint by_path() {\n  return A::get(2);\n}\n\n\
         int by_object(A& a) {\n  return a.get(3);\n}\n\nint plain() {\n  return get(4);\n}\n\ntemplate <class T>\nT tmpl(T t) {\n  return T(by_path());\n}\n",
        &["int A::use() {", "int by_path() {", "template <class T>"],
    );
}

#[test]
fn python_functions_are_called_by_name_and_methods_are_not() {
    assert_callers(
        Language::Python,
        "def run(cmd):\n    return BAD(cmd)\n\n\n@route('/')\ndef view(request):\n    x = request\n    return run(x)\n\n\n\
         class Job:\n    def start(self):\n        return view(self)\n\n    def run(self):\n        return self.start()\n\n\n\
         def later(job):\n    return job.start()\n",
        // `run` is a method's name too.
        &[],
    );
    assert_callers(
        Language::Python,
        "def run(cmd):\n    return BAD(cmd)\n\n\n@route('/')\ndef view(request):\n    x = request\n    return run(x)\n\n\n\
         class Job:\n    def start(self):\n        return view(self)\n\n\ndef later(job):\n    return job.start()\n",
        &["@route('/')", "class Job:"],
    );
}

#[test]
fn every_other_language_finds_its_callers() {
    let cases: [(Language, &str, &[&str]); 8] = [
        (
            Language::Go,
            "func get(p string) string {\n\treturn BAD(p)\n}\n\nfunc (s *Store) Run() {\n\tget(s.p)\n}\n\nfunc other(s *Store) {\n\ts.Run()\n}\n",
            &["func (s *Store) Run() {"],
        ),
        (
            Language::Java,
            "class A {\n    String get(String p) {\n        return BAD(p);\n    }\n\n    void run() {\n        String x = get(\"a\");\n    }\n\n    \
             void other(A a) {\n        a.run();\n    }\n}\n",
            &["void run() {"],
        ),
        (
            Language::Kotlin,
            "fun get(p: String): String {\n    return BAD(p)\n}\n\nfun run() = listOf(1).map { get(\"a\") }\n\nfun other(a: A) {\n    a.get(\"b\")\n}\n",
            &["fun run() = listOf(1).map { get(\"a\") }"],
        ),
        (
            Language::Scala,
            "object A {\n  def get(p: String): String = {\n    BAD(p)\n  }\n\n  def run(): Unit = {\n    println(get(\"a\"))\n  }\n\n  \
             def other(a: B): Unit = {\n    a.get(\"b\")\n  }\n}\n",
            &["def run(): Unit = {"],
        ),
        (
            Language::Rust,
            "fn get(p: &str) -> String {\n    BAD(p)\n}\n\nfn run() {\n    let x = crate::a::get(\"a\");\n}\n\nfn other(a: A) {\n    a.get(\"b\");\n    get!(1);\n}\n",
            &["fn run() {"],
        ),
        (
            Language::JavaScript,
            "const get = (p) => {\n  return BAD(p);\n};\n\nfunction run() {\n  get('a');\n}\n\nfunction other(a) {\n  a.get('b');\n}\n",
            &["function run() {"],
        ),
        (
            Language::TypeScript,
            "function get<T>(p: T): T {\n  return BAD(p);\n}\n\nconst run = async (): Promise<void> => {\n  get<string>('a');\n};\n\nfunction other(a: A): void {\n  a.get('b');\n}\n",
            &["const run = async (): Promise<void> => {"],
        ),
        (
            Language::Php,
            "<?php\nfunction get($p) {\n    return BAD($p);\n}\n\nfunction run() {\n    return \\App\\Get('a');\n}\n\nfunction other($a) {\n    return $a->get('b') . A::get('c');\n}\n",
            &["function run() {"],
        ),
    ];
    for (language, code, expected) in cases {
        assert_callers(language, code, expected);
    }
}

#[test]
fn a_call_site_alone_can_be_marked_or_nothing() {
    let code = "int get(int a)\n{\n    return BAD(a);\n}\n\nint f(void)\n{\n    log();\n\n    use(get(1));\n\n    done();\n}\n\n\
                int g(void)\n{\n    log();\n\n    f();\n}\n";
    let found = |propagate| callers_of(Language::C, code, &options(propagate, 1.0));
    assert_eq!(found(Propagate::Function), ["int f(void)", "use(get(1));", "done();", "int g(void)", "f();"]);
    assert_eq!(found(Propagate::CallSite), ["use(get(1));", "f();"]);
    assert!(found(Propagate::None).is_empty());
}

#[test]
fn recursion_is_no_caller_and_cycles_end() {
    let recursive = "int get(int a)\n{\n    log();\n\n    BAD(a);\n\n    return get(a - 1);\n}\n\nint f(void)\n{\n    return 1;\n}\n";
    assert_callers(Language::C, recursive, &[]);
    let cycle = "int get(int a)\n{\n    return BAD(f(a));\n}\n\nint f(int a)\n{\n    return g(a);\n}\n\nint g(int a)\n{\n    return get(a) + f(a);\n}\n";
    assert_callers(Language::C, cycle, &["int f(int a)", "int g(int a)"]);
}

#[test]
fn a_distance_that_passes_the_cap_is_left_out_with_all_farther_ones() {
    let code = "int get(int a)\n{\n    return BAD(a);\n}\n\nint f(void)\n{\n    return get(1);\n}\n\n\
                int g(void)\n{\n    log();\n\n    f();\n\n    f();\n}\n\nint h(void)\n{\n    return g();\n}\n";
    let fixed = code.replace("BAD", "GOOD");
    let labels = |share| {
        let options = options(Propagate::Function, share);
        label_pair(code, &fixed, Language::C, LabelMode::Natural, &options).unwrap().propagation
    };
    assert_eq!((labels(1.0).steps, labels(1.0).extent), (5, Extent::Full));
    assert_eq!((labels(0.5).steps, labels(0.5).extent), (1, Extent::Capped));
    assert_eq!((labels(0.0).steps, labels(0.0).extent), (0, Extent::Capped));
}

#[test]
fn callers_are_found_across_files_of_kin_languages_and_their_steps_obey_rule_7() {
    let files = [
        (Language::C, "int use(void)\n{\n    return get(1);\n}\n", "int use(void)\n{\n    return get(1);\n}\n"),
        (Language::Cpp, "int get(int a)\n{\n    return BAD(a);\n}\n", "int get(int a)\n{\n    return GOOD(a);\n}\n"),
        (Language::Python, "def f():\n    return get(1)\n", "def f():\n    return get(1)\n"),
    ];
    let vulnerable: String = files.iter().map(|file| file.1).collect();
    let fixed: String = files.iter().map(|file| file.2).collect();
    let mut ends = Vec::new();
    for (language, old, new) in files {
        let (before, before_fixed) = ends.last().map_or((0, 0), |last: &FileEnds| (last.vulnerable, last.fixed));
        ends.push(FileEnds { language, vulnerable: before + old.len(), fixed: before_fixed + new.len() });
    }
    let pair = CodePair { files: &ends, ..CodePair::new(&vulnerable, &fixed, Language::C) };
    let labels = pair.label(LabelMode::Natural, &LabelOptions::default()).unwrap();
    assert_eq!(callers(&labels), ["int use(void)"]);
    assert_eq!(labels.vulnerable.labels, [Label::Vulnerable, Label::Vulnerable, Label::Secure]);
    // The caller reads the same in both versions, with nothing before it.
    assert_eq!(labels.vulnerable.supervised, [false, true, true]);
    assert_eq!(labels.fixed.supervised, [false, true, true]);
}

#[test]
fn a_file_that_is_too_large_is_counted_and_marks_nothing() {
    let caller = "int f(void)\n{\n    return get(1);\n}\n";
    let code = format!("int get(int a)\n{{\n    return BAD(a);\n}}\n\n{caller}\n/*{}*/\n", "x".repeat(1 << 19));
    let fixed = code.replace("BAD", "GOOD");
    let labels = label_pair(&code, &fixed, Language::C, LabelMode::Natural, &LabelOptions::default()).unwrap();
    assert_eq!((labels.propagation.steps, labels.propagation.unparsed_files), (0, 1));
}

#[test]
fn a_broken_statement_of_thousands_of_signs_is_not_parsed() {
    let signs = |count: usize| {
        let code = format!(
            "int get(int a)\n{{\n    return BAD(a);\n}}\n\nint f(void)\n{{\n    get({}1);\n}}\n",
            "-+".repeat(count / 2)
        );
        let fixed = code.replace("BAD", "GOOD");
        let labels = label_pair(&code, &fixed, Language::C, LabelMode::Natural, &LabelOptions::default()).unwrap();
        (labels.propagation.steps, labels.propagation.unparsed_files)
    };
    assert_eq!(signs(1_000), (1, 0));
    assert_eq!(signs(200_000), (0, 1));
}

/// A file of functions of which each calls some, and some are vulnerable.
fn program(calls: &[Vec<usize>], vulnerable: impl Fn(usize) -> bool) -> String {
    let function = |(index, calls): (usize, &Vec<usize>)| {
        let body: String = calls.iter().map(|target| format!("    f{target}();\n\n")).collect();
        let bad = if vulnerable(index) { "    bad();\n\n" } else { "" };
        format!("void f{index}(void)\n{{\n    start();\n\n{body}{bad}    end();\n}}\n\n")
    };
    calls.iter().enumerate().map(function).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn more_vulnerable_functions_never_give_fewer_propagated_steps(
        calls in proptest::collection::vec(proptest::collection::vec(0usize..7, 0..3), 1..7),
        fewer in proptest::collection::btree_set(0usize..7, 0..3),
        more in proptest::collection::btree_set(0usize..7, 0..3),
        call_site in any::<bool>(),
    ) {
        let propagate = if call_site { Propagate::CallSite } else { Propagate::Function };
        let options = options(propagate, 1.0);
        // All functions hold the line; which are vulnerable is said by experts, so that both runs have the same steps.
        let code = program(&calls, |_| true);
        let fixed = format!("{code}int x = 1;\n");
        let lines_of = |functions: &std::collections::BTreeSet<usize>| -> Vec<u32> {
            let mut function = 0;
            let mut lines = Vec::new();
            for (line, text) in (1..).zip(code.lines()) {
                if text.starts_with("void f") {
                    function = text[6..7].parse().unwrap();
                } else if text.contains("bad();") && functions.contains(&function) {
                    lines.push(line);
                }
            }
            lines
        };
        let caller_steps = |lines: &[u32]| {
            let pair = CodePair { expert_lines: lines, ..CodePair::new(&code, &fixed, Language::C) };
            let labels = pair.label(LabelMode::Natural, &options).unwrap();
            let version = &labels.vulnerable;
            let steps: Vec<bool> = version.sources.iter().map(|sources| sources.contains(Sources::CALLER)).collect();
            prop_assert_eq!(steps.iter().filter(|marked| **marked).count(), labels.propagation.steps);
            Ok(steps)
        };
        let few = caller_steps(&lines_of(&fewer))?;
        let many = caller_steps(&lines_of(&fewer.union(&more).copied().collect()))?;
        prop_assert!(few.iter().zip(&many).all(|(few, many)| !few || *many));
    }

    #[test]
    fn no_text_is_too_strange_to_look_for_callers(
        pieces in proptest::collection::vec(
            proptest::sample::select(&[
                "def f():\n", "    g()\n", "fn f() {", "}", "func f() {\n", "class A {\n", "f(", ")", "{", "<?php ", "?>", "<<<A\n",
                "`${", "'", "\"\"\"", "/*", "function f() {", "#define f(x)", "namespace a::b {", "f();\n", "\u{e9}", "\0", "\r", "@a\n",
                "if (", "=> ", "fun f() = ", "def g = {", "#if A\n", "template<", ">", "r#\"", "s\"${", "\n", "    ", ": ", "match x {",
            ][..]),
            0..60,
        ),
        language in proptest::sample::select(&Language::ALL[..]),
    ) {
        let code = pieces.concat();
        let fixed = format!("{code}\nx = 1;\ny");
        let labels = label_pair(&code, &fixed, language, LabelMode::Natural, &options(Propagate::Function, 1.0));
        if let Ok(labels) = labels {
            prop_assert!(labels.propagation.steps <= labels.vulnerable.steps.len());
        }
    }
}
