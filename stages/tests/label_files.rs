//! Pairs of several files: the laws hold for their files put together, and no step crosses a border.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use secprm_stages::label::{
    CodePair, Comments, FileEnds, Finding, Label, LabelMode, LabelOptions, NoSample, SegmentOptions, Sources,
    VersionLabels, label_pair, segment, strip_comments,
};
use secprm_stages::language::Language;

#[derive(Debug)]
struct File {
    language: Language,
    vulnerable: String,
    fixed: String,
}

fn file(language: Language, vulnerable: &str, fixed: &str) -> File {
    File { language, vulnerable: vulnerable.to_owned(), fixed: fixed.to_owned() }
}

/// Both versions of all files, and where each ends.
fn joined(files: &[File]) -> (String, String, Vec<FileEnds>) {
    let (mut vulnerable, mut fixed, mut ends) = (String::new(), String::new(), Vec::new());
    for file in files {
        vulnerable.push_str(&file.vulnerable);
        fixed.push_str(&file.fixed);
        ends.push(FileEnds { language: file.language, vulnerable: vulnerable.len(), fixed: fixed.len() });
    }
    (vulnerable, fixed, ends)
}

/// Labels files in mode `natural` and writes a line per step of the vulnerable version: file, lines, label, sources, text.
fn summary(files: &[File], expert_lines: &[u32], findings: &[Finding], options: &LabelOptions) -> Vec<String> {
    let (vulnerable, fixed, ends) = joined(files);
    let pair = CodePair { files: &ends, expert_lines, findings, ..CodePair::new(&vulnerable, &fixed, Language::Text) };
    let labels = pair.label(LabelMode::Natural, options).unwrap();
    let version = &labels.vulnerable;
    let step = |step: usize| {
        let (first, last) = version.steps[step].lines;
        let label = version.labels[step].as_i8();
        let text = version.step_text(step).trim();
        format!("{} {first}-{last} {label} {} {text}", version.files[step], version.sources[step])
    };
    (0..version.steps.len()).map(step).collect()
}

#[test]
fn each_file_is_cut_in_its_own_language_and_lines_count_on() {
    let files = [
        file(Language::C, "f(a,\n\n b);\n\ng();", "f(a,\n\n b);\n\ngg();"),
        file(Language::Python, "x = '''a\n\nb'''\n\n# c\n", "x = '''a\n\nb'''\n\n# c\n"),
        file(Language::Text, "", "added\n"),
        file(Language::Text, "one\n\ntwo\n", ""),
    ];
    assert_eq!(
        summary(&files, &[], &[], &LabelOptions::default()),
        [
            "0 1-4 1 unchanged f(a,\n\n b);",
            "0 5-5 0 diff g();",
            "1 6-10 1 unchanged x = '''a\n\nb'''\n\n# c",
            "3 11-12 0 diff one",
            "3 13-13 0 diff two",
        ]
    );
}

#[test]
fn evidence_is_judged_over_the_whole_pair() {
    // Beside changed code, an inserted declaration in another file marks nothing.
    let files = [
        file(Language::C, "f();\n\ng();\n", "f();\n\nint n;\ng();\n"),
        file(Language::C, "strcpy(a, b);\n", "strlcpy(a, b, n);\n"),
    ];
    let options = LabelOptions::default();
    let labels = |files: &[File]| -> Vec<String> {
        summary(files, &[], &[], &options).iter().map(|step| step.split(' ').nth(2).unwrap().to_owned()).collect()
    };
    assert_eq!(labels(&files), ["1", "1", "0"]);
    let files = [file(Language::C, "f();\n\ng();\n", "f();\n\nint n;\ng();\n"), file(Language::C, "h();\n", "h();\n")];
    assert_eq!(labels(&files), ["1", "0", "1"]);
    // A fix that only adds a file marks the next line of code, or the last one.
    let added = |before: &str, after: &str| {
        labels(&[file(Language::C, before, before), file(Language::C, "", "k();\n"), file(Language::C, after, after)])
    };
    assert_eq!(added("f();\n\ng();\n", "h();\n\ni();\n"), ["1", "1", "0", "1"]);
    assert_eq!(added("f();\n\ng();\n", ""), ["1", "0"]);
}

