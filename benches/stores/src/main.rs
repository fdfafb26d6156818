//! Measures the embedded stores that could keep histories: groups of publications -> microseconds.
//!
//! `stores [folder]` appends publications of 256 bytes to eight channels in groups of 1, 16 and 64, once with fsync for
//! each group and once without, reads the newest 300 of a channel, prunes the older half, and opens the store again
//! after the process that wrote it was killed, counting what is there of what it had been told was kept.

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

mod engines;

use engines::{Engine, Fjall, Redb, Sqlite, Store};

const CHANNELS: u64 = 8;
const BYTES: usize = 256;
/// Publications of one measured cell, at most.
const APPENDED: u64 = 20_000;
/// A cell that fsyncs ends here, however few it has appended.
const PATIENCE: Duration = Duration::from_secs(3);
const KILLED_AFTER: u64 = 50_000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, engine, folder] = &arguments[..]
        && command == "fill"
    {
        return fill(Engine::named(engine).ok_or("no such engine")?, Path::new(folder));
    }
    let folder = arguments.first().map_or_else(std::env::temp_dir, PathBuf::from);
    println!("engine  fsync  append 1  append 16  append 64 (us each)  read 300 (us)  prune (us each)");
    for engine in Engine::ALL {
        for fsync in [true, false] {
            let row = match engine {
                Engine::Redb => measure::<Redb>(&folder, fsync)?,
                Engine::Fjall => measure::<Fjall>(&folder, fsync)?,
                Engine::Sqlite => measure::<Sqlite>(&folder, fsync)?,
            };
            println!("{:7} {fsync:5} {row}", engine.name());
        }
    }
    println!("\nafter kill -9 without fsync: publications kept of those that were told, time to open");
    for engine in Engine::ALL {
        let report = match engine {
            Engine::Redb => killed::<Redb>(engine, &folder)?,
            Engine::Fjall => killed::<Fjall>(engine, &folder)?,
            Engine::Sqlite => killed::<Sqlite>(engine, &folder)?,
        };
        println!("{:7} {report}", engine.name());
    }
    Ok(())
}

fn fresh(folder: &Path) -> Result<PathBuf, Failure> {
    let path = folder.join(format!("stores-{}", std::process::id()));
    if path.exists() {
        std::fs::remove_dir_all(&path)?;
    }
    std::fs::create_dir_all(&path)?;
    Ok(path)
}

fn group(first: u64, len: u64) -> Vec<(u64, u64, Vec<u8>)> {
    let publication = |number: u64| (number % CHANNELS, number / CHANNELS + 1, vec![0x61; BYTES]);
    (first..first + len).map(publication).collect()
}

fn measure<S: Store>(folder: &Path, fsync: bool) -> Result<String, Failure> {
    let mut row = String::new();
    for len in [1, 16, 64] {
        let path = fresh(folder)?;
        let mut store = S::open(&path, fsync)?;
        let begun = Instant::now();
        let mut appended = 0;
        while appended < APPENDED && begun.elapsed() < PATIENCE {
            store.append(&group(appended, len))?;
            appended += len;
        }
        write!(row, "{:9.1} ", micros(begun.elapsed()) / appended as f64)?;
        if len < 64 {
            continue;
        }
        let newest = appended / CHANNELS;
        let begun = Instant::now();
        for channel in 0..CHANNELS {
            let found = store.read(channel, newest.saturating_sub(300))?;
            assert!(found >= 299, "{found} of 300 are there");
        }
        write!(row, "{:14.0} ", micros(begun.elapsed()) / CHANNELS as f64)?;
        let begun = Instant::now();
        for channel in 0..CHANNELS {
            store.prune(channel, newest / 2)?;
        }
        write!(row, "{:14.2}", micros(begun.elapsed()) / (appended / 2) as f64)?;
    }
    std::fs::remove_dir_all(fresh(folder)?)?;
    Ok(row)
}

/// Appends and tells what was kept, until it is killed.
fn fill(engine: Engine, folder: &Path) -> Result<(), Failure> {
    let mut store: Box<dyn FnMut(u64) -> Result<(), Failure>> = match engine {
        Engine::Redb => filler(Redb::open(folder, false)?),
        Engine::Fjall => filler(Fjall::open(folder, false)?),
        Engine::Sqlite => filler(Sqlite::open(folder, false)?),
    };
    for first in (0..).step_by(16) {
        store(first)?;
        println!("{}", first + 16);
    }
    Ok(())
}

fn filler<S: Store + 'static>(mut store: S) -> Box<dyn FnMut(u64) -> Result<(), Failure>> {
    Box::new(move |first| store.append(&group(first, 16)))
}

fn killed<S: Store>(engine: Engine, folder: &Path) -> Result<String, Failure> {
    let path = fresh(folder)?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["fill", engine.name()])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("it has no output")?).lines();
    let mut told = 0;
    while told < KILLED_AFTER {
        told = lines.next().ok_or("it ended")??.parse()?;
    }
    child.kill()?;
    child.wait()?;
    for line in lines {
        told = line?.parse().unwrap_or(told);
    }
    let begun = Instant::now();
    let store = S::open(&path, false)?;
    let opened = begun.elapsed();
    let mut kept = 0;
    for channel in 0..CHANNELS {
        kept += store.read(channel, 0)?;
    }
    std::fs::remove_dir_all(&path)?;
    Ok(format!("{kept} of {told}, {:.1} ms", micros(opened) / 1_000.0))
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
