//! The file descriptors that this process may open. A budget of what needs one is smaller.

use anyhow::ensure;
use rustix::process::{Resource, getrlimit};

/// How many file descriptors this process may open (`ulimit -n`).
pub fn descriptor_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Refuses a chosen budget that is larger than the `free` ones of this many descriptors. `variable` is its name, and
/// `purpose` what its descriptors are for.
pub fn ensure_descriptors(variable: &str, size: u64, descriptors: u64, free: u64, purpose: &str) -> anyhow::Result<()> {
    ensure!(
        size <= free,
        "{variable} is {size}, but of its {descriptors} file descriptors (ulimit -n) this process has {free} for {purpose}"
    );
    Ok(())
}
