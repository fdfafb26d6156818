//! How much memory the process has, and whether there is room for more clients: figures of the system to a verdict.
//!
//! What one client may hold is bounded, and so is the number of clients; their product may still be more than the
//! machine has. Before the system ends the process, and all clients with it, the newest are turned away.

use crate::settings::Settings;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use vaiven::server::Refusal;

/// The part of the limit, in percent, from which nobody else is let in. The rest is for those who are there.
const SHED_PERCENT: u64 = 80;
/// How long a figure counts: a second of handshakes at the default rate are some megabytes.
const FRESH: Duration = Duration::from_millis(250);
/// Whole seconds after which a client that was turned away may try again.
const RETRY_AFTER: &str = "5";

/// Watches over the memory of the process.
#[derive(Debug)]
pub(crate) struct MemoryGuard {
    max_bytes: Option<u64>,
    used_bytes: AtomicU64,
    /// When it is asked for again.
    stale_at: Mutex<Option<Instant>>,
}

impl MemoryGuard {
    /// One for the limit of the settings, or else the one that the system has set for the process.
    pub(crate) fn new(settings: &Settings) -> Self {
        let max_bytes = settings.max_memory_bytes.map(|bytes| bytes as u64).or_else(control_group_limit);
        Self { max_bytes, used_bytes: AtomicU64::new(0), stale_at: Mutex::new(None) }
    }

    /// The limit, if there is one.
    pub(crate) fn max_bytes(&self) -> Option<u64> {
        self.max_bytes
    }

    /// Lets nobody in for whom there is no room.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let Some(max) = self.max_bytes else { return Ok(()) };
        self.look();
        if !is_short(self.used_bytes.load(Ordering::Relaxed), max) {
            return Ok(());
        }
        let message = "The server has as much in memory as it is configured for. Try again later.";
        let refusal = Refusal::new(503, "memory", message);
        Err(refusal.with_field("Retry-After", RETRY_AFTER).expect("it is a valid field"))
    }

    /// Asks the system where the last figure is old. One of those who come together does.
    fn look(&self) {
        let now = Instant::now();
        let Ok(mut stale_at) = self.stale_at.try_lock() else { return };
        if stale_at.is_none_or(|stale_at| stale_at <= now) {
            *stale_at = Some(now + FRESH);
            self.used_bytes.store(resident_bytes().unwrap_or(0), Ordering::Relaxed);
        }
    }
}

fn is_short(used: u64, max: u64) -> bool {
    u128::from(used) * 100 > u128::from(max) * u128::from(SHED_PERCENT)
}

/// What the process has in memory (`proc_pid_statm(5)`), where the system tells.
#[cfg(target_os = "linux")]
pub(crate) fn resident_bytes() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The limit of the control group that the process is in, as of a container or a service.
#[cfg(target_os = "linux")]
fn control_group_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let limits = group_folders(&groups)?.filter_map(|folder| {
        let limit = std::fs::read_to_string(format!("/sys/fs/cgroup{folder}/memory.max")).ok()?;
        // It says `max` where there is none.
        limit.trim().parse().ok()
    });
    limits.min()
}

/// The folders of the control group of version 2 and of those around it (`cgroups(7)`), whose limits count too.
#[cfg(target_os = "linux")]
fn group_folders(groups: &str) -> Option<impl Iterator<Item = &str>> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?.trim_end_matches('/');
    Some(std::iter::successors(Some(path), |folder| Some(folder.rsplit_once('/')?.0)))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn resident_bytes() -> Option<u64> {
    None
}

#[cfg(not(target_os = "linux"))]
fn control_group_limit() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_let_in_above_four_fifths_of_the_limit() {
        for (used, expected) in [(0, false), (799, false), (800, false), (801, true), (u64::MAX, true)] {
            assert_eq!(is_short(used, 1_000), expected, "{used}");
        }
        assert!(!is_short(u64::MAX / 5 * 4, u64::MAX));
    }

    #[test]
    fn a_limit_that_is_passed_refuses_and_one_that_is_not_lets_in() {
        for (max, expected) in [(Some(1), cfg!(target_os = "linux")), (Some(usize::MAX), false)] {
            let settings = Settings { max_memory_bytes: max, ..Settings::default() };
            let checked = MemoryGuard::new(&settings).check();
            assert_eq!(checked.err().map(|refusal| refusal.status()), expected.then_some(503), "{max:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells_what_the_process_has() {
        let before = resident_bytes().expect("it tells");
        let mut more = vec![1_u8; 64 << 20];
        more[1 << 20] = 2;
        let after = resident_bytes().expect("it tells");
        assert!(after >= before + (48 << 20), "{before} {after}");
        drop(std::hint::black_box(more));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_groups_around_a_control_group_count_too() {
        let folders = |groups| group_folders(groups).map(Iterator::collect::<Vec<_>>);
        assert_eq!(folders("0::/\n"), Some(vec![""]));
        assert_eq!(
            folders("1:cpu:/x\n0::/a.slice/b.service\n"),
            Some(vec!["/a.slice/b.service", "/a.slice", ""])
        );
        assert_eq!(folders("1:cpu:/x\n"), None);
    }
}