#[test]
fn given_lines_add_to_the_differences_and_mark_only_code() {
    let code = "a();\n\n// about b\nb();\n\nc();\n\nd();\n";
    let files =
        [file(Language::C, code, &code.replace("c()", "cc()")), file(Language::C, "e();\n\nf();\n", "e();\n\nf();\n")];
    let finding = |file, start_line, end_line| Finding { file, start_line, end_line, rule: None };
    let sources = |experts: &[u32], findings: &[Finding], options: &LabelOptions| -> Vec<String> {
        summary(&files, experts, findings, options)
            .iter()
            .map(|step| step.split(' ').skip(2).take(2).collect::<Vec<_>>().join(" "))
            .collect()
    };
    let options = LabelOptions::default();
    assert_eq!(
        sources(&[2, 3, 4, 6, 99], &[finding(1, 2, 3), finding(0, 8, 8), finding(7, 1, 1)], &options),
        ["1 unchanged", "0 expert", "0 diff+expert", "0 analyzer", "1 unchanged", "0 analyzer"]
    );
    // Experts count lines over the whole version.
    assert_eq!(sources(&[9], &[], &options)[4], "0 expert");
    let none = LabelOptions { given: Vec::new(), ..LabelOptions::default() };
    assert_eq!(
        sources(&[4], &[finding(1, 1, 3)], &none),
        ["1 unchanged", "1 unchanged", "0 diff", "1 unchanged", "1 unchanged", "1 unchanged"]
    );
    // Lines are those of the text with its comments, also where comments go.
    let strip = LabelOptions { comments: Comments::Strip, ..LabelOptions::default() };
    assert_eq!(
        sources(&[3, 4, 9], &[], &strip),
        ["1 unchanged", "0 expert", "0 diff", "1 unchanged", "0 expert", "1 unchanged"]
    );
}

#[test]
fn given_labels_make_no_sample_of_a_pair_without_a_difference() {
    let pair = CodePair { expert_lines: &[1], ..CodePair::new("a();\n", "a();\n", Language::C) };
    assert!(matches!(pair.label(LabelMode::Natural, &LabelOptions::default()), Err(NoSample::NoCodeDifference(_))));
}

#[test]
fn the_published_modes_take_each_file_by_itself() {
    let files =
        [file(Language::C, "a\n\nb", "a\n\nc"), file(Language::C, "", "x"), file(Language::C, "d\n\ne\n", "d\n\ne\n")];
    let (vulnerable, fixed, ends) = joined(&files);
    let pair = CodePair { files: &ends, ..CodePair::new(&vulnerable, &fixed, Language::C) };
    let labels = pair.label(LabelMode::Paper, &LabelOptions::default()).unwrap();
    let texts: Vec<&str> = labels.vulnerable.texts().collect();
    assert_eq!(texts, ["a\n", "b", "d", "e"]);
    assert_eq!(labels.vulnerable.files, [0, 0, 2, 2]);
    assert_eq!(labels.vulnerable.sources[3], Sources::FORCED);
    assert_eq!(labels.fixed.files, [0, 0, 1, 2, 2]);
}

#[test]
fn ends_that_fit_no_text_make_one_file() {
    let ends = |vulnerable, fixed| FileEnds { language: Language::Python, vulnerable, fixed };
    let (vulnerable, fixed) = ("f(\u{e9},\n\n b);\n", "f(\u{e9},\n\n c);\n");
    let whole = label_pair(vulnerable, fixed, Language::C, LabelMode::Natural, &LabelOptions::default()).unwrap();
    for files in
        [vec![ends(3, 3), ends(12, 12)], vec![ends(5, 5), ends(4, 4)], vec![ends(5, 5)], vec![ends(usize::MAX, 1)]]
    {
        let pair = CodePair { files: &files, ..CodePair::new(vulnerable, fixed, Language::C) };
        assert_eq!(pair.label(LabelMode::Natural, &LabelOptions::default()).unwrap(), whole);
    }
}

