//! SVEN: JSON lines, a pair a line, a file a weakness.

use super::super::broken::break_json;
use super::super::corpus::{Corpus, Pool};
use super::super::draw::Draw;
use super::super::json::{Object, push_list};
use super::super::seed::{Rendered, Shape};
use super::{FilePlan, Layout, Unit, function_name, path, project, share_out};

const WEAKNESSES: [&str; 9] = ["022", "078", "079", "089", "125", "190", "416", "476", "787"];

/// SVEN's functions have a mean of about 3 KB.
const MEDIAN_BYTES: f64 = 1_900.0;
const SIGMA: f64 = 0.95;

/// Writes SVEN.
pub struct Sven<'corpus> {
    languages: [(&'static str, &'corpus Pool); 3],
    pair: Rendered,
}

impl<'corpus> Sven<'corpus> {
    /// Takes its functions from a corpus.
    pub fn new(corpus: &'corpus Corpus) -> Self {
        let languages = ["c", "cpp", "py"].map(|ending| (ending, corpus.functions(ending)));
        Sven { languages, pair: Rendered::default() }
    }
}

impl Layout for Sven<'_> {
    fn files(&self, records: u64) -> Box<dyn Iterator<Item = FilePlan>> {
        // 720 and 83 pairs in the published set.
        let folders = [("train", 720), ("val", 83)];
        let files = folders.iter().flat_map(|(folder, weight)| {
            WEAKNESSES.map(|weakness| (format!("{folder}/cwe-{weakness}.jsonl"), *weight))
        });
        Box::new(share_out(records, 1, &files.collect::<Vec<_>>()).into_iter())
    }

    fn write(&mut self, unit: &Unit<'_>, draw: &mut Draw, out: &mut Vec<u8>) {
        let (ending, pool) = *draw.pick(&self.languages);
        let shape = Shape {
            bytes: draw.log_normal(MEDIAN_BYTES, SIGMA).min(200_000),
            has_carriage_returns: draw.chance(0.006),
            has_spaces: false,
        };
        let seed = pool.choose(shape.bytes, draw);
        pool.render(seed, shape, draw, &mut self.pair);
        let weakness =
            unit.file.path.rsplit('/').next().and_then(|name| name.strip_suffix(".jsonl")).unwrap_or_default();
        let start = out.len();
        let mut record = Object::open(out);
        record.text("func_name", function_name(&self.pair.secure));
        let code = record.text("func_src_before", &self.pair.vulnerable);
        record.text("func_src_after", &self.pair.secure);
        push_line_changes(&self.pair, record.key("line_changes"));
        push_char_changes(&self.pair, record.key("char_changes"));
        record.text("commit_link", &format!("github.com/{}/commit/{}", project(draw), draw.commit()));
        record.text("file_name", &path(ending, draw));
        record.text("vul_type", weakness);
        record.close();
        if unit.is_broken {
            break_json(out, start, code, "func_src_before", draw);
        }
        out.push(b'\n');
    }
}

/// Lines from 1, offsets in code points, ends exclusive.
fn push_line_changes(pair: &Rendered, out: &mut Vec<u8>) {
    let (before, removed, added) = pair.changed_lines();
    let start = characters_before(&pair.vulnerable, before);
    let mut object = Object::open(out);
    for (key, lines) in [("deleted", removed), ("added", added)] {
        let mut at = start;
        object.list(key, lines.into_iter().enumerate(), |(position, line), out| {
            let end = at + line.chars().count();
            let mut change = Object::open(out);
            change.raw("line_no", before + position + 1);
            change.raw("char_start", at);
            change.raw("char_end", end);
            change.text("line", line);
            change.close();
            at = end;
        });
    }
    object.close();
}

fn push_char_changes(pair: &Rendered, out: &mut Vec<u8>) {
    let (before, removed, added) = pair.changed_lines();
    let start = characters_before(&pair.vulnerable, before);
    let mut object = Object::open(out);
    for (key, lines) in [("deleted", removed), ("added", added)] {
        let text = lines.concat();
        let changes = (!text.is_empty()).then_some(text);
        let write = |text: String, out: &mut Vec<u8>| {
            let mut change = Object::open(out);
            change.raw("char_start", start);
            change.raw("char_end", start + text.chars().count());
            change.text("chars", &text);
            change.close();
        };
        push_list(changes, write, object.key(key));
    }
    object.close();
}

fn characters_before(text: &str, lines: usize) -> usize {
    text.split_inclusive('\n').take(lines).map(|line| line.chars().count()).sum()
}
