//! Turns `/proc` into what a process has used: CPU time and memory. Also pins us and the servers.

use std::fs;

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::Result;

/// Core of the server that is measured.
pub(crate) const SERVER_CORE: usize = 0;

/// Core of the load generator.
pub(crate) const LOAD_CORE: usize = 1;

/// Pins the calling thread to one core.
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| format!("cannot run on core {core}: {error}").into())
}

/// User and system time of all threads, in nanoseconds.
pub(crate) fn used_nanos(pid: u32) -> Result<u64> {
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
        let nanos = schedstat.split_whitespace().next().ok_or("an empty schedstat")?;
        total += nanos.parse::<u64>()?;
    }
    Ok(total)
}

/// Memory that the process alone has written to, in bytes.
pub(crate) fn private_bytes(pid: u32) -> Result<u64> {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = smaps.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()).ok_or("no Private_Dirty")?;
    Ok(kib.parse::<u64>()? * 1024)
}
