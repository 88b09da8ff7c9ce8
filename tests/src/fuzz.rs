//! Throws mutated inputs at everything that reads what others wrote, and holds what comes out against what must be true of
//! it. It needs no compiler of its own: inputs come from a committed corpus and a seeded generator, and an input that is
//! answered in a new way joins those that are mutated.

mod finding;
mod mutation;
mod targets;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use fastrand::Rng;

pub use finding::{Finding, Slow, Watch, quiet_panics};
pub use targets::TARGETS;

use self::finding::Trial;

/// Most inputs that are kept for mutation beside the corpus.
const MOST_KEPT: usize = 2_000;
/// Findings of one target after which it is left.
const MOST_FINDINGS: usize = 5;

/// Something that reads what others wrote.
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// Pieces that its inputs are made of.
    pub words: &'static [&'static str],
    /// Longest input, in bytes.
    pub most_bytes: usize,
    /// Reads an input. Ok: how it was answered, in few different words; an error: what should be true and is not.
    pub read: fn(&[u8]) -> Result<String, String>,
}

/// How long a target is tried.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Mutated inputs, after the corpus.
    pub inputs: u64,
    /// From which they follow.
    pub seed: u64,
    /// How long one input may take.
    pub slow: Slow,
}

/// What came of a target.
#[derive(Debug)]
pub struct Outcome {
    /// The target.
    pub name: &'static str,
    /// Inputs read.
    pub inputs: u64,
    /// Of them, from the corpus.
    pub corpus: usize,
    /// Different answers.
    pub answers: usize,
    /// For how long.
    pub took: Duration,
    /// What went wrong.
    pub findings: Vec<Finding>,
}

/// The committed inputs of a target, in the order of their names.
///
/// # Errors
/// Where there are none, or they cannot be read.
pub fn corpus(folder: &Path, target: &Target) -> anyhow::Result<Vec<Vec<u8>>> {
    let folder = folder.join(target.name);
    let entries = std::fs::read_dir(&folder).with_context(|| format!("no corpus at {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    anyhow::ensure!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| std::fs::read(path).with_context(|| path.display().to_string())).collect()
}

/// Reads the corpus of a target and mutations of it.
pub fn fuzz(target: &Target, corpus: Vec<Vec<u8>>, effort: Effort, watch: &Watch) -> Outcome {
    let started = Instant::now();
    let trial = Trial { target, slow: effort.slow, watch };
    let mut run =
        Run { trial, kept: Vec::new(), answers: HashSet::new(), broken: HashSet::new(), findings: Vec::new() };
    let from_corpus = corpus.len();
    for input in &corpus {
        run.read(input);
    }
    // What the corpus holds is mutated whether its answer was new or not.
    run.kept = corpus;
    let mut rng = Rng::with_seed(effort.seed ^ mutation::seed_of(target.name));
    let mut inputs = from_corpus as u64;
    while inputs < effort.inputs + from_corpus as u64 && run.findings.len() < MOST_FINDINGS {
        let input = mutation::mutated(&mut rng, &run.kept, target);
        if run.read(&input) && run.kept.len() < from_corpus + MOST_KEPT {
            run.kept.push(input);
        }
        inputs += 1;
    }
    let Run { answers, findings, .. } = run;
    let took = started.elapsed();
    Outcome { name: target.name, inputs, corpus: from_corpus, answers: answers.len(), took, findings }
}

struct Run<'a> {
    trial: Trial<'a>,
    kept: Vec<Vec<u8>>,
    answers: HashSet<String>,
    /// What was found already, so that it is found once.
    broken: HashSet<String>,
    findings: Vec<Finding>,
}

impl Run<'_> {
    /// Whether the answer is a new one.
    fn read(&mut self, input: &[u8]) -> bool {
        match self.trial.read(input) {
            Ok(answer) => self.answers.insert(answer),
            Err(why) => {
                if self.broken.insert(why.kind()) {
                    self.findings.push(self.trial.minimised(input, why));
                }
                false
            }
        }
    }
}
