//! The values that `$name` stands for in the SQL files.

use std::collections::BTreeMap;

use secprm_model::Tie;
use secprm_stages::ingest::DatasetKind;

use super::Config;

impl Config {
    /// Returns each parameter's SQL text by its name without the dollar sign, for example `tau` to `0.1`.
    ///
    /// A relation's fingerprint holds the parameters that its text names, so a changed key reruns what uses it and nothing else.
    pub fn sql_parameters(&self) -> BTreeMap<&'static str, String> {
        let modes = list(self.label.modes.iter().map(|mode| mode.as_str()));
        let levels = list(self.label.analyzer_levels.iter().map(|level| level.as_str()));
        let aggregations = list(self.score.aggregations.iter().map(|aggregation| aggregation.name()));
        let limits = &self.checks.limits;
        let mut parameters = BTreeMap::from([
            ("label_modes", modes),
            ("label_options", quote(&self.label_options())),
            ("analyzer_levels", levels),
            ("mix_leave_out", list(self.mix.leave_out.iter().map(ToString::to_string))),
            ("mix_repeats", self.mix_repeats()),
            ("train_label_mode", quote(self.train.label_mode.as_str())),
            ("prompt", quote(&self.tokenizer.prompt)),
            ("max_tokens", self.tokenizer.max_tokens.to_string()),
            ("aggregations", aggregations),
            ("tau", float(self.score.tau)),
            ("threshold", float(self.score.threshold)),
            ("tie", quote(tie_name(self.score.tie))),
            ("audit_margin", float(self.audit.margin)),
            ("pairs_per_commit", limits.pairs_per_commit.to_string()),
            ("repeated_lines", limits.repeated_lines.to_string()),
        ]);
        parameters.extend(limits.shares().map(|(name, share)| (name, float(share))));
        parameters
    }

    /// A map from every dataset to its repeats.
    fn mix_repeats(&self) -> String {
        let repeats = DatasetKind::ALL.map(|dataset| self.mix.repeats_of(dataset).to_string()).join(", ");
        format!("map({}, [{repeats}])", list(DatasetKind::ALL.map(DatasetKind::as_str).into_iter()))
    }

    /// The options of `label_pair` as JSON; keys in a fixed order.
    fn label_options(&self) -> String {
        let label = &self.label;
        serde_json::json!({
            "comments": label.comments,
            "given": label.given,
            "max_propagated_share": label.max_propagated_share,
            "max_step_bytes": label.max_step_bytes,
            "max_step_lines": label.max_step_lines,
            "prefix_texts": label.prefix_texts,
            "propagate": label.propagate,
            "suffix_texts": label.suffix_texts,
        })
        .to_string()
    }
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn float(value: f64) -> String {
    format!("CAST({value:?} AS DOUBLE)")
}

fn list(items: impl Iterator<Item = impl AsRef<str>>) -> String {
    format!("[{}]", items.map(|item| quote(item.as_ref())).collect::<Vec<_>>().join(", "))
}

fn tie_name(tie: Tie) -> &'static str {
    match tie {
        Tie::Secure => "secure",
        Tie::Vulnerable => "vulnerable",
    }
}
