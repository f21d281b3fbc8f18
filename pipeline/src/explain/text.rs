//! A sample, or one of its steps, written down for people.

use std::io::{self, Write};

use super::facts::{Facts, Reason, Step};
use super::side_by_side::{Line, Row, Style, beside};
use crate::output::counted;

/// Lines before and after the step that are shown beside it.
const CONTEXT: i64 = 3;

/// Room for a line's number and the sign that says what happened to it.
const MARGIN: usize = 8;

/// Writes the chain from the raw record to the scores, then all steps in short, or one of them with its reasons and both versions.
///
/// `width` is in characters.
///
/// # Errors
/// Of the writer.
pub fn write_text(
    out: &mut dyn Write,
    facts: &Facts,
    step: Option<&Step>,
    width: usize,
    style: Style,
) -> io::Result<()> {
    let Some(first) = facts.steps.first() else { return Ok(()) };
    write_chain(out, first)?;
    writeln!(out)?;
    match step {
        Some(step) => write_step(out, facts, step, width, style),
        None => write_steps(out, facts),
    }
}

fn write_chain(out: &mut dyn Write, sample: &Step) -> io::Result<()> {
    let mut entry = |name: &str, text: String| match text.is_empty() {
        true => Ok(()),
        false => writeln!(out, "{name:<11} {text}"),
    };
    let joined = |parts: &[Option<String>]| {
        parts.iter().flatten().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(", ")
    };
    entry(
        "raw file",
        joined(&[
            sample.source_file.clone(),
            sample.source_row.map(|row| format!("record {row}")),
            sample.byte_offset.map(|byte| format!("byte {byte}")),
        ]),
    )?;
    let cwe = (!sample.cwe.is_empty()).then(|| sample.cwe.join(" "));
    entry(
        "pair",
        format!(
            "{}  {}",
            sample.pair_id,
            joined(&[
                Some(sample.dataset.clone()),
                Some(sample.granularity.clone()),
                Some(sample.language.clone()),
                cwe,
                sample.cve.clone()
            ])
        ),
    )?;
    entry(
        "",
        joined(&[
            sample.project.clone(),
            sample.commit_id.as_ref().map(|commit| format!("commit {commit}")),
            sample.file_path.clone(),
            sample.function_name.clone(),
        ]),
    )?;
    let upstream = sample.upstream_split.as_ref().map(|split| format!("its dataset says {split}"));
    let source = sample.split_source.as_ref().map(|source| format!("decided by {source}"));
    entry("split", joined(&[Some(sample.split.clone()), source, upstream]))?;
    let aligned = sample.alignment.as_ref().map(|kind| format!("lines aligned by {kind}"));
    let callers =
        sample.propagation.as_ref().filter(|extent| *extent != "none").map(|extent| format!("callers: {extent}"));
    let difference = sample.code_difference.as_ref().map(|kind| format!("the versions differ in {kind}"));
    entry("labels", joined(&[difference, aligned, callers]))?;
    entry(
        "sample",
        format!(
            "{}  {} version, mode {}, rules of version {}, {}, {}",
            sample.sample_id,
            sample.role,
            sample.label_mode.as_str(),
            sample.rule_version,
            counted(sample.n_steps, "step"),
            counted(sample.n_chars, "character")
        ),
    )?;
    let shard = match (sample.windows, sample.tokens) {
        (Some(windows), Some(tokens)) => {
            let tokenizer = sample.tokenizer_id.as_deref().unwrap_or("");
            format!("{}, {} of tokenizer {tokenizer}", counted(windows, "window"), counted(tokens, "token"))
        }
        _ => "none: of another label mode than the one that is trained on, or not made yet".to_owned(),
    };
    entry("shard", shard)?;
    entry("model", sample.model_id.clone().unwrap_or_else(|| "none has scored it".to_owned()))?;
    if let (Some(reward), Some(predicted)) = (sample.verdict_reward, sample.predicted) {
        entry("verdict", format!("{} (risk aggregation, R = {reward:.4})", word(predicted)))?;
    }
    Ok(())
}

fn word(label: i64) -> &'static str {
    if label == 0 { "vulnerable" } else { "secure" }
}

fn write_steps(out: &mut dyn Write, facts: &Facts) -> io::Result<()> {
    writeln!(out, "{:>5}  {:<11} {:<13} {:<24} {:>8}", "step", "lines", "label", "from", "p_secure")?;
    for step in &facts.steps {
        let supervised = if step.supervised { "" } else { ", not supervised" };
        let p_secure = step.p_secure.map_or_else(String::new, |p_secure| format!("{p_secure:.4}"));
        let row = format!(
            "{:>5}  {:<11} {:<13} {:<24} {p_secure:>8}",
            step.step_index,
            span(step.start_line, step.end_line),
            format!("{} {}", step.label, word(step.label)),
            format!("{}{supervised}", step.label_source),
        );
        writeln!(out, "{}", row.trim_end())?;
    }
    Ok(())
}

