//! Stage `tokenizer`: the configured tokenizer, or one trained on the steps that are trained on, as the table `tokenizers`.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use secprm_model::StepTokenizer;
use secprm_stages::train::{TOKENIZERS, tokenizer_of, train_tokenizer, write_tokenizer};
use secprm_storage::Table;

use super::read_named;
use super::relation::whole;
use crate::catalog::Rows;
use crate::config::{Project, When};
use crate::error::{Error, Result};
use crate::freshness::hash_text;
use crate::relation::Scope;
use crate::stage::{Assessment, Declaration, Stage, World};

/// What a tokenizer learns from: every step that is trained on, once. What training leaves out shapes no vocabulary either.
const TEXTS: &str = "SELECT unnest(completions) AS text FROM training_samples";

/// What it learns from where all is left out and `[train] when = "manual"` lets data be published: shards need a vocabulary all the same.
const TEXTS_LEFT_OUT: &str = "SELECT text FROM steps WHERE split = 'train' AND label_mode = ";

/// Makes or reads the tokenizer.
pub struct TokenizerStage {
    declaration: Declaration,
    given: Option<(String, String)>,
    vocab_size: usize,
    label_mode: &'static str,
}

impl TokenizerStage {
    /// Makes the stage of a project. A pretrained model brings its own tokenizer unless another one is configured.
    ///
    /// # Errors
    /// Of kind usage: a tokenizer file that cannot be read.
    pub fn new(project: &Project) -> Result<Self> {
        let config = &project.config;
        let path = config
            .tokenizer
            .path
            .clone()
            .or_else(|| config.model.path.as_ref().map(|folder| format!("{folder}/tokenizer.json")));
        let given = match path {
            Some(path) => Some((path.clone(), read_named(project, "[tokenizer] path", &path)?)),
            None => None,
        };
        let label_mode = config.train.label_mode.as_str();
        let mut inputs = BTreeMap::from([("tokenizer stage".to_owned(), "1".to_owned())]);
        match &given {
            Some((path, text)) => {
                inputs.insert(format!("file {path}"), hash_text(text));
            }
            None => {
                inputs.insert("[tokenizer] vocab_size".to_owned(), config.tokenizer.vocab_size.to_string());
                inputs.insert("[train] label_mode".to_owned(), label_mode.to_owned());
                inputs.insert("[mix] leave_out".to_owned(), config.mix.leave_out_as_text());
            }
        }
        let declaration = Declaration {
            name: "tokenizer".to_owned(),
            reads: if given.is_some() { Vec::new() } else { vec!["samples".to_owned()] },
            writes: vec![TOKENIZERS.to_owned()],
            scope: Scope::Global,
            inputs,
            // Shards must fit the model that reads them: while training waits, so does its tokenizer.
            manual: config.train.when == When::Manual,
        };
        Ok(TokenizerStage { declaration, given, vocab_size: config.tokenizer.vocab_size, label_mode })
    }
}

#[async_trait]
impl Stage for TokenizerStage {
    fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    async fn run(&self, world: &World, work: &Assessment) -> Result<Vec<Table>> {
        let (tokenizer, origin) = match &self.given {
            Some((path, text)) => {
                let read = StepTokenizer::from_json(text).map_err(|error| Error::from(error).context(path))?;
                (read, path.as_str())
            }
            None => {
                let session = world.sessions.open(&world.heads(), Rows::All)?;
                let is_trained_on = session.table("training_samples").await?.limit(0, Some(1))?.count().await? > 0;
                let texts = match is_trained_on {
                    true => session.sql(TEXTS).await?,
                    false => session.sql(&format!("{TEXTS_LEFT_OUT}'{}'", self.label_mode)).await?,
                };
                (train_tokenizer(texts.execute_stream().await?, self.vocab_size).await?, "trained")
            }
        };
        let base = world.head(TOKENIZERS);
        let note = world.note("tokenizer");
        let table = write_tokenizer(&world.warehouse, base.as_ref(), &tokenizer, origin, whole(work)?, &note).await?;
        world.sessions.registry().insert(Arc::new(tokenizer));
        Ok(vec![table])
    }
}

/// Makes the published tokenizer known to the SQL functions and returns it; `None` if there is none yet.
pub async fn load_tokenizer(world: &World) -> Result<Option<Arc<StepTokenizer>>> {
    let Some(table) = world.head(TOKENIZERS) else { return Ok(None) };
    load_tokenizer_of(&world.sessions, table).await
}

/// Makes the tokenizer of a version of `tokenizers` known to the SQL functions and returns it.
pub async fn load_tokenizer_of(
    sessions: &crate::catalog::Sessions,
    table: Table,
) -> Result<Option<Arc<StepTokenizer>>> {
    let session = sessions.open(&BTreeMap::from([(TOKENIZERS.to_owned(), table)]), Rows::All)?;
    let batches = session.table(TOKENIZERS).await?.collect().await?;
    let tokenizer = tokenizer_of(&batches)?.map(Arc::new);
    if let Some(tokenizer) = &tokenizer {
        sessions.registry().insert(tokenizer.clone());
    }
    Ok(tokenizer)
}
