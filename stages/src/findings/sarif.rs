//! The parts of SARIF 2.1.0 that findings are made of, as its schema names them; everything else in a file is passed over.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::finding::Level;

/// A file without its results.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object with `version` and `runs`")]
pub struct Document {
    pub version: Option<String>,
    pub runs: Option<Vec<Run>>,
}

/// One run of a tool, without its results.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a run, an object")]
pub struct Run {
    pub tool: Option<Tool>,
    pub artifacts: Option<Vec<Artifact>>,
    pub original_uri_base_ids: Option<BTreeMap<String, ArtifactLocation>>,
    pub external_property_file_references: Option<ExternalFiles>,
}

/// The analyser.
#[derive(Debug, Default, Deserialize)]
pub struct Tool {
    pub driver: Option<Component>,
    pub extensions: Option<Vec<Component>>,
}

/// A part of the analyser that brings rules.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    pub name: Option<String>,
    pub version: Option<String>,
    pub semantic_version: Option<String>,
    pub rules: Option<Vec<Rule>>,
}

/// A rule.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    pub id: Option<String>,
    pub default_configuration: Option<Configuration>,
}

/// How a rule is set up.
#[derive(Debug, Default, Deserialize)]
pub struct Configuration {
    pub level: Option<Level>,
}

/// A file that was analysed.
#[derive(Debug, Default, Deserialize)]
pub struct Artifact {
    pub location: Option<ArtifactLocation>,
}

/// Where a file is: by uri, perhaps relative to a base, or by number among the run's artifacts.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactLocation {
    pub uri: Option<String>,
    pub uri_base_id: Option<String>,
    pub index: Option<i64>,
}

/// Parts of a run that are kept in files of their own.
#[derive(Debug, Deserialize)]
pub struct ExternalFiles {
    pub results: Option<serde::de::IgnoredAny>,
}

/// A result.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a result, an object")]
pub struct SarifResult {
    pub rule_id: Option<String>,
    pub rule_index: Option<i64>,
    pub rule: Option<RuleReference>,
    pub kind: Option<String>,
    pub level: Option<Level>,
    pub message: Option<Message>,
    pub locations: Option<Vec<ResultLocation>>,
    pub suppressions: Option<Vec<Suppression>>,
    pub baseline_state: Option<String>,
}

/// Which rule a result is of.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleReference {
    pub id: Option<String>,
    pub index: Option<i64>,
    pub tool_component: Option<ComponentReference>,
}

/// Which part of the analyser a rule is of; the driver where there is none.
#[derive(Debug, Default, Deserialize)]
pub struct ComponentReference {
    pub index: Option<i64>,
}

/// What an analyser says.
#[derive(Debug, Default, Deserialize)]
pub struct Message {
    pub text: Option<String>,
}

/// One place of a result.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultLocation {
    pub physical_location: Option<PhysicalLocation>,
}

/// A place in a file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhysicalLocation {
    pub artifact_location: Option<ArtifactLocation>,
    pub region: Option<Region>,
}

/// Lines and columns, both from 1; the end column is the one behind the last character.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Region {
    pub start_line: Option<i64>,
    pub end_line: Option<i64>,
    pub end_column: Option<i64>,
}

/// A decision to leave a result aside.
#[derive(Debug, Default, Deserialize)]
pub struct Suppression {
    pub status: Option<String>,
}

/// What a run says once for all of its results: the analyser, its rules, its files.
#[derive(Debug, Default)]
pub struct RunContext {
    /// The analyser's name.
    pub tool: String,
    /// Its version.
    pub tool_version: Option<String>,
    driver: Vec<Rule>,
    extensions: Vec<Vec<Rule>>,
    levels: HashMap<String, Level>,
    artifacts: Vec<ArtifactLocation>,
    bases: BTreeMap<String, ArtifactLocation>,
}

impl RunContext {
    /// Prepares a run for look-ups; `None` where it does not name its analyser.
    pub fn new(run: Run) -> Option<RunContext> {
        let tool = run.tool?;
        let driver = tool.driver?;
        let rules_of = |component: Component| component.rules.unwrap_or_default();
        let (name, tool_version) = (driver.name.clone()?, driver.version.clone().or(driver.semantic_version.clone()));
        let driver = rules_of(driver);
        let extensions: Vec<Vec<Rule>> = tool.extensions.unwrap_or_default().into_iter().map(rules_of).collect();
        let mut levels = HashMap::new();
        for rule in driver.iter().chain(extensions.iter().flatten()) {
            if let (Some(id), Some(level)) = (&rule.id, rule.level()) {
                levels.entry(id.clone()).or_insert(level);
            }
        }
        let artifacts = run.artifacts.unwrap_or_default().into_iter();
        Some(RunContext {
            tool: name,
            tool_version,
            driver,
            extensions,
            levels,
            artifacts: artifacts.map(|artifact| artifact.location.unwrap_or_default()).collect(),
            bases: run.original_uri_base_ids.unwrap_or_default(),
        })
    }

    /// Returns the rule a result points to by number.
    fn rule(&self, result: &SarifResult) -> Option<&Rule> {
        let reference = result.rule.as_ref();
        let index = reference.and_then(|rule| rule.index).or(result.rule_index)?;
        let component = reference.and_then(|rule| rule.tool_component.as_ref()?.index);
        let rules = match component {
            Some(component) => self.extensions.get(usize::try_from(component).ok()?)?,
            None => &self.driver,
        };
        rules.get(usize::try_from(index).ok()?)
    }

    /// Returns a result's rule identifier, its own or that of the rule it points to.
    pub fn rule_id<'run>(&'run self, result: &'run SarifResult) -> Option<&'run str> {
        let own = result.rule_id.as_deref().or_else(|| result.rule.as_ref()?.id.as_deref());
        own.or_else(|| self.rule(result)?.id.as_deref())
    }

    /// Returns a result's level: its own, else its rule's default, else warning (SARIF 2.1.0, section 3.27.10).
    pub fn level(&self, result: &SarifResult) -> Level {
        let of_rule = || self.rule(result).and_then(Rule::level);
        let by_id = || self.levels.get(self.rule_id(result)?).copied();
        result.level.or_else(of_rule).or_else(by_id).unwrap_or(Level::Warning)
    }

    /// Returns a file's uri, put together from its bases; `None` where nothing names it.
    pub fn uri(&self, location: &ArtifactLocation) -> Option<String> {
        let by_index = || self.artifacts.get(usize::try_from(location.index?).ok()?);
        let location = if location.uri.is_some() { location } else { by_index()? };
        let mut uri = location.uri.clone()?;
        let mut base_id = location.uri_base_id.as_ref();
        // Each base is used once at most, so that bases which name each other come to an end.
        for _ in 0..self.bases.len() {
            let Some(base) = base_id.and_then(|id| self.bases.get(id)) else { break };
            if is_absolute(&uri) {
                break;
            }
            let start = base.uri.as_deref().unwrap_or("");
            let separator = if start.is_empty() || start.ends_with('/') { "" } else { "/" };
            uri = format!("{start}{separator}{uri}");
            base_id = base.uri_base_id.as_ref();
        }
        Some(uri)
    }
}

impl Rule {
    fn level(&self) -> Option<Level> {
        self.default_configuration.as_ref()?.level
    }
}

fn is_absolute(uri: &str) -> bool {
    uri.starts_with('/') || uri.contains("://")
}
