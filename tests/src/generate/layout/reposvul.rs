//! ReposVul: JSON lines, a commit a line, with whole files and the functions in them.

use std::ops::Range;

use super::super::broken::break_json;
use super::super::corpus::{Corpus, FUNCTION_LANGUAGES, Pool};
use super::super::draw::Draw;
use super::super::json::{Object, push_list, push_text};
use super::super::seed::{Rendered, Shape};
use super::{FilePlan, Layout, Unit, WEAKNESSES, path, project, sentence, share_out};

/// With the commits around it, a record has a median of about 109 KB; the largest have several MB.
const MEDIAN_BYTES: f64 = 55_000.0;
const SIGMA: f64 = 1.1;
const MOST_BYTES: usize = 8 << 20;

const FUNCTION_BYTES: f64 = 1_900.0;
const FUNCTION_SIGMA: f64 = 0.95;

/// Functions of a file, beside the vulnerable ones, that are listed as well.
const OTHERS_LISTED: usize = 3;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Writes ReposVul.
pub struct ReposVul<'corpus> {
    corpus: &'corpus Corpus,
    pair: Rendered,
    file: SourceFile,
}

/// Both versions of a file, and where its functions are.
#[derive(Default)]
struct SourceFile {
    before: String,
    after: String,
    functions_before: Vec<(Range<usize>, bool)>,
    functions_after: Vec<Range<usize>>,
    patch: String,
}

impl<'corpus> ReposVul<'corpus> {
    /// Takes its functions from a corpus.
    pub fn new(corpus: &'corpus Corpus) -> Self {
        ReposVul { corpus, pair: Rendered::default(), file: SourceFile::default() }
    }

    /// Makes a file of about so many bytes over the one before.
    fn write_file(&mut self, ending: &str, bytes: usize, draw: &mut Draw) {
        let pool = self.corpus.functions(ending);
        self.file.clear();
        let first = draw.below(pool.seeds());
        let mut changed = vec![first];
        if draw.chance(0.3) {
            changed.push((first + 1) % pool.seeds());
        }
        let others = draw.below(OTHERS_LISTED);
        for _ in 0..others {
            self.write_function(pool, None, &changed, draw);
        }
        for seed in changed.clone() {
            self.write_function(pool, Some(seed), &changed, draw);
        }
        while self.file.before.len() < bytes {
            self.write_function(pool, None, &changed, draw);
        }
        if draw.chance(0.3) {
            // The fixed version has the functions in another order, as the published lists have.
            self.file.functions_after.reverse();
        }
    }

    /// Appends a function: a changed one from its seed, or one that stays as it is from any other.
    fn write_function(&mut self, pool: &Pool, seed: Option<usize>, changed: &[usize], draw: &mut Draw) {
        let shape = Shape { bytes: draw.log_normal(FUNCTION_BYTES, FUNCTION_SIGMA).min(100_000), ..Shape::default() };
        let chosen = seed.unwrap_or_else(|| pool.choose(shape.bytes, draw));
        if seed.is_none() && changed.contains(&chosen) {
            // A second function of a changed one's name would make its pairing a matter of taste.
            self.file.before.push_str("\n\n");
            self.file.after.push_str("\n\n");
            return;
        }
        pool.render(chosen, shape, draw, &mut self.pair);
        if seed.is_some() {
            self.pair.push_patch(&mut self.file.patch);
        }
        self.file.add(&self.pair, seed.is_some());
    }
}

impl SourceFile {
    fn clear(&mut self) {
        self.before.clear();
        self.after.clear();
        self.functions_before.clear();
        self.functions_after.clear();
        self.patch.clear();
    }

    fn add(&mut self, pair: &Rendered, is_changed: bool) {
        let before = if is_changed { &pair.vulnerable } else { &pair.secure };
        let (start_before, start_after) = (self.before.len(), self.after.len());
        self.before.push_str(before);
        self.after.push_str(&pair.secure);
        if is_changed || self.functions_before.len() < OTHERS_LISTED {
            self.functions_before.push((start_before..self.before.len(), is_changed));
            self.functions_after.push(start_after..self.after.len());
        }
        self.before.push_str("\n\n");
        self.after.push_str("\n\n");
    }
}

