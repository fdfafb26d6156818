//! Histories on a real disk: restarts, kill -9, a full disk, a failed fsync, damaged files.

use crate::support::{Folder, join, name, settle, text};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vaiven_hub::{
    DiskBroker, DiskConfig, Ending, Fsync, History, HistoryQuery, Hub, HubConfig, IdempotencyKey,
    NewPublication, OpenError, PublishError, Published, SubscribeOptions,
};

fn open(folder: &Path, fsync: Fsync) -> (Hub, Arc<DiskBroker>) {
    let mut config = DiskConfig::default();
    config.fsync = fsync;
    let broker = Arc::new(DiskBroker::open(folder, config).unwrap());
    let mut config = HubConfig::default();
    config.namespaces.get_mut("").unwrap().history_size = 1_000_000;
    config.namespaces.get_mut("").unwrap().history_bytes = 1 << 30;
    (Hub::new(config, broker.clone()), broker)
}

async fn all(hub: &Hub, channel: &str) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    let mut since = None;
    loop {
        let History { publications, more, .. } =
            hub.history(&name(channel), HistoryQuery { since, limit: 300, reverse: false }).await.unwrap();
        since = publications.last().and_then(|last| last.position.clone());
        found.extend(publications.iter().map(|publication| {
            let data = String::from_utf8(publication.data.bytes().to_vec()).unwrap();
            (publication.position.as_ref().unwrap().offset, data)
        }));
        if !more {
            return found;
        }
    }
}

/// Copies what a crash at this moment would leave behind.
fn crash_image(folder: &Path) -> Folder {
    let image = Folder::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), image.path().join(file.file_name())).unwrap();
    }
    image
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let folder = Folder::new();
    let with_key = |data| NewPublication { idempotency: IdempotencyKey::new("k"), ..text(data) };
    let (hub, broker) = open(folder.path(), Fsync::Always);
    let first = hub.publish(&name("sala"), with_key("a")).await.unwrap().position.unwrap();
    hub.publish(&name("sala"), text("b")).await.unwrap();
    drop((hub, broker));
    let (hub, _broker) = open(folder.path(), Fsync::Always);
    assert_eq!(all(&hub, "sala").await, [(1, "a".to_owned()), (2, "b".to_owned())]);
    let again = hub.publish(&name("sala"), with_key("a")).await;
    assert_eq!(again, Ok(Published { position: Some(first.clone()), duplicate: true }));
    assert_eq!(hub.publish(&name("sala"), with_key("b")).await, Err(PublishError::Conflict));
    let third = hub.publish(&name("sala"), text("c")).await.unwrap().position.unwrap();
    assert_eq!((third.epoch, third.offset), (first.epoch, 3));
}

#[tokio::test]
async fn a_folder_that_is_in_use_is_refused_with_an_error_that_says_so() {
    let folder = Folder::new();
    let _open = open(folder.path(), Fsync::Never);
    let error = DiskBroker::open(folder.path(), DiskConfig::default()).unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)), "{error}");
    assert!(error.to_string().contains("another process uses the history"), "{error}");
}

#[tokio::test]
async fn retention_is_by_count_by_bytes_and_for_the_whole_store() {
    let folder = Folder::new();
    let mut disk = DiskConfig::default();
    disk.max_bytes = 64 << 10;
    let broker = Arc::new(DiskBroker::open(folder.path(), disk).unwrap());
    let mut config = HubConfig::default();
    config.namespaces.get_mut("").unwrap().history_size = 100;
    config.namespaces.get_mut("").unwrap().history_bytes = 20_000;
    let hub = Hub::new(config, broker.clone());
    let publish = async |channel: &str, count: usize, bytes: usize| {
        let data = "a".repeat(bytes);
        hub.publish_many((0..count).map(|_| (name(channel), text(&data))).collect()).await
    };
    publish("count", 150, 1).await;
    let kept = all(&hub, "count").await;
    assert_eq!((kept.len(), kept[0].0), (100, 51));
    publish("bytes", 30, 1_000).await;
    let kept = all(&hub, "bytes").await.len();
    assert!((15..20).contains(&kept), "{kept} of 1,000 bytes are about 20,000");
    for number in 0..5 {
        publish(&format!("total-{number}"), 18, 1_000).await;
    }
    assert!(broker.figures().bytes <= 64 << 10);
    assert_eq!(all(&hub, "count").await, [], "the oldest went first");
    assert_eq!(all(&hub, "total-4").await.len(), 18);
    let next = hub.publish(&name("count"), text("b")).await.unwrap().position.unwrap();
    assert_eq!(next.offset, 151, "the count goes on where the history is gone");
}

