//! The rules of mode `natural`, one by one, on code that a reader can follow.

#![allow(clippy::unwrap_used)]

use secprm_stages::label::{
    AlignmentKind, Comments, Label, LabelMode, LabelOptions, NoSample, SegmentOptions, Sources, VersionLabels,
    label_pair, segment,
};
use secprm_stages::language::Language;

fn steps_with<'a>(code: &'a str, language: Language, options: &SegmentOptions) -> Vec<&'a str> {
    segment(code, language, options).into_iter().map(|step| &code[step.bytes]).collect()
}

fn steps(code: &str, language: Language) -> Vec<&str> {
    steps_with(code, language, &SegmentOptions::default())
}

/// Joins what should be single steps and expects to find them again.
fn assert_steps(language: Language, expected: &[&str]) {
    assert_eq!(steps(&expected.concat(), language), expected);
}

#[test]
fn rule_1_every_line_end_counts_and_white_space_makes_no_line() {
    assert_steps(Language::C, &["a();\r\n\r\n", "b();\r\n \t \r\n", "c();\r\r", "d();\n\u{a0}\n", "e();\n"]);
    assert_steps(Language::Text, &["a\n\n", "b\n   \n\n", "c \n"]);
}

#[test]
fn rule_1_a_blank_line_belongs_to_the_step_before_it() {
    assert_steps(Language::C, &["\n\nf();\n\n\n", "    g();\n\n"]);
}

#[test]
fn rule_2_blank_lines_separate_in_the_body_of_a_function_and_of_an_if() {
    assert_steps(
        Language::C,
        &["int f(int a)\n{\n    int b = a;\n\n", "    if (a) {\n        g();\n\n", "        h();\n    }\n}\n"],
    );
    assert_steps(Language::Python, &["def f(a):\n\n", "    if a:\n\n", "        g()\n\n", "    h()\n"]);
}

#[test]
fn rule_2_blank_lines_do_not_separate_inside_of_literals_comments_brackets_and_statements() {
    for code in [
        "f(a,\n\n  b);\n",
        "int a[] = {\n    1,\n\n    2,\n};\n",
        "/* a\n\n b */ f();\n",
        "a = b +\n\n    c;\n",
        "#define F(x) \\\n    g(x) \\\n\n",
        "auto s = R\"x(\n\n)\" )x\";\n",
        "char *s = \"a \\\n\n b\";\n",
    ] {
        assert_eq!(steps(code, Language::Cpp), [code]);
    }
    for code in ["f(a,\n\n  b)\n", "s = '''a\n\nb'''\n", "a = b + \\\n\n", "d = {\n    1: 2,\n\n    3: 4,\n}\n"] {
        assert_eq!(steps(code, Language::Python), [code]);
    }
}

#[test]
fn rule_2_comment_and_quote_signs_in_the_wrong_place_open_nothing() {
    assert_steps(Language::C, &["a = \"/*\";\n\n", "b = '\"';\n\n", "// it's (\nc();\n"]);
    assert_steps(Language::C, &["x = 1'000; y = '\\'';\n\n", "f();\n"]);
    assert_steps(Language::Python, &["a = '#('\n\n", "b = \"it's\"\n\n", "f(r'\\')')\n"]);
    assert_steps(Language::Rust, &["fn f<'a>(x: &'a str) -> char { '\"' }\n\n", "const A: u8 = 1;\n"]);
}

#[test]
fn rule_2_a_long_chunk_is_cut_at_the_last_statement_end() {
    let options = SegmentOptions { max_step_lines: 4, ..SegmentOptions::default() };
    let code = "a();\nb();\nc(1,\n  2);\nd(1,\n  2,\n  3);\ne();\n";
    assert_eq!(steps_with(code, Language::C, &options), ["a();\nb();\nc(1,\n  2);\n", "d(1,\n  2,\n  3);\ne();\n"]);
    let bytes = SegmentOptions { max_step_bytes: 12, ..SegmentOptions::default() };
    assert_eq!(steps_with("aa();\nbb();\ncc();\n", Language::C, &bytes), ["aa();\nbb();\n", "cc();\n"]);
    assert_eq!(
        steps_with("a = 1\nb = 2\nif c:\n    d()\n", Language::Python, &bytes),
        ["a = 1\nb = 2\n", "if c:\n    d()\n"]
    );
}

