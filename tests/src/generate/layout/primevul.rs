//! PrimeVul: JSON lines, a function a line; two lines of a paired file are a unit.

use super::super::broken::break_json;
use super::super::corpus::{Corpus, Pool};
use super::super::draw::Draw;
use super::super::json::{Object, push_text};
use super::super::seed::{Rendered, Shape};
use super::{FilePlan, Layout, Unit, WEAKNESSES, path, project, sentence, share_out};

const MEDIAN_BYTES: f64 = 1_300.0;
const SIGMA: f64 = 1.0;

/// Writes PrimeVul.
pub struct PrimeVul<'corpus> {
    languages: [(&'static str, &'corpus Pool); 2],
    pair: Rendered,
}

/// What both lines of a pair have in common.
struct Commit {
    owner: String,
    id: String,
    message: String,
    file: String,
    weakness: u32,
    cve: String,
    description: String,
}

impl<'corpus> PrimeVul<'corpus> {
    /// Takes its functions from a corpus.
    pub fn new(corpus: &'corpus Corpus) -> Self {
        PrimeVul { languages: ["c", "cpp"].map(|ending| (ending, corpus.functions(ending))), pair: Rendered::default() }
    }
}

impl Layout for PrimeVul<'_> {
    fn files(&self, records: u64) -> Box<dyn Iterator<Item = FilePlan>> {
        let pairs = records / 10;
        let named = |tail: &str| -> Vec<(String, u64)> {
            [("train", 80), ("valid", 10), ("test", 10)]
                .map(|(name, share)| (format!("primevul_{name}{tail}"), share))
                .into()
        };
        let paired = share_out(pairs, 2, &named("_paired.jsonl"));
        // They come last: what is left to break of an odd number is one line.
        let unpaired = share_out(records - 2 * pairs, 1, &named(".jsonl"));
        Box::new(paired.into_iter().chain(unpaired))
    }

    fn write(&mut self, unit: &Unit<'_>, draw: &mut Draw, out: &mut Vec<u8>) {
        let (ending, pool) = *draw.pick(&self.languages);
        let shape = Shape { bytes: draw.log_normal(MEDIAN_BYTES, SIGMA).min(200_000), ..Shape::default() };
        let seed = pool.choose(shape.bytes, draw);
        pool.render(seed, shape, draw, &mut self.pair);
        let commit = commit(ending, unit.number, draw);
        let is_pair = unit.file.records_per_unit == 2;
        let targets: &[u8] = if is_pair { &[1, 0] } else { &[u8::from(draw.chance(0.03))] };
        for target in targets {
            let code = if *target == 1 { &self.pair.vulnerable } else { &self.pair.secure };
            let start = out.len();
            let index = 2 * unit.number + u64::from(is_pair && *target == 0);
            let code = push_line(&commit, index, *target, code, draw, out);
            if unit.is_broken {
                break_json(out, start, code, "func", draw);
            }
            out.push(b'\n');
        }
    }
}

fn commit(ending: &str, number: u64, draw: &mut Draw) -> Commit {
    let has_file = draw.chance(0.9);
    let file = path(ending, draw);
    let name = file.rsplit('/').next().unwrap_or_default();
    Commit {
        owner: project(draw),
        id: draw.commit(),
        message: if draw.chance(0.95) { sentence(8, draw) } else { "None".to_owned() },
        file: if has_file { name.to_owned() } else { "None".to_owned() },
        weakness: *draw.pick(&WEAKNESSES),
        cve: format!("CVE-2099-{}", 1_000_000 + number),
        description: sentence(40, draw),
    }
}

/// Appends a line; returns where its code begins.
fn push_line(commit: &Commit, index: u64, target: u8, code: &str, draw: &mut Draw, out: &mut Vec<u8>) -> usize {
    let project = commit.owner.rsplit('/').next().unwrap_or_default();
    let url = format!("https://github.com/{}", commit.owner);
    // As large as the md5 sums that stand here.
    let mut hash = || u128::from(draw.bits()) << 64 | u128::from(draw.bits());
    let mut record = Object::open(out);
    record.raw("idx", index);
    record.text("project", project);
    record.text("commit_id", &commit.id);
    record.text("project_url", &url);
    record.text("commit_url", &format!("{url}/commit/{}", commit.id));
    record.text("commit_message", &commit.message);
    record.raw("target", target);
    let start = record.text("func", code);
    record.raw("func_hash", hash());
    record.text("file_name", &commit.file);
    match commit.file.as_str() {
        "None" => record.raw("file_hash", "null"),
        _ => record.raw("file_hash", hash()),
    }
    record.list("cwe", [commit.weakness], |weakness, out| push_text(&format!("CWE-{weakness}"), out));
    record.text("cve", &commit.cve);
    record.text("cve_desc", &commit.description);
    record.text("nvd_url", &format!("https://nvd.nist.gov/vuln/detail/{}", commit.cve));
    record.close();
    start
}