impl Layout for ReposVul<'_> {
    fn files(&self, records: u64) -> Box<dyn Iterator<Item = FilePlan>> {
        let files: Vec<(String, u64)> = [("c", 50), ("cpp", 20), ("java", 10), ("python", 20)]
            .map(|(name, weight)| (format!("ReposVul_{name}.jsonl"), weight))
            .into();
        Box::new(share_out(records, 1, &files).into_iter())
    }

    fn write(&mut self, unit: &Unit<'_>, draw: &mut Draw, out: &mut Vec<u8>) {
        let language = ["C", "C++", "Java", "Python"];
        let position = ["_c.", "_cpp.", "_java.", "_python."].iter().position(|part| unit.file.path.contains(part));
        let (ending, language) = position.map_or(("c", "C"), |at| (FUNCTION_LANGUAGES[at], language[at]));
        let (project, commit, parent) = (project(draw), draw.commit(), draw.commit());
        let (year, month, day) = draw.day();
        let api = |commit: &str| format!("https://api.github.com/repos/{project}/commits/{commit}");
        let page = |commit: &str| format!("https://github.com/{project}/commit/{commit}");
        let start = out.len();
        let mut record = Object::open(out);
        record.raw("index", unit.number);
        record.text("cve_id", &format!("CVE-2099-{}", 1_000_000 + unit.number));
        record.list("cwe_id", [draw.pick(&WEAKNESSES)], |weakness, out| push_text(&format!("CWE-{weakness}"), out));
        record.text("cve_language", language);
        record.text("cve_description", &sentence(40, draw));
        record.text("cvss", "7.5");
        record.text("publish_date", &format!("{} {day}, {year}", MONTHS[month - 1]));
        for key in ["AV", "AC", "PR", "UI", "S", "C", "I", "A"] {
            record.text(key, "NONE");
        }
        record.text("commit_id", &commit);
        record.text("commit_message", &sentence(10, draw));
        record.text("commit_date", &format!("{year}-{month:02}-{day:02}T10:{:02}:00Z", draw.below(60)));
        record.text("project", &project);
        record.text("url", &api(&commit));
        record.text("html_url", &page(&commit));
        for key in ["windows_before", "windows_after"] {
            let count = draw.below(45);
            record.list(key, 0..count, |_, out| push_window(draw, out));
        }
        record.list("parents", [&parent], |parent, out| {
            let mut object = Object::open(out);
            object.text("commit_id_before", parent);
            object.text("url_before", &api(parent));
            object.text("html_url_before", &page(parent));
            object.close();
        });
        let mut code = 0;
        let bytes = draw.log_normal(MEDIAN_BYTES, SIGMA).min(MOST_BYTES);
        let files = draw.at_least_one(0.45);
        record.list("details", 0..files, |file, out| {
            // Both versions, and some of the functions once more.
            self.write_file(ending, bytes / files / 2, draw);
            let is_vulnerable = file == 0 || draw.chance(0.4);
            code = self.file.push(&format!("{file}-{}", path(ending, draw)), ending, is_vulnerable, out);
        });
        record.raw("outdated", 0);
        for key in ["cwe_descripiton", "cwe_consequence", "cwe_method", "cwe_solution"] {
            record.text(key, "");
        }
        record.close();
        if unit.is_broken {
            break_json(out, start, code, "details", draw);
        }
        out.push(b'\n');
    }
}

impl SourceFile {
    /// Appends the file's details; returns where its code begins.
    fn push(&self, name: &str, ending: &str, is_vulnerable: bool, out: &mut Vec<u8>) -> usize {
        let target = u8::from(is_vulnerable);
        let mut file = Object::open(out);
        file.text("raw_url", &format!("https://github.com/raw/{}", name.replace('/', "%2F")));
        file.text("code", &self.after);
        let code = file.text("code_before", &self.before);
        file.text("patch", &self.patch);
        file.text("file_path", "files/2024_1/1");
        file.text("file_language", ending);
        file.text("file_name", name);
        for key in ["outdated_file_modify", "outdated_file_before", "outdated_file_after"] {
            file.raw(key, 0);
        }
        file.raw("llm_check", target);
        file.raw("static_check", target);
        file.raw("static", "{\"semgrep\": [false, []]}");
        file.raw("target", target);
        file.list("function_before", &self.functions_before, |(range, is_changed), out| {
            let mut function = Object::open(out);
            function.text("function", &self.before[range.clone()]);
            function.raw("target", u8::from(is_vulnerable && *is_changed));
            if is_vulnerable && *is_changed {
                function.text("line", &self.patch);
            }
            function.close();
        });
        file.list("function_after", &self.functions_after, |range, out| {
            let mut function = Object::open(out);
            function.text("function", &self.after[range.clone()]);
            function.raw("target", 0);
            function.close();
        });
        file.close();
        code
    }
}

/// Appends one of the commits around.
fn push_window(draw: &mut Draw, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.text("commit_id", &draw.commit());
    object.text("commit_date", "Mon Jan 1 10:00:00 2024 +0100");
    object.text("commit_message", &sentence(12, draw));
    push_list([path("c", draw), path("h", draw)], |name, out| push_text(&name, out), object.key("files_name"));
    object.close();
}
