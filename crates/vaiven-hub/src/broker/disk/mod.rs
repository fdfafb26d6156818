//! Histories on the disk of the machine.
//!
//! A thread of its own commits what waits in groups over all channels: one fsync serves all who published meanwhile.

mod census;
mod journal;
mod record;
mod store;
mod witness;

use super::{BoxFuture, Broker, BrokerError, Node, Publish};
use crate::clock::Clock;
use crate::{ChannelName, History, HistoryQuery, Position, PublishError, Publishing};
use journal::{Job, Journal, Queue};
use std::fmt;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use store::Store;
use tokio::sync::oneshot;

/// When what was published is brought to the disk itself, and not only to the operating system. In each case what was
/// acknowledged survives the death of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Before it is acknowledged: what was acknowledged survives the loss of power too.
    #[default]
    Always,
    /// At least this often: the loss of power takes what was acknowledged since.
    Interval(Duration),
    /// When the operating system sees fit: the loss of power may take the whole history.
    Never,
}

/// Settings of a [`DiskBroker`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DiskConfig {
    /// When what was published is brought to the disk. Default: always.
    pub fsync: Fsync,
    /// Bytes of all histories; the oldest publications go first. Default: 1 GiB.
    pub max_bytes: u64,
    /// Channels that are known: those with a history, and those whose history is over, which make room for new ones.
    /// Where all have one, a publication to a channel more is refused. Default: 1,000,000, some 150 MB of names and
    /// places.
    pub max_channels: usize,
}

/// Why a history cannot be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder cannot be made, read or written.
    Folder(std::io::Error),
    /// Another process has it open.
    InUse(PathBuf),
    /// A newer release has written it, in this layout.
    Newer(i64),
    /// The store does not open.
    Store(StoreError),
}

/// What the store itself says.
#[derive(Debug)]
pub struct StoreError(rusqlite::Error);

/// A broker for one process that keeps histories on disk: in a folder, which no other process may use meanwhile.
#[derive(Debug)]
pub struct DiskBroker {
    queue: Arc<Queue>,
    node: Arc<Mutex<Option<NodeRef>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    fsync: Fsync,
}

#[derive(Clone)]
struct NodeRef(Weak<dyn Node>);

impl Default for DiskConfig {
    fn default() -> Self {
        Self { fsync: Fsync::default(), max_bytes: 1 << 30, max_channels: 1_000_000 }
    }
}

impl Fsync {
    fn synchronous(self) -> &'static str {
        match self {
            Self::Always => "full",
            Self::Interval(_) => "normal",
            Self::Never => "off",
        }
    }
}

impl DiskBroker {
    /// Opens the histories of a folder, which is made where it is missing. A file that is damaged beyond use is set
    /// aside, and a new history begun.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way.
    pub fn open(folder: impl Into<PathBuf>, config: DiskConfig) -> Result<Self, OpenError> {
        let folder = folder.into();
        std::fs::create_dir_all(&folder).map_err(OpenError::Folder)?;
        let lock = File::create(folder.join("lock")).map_err(OpenError::Folder)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse(folder.clone()),
            TryLockError::Error(error) => OpenError::Folder(error),
        })?;
        let fsync = config.fsync;
        let store = Store::open(&folder, &config)?;
        let clock = Clock::starting(store.newest_ms);
        let queue = Arc::new(Queue::default());
        let node = Arc::default();
        let journal = Journal::new(store, clock, folder, config, Arc::clone(&queue), Arc::clone(&node));
        let thread = std::thread::Builder::new().name("vaiven-history".to_owned());
        let thread = thread
            .spawn(move || {
                journal.run();
                drop(lock);
            })
            .map_err(OpenError::Folder)?;
        Ok(Self { queue, node, thread: Mutex::new(Some(thread)), fsync })
    }

    /// What an operator should know about the chosen durability; nothing where everything acknowledged is on the disk.
    pub fn warning(&self) -> Option<String> {
        match self.fsync {
            Fsync::Always => None,
            Fsync::Interval(interval) => Some(format!(
                "fsync = interval: a loss of power takes what was acknowledged in the last {} ms; clients are told",
                interval.as_millis()
            )),
            Fsync::Never => {
                Some("fsync = never: a loss of power may take the whole history; clients are told".to_owned())
            }
        }
    }

    /// What the store has been through.
    pub fn figures(&self) -> StoreFigures {
        self.queue.figures()
    }

    fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, BrokerError>>) -> Job,
    ) -> BoxFuture<'static, Result<T, BrokerError>> {
        let (sender, receiver) = oneshot::channel();
        let is_taken = self.queue.push(job(sender)).is_ok();
        Box::pin(async move {
            if is_taken { receiver.await.unwrap_or(Err(BrokerError)) } else { Err(BrokerError) }
        })
    }
}

/// Figures of a [`DiskBroker`]. All but `bytes` and `is_open` only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreFigures {
    /// Groups that were committed.
    pub groups: u64,
    /// Publications that were kept.
    pub kept: u64,
    /// Times that the store failed.
    pub errors: u64,
    /// Times that it was opened anew.
    pub reopened: u64,
    /// Records that were not what had been written.
    pub bad_records: u64,
    /// Channels that had to begin another epoch.
    pub epoch_changes: u64,
    /// Bytes of all records.
    pub bytes: u64,
    /// Whether it is of use at the moment.
    pub is_open: bool,
}

impl Broker for DiskBroker {
    fn attach(&self, node: Weak<dyn Node>) {
        let before = self.node.lock().unwrap_or_else(PoisonError::into_inner).replace(NodeRef(node));
        assert!(before.is_none(), "a broker in the process serves one hub");
    }

    fn publish(&self, publish: Publish) -> Publishing {
        let (acknowledgement, publishing) = Publishing::pending();
        if let Err(Job::Publish(_, acknowledgement)) = self.queue.push(Job::Publish(publish, acknowledgement))
        {
            acknowledgement.tell(Err(PublishError::Busy));
        }
        publishing
    }

    fn subscribe<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<Position, BrokerError>> {
        self.ask(|answer| Job::Subscribe(channel.clone(), answer))
    }

    fn unsubscribe(&self, channel: &ChannelName) {
        self.queue.push_always(Job::Unsubscribe(channel.clone()));
    }

    fn history<'a>(
        &'a self,
        channel: &'a ChannelName,
        query: HistoryQuery,
    ) -> BoxFuture<'a, Result<History, BrokerError>> {
        self.ask(|answer| Job::History(channel.clone(), query, answer))
    }
}

impl Drop for DiskBroker {
    /// Commits what waits, and brings it to the disk.
    fn drop(&mut self) {
        self.queue.push_always(Job::Close);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A journal that panicked has told so already.
            drop(thread.join());
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(StoreError(error))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for StoreError {}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(error) => write!(f, "the folder of the history cannot be used: {error}"),
            Self::InUse(folder) => {
                write!(
                    f,
                    "another process uses the history in {}: end it, or choose another folder",
                    folder.display()
                )
            }
            Self::Newer(version) => {
                write!(f, "the history was written by a newer release (layout {version}): use that one")
            }
            Self::Store(error) => write!(f, "the history cannot be opened: {error}"),
        }
    }
}

impl std::error::Error for OpenError {}

impl fmt::Debug for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Node")
    }
}
