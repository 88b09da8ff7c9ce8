//! Fuzzes the parsers of foreign data without a special compiler: inputs come from a committed corpus and a seeded
//! generator, and an input with a new kind of answer joins the pool for mutation.

mod finding;
mod mutation;
mod targets;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use fastrand::Rng;

pub use finding::{CurrentInput, Finding, quiet_panics};
pub use targets::TARGETS;

use self::finding::Trial;

/// Most inputs in the pool, in addition to the corpus.
const MAX_POOL: usize = 2_000;
const MAX_FINDINGS: usize = 5;

/// A parser and the properties of its results.
pub struct Target {
    /// The name of the target and of its folder in the corpus.
    pub name: &'static str,
    /// Pieces for the generated inputs.
    pub words: &'static [&'static str],
    /// The longest input.
    pub max_bytes: usize,
    /// Parses an input. Ok: the kind of the answer, out of a few; an error: the violated property.
    pub read: fn(&[u8]) -> Result<String, String>,
}

/// The extent of a run.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Mutated inputs, after the corpus.
    pub inputs: u64,
    /// Seed of the mutations.
    pub seed: u64,
    /// The limit of one input.
    pub time_limit: Duration,
}

/// The result of a target.
#[derive(Debug)]
pub struct TargetReport {
    /// The target's name.
    pub name: &'static str,
    /// All inputs.
    pub inputs: u64,
    /// Inputs from the corpus.
    pub corpus: usize,
    /// Kinds of answers.
    pub answers: usize,
    /// Duration of the run.
    pub took: Duration,
    /// At most one finding of each kind.
    pub findings: Vec<Finding>,
}

/// The committed inputs of a target, in the order of their names. A folder without inputs is an error.
pub fn corpus(folder: &Path, target: &Target) -> anyhow::Result<Vec<Vec<u8>>> {
    let folder = folder.join(target.name);
    let entries = std::fs::read_dir(&folder).with_context(|| format!("no corpus at {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    anyhow::ensure!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| std::fs::read(path).with_context(|| path.display().to_string())).collect()
}

/// Feeds the corpus and its mutations to a target.
pub fn fuzz(target: &Target, corpus: Vec<Vec<u8>>, effort: Effort, current: &CurrentInput) -> TargetReport {
    let started = Instant::now();
    let trial = Trial { target, time_limit: effort.time_limit, current };
    let mut run =
        Run { trial, pool: Vec::new(), answers: HashSet::new(), broken: HashSet::new(), findings: Vec::new() };
    let from_corpus = corpus.len();
    for input in &corpus {
        run.read(input);
    }
    // The whole corpus is in the pool, also inputs with the same answer.
    run.pool = corpus;
    let mut rng = Rng::with_seed(effort.seed ^ mutation::seed_of(target.name));
    let mut inputs = from_corpus as u64;
    while inputs < effort.inputs + from_corpus as u64 && run.findings.len() < MAX_FINDINGS {
        let input = mutation::mutated(&mut rng, &run.pool, target);
        if run.read(&input) && run.pool.len() < from_corpus + MAX_POOL {
            run.pool.push(input);
        }
        inputs += 1;
    }
    let Run { answers, findings, .. } = run;
    let took = started.elapsed();
    TargetReport { name: target.name, inputs, corpus: from_corpus, answers: answers.len(), took, findings }
}

struct Run<'a> {
    trial: Trial<'a>,
    pool: Vec<Vec<u8>>,
    answers: HashSet<String>,
    broken: HashSet<String>,
    findings: Vec<Finding>,
}

impl Run<'_> {
    /// Returns whether the answer is of a new kind.
    fn read(&mut self, input: &[u8]) -> bool {
        match self.trial.read(input) {
            Ok(answer) => self.answers.insert(answer),
            Err(reason) => {
                if self.broken.insert(reason.kind()) {
                    self.findings.push(self.trial.minimized(input, reason));
                }
                false
            }
        }
    }
}
