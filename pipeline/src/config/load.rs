//! Finds, reads and checks the configuration; a project is a configuration and the folder it speaks of.

use std::path::{Path, PathBuf};

use super::{Config, nearest};
use crate::error::{Error, Result};

/// The file `secprm` looks for when no `--config` is given.
pub const DEFAULT_FILE: &str = "secprm.toml";

/// What runs when there is no configuration: the samples in the binary, into `./warehouse`.
const SAMPLES_CONFIG: &str = include_str!("samples.toml");

/// A configuration and the folder its relative paths start from.
#[derive(Debug, Clone)]
pub struct Project {
    /// The effective configuration.
    pub config: Config,
    /// The folder of the configuration file; the working folder when there is none.
    pub folder: PathBuf,
    /// The configuration file; `None` when the embedded samples are used.
    pub file: Option<PathBuf>,
}

impl Project {
    /// Loads `path`, or `secprm.toml` in the working folder, or, with neither, the embedded samples' configuration.
    ///
    /// # Errors
    /// Of kind usage: the file cannot be read, is no TOML, has an unknown key or a value out of range. The message names file and
    /// line, the hint the nearest known key.
    pub fn load(path: Option<&Path>) -> Result<Project> {
        let default = Path::new(DEFAULT_FILE);
        let Some(file) = path.or_else(|| default.exists().then_some(default)) else {
            let config = parse(SAMPLES_CONFIG, "the built-in configuration")?;
            return Ok(Project { config, folder: PathBuf::from("."), file: None });
        };
        let text = std::fs::read_to_string(file).map_err(|error| {
            Error::usage(format!("cannot read the configuration {}: {error}", file.display()))
                .hint("check --config, or write one with `secprm init`")
        })?;
        let config = parse(&text, &file.display().to_string())?;
        let folder = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        Ok(Project { config, folder, file: Some(file.to_path_buf()) })
    }

    /// Returns the folder of the user's own SQL files, if there is a configuration file for it to lie beside.
    pub fn sql_folder(&self) -> Option<PathBuf> {
        self.file.as_ref().map(|_| self.folder.join("sql"))
    }
}

fn parse(text: &str, name: &str) -> Result<Config> {
    let config: Config = toml::from_str(text).map_err(|error| describe(&error, text, name))?;
    validate(&config).map_err(|error| error.context(name))?;
    Ok(config)
}

/// Turns the parser's error into one line with the place, and a hint with the nearest key.
fn describe(error: &toml::de::Error, text: &str, name: &str) -> Error {
    let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let message = error.message();
    let failure = Error::usage(format!("{name}, line {line}: {message}"));
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = ["unknown field", "unknown variant"].iter().any(|start| message.starts_with(start));
    match (unknown, quoted.next()) {
        (true, Some(word)) => match nearest(word, quoted) {
            Some(known) => failure.hint(format!("did you mean `{known}`?")),
            None => failure.hint("`secprm init` writes a configuration with every key explained"),
        },
        _ => failure.hint("`secprm init` writes a working configuration to start from"),
    }
}

