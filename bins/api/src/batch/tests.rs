//! Batches, good and bad.
