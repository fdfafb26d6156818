//! The newest publication of each key, in the order of a counter.
//!
//! A subscriber is a cursor in this order: what it is to get is every key whose version is above its cursor. So a slow
//! one costs nothing but its cursor, and gets what is newest when it is ready again.

use crate::Publication;
use crate::recent::{Entry, piece_len};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The values of a `latest` channel.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    by_version: BTreeMap<u64, Arc<Entry>>,
    versions: HashMap<Arc<str>, u64>,
    newest: u64,
}

impl Latest {
    /// The version of the newest change.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_version.is_empty()
    }

    /// Whether there is room for the key. The oldest removed one makes room where there is none.
    pub(crate) fn has_room(&mut self, key: &str, max_keys: usize) -> bool {
        if self.versions.len() < max_keys || self.versions.contains_key(key) {
            return true;
        }
        let removed =
            self.by_version.iter().find(|(_, entry)| is_removed(entry)).map(|(version, _)| *version);
        removed.is_some_and(|version| {
            self.drop_version(version);
            true
        })
    }

    pub(crate) fn insert(&mut self, key: Arc<str>, entry: Arc<Entry>) {
        self.newest += 1;
        if let Some(before) = self.versions.insert(key, self.newest) {
            self.by_version.remove(&before);
        }
        self.by_version.insert(self.newest, entry);
    }

    /// What changed after a version, as much as one piece takes, and the version that this leads to.
    pub(crate) fn piece(&self, after: u64, to: u64) -> (Vec<Arc<Entry>>, u64) {
        if after >= to {
            return (Vec::new(), to);
        }
        let range = || self.by_version.range(after + 1..=to);
        let len = piece_len(range().map(|(_, entry)| entry));
        let entries = range().take(len).map(|(_, entry)| Arc::clone(entry)).collect();
        let reached = match range().nth(len) {
            Some((next, _)) => next - 1,
            None => to,
        };
        (entries, reached)
    }

    /// Forgets what was published before this time.
    pub(crate) fn forget(&mut self, before: u64) {
        let is_old =
            |entry: &Arc<Entry>| entry.publication().is_some_and(|publication| publication.time < before);
        while let Some((version, _)) = self.by_version.first_key_value().filter(|(_, entry)| is_old(entry)) {
            let version = *version;
            self.drop_version(version);
        }
    }

    fn drop_version(&mut self, version: u64) {
        if let Some(publication) =
            self.by_version.remove(&version).as_ref().and_then(|entry| entry.publication())
        {
            self.versions.remove(key_of(publication));
        }
    }
}

/// The key that a publication updates.
pub(crate) fn key_of(publication: &Publication) -> &str {
    publication.key.as_deref().unwrap_or_default()
}

pub(crate) fn is_removed(entry: &Entry) -> bool {
    entry.publication().is_some_and(|publication| publication.removed)
}