/// A hub that keeps small channels on disk, in a store of these bounds.
fn bounded(folder: &Path, max_channels: usize, max_bytes: u64) -> (Hub, Arc<DiskBroker>) {
    let mut disk = DiskConfig::default();
    (disk.max_channels, disk.max_bytes) = (max_channels, max_bytes);
    let broker = Arc::new(DiskBroker::open(folder, disk).unwrap());
    (Hub::new(HubConfig::default(), broker.clone()), broker)
}

#[tokio::test]
async fn a_store_full_of_channels_refuses_one_more_and_keeps_those_that_are_there() {
    let folder = Folder::new();
    let publish = async |hub: &Hub, channel: &str| hub.publish(&name(channel), text("1")).await.map(|_| ());
    let (hub, broker) = bounded(folder.path(), 3, 1 << 30);
    for channel in ["a", "b", "c"] {
        assert_eq!(publish(&hub, channel).await, Ok(()), "{channel}");
    }
    let group = ["d", "a", "e", "b"].map(|channel| (name(channel), text("2"))).to_vec();
    let outcomes = hub.publish_many(group).await;
    let refused: Vec<_> = outcomes.into_iter().map(Result::err).collect();
    let full = Some(PublishError::TooManyChannels);
    assert_eq!(refused, [full.clone(), None, full, None], "the others of a group are kept");
    drop((hub, broker));
    let (hub, broker) = bounded(folder.path(), 3, 1 << 30);
    assert_eq!(publish(&hub, "d").await, Err(PublishError::TooManyChannels));
    for (channel, kept) in [("a", 2), ("b", 2), ("c", 1), ("d", 0)] {
        assert_eq!(all(&hub, channel).await.len(), kept, "{channel}");
    }
    drop((hub, broker));
    let (hub, _broker) = bounded(folder.path(), 4, 1 << 30);
    assert_eq!(publish(&hub, "d").await, Ok(()));
    assert_eq!(publish(&hub, "e").await, Err(PublishError::TooManyChannels));
}

#[tokio::test]
async fn channels_without_history_make_room_unless_they_are_in_use_or_have_a_key() {
    let folder = Folder::new();
    let (hub, _broker) = bounded(folder.path(), 4, 200_000);
    let short = |data: &str| text(&format!("\"{data}\""));
    let with_key = || NewPublication { idempotency: IdempotencyKey::new("k"), ..short("first") };
    let first = hub.publish(&name("forgotten"), short("first")).await.unwrap().position.unwrap();
    let keyed = hub.publish(&name("keyed"), with_key()).await.unwrap().position;
    hub.publish(&name("used"), short("first")).await.unwrap();
    let (_subscription, outlet) = join(&hub, "used", SubscribeOptions::default()).await;
    // Fills the store, so that the histories of the others are over.
    for _ in 0..5 {
        hub.publish(&name("full"), text(&"1".repeat(60_000))).await.unwrap();
    }
    for channel in ["forgotten", "keyed", "used"] {
        assert_eq!(all(&hub, channel).await, [], "{channel}");
    }
    let kept = all(&hub, "full").await;
    hub.publish(&name("new"), short("first")).await.unwrap();
    let refused = hub.publish(&name("newer"), short("first")).await;
    assert_eq!(refused, Err(PublishError::TooManyChannels));
    assert_eq!(all(&hub, "full").await, kept, "nothing that was kept has gone");
    let again = hub.publish(&name("keyed"), with_key()).await.unwrap();
    assert_eq!((again.position, again.duplicate), (keyed, true), "a repetition is known for one");
    hub.publish(&name("used"), short("second")).await.unwrap();
    settle().await;
    assert_eq!((outlet.take(), outlet.ended()), (vec!["2 \"second\"".to_owned()], None));
    let position = hub.history(&name("forgotten"), HistoryQuery::default()).await.unwrap().position;
    assert!(position.offset == 0 && position.epoch != first.epoch, "it is another channel: {position:?}");
}