fn validate(config: &Config) -> Result<()> {
    let complaint = |message: String, hint: &str| Err(Error::usage(message).hint(hint));
    if config.version != 1 {
        return complaint(format!("version = {} is not known", config.version), "this secprm reads version = 1");
    }
    if config.source.is_empty() {
        return complaint(
            "there is no [[source]]".to_owned(),
            "add one: dataset = \"sven\" and url = \"path/to/sven\"",
        );
    }
    if let Some(source) = config.source.iter().find(|source| source.granularity.is_empty()) {
        return complaint(
            format!("granularity of the [[source]] {} is empty", source.url),
            "list at least one of function, file, repository, or leave the key out",
        );
    }
    if config.label.modes.is_empty() {
        return complaint("[label] modes is empty".to_owned(), "list at least one of natural, paper, paper_cleaned");
    }
    if let Some(twice) =
        config.label.modes.iter().enumerate().find(|(at, mode)| config.label.modes[..*at].contains(mode))
    {
        return complaint(format!("[label] modes lists {} twice", twice.1.as_str()), "list each mode once");
    }
    if !config.label.modes.contains(&config.train.label_mode) {
        return complaint(
            format!("[train] label_mode = \"{}\" is not among [label] modes", config.train.label_mode.as_str()),
            "add it to [label] modes",
        );
    }
    if !(0.0..=1.0).contains(&config.label.max_propagated_share) {
        return complaint(
            format!("[label] max_propagated_share = {} is outside of 0 to 1", config.label.max_propagated_share),
            "0.5 lets callers mark half of a sample's steps; propagate = \"none\" marks no caller",
        );
    }
    if config.label.analyzer_levels.is_empty() {
        return complaint(
            "[label] analyzer_levels is empty".to_owned(),
            "list at least one of error, warning, note, none; without an [[analysis]] no finding labels",
        );
    }
    for (key, value, least) in [
        ("[label] max_step_lines", config.label.max_step_lines, 1),
        ("[label] max_step_bytes", config.label.max_step_bytes, 16),
        ("[tokenizer] vocab_size", config.tokenizer.vocab_size, 257),
        ("[tokenizer] max_tokens", config.tokenizer.max_tokens, 128),
        ("[limits] memory_mib", config.limits.memory_mib, 64),
        ("[limits] max_record_bytes", config.limits.max_record_bytes, 1024),
        ("[limits] slice_mib", config.limits.slice_mib, 1),
    ] {
        if value < least {
            return complaint(format!("{key} = {value} is too small"), &format!("it must be at least {least}"));
        }
    }
    if !(config.split.max_group_share > 0.0 && config.split.max_group_share <= 1.0) {
        return complaint(
            format!("[split] max_group_share = {} is no share of all pairs", config.split.max_group_share),
            "it is above 0 and at most 1; 0.05 when not given",
        );
    }
    config.checks.limits.validate()?;
    config.mix.validate()?;
    config.train.settings()?;
    if !(config.score.tau > 0.0 && config.score.tau.is_finite()) {
        return complaint(
            format!("[score] tau = {} is not a positive number", config.score.tau),
            "the authors use 0.1",
        );
    }
    if !(0.0..=1.0).contains(&config.score.threshold) {
        return complaint(
            format!("[score] threshold = {} is outside of 0 to 1", config.score.threshold),
            "the paper uses 0.5",
        );
    }
    if !(0.0..=1.0).contains(&config.audit.margin) {
        return complaint(
            format!("[audit] margin = {} is outside of 0 to 1", config.audit.margin),
            "it is a difference of two AUROCs or accuracies; 0.05 when not given",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use secprm_stages::ingest::DatasetKind;

    use super::*;

    fn failure(text: &str) -> String {
        let error = parse(text, "secprm.toml").unwrap_err();
        format!("{error} | {}", error.remedy().unwrap_or(""))
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_nearest_known_key() {
        let text = "version = 1\nwarehuose = \"w\"\n";
        let failure = failure(text);
        assert!(failure.contains("line 2: unknown field `warehuose`"), "{failure}");
        assert!(failure.ends_with("did you mean `warehouse`?"), "{failure}");
    }

    #[test]
    fn an_unknown_dataset_names_the_nearest_one() {
        let text = "version = 1\nwarehouse = \"w\"\n[[source]]\ndataset = \"svem\"\nurl = \"x\"\n";
        assert!(failure(text).ends_with("did you mean `sven`?"), "{}", failure(text));
    }

    #[test]
    fn an_unknown_part_of_the_mixture_names_the_nearest_one() {
        let with = |line: &str| {
            format!("version = 1\nwarehouse = \"w\"\n[[source]]\ndataset = \"sven\"\nurl = \"x\"\n[mix]\n{line}\n")
        };
        for (line, known) in [
            ("leave_out = [\"bigvull\"]", "bigvul"),
            ("leave_out = [\"primevul/unpared\"]", "primevul/unpaired"),
            ("repeats = { svem = 3 }", "sven"),
            ("leave-out = []", "leave_out"),
        ] {
            let failure = failure(&with(line));
            assert!(failure.contains("secprm.toml, line 7: unknown"), "{failure}");
            assert!(failure.ends_with(&format!("did you mean `{known}`?")), "{failure}");
        }
    }

    #[test]
    fn a_trained_mode_that_is_not_computed_is_refused() {
        let text = "version = 1\nwarehouse = \"w\"\n[[source]]\ndataset = \"sven\"\nurl = \"x\"\n[train]\nlabel_mode = \"paper\"\n";
        assert!(failure(text).contains("is not among [label] modes"), "{}", failure(text));
    }

    #[test]
    fn an_unknown_rule_of_splits_and_a_share_that_is_none_are_refused() {
        let with = |line: &str| {
            format!("version = 1\nwarehouse = \"w\"\n[[source]]\ndataset = \"sven\"\nurl = \"x\"\n[split]\n{line}\n")
        };
        assert!(failure(&with("by = \"groups\"")).ends_with("did you mean `group`?"));
        for share in ["0.0", "1.5", "nan"] {
            let failure = failure(&with(&format!("max_group_share = {share}")));
            assert!(failure.contains("is no share of all pairs"), "{failure}");
        }
        assert!(parse(&with("by = \"project\"\nmax_group_share = 1.0"), "secprm.toml").is_ok());
    }

    #[test]
    fn the_built_in_configuration_is_valid() {
        let config = parse(SAMPLES_CONFIG, "built-in").unwrap();
        let datasets: Vec<DatasetKind> = config.source.iter().map(|source| source.dataset).collect();
        assert_eq!(datasets, DatasetKind::ALL);
    }
}
