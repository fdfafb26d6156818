//! Room for connections: each is an open file of this process.

/// Files that are open besides connections: the terminal, timers, the runtimes' own.
#[cfg(unix)]
const SPARE: u64 = 64;

/// Raises the limit of open files as far as it goes.
///
/// # Errors
/// A sentence: how many connections are possible, and what to change.
pub(crate) fn make_room(connections: u64, workers: u64) -> Result<(), String> {
    #[cfg(unix)]
    if let Some(files) = raised() {
        return check(files, connections, workers);
    }
    #[cfg(not(unix))]
    let _ = (connections, workers);
    Ok(())
}

/// How many files this process, and those that it starts, may open; the limit is raised as far as it goes.
pub(crate) fn limit() -> usize {
    #[cfg(unix)]
    if let Some(files) = raised() {
        return usize::try_from(files).unwrap_or(usize::MAX);
    }
    // There is none to speak of.
    1 << 20
}

/// Raises the limit; `None` where there is none.
#[cfg(unix)]
fn raised() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Where it may not be raised, what there is counts.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    getrlimit(Resource::Nofile).current
}

/// A worker's runtime and timer take a few files.
#[cfg(unix)]
fn check(files: u64, connections: u64, workers: u64) -> Result<(), String> {
    let possible = files.saturating_sub(SPARE + 8 * workers);
    if connections <= possible {
        return Ok(());
    }
    Err(format!(
        "{connections} connections need more open files than this process may have ({files}): {possible} connections \
         are possible; raise the hard limit (ulimit -Hn as root, LimitNOFILE= of systemd)"
    ))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_there_are_files_for() {
        assert!(check(1072, 1000, 1).is_ok());
        let why = check(1072, 1001, 1).unwrap_err();
        assert!(why.contains("1000 connections are possible"), "{why}");
        assert!(check(10, 1, 4).is_err());
    }
}