#[test]
fn rule_2_a_second_definition_at_the_top_level_begins_a_step() {
    assert_steps(
        Language::C,
        &[
            "int f(void)\n{\n    return 1;\n}\n",
            "/* g */\nint g(void)\n{\n    return 2;\n}\n",
            "struct s {\n    int a;\n};\n",
        ],
    );
    assert_steps(Language::Cpp, &["namespace n {\nint f() { return 1; }\n", "int g() { return 2; }\n}\n"]);
    assert_steps(
        Language::Python,
        &[
            "def f():\n    return 1\n",
            "@memo\ndef g():\n    return 2\n",
            "class C:\n    def h(self):\n        return 3\n",
        ],
    );
    // Methods are not at the top level.
    assert_steps(Language::Python, &["class C:\n    def a(self): pass\n    def b(self): pass\n"]);
}

#[test]
fn rule_3_comments_and_closing_braces_travel_with_the_next_step() {
    assert_steps(Language::C, &["a();\n\n", "/* about b */\n\nb();\n"]);
    assert_steps(Language::C, &["if (a) {\n    b();\n\n", "}\n\nc();\n"]);
    assert_steps(Language::C, &["#ifdef A\na();\n\n", "#endif\n\nc();\n"]);
    assert_steps(Language::Python, &["a()\n\n", "# about b\n\nb()\n"]);
}

#[test]
fn rule_3_at_the_end_they_stay_with_the_last_step() {
    assert_steps(Language::C, &["a();\n\n", "if (b) {\n    c();\n\n}\n\n/* the end */\n"]);
    assert_steps(Language::C, &["/* only a comment */\n\n/* and another */\n"]);
}

#[test]
fn rule_4_what_only_ends_a_block_joins_the_step_before() {
    assert_steps(Language::C, &["a();\n\n", "b();\n\nreturn ERR_PTR(-EINVAL);\n}\n"]);
    assert_steps(
        Language::C,
        &["switch (x) {\ncase 1:\n    a();\n\n    break;\n\n", "case 2:\n    b();\n\n    break;\n}\n"],
    );
    assert_steps(Language::C, &["#if A\na();\n\n#else\n\n", "b();\n#endif\n"]);
    assert_steps(Language::Cpp, &["a();\n\nthrow Error(\"x\");\n\n", "b();\n"]);
    assert_steps(Language::Python, &["a()\n\nreturn {\n    'b': c,\n}\n\n", "d()\n"]);
    assert_steps(Language::C, &["int f()\n{\n    a();\n\n    return b();\n}\n", "int g()\n{\n}\n"]);
    assert_steps(Language::Python, &["def f():\n    a()\n\n    return b()\n", "def g():\n    pass\n"]);
    // With anything else in it, it is a step of its own.
    assert_steps(Language::C, &["a();\n\n", "b();\nreturn x;\n}\n"]);
}

#[test]
fn rule_4_what_only_declares_joins_the_next_step() {
    assert_steps(Language::C, &["a();\n\n", "register ssize_t i;\nchar *p, buffer[12];\n\ni = p - buffer;\n"]);
    assert_steps(Language::C, &["#include <a.h>\n#include <b.h>\n\nint f(int);\n\nint f(int a)\n{\n}\n"]);
    assert_steps(Language::Cpp, &["using namespace std;\n\nnamespace a {\n\nint b = 1;\n\n", "}\n\nint c = 2;\n"]);
    assert_steps(Language::Python, &["import os\nfrom a import (b,\n    c)\n\nx = 1\n\n", "y = 2\n"]);
    // An initialiser makes it code.
    assert_steps(Language::C, &["int a = f();\n\n", "b();\n"]);
    assert_steps(Language::C, &["{\na * b();\nb++;\n\n", "c();\n}\n"]);
}

#[test]
fn rule_4_configured_texts_join_beside_the_statement_kinds() {
    let options = SegmentOptions {
        suffix_texts: vec!["cleanup();".to_owned()],
        prefix_texts: vec!["begin();".to_owned()],
        ..SegmentOptions::default()
    };
    let code = "a();\n\n  cleanup();\n\nbegin();\n\nb();\n\ncleanup(c);\n";
    assert_eq!(
        steps_with(code, Language::C, &options),
        ["a();\n\n  cleanup();\n\n", "begin();\n\nb();\n\n", "cleanup(c);\n"]
    );
}

