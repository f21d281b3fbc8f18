//! The three laws of mode `natural` on arbitrary text and on soups of code fragments, for every language and at every cut.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use secprm_stages::label::{
    CodeDifference, Comments, Label, LabelMode, LabelOptions, NoSample, SegmentOptions, Sources, Step, code_difference,
    label_pair, segment, strip_comments,
};
use secprm_stages::language::Language;

/// Pieces of code that open, close, half-open and mis-close everything that the lexers know.
const FRAGMENTS: &[&str] = &[
    "\n",
    "\n",
    "\n\n",
    "\n\n",
    "\n \t\n",
    "\r\n",
    "\r\n\r\n",
    "\r",
    "\r\r",
    " ",
    "    ",
    "\t",
    "int x;\n",
    "int x = 1;\n",
    "return x;\n",
    "return",
    "break;\n",
    "break",
    "continue;",
    "goto out;\n",
    "foo();\n",
    "foo(a,\n b);\n",
    "foo",
    "x",
    "bar(",
    ")",
    ");\n",
    "(",
    "[",
    "]",
    "{",
    "}",
    "}\n",
    "};\n",
    "{\n",
    ";",
    ":",
    "::",
    ",",
    "=",
    "==",
    "*",
    "/",
    "//",
    "// c\n",
    "/* c */",
    "/*",
    "*/",
    "/* a\n\n b */",
    "# c\n",
    "#",
    "#if A\n",
    "#ifdef",
    "#else\n",
    "#endif\n",
    "#include <a.h>\n",
    "#define A(x) \\\n  x\n",
    "\\\n",
    "\\",
    "\"",
    "'",
    "`",
    "\"a b\"",
    "'a'",
    "'",
    "\"\"\"",
    "'''",
    "\"\"\"a\n\nb\"\"\"",
    "R\"x(",
    ")x\"",
    "R\"(a)\"",
    "r#\"",
    "\"#",
    "f\"a{b}\"",
    "rb'",
    "u8R\"",
    "1'000",
    "0x1F",
    "if (x)\n",
    "if (x) {\n",
    "else {\n",
    "} else",
    "else\n",
    "for (i = 0; i < n; i++)\n",
    "while",
    "do {",
    "switch (x) {\n",
    "case 1:\n",
    "default:\n",
    "out:\n",
    "namespace a {\n",
    "extern \"C\" {\n",
    "struct s {\n",
    "class A:\n",
    "class A {\n public:\n",
    "int f(int a)\n{\n",
    "static int g(void);\n",
    "def f(a):\n",
    "    return a\n",
    "@d\n",
    "async def g():\n",
    "import a\n",
    "from a import b\n",
    "x: int\n",
    "pass\n",
    "a = [\n 1,\n",
    "lambda: 0",
    "using namespace std;\n",
    "let x = 1\n",
    "`a ${",
    "${",
    "$",
    "/[(\"]/g",
    "/x",
    "<?php\n",
    "<?=",
    "<?",
    "<",
    "?>",
    "?",
    "<<<A\n",
    "<<<'A'\nx\n\n A;\n",
    "A\n",
    "A",
    "#[x]\n",
    "#![",
    "@a.b(",
    "@interface A {\n",
    "@",
    "$x->y",
    "endif;\n",
    "=>",
    "->",
    "\n  .f()\n",
    "\n?.g()",
    "&&",
    "let P { a } = b",
    "match x {\n",
    "S {\n",
    "1,\n",
    "return {\n",
    "func f() {\n",
    "x := T{\n",
    "for i := 0; i < 3; i++ {\n",
    "fn f<'a>(",
    "'a: loop {",
    "use a::{",
    "\"\"\"\"",
    "s\"${",
    "val x = \"${y[\"z\"]}\"\n",
    "export default {",
    "interface I {",
    "a: string;\n",
    "def f = {\n",
    "\u{e9}t\u{e9}",
    "\u{a0}",
    "\u{2003}\n",
    "\0",
];

fn languages() -> impl Strategy<Value = Language> {
    prop_oneof![
        2 => Just(Language::C),
        2 => Just(Language::Cpp),
        4 => Just(Language::Python),
        1 => Just(Language::Text),
        3 => proptest::sample::select(&Language::ALL[..]),
    ]
}

fn soup(most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(FRAGMENTS), 0..most).prop_map(|pieces| pieces.concat())
}

fn options() -> impl Strategy<Value = SegmentOptions> {
    let texts = proptest::collection::vec(
        proptest::sample::select(&["foo();", "x", "return", "foo(a,\n b);", "int x = 1;"][..]),
        0..3,
    )
    .prop_map(|texts| texts.into_iter().map(str::to_owned).collect::<Vec<_>>());
    let limits = prop_oneof![Just((40, 8192)), (1u32..6, 1usize..80)];
    (limits, texts.clone(), texts).prop_map(|(limits, suffix_texts, prefix_texts)| SegmentOptions {
        max_step_lines: limits.0,
        max_step_bytes: limits.1,
        suffix_texts,
        prefix_texts,
    })
}

