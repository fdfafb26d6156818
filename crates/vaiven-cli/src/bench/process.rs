//! What a process has used, as Linux tells it.

use std::fs;
use std::io;
use std::time::Duration;

/// CPU time and memory of a process at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    /// User and system time of its threads.
    pub(super) cpu: Duration,
    /// Resident memory, in bytes.
    pub(super) rss: u64,
}

impl Usage {
    /// Looks at a process.
    ///
    /// # Errors
    /// There is no such process, it is another user's, or this is not Linux.
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        let mut nanos = 0;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            match fs::read_to_string(thread?.path().join("schedstat")) {
                Ok(text) => nanos += cpu_nanos(&text)?,
                // It ended while we looked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        Ok(Self { cpu: Duration::from_nanos(nanos), rss: rss(&status)? })
    }
}

/// CPU time of this very process, with that of threads that have ended.
pub(super) fn own_cpu() -> Option<Duration> {
    #[cfg(unix)]
    {
        use rustix::time::{ClockId, clock_gettime};
        Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).ok()
    }
    #[cfg(not(unix))]
    None
}

/// The first field of schedstat is the time on a CPU.
fn cpu_nanos(schedstat: &str) -> io::Result<u64> {
    let first = schedstat.split_whitespace().next();
    first
        .and_then(|nanos| nanos.parse().ok())
        .ok_or_else(|| io::Error::other("the kernel keeps no schedstat"))
}

fn rss(status: &str) -> io::Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("the kernel tells no resident memory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        assert_eq!(cpu_nanos("123456 789 3\n").unwrap(), 123_456);
        assert!(cpu_nanos("").is_err());
        assert_eq!(rss("Name:\tx\nVmRSS:\t    12 kB\nThreads:\t1\n").unwrap(), 12 << 10);
        assert!(rss("Name:\tkthreadd\n").is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_memory_and_another_may_not_exist() {
        assert!(Usage::of(std::process::id()).unwrap().rss > 0);
        let before = own_cpu().unwrap();
        std::thread::spawn(|| (0..1_000_000).map(std::hint::black_box).sum::<u64>()).join().unwrap();
        assert!(own_cpu().unwrap() > before);
        assert!(Usage::of(u32::MAX).is_err());
    }
}
