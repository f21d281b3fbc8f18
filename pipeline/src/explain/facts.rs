//! What a release knows about one sample.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::dataframe::DataFrame;
use datafusion::prelude::SessionContext;
use secprm_stages::label::LabelMode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::output::json_rows;
use crate::relation::{parse_query, substitute};

/// The query behind everything: one row a step.
const QUERY: &str = include_str!("../../../sql/reports/explain.sql");

/// The shortest beginning of an identifier that is looked up.
const LEAST_PREFIX: usize = 4;

/// One sample, its chain and its steps.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The steps, in order; at least one. Each repeats what is known about the sample.
    pub steps: Vec<Step>,
    /// The same as rows, one a step.
    pub rows: RecordBatch,
    /// The vulnerable and the fixed version, as steps count their lines; `None` for a side that is not there.
    pub versions: [Option<String>; 2],
}

/// A step with all that is known about it, as `sql/reports/explain.sql` names it.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Step {
    pub sample_id: String,
    pub pair_id: String,
    pub role: String,
    pub label_mode: LabelMode,
    pub rule_version: i64,
    pub dataset: String,
    pub subset: String,
    pub granularity: String,
    pub language: String,
    #[serde(default)]
    pub cwe: Vec<String>,
    pub cve: Option<String>,
    pub project: Option<String>,
    pub commit_id: Option<String>,
    pub file_path: Option<String>,
    pub function_name: Option<String>,
    pub split: String,
    pub upstream_split: Option<String>,
    pub split_source: Option<String>,
    pub n_steps: i64,
    pub n_chars: i64,
    pub alignment: Option<String>,
    pub propagation: Option<String>,
    pub code_difference: Option<String>,
    pub source_file: Option<String>,
    pub source_row: Option<i64>,
    pub byte_offset: Option<i64>,
    pub source_hash: Option<String>,
    pub windows: Option<i64>,
    pub tokens: Option<i64>,
    pub tokenizer_id: Option<String>,
    pub step_index: i64,
    pub text: String,
    pub label: i64,
    pub label_source: String,
    pub supervised: bool,
    pub start_line: i64,
    pub end_line: i64,
    pub step_path: Option<String>,
    pub model_id: Option<String>,
    pub p_secure: Option<f64>,
    pub reward: Option<f64>,
    pub prefix_reward: Option<f64>,
    pub verdict_reward: Option<f64>,
    pub predicted: Option<i64>,
    #[serde(default)]
    pub reasons: Vec<Reason>,
}

/// One reason for a step's label, as the view `label_evidence` has it.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Reason {
    pub source: String,
    pub rule: String,
    pub operation: Option<String>,
    pub start_line: i64,
    pub end_line: i64,
    pub fixed_start_line: Option<i64>,
    pub fixed_end_line: Option<i64>,
    pub detail: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    sample_id: String,
    role: String,
    label_mode: String,
}

/// Finds the sample whose identifier begins with some digits.
///
/// # Errors
/// Of kind usage: what is no beginning of an identifier, or of none, or of several samples.
pub async fn find_sample(session: &SessionContext, prefix: &str) -> Result<String> {
    let is_hexadecimal = prefix.chars().all(|digit| matches!(digit, '0'..='9' | 'a'..='f'));
    if !is_hexadecimal || prefix.len() < LEAST_PREFIX {
        return Err(Error::usage(format!("`{prefix}` is no sample_id"))
            .hint(format!("give at least its first {LEAST_PREFIX} hexadecimal digits; `secprm sql -c 'SELECT sample_id FROM samples LIMIT 5'` shows some")));
    }
    let of = |column: &str| {
        format!(
            "SELECT sample_id, role, label_mode FROM samples WHERE {column} LIKE '{prefix}%' ORDER BY label_mode, role DESC, sample_id LIMIT 5"
        )
    };
    let found: Vec<Named> = rows(session.sql(&of("sample_id")).await?).await?;
    match found.as_slice() {
        [only] => return Ok(only.sample_id.clone()),
        [] => {}
        several => {
            let ids: Vec<&str> = several.iter().map(|named| named.sample_id.as_str()).collect();
            return Err(Error::usage(format!("several samples begin with {prefix}"))
                .hint(format!("give more digits: {}", ids.join(", "))));
        }
    }
    let of_pair: Vec<Named> = rows(session.sql(&of("pair_id")).await?).await?;
    let error = Error::usage(format!("there is no sample {prefix}"));
    if of_pair.is_empty() {
        return Err(error.hint(
            "`secprm sql -c 'SELECT sample_id FROM samples LIMIT 5'` shows some; --release N asks an earlier release",
        ));
    }
    let named = of_pair.iter().map(|named| format!("{} ({}, {})", named.sample_id, named.role, named.label_mode));
    Err(error.hint(format!("it is a pair; its samples: {}", named.collect::<Vec<_>>().join(", "))))
}

/// Looks everything up about a sample.
///
/// # Errors
/// Of the query.
pub async fn load_facts(session: &SessionContext, sample_id: &str) -> Result<Facts> {
    let mut statement = parse_query(QUERY)?;
    substitute(&mut statement, &BTreeMap::from([("sample_id", format!("'{sample_id}'"))]))?;
    let found = session.sql(&statement.to_string()).await?;
    let schema = found.schema().inner().clone();
    let rows = concat_batches(&schema, &found.collect().await?)?;
    let steps: Vec<Step> = parsed(&rows)?;
    let Some(first) = steps.first() else { return Err(Error::bug(format!("the sample {sample_id} has no step"))) };
    let versions = match first.label_mode {
        // Of this mode the steps are the text, also where comments were taken out of it.
        LabelMode::Natural => {
            let own: String = steps.iter().map(|step| step.text.as_str()).collect();
            let other = other_version(session, first).await?;
            if first.role == "vulnerable" { [Some(own), other] } else { [other, Some(own)] }
        }
        LabelMode::Paper | LabelMode::PaperCleaned => original_versions(session, &first.pair_id).await?,
    };
    Ok(Facts { steps, rows, versions })
}

async fn other_version(session: &SessionContext, step: &Step) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Text {
        text: String,
    }
    let query = format!(
        "SELECT array_to_string(completions, '') AS text FROM samples WHERE pair_id = '{}' AND label_mode = '{}' AND sample_id <> '{}'",
        step.pair_id,
        step.label_mode.as_str(),
        step.sample_id
    );
    let texts: Vec<Text> = rows(session.sql(&query).await?).await?;
    Ok(texts.into_iter().next().map(|one| one.text))
}

async fn original_versions(session: &SessionContext, pair_id: &str) -> Result<[Option<String>; 2]> {
    #[derive(Deserialize)]
    struct Versions {
        vulnerable_code: Option<String>,
        secure_code: Option<String>,
    }
    let query = format!("SELECT vulnerable_code, secure_code FROM base.pairs WHERE pair_id = '{pair_id}'");
    let found: Vec<Versions> = rows(session.sql(&query).await?).await?;
    Ok(found.into_iter().next().map_or([None, None], |versions| [versions.vulnerable_code, versions.secure_code]))
}

async fn rows<T: DeserializeOwned>(frame: DataFrame) -> Result<Vec<T>> {
    let mut found = Vec::new();
    for batch in frame.collect().await? {
        found.extend(parsed(&batch)?);
    }
    Ok(found)
}

fn parsed<T: DeserializeOwned>(batch: &RecordBatch) -> Result<Vec<T>> {
    let parse =
        |row: String| serde_json::from_str(&row).map_err(|error| Error::bug(format!("a row of explain: {error}")));
    json_rows(batch)?.into_iter().map(parse).collect()
}
