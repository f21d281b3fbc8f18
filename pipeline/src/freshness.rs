//! Freshness by fingerprints: a table's log says what each slice was computed from.

use std::collections::{BTreeMap, BTreeSet};

use secprm_storage::{Fingerprint, Table};

use crate::error::Result;
use crate::relation::Scope;
use crate::stage::{Assessment, Declaration};

/// Compares what a stage's tables were computed from with what they would be computed from now.
///
/// Slices: one is stale if the stage itself, the same slice of a sliced input or any unsliced input changed. Whole tables: stale if
/// anything changed. Nothing is kept beside the tables, so a killed run leaves nothing to repair: slices it committed are fresh.
pub async fn assess(declaration: &Declaration, heads: &BTreeMap<String, Table>) -> Result<Assessment> {
    let mut inputs = declaration.inputs.clone();
    let mut own = Hash::new();
    for (name, value) in &declaration.inputs {
        own.add(name);
        own.add(value);
    }
    let mut sliced: BTreeMap<&str, BTreeMap<String, Fingerprint>> = BTreeMap::new();
    for name in &declaration.reads {
        let fingerprints = fingerprints_of(heads.get(name)).await?;
        let whole = hash_of_all(&fingerprints);
        inputs.insert(format!("table {name}"), whole.clone());
        let is_whole = fingerprints.keys().any(String::is_empty);
        if declaration.scope == Scope::Slice && !is_whole {
            sliced.insert(name, fingerprints);
        } else {
            own.add(name);
            own.add(&whole);
        }
    }
    let units = match declaration.scope {
        Scope::Global => BTreeMap::from([(String::new(), own.finish())]),
        Scope::Slice => {
            let keys: BTreeSet<&String> = sliced.values().flat_map(BTreeMap::keys).collect();
            keys.into_iter().map(|key| (key.clone(), slice_fingerprint(&own, &sliced, key))).collect()
        }
    };
    let mut stale = BTreeMap::new();
    let mut removed = BTreeSet::new();
    for name in &declaration.writes {
        let existing = fingerprints_of(heads.get(name)).await?;
        let changed = units.iter().filter(|(key, fingerprint)| existing.get(*key) != Some(fingerprint));
        stale.extend(changed.map(|(key, fingerprint)| (key.clone(), *fingerprint)));
        removed.extend(existing.into_keys().filter(|key| !units.contains_key(key)));
    }
    Ok(Assessment { stale, removed: removed.into_iter().collect(), units, inputs, is_full_refresh: false })
}

/// Returns a hash over the fingerprints of all slices of a table, as [`assess`] compares them; of a table that is not there too.
pub async fn table_hash(table: Option<&Table>) -> Result<String> {
    Ok(hash_of_all(&fingerprints_of(table).await?))
}

async fn fingerprints_of(table: Option<&Table>) -> Result<BTreeMap<String, Fingerprint>> {
    match table {
        Some(table) => Ok(table.fingerprints().await?),
        None => Ok(BTreeMap::new()),
    }
}

fn slice_fingerprint(own: &Hash, sliced: &BTreeMap<&str, BTreeMap<String, Fingerprint>>, key: &str) -> Fingerprint {
    let mut hash = own.clone();
    for (name, fingerprints) in sliced {
        hash.add(name);
        hash.add(&fingerprints.get(key).map_or_else(String::new, Fingerprint::to_string));
    }
    hash.finish()
}

fn hash_of_all(fingerprints: &BTreeMap<String, Fingerprint>) -> String {
    let mut hash = Hash::new();
    for (key, fingerprint) in fingerprints {
        hash.add(key);
        hash.add(&fingerprint.to_string());
    }
    hash.finish().to_string()
}

/// Hashes a text for a declaration's inputs.
pub fn hash_text(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// A hash over texts in order; where one text ends and the next begins matters.
#[derive(Clone)]
struct Hash(blake3::Hasher);

impl Hash {
    fn new() -> Hash {
        Hash(blake3::Hasher::new())
    }

    fn add(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    fn finish(&self) -> Fingerprint {
        let mut first = [0u8; 8];
        first.copy_from_slice(&self.0.finalize().as_bytes()[..8]);
        Fingerprint::new(u64::from_be_bytes(first))
    }
}

/// Says in words why a stage is stale, given what its last run was computed from.
///
/// At most three reasons, and how many more there are.
pub fn reasons(now: &BTreeMap<String, String>, before: Option<&BTreeMap<String, String>>) -> Vec<String> {
    let Some(before) = before else { return vec!["it never ran".to_owned()] };
    let mut reasons = Vec::new();
    for (name, value) in now {
        match before.get(name) {
            None => reasons.push(format!("{name} is new")),
            Some(earlier) if earlier != value => reasons.push(format!("{name} changed")),
            Some(_) => {}
        }
    }
    reasons.extend(before.keys().filter(|name| !now.contains_key(*name)).map(|name| format!("{name} is gone")));
    if reasons.is_empty() {
        reasons.push("its last run did not finish".to_owned());
    }
    if reasons.len() > 3 {
        let more = reasons.len() - 3;
        reasons.truncate(3);
        reasons.push(format!("{more} more"));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn reasons_name_what_changed() {
        let before = inputs(&[("parameter tau", "0.1"), ("table pairs", "a")]);
        assert_eq!(reasons(&before, None), ["it never ran"]);
        assert_eq!(
            reasons(&inputs(&[("parameter tau", "0.2"), ("table pairs", "a")]), Some(&before)),
            ["parameter tau changed"]
        );
        assert_eq!(reasons(&inputs(&[("table pairs", "a")]), Some(&before)), ["parameter tau is gone"]);
        assert_eq!(reasons(&before, Some(&before)), ["its last run did not finish"]);
    }

    #[test]
    fn where_a_text_ends_matters_to_the_hash() {
        let hash = |texts: &[&str]| {
            let mut hash = Hash::new();
            texts.iter().for_each(|text| hash.add(text));
            hash.finish()
        };
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
    }
}