fn span(first: i64, last: i64) -> String {
    if last == first { first.to_string() } else { format!("{first}-{last}") }
}

fn write_step(out: &mut dyn Write, facts: &Facts, step: &Step, width: usize, style: Style) -> io::Result<()> {
    let path = step.step_path.as_ref().map(|path| format!(" of {path}")).unwrap_or_default();
    let supervised = if step.supervised { "" } else { ", not supervised (rule 7)" };
    let (index, lines) = (step.step_index, span(step.start_line, step.end_line));
    writeln!(
        out,
        "step {index}, lines {lines}{path}: label {} ({}) from {}{supervised}",
        step.label,
        word(step.label),
        step.label_source
    )?;
    for reason in &step.reasons {
        writeln!(out, "  {}", describe(reason))?;
    }
    if let (Some(p_secure), Some(reward)) = (step.p_secure, step.reward) {
        let prefix = step.prefix_reward.map(|reward| format!(", prefix reward {reward:.4}")).unwrap_or_default();
        writeln!(out, "  scored: p_secure {p_secure:.4}, reward {reward:.4}{prefix}")?;
    }
    writeln!(out)?;
    let [Some(vulnerable), Some(fixed)] = &facts.versions else {
        for (line, number) in step.text.lines().zip(step.start_line..) {
            let line = Line { number: number as u32, pieces: vec![(false, line.to_owned())] };
            writeln!(out, "{:>6}  {}", number, line.fit(width.saturating_sub(MARGIN), style, ["", ""]).trim_end())?;
        }
        return Ok(());
    };
    let rows = beside(vulnerable, fixed);
    let is_vulnerable = step.role == "vulnerable";
    write_rows(out, shown(&rows, is_vulnerable, step), step, width, style)
}

fn describe(reason: &Reason) -> String {
    let lines = |first: i64, last: i64| match last < first {
        true => format!("before line {first}"),
        false if first == last => format!("line {first}"),
        false => format!("lines {first} to {last}"),
    };
    let mut text = format!("{} ({}): ", reason.source, reason.rule);
    match reason.operation.as_deref() {
        Some("insert") if reason.start_line <= reason.end_line => {
            text.push_str(&format!("insert, {} stands for the place", lines(reason.start_line, reason.end_line)));
        }
        Some(operation) => text.push_str(&format!("{operation} {}", lines(reason.start_line, reason.end_line))),
        None => text.push_str(&lines(reason.start_line, reason.end_line)),
    }
    if let (Some(first), Some(last)) = (reason.fixed_start_line, reason.fixed_end_line) {
        text.push_str(&format!("; {} of the fixed version", lines(first, last)));
    }
    if let Some(detail) = &reason.detail {
        text.push_str(&format!("; {detail}"));
    }
    text
}

fn own(row: &Row, is_vulnerable: bool) -> Option<&Line> {
    if is_vulnerable { row.vulnerable.as_ref() } else { row.fixed.as_ref() }
}

/// The rows of a step and some around it.
fn shown<'rows>(rows: &'rows [Row], is_vulnerable: bool, step: &Step) -> &'rows [Row] {
    let wanted = step.start_line - CONTEXT..=step.end_line.max(step.start_line) + CONTEXT;
    let is_wanted = |row: &Row| own(row, is_vulnerable).is_some_and(|line| wanted.contains(&i64::from(line.number)));
    let first = rows.iter().position(is_wanted).unwrap_or(0);
    let last = rows.iter().rposition(is_wanted).map_or(first, |last| last + 1);
    &rows[first..last]
}

fn write_rows(out: &mut dyn Write, rows: &[Row], step: &Step, width: usize, style: Style) -> io::Result<()> {
    let column = (width.saturating_sub(2 * MARGIN + 3) / 2).max(20);
    writeln!(out, "{:MARGIN$}{:<column$} | {:MARGIN$}fixed", "", "vulnerable", "")?;
    let marks = match style {
        Style::Plain => [["[-", "-]"], ["{+", "+}"]],
        Style::Coloured => [["\u{1b}[31m", ""], ["\u{1b}[32m", ""]],
    };
    for row in rows {
        let side = |line: &Option<Line>, sign: char, marks: [&str; 2]| match line {
            Some(line) => format!("{:>5} {sign} {}", line.number, line.fit(column, style, marks)),
            None => " ".repeat(MARGIN + column),
        };
        let [removed, inserted] = if row.is_equal { [' ', ' '] } else { ['-', '+'] };
        let is_of_step = own(row, step.role == "vulnerable")
            .is_some_and(|line| (step.start_line..=step.end_line).contains(&i64::from(line.number)));
        let bar = if is_of_step { '#' } else { '|' };
        let text =
            format!("{} {bar} {}", side(&row.vulnerable, removed, marks[0]), side(&row.fixed, inserted, marks[1]));
        writeln!(out, "{}", text.trim_end())?;
    }
    writeln!(out, "\n# marks the lines of the step")
}