#[tokio::test]
async fn a_bad_record_ends_the_history_and_begins_another_epoch() {
    let folder = Folder::new();
    let (hub, broker) = open(folder.path(), Fsync::Always);
    for number in 0..10 {
        hub.publish(&name("sala"), text(&format!("\"content-{number}\""))).await.unwrap();
    }
    let before = hub.history(&name("sala"), HistoryQuery::default()).await.unwrap().position;
    drop((hub, broker));
    let path = folder.path().join("history.sqlite");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(9).position(|window| window == b"content-5").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    let (hub, broker) = open(folder.path(), Fsync::Always);
    let kept = all(&hub, "sala").await;
    assert_eq!(kept.last().unwrap(), &(5, "\"content-4\"".to_owned()));
    assert_eq!(kept.len(), 5);
    let since = SubscribeOptions { since: Some(before.clone()), last: 10, ..SubscribeOptions::default() };
    let (subscription, outlet) = join(&hub, "sala", since).await;
    assert_eq!((subscription.recovered(), outlet.take().len()), (Some(false), 5));
    let next = hub.publish(&name("sala"), text("1")).await.unwrap().position.unwrap();
    assert_eq!(next.offset, 6);
    assert_ne!(next.epoch, before.epoch);
    assert_eq!(broker.figures().bad_records, 1);
}

#[tokio::test]
async fn a_log_that_was_cut_or_a_file_that_is_none_begins_other_epochs() {
    let folder = Folder::new();
    let (hub, broker) = open(folder.path(), Fsync::Always);
    let mut position = None;
    for number in 0..10 {
        position = hub.publish(&name("sala"), text(&number.to_string())).await.unwrap().position;
    }
    let position = position.unwrap();
    let whole = crash_image(folder.path());
    let (reopened, _) = open(whole.path(), Fsync::Always);
    let kept = reopened.history(&name("sala"), HistoryQuery::default()).await.unwrap().position;
    assert_eq!(kept, position, "a crash alone loses nothing");

    let cut = crash_image(folder.path());
    let log = std::fs::OpenOptions::new().write(true).open(cut.path().join("history.sqlite-wal")).unwrap();
    log.set_len(log.metadata().unwrap().len() - 5_000).unwrap();
    let (reopened, _) = open(cut.path(), Fsync::Always);
    let kept = reopened.history(&name("sala"), HistoryQuery::default()).await.unwrap().position;
    assert!(kept.offset < 10 && kept.epoch != position.epoch, "{kept:?}");

    drop((hub, broker));
    let garbled = crash_image(folder.path());
    std::fs::write(garbled.path().join("history.sqlite"), "this is no store".repeat(1_000)).unwrap();
    let (reopened, _) = open(garbled.path(), Fsync::Always);
    let begun = reopened.publish(&name("sala"), text("1")).await.unwrap().position.unwrap();
    assert!(begun.offset == 1 && begun.epoch != position.epoch);
    assert!(garbled.path().join("history.sqlite.damaged").exists());
}

