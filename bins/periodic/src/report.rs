//! The log of repeated passes.

/// Logs the results of the passes of one reconciler: only the first of several failed passes is a warning.
pub(crate) struct Reports {
    name: &'static str,
    is_failing: bool,
}

impl Reports {
    pub(crate) const fn of(name: &'static str) -> Self {
        Self { name, is_failing: false }
    }

    pub(crate) fn record(&mut self, passed: anyhow::Result<u64>) {
        let reconciler = self.name;
        match passed {
            Ok(repaired) => {
                self.is_failing = false;
                if repaired > 0 {
                    tracing::info!(reconciler, repaired, "a pass repaired rows");
                }
            }
            Err(error) if !self.is_failing => {
                self.is_failing = true;
                tracing::warn!(reconciler, error = format!("{error:#}"), "a pass failed");
            }
            Err(error) => tracing::debug!(reconciler, error = format!("{error:#}"), "a pass failed"),
        }
    }
}
