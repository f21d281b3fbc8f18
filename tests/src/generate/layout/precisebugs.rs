//! PreciseBugs: one JSON object a folder, with whole files.

use super::super::broken::break_json;
use super::super::corpus::{Corpus, FILE_LANGUAGES};
use super::super::draw::Draw;
use super::super::json::{Object, push_list, push_text};
use super::super::seed::{Rendered, Shape};
use super::{FilePlan, Layout, Unit, WEAKNESSES, path, project, sentence};

/// An entry has about 55 KB, both versions of its files.
const MEDIAN_FILE_BYTES: f64 = 12_000.0;
const SIGMA: f64 = 1.0;

/// Writes PreciseBugs.
pub struct PreciseBugs<'corpus> {
    corpus: &'corpus Corpus,
}

impl<'corpus> PreciseBugs<'corpus> {
    /// Takes its files from a corpus.
    pub fn new(corpus: &'corpus Corpus) -> Self {
        PreciseBugs { corpus }
    }
}

impl Layout for PreciseBugs<'_> {
    fn files(&self, records: u64) -> Box<dyn Iterator<Item = FilePlan>> {
        Box::new((0..records).map(|number| FilePlan {
            path: format!("CVEs/{}/BugEntry.json", cve(number)),
            units: 1,
            records_per_unit: 1,
        }))
    }

    fn archive(&self) -> Option<&'static str> {
        Some("CVEs.tar")
    }

    fn write(&mut self, unit: &Unit<'_>, draw: &mut Draw, out: &mut Vec<u8>) {
        let count = draw.at_least_one(0.3);
        let has_carriage_returns = draw.chance(0.1);
        let files: Vec<(String, Rendered)> = (0..count)
            .map(|number| {
                let ending = draw.pick(&FILE_LANGUAGES);
                let bytes = draw.log_normal(MEDIAN_FILE_BYTES, SIGMA).min(4 << 20);
                let shape = Shape { bytes, has_spaces: false, has_carriage_returns };
                let pool = self.corpus.files(ending);
                let mut file = Rendered::default();
                pool.render(draw.below(pool.seeds()), shape, draw, &mut file);
                (format!("{number}-{}", path(ending, draw)), file)
            })
            .collect();
        let weakness = format!("CWE-{}", draw.pick(&WEAKNESSES));
        let message = sentence(30, draw);
        let start = out.len();
        let mut entry = Object::open(out);
        let code = entry.key("buggy_code");
        // Behind the bracket and the quote.
        let code_start = code.len() + 2;
        push_list(&files, |(_, file), out| push_text(&file.vulnerable, out), code);
        entry.list("fixing_code", &files, |(_, file), out| push_text(&file.secure, out));
        entry.list("filenames", &files, |(name, _), out| push_text(name, out));
        let places: Vec<[usize; 4]> = files.iter().map(|(_, file)| places(file)).collect();
        let keys = ["buggy_code_start_loc", "buggy_code_end_loc", "fixing_code_start_loc", "fixing_code_end_loc"];
        for (position, key) in keys.iter().enumerate() {
            let column = places.iter().map(|places| places[position]);
            entry.list(key, column, |line, out| out.extend_from_slice(line.to_string().as_bytes()));
        }
        entry.text("type", &weakness);
        entry.text("message", &message);
        push_other(unit.number, &weakness, &message, draw, entry.key("other"));
        entry.close();
        if unit.is_broken {
            break_json(out, start, code_start, "buggy_code", draw);
        }
    }
}

fn cve(number: u64) -> String {
    format!("CVE-2099-{}", 1_000_000 + number)
}

/// Start and end of what differs, from 1, the end exclusive; where nothing is removed, the line before.
fn places(file: &Rendered) -> [usize; 4] {
    let (before, removed, added) = file.changed_lines();
    let place = |lines: usize| if lines == 0 { (before, before) } else { (before + 1, before + 1 + lines) };
    let ((removed_start, removed_end), (added_start, added_end)) = (place(removed.len()), place(added.len()));
    [removed_start, removed_end, added_start, added_end]
}

/// The record of the national database, as much of it as matters.
fn push_other(number: u64, weakness: &str, message: &str, draw: &mut Draw, out: &mut Vec<u8>) {
    let (year, month, day) = draw.day();
    let mut other = Object::open(out);
    let mut record = Object::open(other.key("cve"));
    record.text("id", &cve(number));
    record.text("sourceIdentifier", "security@example.org");
    record.text("published", &format!("{year}-{month:02}-{day:02}T15:15:07.{:03}", draw.below(1000)));
    record.text("lastModified", "2024-01-31T00:00:00.000");
    record.text("vulnStatus", "Analyzed");
    record.list("descriptions", [message], |message, out| {
        let mut description = Object::open(out);
        description.text("lang", "en");
        description.text("value", message);
        description.close();
    });
    record.list("weaknesses", [weakness], |weakness, out| {
        let mut described = Object::open(out);
        described.text("source", "security@example.org");
        described.text("type", "Primary");
        described.raw("description", format_args!("[{{\"lang\": \"en\", \"value\": \"{weakness}\"}}]"));
        described.close();
    });
    record.close();
    other.text("github_commit_url", &format!("https://github.com/{}/commit/{}", project(draw), draw.commit()));
    other.close();
}