#[test]
fn joins_end_where_a_step_is_over_its_limits() {
    let options = SegmentOptions { max_step_lines: 3, ..SegmentOptions::default() };
    let code = "int a;\n\nint b;\n\nint c;\n\nint d;\n\nint e;\n\nf();\n";
    let longest = steps_with(code, Language::C, &options).iter().map(|step| step.lines().count()).max();
    assert_eq!(longest, Some(4));
}

/// Labels a pair in C and writes one line per step of the vulnerable version: label, sources, first line of the text.
fn summary(version: &VersionLabels<'_>) -> Vec<String> {
    (0..version.steps.len())
        .map(|step| {
            let label = version.labels[step].as_i8();
            let text = version.step_text(step).trim().lines().next().unwrap_or("").to_owned();
            format!("{label} {} {text}", version.sources[step])
        })
        .collect()
}

fn labelled(vulnerable: &str, fixed: &str) -> Vec<String> {
    let options = LabelOptions::default();
    let labels = label_pair(vulnerable, fixed, Language::C, LabelMode::Natural, &options).unwrap();
    assert_eq!(labels.fixed.vulnerable_steps(), 0);
    assert!(labels.fixed.sources.iter().all(|sources| *sources == Sources::FIXED));
    assert_eq!(labels.alignment, AlignmentKind::Gestalt);
    summary(&labels.vulnerable)
}

#[test]
fn rule_6_a_changed_line_of_code_marks_its_step() {
    assert_eq!(
        labelled("a();\n\nstrcpy(b, c);\n\nd();\n", "a();\n\nstrlcpy(b, c, n);\n\nd();\n"),
        ["1 unchanged a();", "0 diff strcpy(b, c);", "1 unchanged d();"]
    );
}

#[test]
fn rule_5_comments_and_white_space_are_no_difference() {
    assert_eq!(
        labelled("a( x );  /* old */\n\nb();\n\nc();\n", "// new\na(x);\n\nbb();\n\n\nc ( ) ;\n"),
        ["1 unchanged a( x );  /* old */", "0 diff b();", "1 unchanged c();"]
    );
}

#[test]
fn rule_6_an_insertion_marks_the_step_of_the_next_line_of_code() {
    assert_eq!(
        labelled("a();\n\nuse(p);\n\nb();\n", "a();\n\nif (!p)\n    return;\n\nuse(p);\n\nb();\n"),
        ["1 unchanged a();", "0 insertion use(p);", "1 unchanged b();"]
    );
}

#[test]
fn rule_6_an_insertion_before_a_closing_brace_or_the_end_marks_the_step_before() {
    assert_eq!(
        labelled(
            "if (x) {\n    a();\n\n    free(p);\n}\n\nb();\n",
            "if (x) {\n    a();\n\n    free(p);\n    p = NULL;\n}\n\nb();\n"
        ),
        ["1 unchanged if (x) {", "0 insertion free(p);", "1 unchanged b();"]
    );
    assert_eq!(
        labelled("a();\n\nfree(p);\n", "a();\n\nfree(p);\np = NULL;\n"),
        ["1 unchanged a();", "0 insertion free(p);"]
    );
}

#[test]
fn rule_6_inserted_declarations_mark_nothing_beside_another_hunk_but_are_marked_alone() {
    let vulnerable = "f();\n\ng();\n\nstrcpy(a, b);\n";
    let declared = "f();\n\nsize_t n;\ng();\n\n";
    assert_eq!(
        labelled(vulnerable, &format!("{declared}n = strlcpy(a, b, 9);\n")),
        ["1 unchanged f();", "1 unchanged g();", "0 diff strcpy(a, b);"]
    );
    assert_eq!(
        labelled(vulnerable, &format!("{declared}strcpy(a, b);\n")),
        ["1 unchanged f();", "0 insertion g();", "1 unchanged strcpy(a, b);"]
    );
}

#[test]
fn rule_6_braces_that_move_are_marked_only_when_nothing_else_differs() {
    assert_eq!(
        labelled("if (a) {\n    b();\n    c();\n}\n\nd();\n", "if (a) {\n    b();\n}\n    c();\n\nd();\n").len(),
        2
    );
    let labels = labelled("{\na();\n}\n\nb();\n", "{\na();\n\nb();\n}\n");
    assert!(labels.iter().any(|label| label.starts_with('0')), "{labels:?}");
}

#[test]
fn rule_6_both_sources_of_a_step_are_kept() {
    assert_eq!(labelled("a();\nb();\nc();\n", "a(1);\nb();\nx();\nc();\n"), ["0 diff+insertion a();"]);
}