fn assert_complete(code: &str, steps: &[Step]) {
    let joined: String = steps.iter().map(|step| &code[step.bytes.clone()]).collect();
    assert_eq!(joined, code);
    let mut line = 1;
    for step in steps {
        assert!(!step.bytes.is_empty());
        assert_eq!(step.lines.0, line);
        assert!(step.lines.1 >= step.lines.0);
        line = step.lines.1 + 1;
    }
}

fn assert_causal(code: &str, language: Language, options: &SegmentOptions) {
    let whole = segment(code, language, options);
    assert_complete(code, &whole);
    for cut in (0..code.len()).filter(|cut| code.is_char_boundary(*cut)) {
        let prefix = segment(&code[..cut], language, options);
        if let Some((_, complete)) = prefix.split_last() {
            assert!(complete.len() <= whole.len(), "{language} cut at {cut}");
            assert_eq!(complete, &whole[..complete.len()], "{language} cut at {cut}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn steps_of_soups_are_complete_and_causal_at_every_cut(
        code in soup(60),
        language in languages(),
        options in options(),
    ) {
        assert_causal(&code, language, &options);
    }

    #[test]
    fn steps_of_arbitrary_text_are_complete_and_causal_at_every_cut(
        code in "(\\PC|[\n\r\t \"'#/*(){}\\\\;]){0,120}",
        language in languages(),
        options in options(),
    ) {
        assert_causal(&code, language, &options);
    }

    #[test]
    fn steps_of_arbitrary_bytes_are_complete(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        language in languages(),
    ) {
        let code = String::from_utf8_lossy(&bytes).into_owned();
        assert_complete(&code, &segment(&code, language, &SegmentOptions::default()));
    }

    #[test]
    fn steps_without_comments_are_causal_too(code in soup(40), language in languages()) {
        let options = SegmentOptions::default();
        let text = |code: &str| strip_comments(code, language).into_owned();
        let stripped = text(&code);
        let whole = segment(&stripped, language, &options);
        for cut in (0..code.len()).filter(|cut| code.is_char_boundary(*cut)) {
            let prefix_text = text(&code[..cut]);
            let prefix = segment(&prefix_text, language, &options);
            if let Some((_, complete)) = prefix.split_last() {
                for (step, of_whole) in complete.iter().zip(&whole) {
                    prop_assert_eq!(step, of_whole, "cut at {}", cut);
                    prop_assert_eq!(step.text(&prefix_text), of_whole.text(&stripped));
                }
            }
        }
    }

    #[test]
    fn labels_keep_their_promises(
        pieces in proptest::collection::vec(proptest::sample::select(FRAGMENTS), 0..60),
        edits in proptest::collection::vec((0usize..60, proptest::sample::select(FRAGMENTS)), 0..4),
        language in languages(),
        mode in proptest::sample::select(&LabelMode::ALL[..]),
        strip in any::<bool>(),
        segment_options in options(),
    ) {
        let vulnerable = pieces.concat();
        let mut changed = pieces;
        for (place, piece) in edits {
            let place = place % (changed.len() + 1);
            if piece.len() % 2 == 0 && place < changed.len() {
                changed[place] = piece;
            } else {
                changed.insert(place, piece);
            }
        }
        let fixed = changed.concat();
        let options = LabelOptions {
            segment: segment_options,
            comments: if strip { Comments::Strip } else { Comments::Keep },
            ..LabelOptions::default()
        };
        let difference = code_difference(&vulnerable, &fixed, language);
        prop_assert_eq!(difference, code_difference(&fixed, &vulnerable, language));
        match label_pair(&vulnerable, &fixed, language, mode, &options) {
            Ok(labels) => {
                for version in [&labels.vulnerable, &labels.fixed] {
                    let count = version.steps.len();
                    prop_assert_eq!(
                        [version.labels.len(), version.sources.len(), version.supervised.len()],
                        [count; 3]
                    );
                    prop_assert!(version.sources.iter().all(|sources| !sources.is_empty()));
                    prop_assert!(version.steps.iter().all(|step| version.text.get(step.bytes.clone()).is_some()));
                }
                prop_assert_eq!(labels.fixed.vulnerable_steps(), 0);
                assert_evidence_explains_every_zero_and_nothing_else(&labels, mode);
                prop_assert!(labels.fixed.sources.iter().all(|sources| *sources == Sources::FIXED));
                if mode == LabelMode::Natural {
                    prop_assert_eq!(difference, CodeDifference::Code);
                    prop_assert!(labels.vulnerable.vulnerable_steps() > 0);
                    for version in [&labels.vulnerable, &labels.fixed] {
                        assert_complete(&version.text, &version.steps);
                        prop_assert_eq!(&version.steps, &segment(&version.text, language, &options.segment));
                    }
                    assert_unsupervised_steps_are_shared(&labels);
                } else {
                    prop_assert!(labels.vulnerable.supervised.iter().all(|supervised| *supervised));
                }
            }
            Err(NoSample::NoCodeDifference(found)) => {
                prop_assert_eq!(found, difference);
                prop_assert!(difference != CodeDifference::Code && mode == LabelMode::Natural);
            }
            Err(NoSample::EmptyVersion) => prop_assert!(mode == LabelMode::Natural),
        }
    }
}

/// The ledger: the steps that have a reason are those labelled 0, and the reasons' sources are the label's.
fn assert_evidence_explains_every_zero_and_nothing_else(
    labels: &secprm_stages::label::PairLabels<'_>,
    mode: LabelMode,
) {
    assert!(labels.fixed.evidence.is_empty());
    let version = &labels.vulnerable;
    assert!(version.evidence.is_sorted());
    // CR ends a line too, and an insertion at the end stands before the line behind the last one: this may be too many, never too few.
    let last_line = version.text.matches(['\n', '\r']).count() as u32 + 2;
    for (index, label) in version.labels.iter().enumerate() {
        let reasons = || version.evidence.iter().filter(|one| one.step == index).map(|one| &one.reason);
        let sources = reasons().fold(Sources::NONE, |all, reason| all.with(reason.source));
        match label {
            Label::Vulnerable if mode == LabelMode::PaperCleaned => assert!(!sources.is_empty()),
            Label::Vulnerable => assert_eq!(sources, version.sources[index]),
            Label::Secure => assert!(sources.is_empty()),
        }
        assert!(reasons().all(|reason| (1..=last_line).contains(&reason.lines.0)));
    }
    assert!(version.evidence.iter().all(|one| one.step < version.labels.len()));
}

/// Rule 7, read directly: supervision is withheld exactly where text and prefix are equal and labels are not.
fn assert_unsupervised_steps_are_shared(labels: &secprm_stages::label::PairLabels<'_>) {
    let (vulnerable, fixed) = (&labels.vulnerable, &labels.fixed);
    for (version, other) in [(vulnerable, fixed), (fixed, vulnerable)] {
        for (index, step) in version.steps.iter().enumerate() {
            let twin = other.steps.iter().position(|twin| {
                twin.bytes == step.bytes && version.text[..step.bytes.end] == other.text[..step.bytes.end]
            });
            let conflict = twin.is_some_and(|twin| other.labels[twin] != version.labels[index]);
            assert_eq!(version.supervised[index], !conflict);
        }
    }
}

#[test]
fn no_input_is_too_deep_too_long_or_too_strange() {
    let options = SegmentOptions::default();
    let long_line = "a b(\"c\") + ".repeat(100_000);
    let inputs = [
        "(".repeat(100_000),
        "{(".repeat(100_000),
        "}".repeat(100_000),
        "([{".repeat(50_000) + &")]}".repeat(50_000),
        "#if A\n{\n".repeat(50_000),
        "else ".repeat(100_000),
        "\"".repeat(100_001),
        "'".repeat(100_001),
        "/*".repeat(100_000),
        "\r".repeat(100_000),
        "\0".repeat(100_000),
        "\\\n".repeat(100_000),
        "R\"(".repeat(50_000),
        "r###\"".repeat(50_000),
        "x = \"\"\"\n".repeat(50_001),
        long_line,
    ];
    for language in Language::ALL {
        for input in &inputs {
            assert_complete(input, &segment(input, language, &options));
        }
    }
}

#[test]
fn unbalanced_code_never_makes_the_rest_of_a_file_one_step() {
    let options = SegmentOptions::default();
    let body = "    a = f(a);\n\n".repeat(500);
    let openings = [
        (Language::C, "int f() {\n  g(1,\n"),
        (Language::C, "char *s = \"open;\n"),
        (Language::Cpp, "auto s = R\"(open;\n"),
        (Language::Python, "def f():\n    g([1,\n"),
        (Language::Python, "s = '''open\n"),
        (Language::JavaScript, "f(function() { g(\n"),
    ];
    for (language, opening) in openings {
        let code = format!("{opening}{body}");
        let steps = segment(&code, language, &options);
        let longest = steps.iter().map(|step| step.lines.1 - step.lines.0).max();
        assert!(steps.len() > 5, "{language} {opening:?}: {}", steps.len());
        assert!(longest <= Some(170), "{language} {opening:?}: {longest:?}");
    }
}

#[test]
fn steps_do_not_depend_on_the_other_version() {
    let vulnerable = "int f()\n{\n    a();\n\n    b();\n}\n";
    let others = ["int f()\n{\n    b();\n}\n", "x;", ""];
    let steps = segment(vulnerable, Language::C, &SegmentOptions::default());
    for fixed in others {
        let labels = label_pair(vulnerable, fixed, Language::C, LabelMode::Natural, &LabelOptions::default()).unwrap();
        assert_eq!(labels.vulnerable.steps, steps);
        assert!(labels.vulnerable.labels.contains(&Label::Vulnerable));
    }
}