/// A test of this program that another one runs in a process of its own.
fn child(test: &str, folder: &Path, wrapper: &[&str]) -> Command {
    let exe = std::env::current_exe().unwrap();
    let mut words = wrapper.iter().map(std::ffi::OsStr::new).chain([exe.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("HUB_FOLDER", folder);
    command
}

#[track_caller]
fn passes(child: &mut Command) {
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // A name that no test has would be a success too.
    let is_one = text.contains("1 passed");
    assert!(output.status.success() && is_one, "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn given_folder() -> std::path::PathBuf {
    std::env::var_os("HUB_FOLDER").expect("another test runs this one").into()
}

#[tokio::test]
#[ignore = "killed_processes_lose_nothing_that_was_acknowledged runs it"]
async fn publishes_until_it_is_killed() {
    let folder = given_folder();
    let fsync = match std::env::var("HUB_FSYNC").as_deref() {
        Ok("never") => Fsync::Never,
        Ok("interval") => Fsync::Interval(Duration::from_millis(50)),
        _ => Fsync::Always,
    };
    let (hub, _broker) = open(&folder, fsync);
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let hub = hub.clone();
            tokio::spawn(async move {
                let channel = format!("sala-{}", number % 3);
                for count in 0_u64.. {
                    let data = format!("{number}-{}-{count}", std::process::id());
                    let position = hub.publish(&name(&channel), text(&data)).await.unwrap().position.unwrap();
                    writeln!(std::io::stdout().lock(), "ack {channel} {} {data}", position.offset).unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Reads acknowledgements from a child that is killed after some of them.
fn acknowledged(mut child: Child, kill_after: usize) -> Vec<(String, u64, String)> {
    let mut acknowledged = Vec::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut is_killed = false;
    while let Some(Ok(line)) = lines.next() {
        let words: Vec<_> = line.split(' ').collect();
        // The last line may be cut.
        if let ["ack", channel, offset, data] = words[..] {
            acknowledged.push((channel.to_owned(), offset.parse().unwrap(), data.to_owned()));
        }
        if acknowledged.len() >= kill_after && !is_killed {
            child.kill().unwrap();
            is_killed = true;
        }
    }
    child.wait().unwrap();
    assert!(is_killed, "it ended by itself after {} acknowledgements", acknowledged.len());
    acknowledged
}

#[tokio::test]
async fn killed_processes_lose_nothing_that_was_acknowledged() {
    for fsync in ["always", "interval", "never"] {
        let folder = Folder::new();
        let mut told = Vec::new();
        let mut epochs = Vec::new();
        for kill_after in [50, 333, 800] {
            let mut command = child("disk::publishes_until_it_is_killed", folder.path(), &[]);
            let child = command.env("HUB_FSYNC", fsync).stdout(Stdio::piped()).spawn().unwrap();
            told.extend(acknowledged(child, kill_after));
            let (hub, broker) = open(folder.path(), Fsync::Always);
            epochs.push(hub.history(&name("sala-0"), HistoryQuery::default()).await.unwrap().position.epoch);
            let mut kept = HashMap::new();
            for channel in ["sala-0", "sala-1", "sala-2"] {
                let found = all(&hub, channel).await;
                let offsets: Vec<_> = found.iter().map(|(offset, _)| *offset).collect();
                assert_eq!(offsets, (1..=found.len() as u64).collect::<Vec<_>>(), "{channel} has no gap");
                kept.extend(found.into_iter().map(|(offset, data)| ((channel.to_owned(), offset), data)));
            }
            for (channel, offset, data) in &told {
                assert_eq!(
                    kept.get(&(channel.clone(), *offset)),
                    Some(data),
                    "fsync = {fsync}: {channel} {offset}"
                );
            }
            drop((hub, broker));
        }
        assert!(epochs.iter().all(|epoch| epoch == &epochs[0]), "nothing was lost, so clients may go on");
    }
}

#[tokio::test]
#[ignore = "a_full_disk_refuses_and_recovers runs it on a small file system"]
async fn fills_its_disk() {
    let folder = given_folder();
    let (hub, broker) = open(&folder.join("history"), Fsync::Always);
    let (_subscription, outlet) = join(&hub, "sala", SubscribeOptions::default()).await;
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![0; 512 << 10]).unwrap();
    let mut kept = 0;
    let refused = loop {
        match hub.publish(&name("sala"), text(&"1".repeat(10_000))).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 1_000, "the disk is not small");
    };
    assert_eq!(refused, PublishError::Unavailable);
    settle().await;
    assert_eq!(outlet.take().len(), kept, "what was refused was delivered to nobody");
    let mut ephemeral = text("still here");
    ephemeral.ephemeral = true;
    hub.publish(&name("sala"), ephemeral).await.unwrap();
    settle().await;
    assert_eq!(outlet.take(), ["still here"], "what needs no disk goes on");
    std::fs::remove_file(&ballast).unwrap();
    let begun = Instant::now();
    while hub.publish(&name("sala"), text("2")).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(5), "it does not recover");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let found = all(&hub, "sala").await;
    assert_eq!(found.len(), kept + 1);
    assert_eq!(
        found.last().unwrap(),
        &(kept as u64 + 1, "2".to_owned()),
        "the refused one left nothing behind"
    );
    assert_eq!(outlet.ended(), None, "nothing was lost, so nobody is sent away");
    assert!(broker.figures().errors > 0);
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let folder = Folder::new();
    let script = "mount -t tmpfs -o size=2m tmpfs \"$HUB_FOLDER\" && exec \"$@\"";
    let can_mount = Command::new("unshare")
        .args(["-rm", "sh", "-c", script, "sh", "true"])
        .env("HUB_FOLDER", folder.path())
        .output()
        .is_ok_and(|output| output.status.success());
    if !can_mount {
        eprintln!("not run: this system lets nobody mount a small file system");
        return;
    }
    let status =
        child("disk::fills_its_disk", folder.path(), &["unshare", "-rm", "sh", "-c", script, "sh"]).status();
    assert!(status.unwrap().success());
}

#[tokio::test]
#[ignore = "a_failed_fsync_is_never_taken_for_a_success runs it"]
async fn fails_to_fsync() {
    let folder = given_folder();
    let fails = folder.join("fails");
    let (hub, broker) = open(&folder.join("history"), Fsync::Always);
    let (_subscription, outlet) = join(&hub, "sala", SubscribeOptions::default()).await;
    let before = hub.publish(&name("sala"), text("a")).await.unwrap().position.unwrap();
    hub.publish(&name("otra"), text("a")).await.unwrap();
    std::fs::write(&fails, "").unwrap();
    assert_eq!(hub.publish(&name("sala"), text("b")).await, Err(PublishError::Unavailable));
    assert_eq!(hub.publish(&name("sala"), text("c")).await, Err(PublishError::Unavailable));
    settle().await;
    assert_eq!(outlet.take(), ["1 a"]);
    std::fs::remove_file(&fails).unwrap();
    let begun = Instant::now();
    let after = loop {
        match hub.publish(&name("sala"), text("d")).await {
            Ok(published) => break published.position.unwrap(),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "it does not recover");
    };
    assert_eq!(after.offset, 2);
    assert_ne!(after.epoch, before.epoch, "nobody can vouch for what the disk has");
    assert_eq!(outlet.ended(), Some(Ending::Lost));
    assert_eq!(all(&hub, "sala").await, [(1, "a".to_owned()), (2, "d".to_owned())]);
    let other = hub.publish(&name("otra"), text("b")).await.unwrap().position.unwrap();
    let outcome = hub.history(&name("otra"), HistoryQuery::default()).await.unwrap();
    assert_eq!((other.offset, outcome.position.epoch), (2, other.epoch), "other channels go on as they were");
    assert!(broker.figures().reopened >= 1);
}

#[test]
fn a_failed_fsync_is_never_taken_for_a_success() {
    let folder = Folder::new();
    let source = folder.path().join("fsync.c");
    let library = folder.path().join("fsync.so");
    // Stands before the C library's own: fails while a file is there.
    std::fs::write(
        &source,
        "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <errno.h>\n#include <stdio.h>\n#include <stdlib.h>\n\
         #include <unistd.h>\n\
         static int fails(void) { char p[4096]; snprintf(p, sizeof p, \"%s/fails\", getenv(\"HUB_FOLDER\"));\n\
         return access(p, F_OK) == 0; }\n\
         int fsync(int fd) { if (fails()) { errno = EIO; return -1; }\n\
         return ((int (*)(int)) dlsym(RTLD_NEXT, \"fsync\"))(fd); }\n\
         int fdatasync(int fd) { if (fails()) { errno = EIO; return -1; }\n\
         return ((int (*)(int)) dlsym(RTLD_NEXT, \"fdatasync\"))(fd); }\n",
    )
    .unwrap();
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
    if !cfg!(target_os = "linux") || !built.is_ok_and(|status| status.success()) {
        eprintln!("not run: there is no C compiler for a library that stands before fsync");
        return;
    }
    passes(child("disk::fails_to_fsync", folder.path(), &[]).env("LD_PRELOAD", &library));
}
