//! BigVul: one CSV of 36 columns, most of whose bytes nobody reads.

use super::super::corpus::{Corpus, Pool};
use super::super::draw::Draw;
use super::super::seed::{Rendered, Shape};
use super::{FilePlan, Layout, Unit, WEAKNESSES, path, project, sentence};

const HEADER: &str = ",Access Gained,Attack Origin,Authentication Required,Availability,CVE ID,CVE Page,CWE ID,Complexity,\
    Confidentiality,Integrity,Known Exploits,Publish Date,Score,Summary,Update Date,Vulnerability Classification,add_lines,\
    codeLink,commit_id,commit_message,del_lines,file_name,files_changed,func_after,func_before,lang,lines_after,\
    lines_before,parentID,patch,project,project_after,project_before,vul,vul_func_with_fix\n";

const MEDIAN_BYTES: f64 = 1_000.0;
const SIGMA: f64 = 1.1;

/// The column `files_changed` holds all patches of the commit: most of a row's 50 KB.
const MEDIAN_CHANGED_BYTES: f64 = 16_000.0;
const SIGMA_CHANGED: f64 = 1.4;

/// Share of rows whose function is vulnerable, of 188,636.
const VULNERABLE: f64 = 0.058;

/// Writes BigVul.
pub struct BigVul<'corpus> {
    languages: [(&'static str, &'static str, &'corpus Pool); 2],
    pair: Rendered,
    other: Rendered,
    changed: String,
}

/// How a row is broken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Defect {
    StrayByte,
    FieldMissing,
    VulIsNoNumber,
    NoCode,
}

impl<'corpus> BigVul<'corpus> {
    /// Takes its functions from a corpus.
    pub fn new(corpus: &'corpus Corpus) -> Self {
        let languages = [("c", "C", corpus.functions("c")), ("cpp", "CPP", corpus.functions("cpp"))];
        BigVul { languages, pair: Rendered::default(), other: Rendered::default(), changed: String::new() }
    }

    /// Fills `changed` with patches of other functions of the commit.
    fn change_files(&mut self, pool: &Pool, file: &str, draw: &mut Draw) {
        self.changed.clear();
        let bytes = draw.log_normal(MEDIAN_CHANGED_BYTES, SIGMA_CHANGED).min(20_000_000);
        while self.changed.len() < bytes {
            let shape = Shape { bytes: bytes.min(8_000), ..Shape::default() };
            pool.render(draw.below(pool.seeds()), shape, draw, &mut self.other);
            self.changed.push_str("{\"sha\": \"");
            self.changed.push_str(&draw.commit());
            self.changed.push_str("\", \"filename\": \"");
            self.changed.push_str(file);
            self.changed.push_str("\", \"patch\": \"");
            self.changed.push_str(&self.other.secure);
            self.changed.push_str("\"}<_**next**_>");
        }
    }
}

impl Layout for BigVul<'_> {
    fn files(&self, records: u64) -> Box<dyn Iterator<Item = FilePlan>> {
        let plan = FilePlan { path: "MSR_data_cleaned.csv".to_owned(), units: records, records_per_unit: 1 };
        Box::new(std::iter::once(plan))
    }

    fn header(&self) -> Vec<u8> {
        HEADER.into()
    }

    fn write(&mut self, unit: &Unit<'_>, draw: &mut Draw, out: &mut Vec<u8>) {
        let (ending, language, pool) = *draw.pick(&self.languages);
        let shape = Shape {
            bytes: draw.log_normal(MEDIAN_BYTES, SIGMA).min(500_000),
            has_spaces: draw.chance(0.57),
            has_carriage_returns: draw.chance(0.01),
        };
        let seed = pool.choose(shape.bytes, draw);
        pool.render(seed, shape, draw, &mut self.pair);
        let file = path(ending, draw);
        self.change_files(pool, &file, draw);
        let defects = [Defect::StrayByte, Defect::FieldMissing, Defect::VulIsNoNumber, Defect::NoCode];
        let defect = unit.is_broken.then(|| *draw.pick(&defects));
        let is_vulnerable = defect.is_some() || draw.chance(VULNERABLE);
        // 246 of 10,900 vulnerable rows have the same function twice.
        let is_changed = is_vulnerable && !draw.chance(0.02);
        let secure = &self.pair.secure;
        let vulnerable = if is_changed { &self.pair.vulnerable } else { secure };
        let (before, after) =
            if defect == Some(Defect::NoCode) { ("", "") } else { (vulnerable.as_str(), secure.as_str()) };
        let mut patch = String::new();
        if is_changed {
            self.pair.push_patch(&mut patch);
        }
        let (project, commit, parent) = (project(draw), draw.commit(), draw.commit());
        let (year, month, day) = draw.day();
        let url = format!("https://github.com/{project}");
        let cve = format!("CVE-2099-{}", 1_000_000 + unit.number);
        let mut row = Row { out, is_first: true };
        row.field(&unit.number.to_string());
        row.fields(&["None", "Remote", "Not required", "Partial", &cve]);
        row.field(&format!("https://www.cvedetails.com/cve/{cve}/"));
        row.field(&format!("CWE-{}", draw.pick(&WEAKNESSES)));
        row.fields(&["Medium", "Partial", "None", "", &format!("{year}-{month:02}-{day:02}"), "6.8"]);
        row.field(&format!("{}, \"{}\" and so on", sentence(30, draw), sentence(2, draw)));
        row.fields(&["2024-01-31", "DoS Overflow ", "1", &format!("{url}/commit/{commit}"), &commit]);
        row.fields(&[&sentence(9, draw), "1", &file, &self.changed, after]);
        let code = row.out.len() + 2;
        row.field(before);
        if defect != Some(Defect::FieldMissing) {
            row.field(language);
        }
        row.fields(&["", "", &parent, &patch, project.rsplit('/').next().unwrap_or_default()]);
        row.field(&format!("{url}/archive/{commit}.zip"));
        row.field(&format!("{url}/archive/{parent}.zip"));
        row.field(match (defect, is_vulnerable) {
            (Some(Defect::VulIsNoNumber), _) => "maybe",
            (_, true) => "1",
            (_, false) => "0",
        });
        row.field(before);
        if defect == Some(Defect::StrayByte) {
            // Behind the comma and the quote; a function of the samples has several lines, so it is quoted.
            out[code] = 0xff;
        }
        out.push(b'\n');
    }
}

/// A row that is being written.
struct Row<'out> {
    out: &'out mut Vec<u8>,
    is_first: bool,
}

impl Row<'_> {
    fn field(&mut self, text: &str) {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
        if !text.contains(['"', ',', '\n', '\r']) {
            self.out.extend_from_slice(text.as_bytes());
            return;
        }
        self.out.push(b'"');
        for (position, part) in text.split('"').enumerate() {
            if position > 0 {
                self.out.extend_from_slice(b"\"\"");
            }
            self.out.extend_from_slice(part.as_bytes());
        }
        self.out.push(b'"');
    }

    fn fields(&mut self, texts: &[&str]) {
        for text in texts {
            self.field(text);
        }
    }
}