const PIECES: &[&str] = &[
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "f();\n",
    "int x;\n",
    "return x;\n",
    "}\n",
    "{\n",
    "(",
    ")",
    "/* c */",
    "// c\n",
    "# c\n",
    "\"",
    "'''",
    "`",
    "if (x) {\n",
    "def f():\n",
    "    g()\n",
    "<?php\n",
    "?>",
    "é",
    "x = 1",
    "import a\n",
];

fn files() -> impl Strategy<Value = Vec<File>> {
    let text = || proptest::collection::vec(proptest::sample::select(PIECES), 0..12).prop_map(|pieces| pieces.concat());
    let changed = |text: String, change: Option<String>| change.unwrap_or(text);
    let file = (proptest::sample::select(&Language::ALL[..]), text(), proptest::option::of(text())).prop_map(
        move |(language, vulnerable, change)| {
            let fixed = changed(vulnerable.clone(), change);
            File { language, vulnerable, fixed }
        },
    );
    proptest::collection::vec(file, 2..5)
}

fn assert_joined(version: &VersionLabels<'_>, texts: &[(Language, &str)], comments: Comments) {
    let options = SegmentOptions::default();
    let (mut bytes, mut lines, mut step) = (0, 0, 0);
    for (index, (language, text)) in texts.iter().enumerate() {
        let text = match comments {
            Comments::Keep => (*text).to_owned(),
            Comments::Strip => strip_comments(text, *language).into_owned(),
        };
        let steps = segment(&text, *language, &options);
        for alone in &steps {
            assert_eq!(version.step_text(step), alone.text(&text));
            assert_eq!(version.files[step] as usize, index);
            assert_eq!(version.steps[step].bytes.start, alone.bytes.start + bytes);
            assert_eq!(version.steps[step].lines, (alone.lines.0 + lines, alone.lines.1 + lines));
            step += 1;
        }
        bytes += text.len();
        lines += steps.last().map_or(0, |last| last.lines.1);
    }
    assert_eq!(step, version.steps.len());
    assert_eq!(bytes, version.text.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_steps_of_a_pair_are_those_of_its_files(files in files(), strip in any::<bool>()) {
        let (vulnerable, fixed, ends) = joined(&files);
        let pair = CodePair { files: &ends, ..CodePair::new(&vulnerable, &fixed, Language::C) };
        let comments = if strip { Comments::Strip } else { Comments::Keep };
        let options = LabelOptions { comments, ..LabelOptions::default() };
        let old: Vec<_> = files.iter().map(|file| (file.language, file.vulnerable.as_str())).collect();
        let new: Vec<_> = files.iter().map(|file| (file.language, file.fixed.as_str())).collect();
        match pair.label(LabelMode::Natural, &options) {
            Ok(labels) => {
                assert_joined(&labels.vulnerable, &old, comments);
                assert_joined(&labels.fixed, &new, comments);
                prop_assert!(labels.vulnerable.labels.contains(&Label::Vulnerable));
                prop_assert_eq!(labels.fixed.vulnerable_steps(), 0);
                prop_assert_eq!(labels.vulnerable.files.len(), labels.vulnerable.labels.len());
            }
            Err(NoSample::EmptyVersion) => prop_assert!(vulnerable.is_empty() || strip),
            Err(NoSample::NoCodeDifference(_)) => {}
        }
    }

    #[test]
    fn the_published_steps_of_a_pair_are_those_of_its_files(files in files()) {
        let (vulnerable, fixed, ends) = joined(&files);
        let pair = CodePair { files: &ends, ..CodePair::new(&vulnerable, &fixed, Language::C) };
        for mode in [LabelMode::Paper, LabelMode::PaperCleaned] {
            let labels = pair.label(mode, &LabelOptions::default()).unwrap();
            let mut texts = Vec::new();
            for file in files.iter().filter(|file| !file.vulnerable.is_empty()) {
                let alone = label_pair(&file.vulnerable, &file.fixed, file.language, mode, &LabelOptions::default());
                texts.extend(alone.unwrap().vulnerable.texts().map(str::to_owned));
            }
            prop_assert_eq!(labels.vulnerable.texts().map(str::to_owned).collect::<Vec<_>>(), texts);
            prop_assert_eq!(labels.vulnerable.files.len(), labels.vulnerable.steps.len());
        }
    }
}