#[test]
fn rule_7_a_step_that_reads_the_same_in_both_versions_is_not_supervised() {
    let options = LabelOptions::default();
    let vulnerable = "a();\n\nfree(p);\n\n}\n";
    let fixed = "a();\n\nfree(p);\n\np = NULL;\n}\n";
    let labels = label_pair(vulnerable, fixed, Language::C, LabelMode::Natural, &options).unwrap();
    assert_eq!(labels.vulnerable.labels, [Label::Secure, Label::Vulnerable]);
    // The last step reads on in the fixed version, so both can be learned.
    assert_eq!(labels.vulnerable.supervised, [true, true]);

    // The insertion is marked before its place, where both versions still read the same.
    let vulnerable = "if (x) {\n    free(p);\n\n    }\n    /* q */\n\nq();\n\nr();\n";
    let fixed = "if (x) {\n    free(p);\n\n    p = NULL;\n    }\n    /* q */\n\nq();\n\nr();\n";
    let labels = label_pair(vulnerable, fixed, Language::C, LabelMode::Natural, &options).unwrap();
    assert_eq!(labels.vulnerable.labels[0], Label::Vulnerable);
    assert_eq!(labels.vulnerable.supervised, [false, true, true]);
    assert!(!labels.fixed.supervised[0]);
}

#[test]
fn rule_11_pairs_without_a_code_difference_give_no_sample_but_only_in_natural_mode() {
    let options = LabelOptions::default();
    for (fixed, difference) in [("a();\n", "none"), ("a( );\n\n", "whitespace"), ("a(); // b\n", "comment")] {
        let label = |mode| label_pair("a();\n", fixed, Language::C, mode, &options);
        let Err(NoSample::NoCodeDifference(found)) = label(LabelMode::Natural) else {
            panic!("{fixed:?} gave a sample");
        };
        assert_eq!(found.as_str(), difference);
        assert!(label(LabelMode::Paper).is_ok());
    }
    assert_eq!(label_pair("", "a();", Language::C, LabelMode::Natural, &options), Err(NoSample::EmptyVersion));
}

#[test]
fn comments_can_be_taken_out_before_everything_else() {
    let options = LabelOptions { comments: Comments::Strip, ..LabelOptions::default() };
    let labels =
        label_pair("/* a */\na(); // b\n\nb();\n", "a();\n\nbb();\n", Language::C, LabelMode::Natural, &options)
            .unwrap();
    assert_eq!(labels.vulnerable.texts().collect::<Vec<_>>(), ["a();\n\n", "b();\n"]);
    assert_eq!(summary(&labels.vulnerable), ["1 unchanged a();", "0 diff b();"]);
}

#[test]
fn paper_mode_lets_the_other_version_decide_and_has_empty_steps() {
    let options = LabelOptions::default();
    let labels = label_pair("\n a\nb\n\nc", "a\nx\nb\n\nc\n", Language::C, LabelMode::Paper, &options).unwrap();
    assert_eq!(labels.vulnerable.texts().collect::<Vec<_>>(), ["a", "", "b", "c"]);
    assert_eq!(labels.fixed.texts().collect::<Vec<_>>(), ["a", "x", "b", "c"]);
    assert_eq!(summary(&labels.vulnerable), ["1 unchanged a", "0 insertion ", "1 unchanged b", "1 unchanged c"]);
    let equal = label_pair("a\n\nb", "a\n\nb", Language::C, LabelMode::Paper, &options).unwrap();
    assert_eq!(summary(&equal.vulnerable), ["1 unchanged a", "0 forced b"]);
}

#[test]
fn paper_cleaned_mode_removes_comments_and_joins_where_labels_are_equal() {
    let options = LabelOptions::default();
    let vulnerable = "int i;\n\n/* c */\n\na();\n\nb();\n\nreturn 0;\n}";
    let fixed = "int i;\n\n/* c */\n\na();\n\nbb();\n\nreturn 0;\n}";
    let labels = label_pair(vulnerable, fixed, Language::C, LabelMode::PaperCleaned, &options).unwrap();
    assert_eq!(
        labels.vulnerable.texts().collect::<Vec<_>>(),
        ["int i;\n\n/* c */\n\na();\n", "b();", "\nreturn 0;\n}"]
    );
    assert_eq!(labels.vulnerable.labels, [Label::Secure, Label::Vulnerable, Label::Secure]);
}
