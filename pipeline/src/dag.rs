//! The DAG: stages in an order in which every table is written before it is read, and selections of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::nearest;
use crate::error::{Error, Result};
use crate::history::HISTORY;
use crate::stage::Stage;

/// The stages, each after those it depends on.
pub struct Dag {
    stages: Vec<Arc<dyn Stage>>,
    upstream: Vec<BTreeSet<usize>>,
}

impl Dag {
    /// Orders stages by what they read and write.
    ///
    /// # Errors
    /// Of kind usage: two stages write one table, a table that nobody writes, stages that wait for each other.
    pub fn new(stages: Vec<Arc<dyn Stage>>) -> Result<Dag> {
        let mut writers: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, stage) in stages.iter().enumerate() {
            for table in &stage.declaration().writes {
                if let Some(other) = writers.insert(table, index) {
                    let names = [other, index].map(|index| stages[index].declaration().name.clone());
                    return Err(Error::usage(format!("stages {} and {} both write table {table}", names[0], names[1]))
                        .hint("rename one of the .sql files"));
                }
            }
        }
        let mut upstream = Vec::new();
        for stage in &stages {
            let mut needed = BTreeSet::new();
            for table in stage.declaration().reads.iter().filter(|table| !HISTORY.contains(&table.as_str())) {
                match writers.get(table.as_str()) {
                    Some(writer) => needed.insert(*writer),
                    None => {
                        let reader = format!("stage {}", stage.declaration().name);
                        return Err(unknown_table(table, &reader, writers.keys().copied()));
                    }
                };
            }
            upstream.push(needed);
        }
        let order = order(&stages, &upstream)?;
        let position: BTreeMap<usize, usize> = order.iter().enumerate().map(|(new, old)| (*old, new)).collect();
        let upstream = order.iter().map(|old| upstream[*old].iter().map(|needed| position[needed]).collect()).collect();
        Ok(Dag { stages: order.iter().map(|old| stages[*old].clone()).collect(), upstream })
    }

    /// Finds relations beside the stages (checks, views) that read what no stage writes, before a run has done all its work.
    ///
    /// # Errors
    /// Of kind usage, naming the nearest table.
    pub fn require_tables(&self, reader: &str, tables: &[String]) -> Result<()> {
        let written =
            || self.stages.iter().flat_map(|stage| &stage.declaration().writes).map(String::as_str).chain(HISTORY);
        match tables.iter().find(|table| !written().any(|name| name == table.as_str())) {
            Some(table) => Err(unknown_table(table, reader, written())),
            None => Ok(()),
        }
    }

    /// Returns the stages in order.
    pub fn stages(&self) -> &[Arc<dyn Stage>] {
        &self.stages
    }

    /// Returns the positions of the stages that a stage waits for.
    pub fn upstream(&self, stage: usize) -> &BTreeSet<usize> {
        &self.upstream[stage]
    }

    /// Returns a stage's name.
    pub fn name(&self, stage: usize) -> &str {
        &self.stages[stage].declaration().name
    }

    /// Resolves selections as in dbt: `name`, `+name` (and what it needs), `name+` (and what needs it); a table's name stands for the
    /// stage that writes it. Nothing selected means everything.
    ///
    /// # Errors
    /// Of kind usage: an unknown name, or nothing left.
    pub fn select(&self, select: &[String], exclude: &[String]) -> Result<BTreeSet<usize>> {
        let mut chosen = if select.is_empty() { (0..self.stages.len()).collect() } else { self.resolve(select)? };
        for stage in self.resolve(exclude)? {
            chosen.remove(&stage);
        }
        if chosen.is_empty() {
            return Err(Error::usage("the selection is empty").hint("`secprm plan` lists the stages"));
        }
        Ok(chosen)
    }

    fn resolve(&self, words: &[String]) -> Result<BTreeSet<usize>> {
        let mut chosen = BTreeSet::new();
        for word in words.iter().flat_map(|words| words.split([',', ' '])).filter(|word| !word.is_empty()) {
            let name = word.trim_matches('+');
            let stage = self.find(name)?;
            chosen.insert(stage);
            if word.starts_with('+') {
                chosen.extend(self.closure(stage, |from, to| self.upstream[from].contains(&to)));
            }
            if word.ends_with('+') {
                chosen.extend(self.closure(stage, |from, to| self.upstream[to].contains(&from)));
            }
        }
        Ok(chosen)
    }

    fn find(&self, name: &str) -> Result<usize> {
        let declarations = || self.stages.iter().map(|stage| stage.declaration());
        let by_name = declarations().position(|declaration| declaration.name == name);
        let found = by_name
            .or_else(|| declarations().position(|declaration| declaration.writes.iter().any(|table| table == name)));
        found.ok_or_else(|| {
            let known =
                declarations().flat_map(|declaration| std::iter::once(&declaration.name).chain(&declaration.writes));
            let error = Error::usage(format!("there is no stage or table {name}"));
            match nearest(name, known.map(String::as_str)) {
                Some(near) => error.hint(format!("did you mean {near}? `secprm plan` lists the stages")),
                None => error.hint("`secprm plan` lists the stages"),
            }
        })
    }

    fn closure(&self, start: usize, is_next: impl Fn(usize, usize) -> bool) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![start];
        while let Some(from) = waiting.pop() {
            for to in 0..self.stages.len() {
                if is_next(from, to) && reached.insert(to) {
                    waiting.push(to);
                }
            }
        }
        reached
    }
}

fn order(stages: &[Arc<dyn Stage>], upstream: &[BTreeSet<usize>]) -> Result<Vec<usize>> {
    let mut order: Vec<usize> = Vec::new();
    while order.len() < stages.len() {
        let next = (0..stages.len())
            .find(|stage| !order.contains(stage) && upstream[*stage].iter().all(|needed| order.contains(needed)));
        match next {
            Some(stage) => order.push(stage),
            None => {
                let stuck: Vec<&str> = (0..stages.len())
                    .filter(|stage| !order.contains(stage))
                    .map(|stage| stages[stage].declaration().name.as_str())
                    .collect();
                return Err(Error::usage(format!("the stages {} wait for each other", stuck.join(", ")))
                    .hint("a table must not be read, directly or not, by what it is made of"));
            }
        }
    }
    Ok(order)
}

fn unknown_table<'name>(table: &str, reader: &str, known: impl IntoIterator<Item = &'name str>) -> Error {
    let error = Error::usage(format!("{reader} reads {table}, which is no table or view"));
    match nearest(table, known) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint("`secprm plan` lists the stages and `secprm sql -c 'SHOW TABLES'` the tables"),
    }
}
