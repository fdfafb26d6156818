//! A few bytes beside the store that know how many groups it has acknowledged.
//!
//! A store that has fewer was cut, or is an older copy, and nobody can tell what it lacks: it goes on in other epochs.
//! The same holds when the machine went down under a store that does not fsync each group. The bytes are written after
//! each commit and left to the operating system: after the death of the process they are exact; after the death of the
//! machine they may be older, which hides nothing, since what is fsynced is in the store then.

use super::Fsync;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

const BYTES: usize = 32;
const CLEAN: u64 = 1;
const LOSES_WITH_THE_MACHINE: u64 = 2;

/// The open file.
#[derive(Debug)]
pub(super) struct Witness {
    file: File,
    flags: u64,
    boot: u64,
}

impl Witness {
    /// Opens or makes the file. Says whether it vouches for a store that has `groups`.
    pub(super) fn open(folder: &Path, fsync: Fsync, groups: u64) -> std::io::Result<(Self, bool)> {
        let path = folder.join("witness");
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(BYTES as u64 + 1).read_to_end(&mut bytes)?;
        let boot = boot();
        let vouches = match parse(&bytes) {
            Some([known, flags, then]) => {
                let machine_is_up = then == boot || flags & CLEAN != 0 || flags & LOSES_WITH_THE_MACHINE == 0;
                known <= groups && machine_is_up
            }
            // A new store has nothing to lose.
            None => groups == 0,
        };
        let flags = if fsync == Fsync::Always { 0 } else { LOSES_WITH_THE_MACHINE };
        let mut witness = Self { file, flags, boot };
        witness.write(groups)?;
        Ok((witness, vouches))
    }

    /// Knows that so many groups are committed.
    pub(super) fn write(&mut self, groups: u64) -> std::io::Result<()> {
        let mut bytes = [0; BYTES];
        for (at, number) in [groups, self.flags, self.boot].into_iter().enumerate() {
            bytes[at * 8..at * 8 + 8].copy_from_slice(&number.to_le_bytes());
        }
        let checksum = xxh3_64(&bytes[..BYTES - 8]);
        bytes[BYTES - 8..].copy_from_slice(&checksum.to_le_bytes());
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&bytes)
    }

    /// Everything is on the disk.
    pub(super) fn close(mut self, groups: u64) -> std::io::Result<()> {
        self.flags |= CLEAN;
        self.write(groups)?;
        self.file.sync_all()
    }
}

fn parse(bytes: &[u8]) -> Option<[u64; 3]> {
    let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
    let number = |at: usize| bytes[at * 8..at * 8 + 8].try_into().map(u64::from_le_bytes).ok();
    (number(3)? == xxh3_64(&bytes[..BYTES - 8])).then_some([number(0)?, number(1)?, number(2)?])
}

/// Tells one run of the machine from the next. Where that cannot be known, each run of the program counts as one.
fn boot() -> u64 {
    match std::fs::read("/proc/sys/kernel/random/boot_id") {
        Ok(id) => xxh3_64(&id),
        Err(_) => rand::random(),
    }
}
