//! How many channels the store knows, and which of them make room for others.
//!
//! A channel whose history is over is known for a while, so that its count of offsets goes on. Where there is no room,
//! those go first that were published to longest ago. What is kept never goes.

use super::store::{Fault, Row, insert_row, set_meta, signed, unsigned};
use crate::{ChannelName, Epoch, Maker, PublishError, Retention};
use rusqlite::{Connection, Transaction};
use std::collections::HashMap;

/// Channels that are forgotten together: the next ones then find room without a search.
const FORGOTTEN: usize = 256;
/// How soon it is looked again for channels that may go, where there were none.
const SEARCH_MS: u64 = 1_000;

/// The channels of a store, counted. A copy is changed within a transaction, and counts when that is committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Census {
    max: u64,
    known: u64,
    next_search_ms: u64,
}

impl Census {
    pub(super) fn take(connection: &Connection, max: usize) -> rusqlite::Result<Self> {
        // Stores of earlier builds have no such index.
        let index =
            "CREATE INDEX IF NOT EXISTS channels_without_history ON channels (used) WHERE first > head";
        connection.execute(index, [])?;
        let known = connection.query_row("SELECT count(*) FROM channels", [], |row| row.get(0))?;
        Ok(Self { max: max as u64, known: unsigned(known), next_search_ms: 0 })
    }

    fn has_room(&self) -> bool {
        self.known < self.max
    }

    fn added_one(&mut self) {
        self.known += 1;
    }

    pub(super) fn removed(&mut self, count: usize) {
        self.known = self.known.saturating_sub(count as u64);
    }

    /// Forgets channels that have no history, that nobody is subscribed to, and of which no idempotency key is known any
    /// more; gives their names.
    fn make_room(
        &mut self,
        transaction: &Transaction<'_>,
        now: u64,
        is_in_use: impl Fn(&ChannelName) -> bool,
    ) -> Result<Vec<ChannelName>, Fault> {
        if now < self.next_search_ms {
            return Ok(Vec::new());
        }
        let sql = "SELECT id, name FROM channels WHERE first > head AND NOT EXISTS
                   (SELECT 1 FROM keys WHERE keys.channel = channels.id AND keys.expires > ?1) ORDER BY used";
        let mut forgotten = Vec::new();
        {
            let mut statement = transaction.prepare_cached(sql)?;
            let mut rows = statement.query([signed(now)])?;
            while let Some(row) = rows.next()? {
                let name = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
                let Ok(name) = ChannelName::parse(name) else { continue };
                if !is_in_use(&name) {
                    forgotten.push((row.get::<_, i64>(0)?, name));
                    if forgotten.len() >= FORGOTTEN {
                        break;
                    }
                }
            }
        }
        for (id, _) in &forgotten {
            transaction.prepare_cached("DELETE FROM keys WHERE channel = ?1")?.execute([id])?;
            transaction.prepare_cached("DELETE FROM channels WHERE id = ?1")?.execute([id])?;
        }
        if forgotten.is_empty() {
            self.next_search_ms = now.saturating_add(SEARCH_MS);
        }
        self.removed(forgotten.len());
        Ok(forgotten.into_iter().map(|(_, name)| name).collect())
    }
}

/// Who may make channels, and which of them are in use.
pub(super) struct Makes<'a> {
    pub(super) may_make: &'a dyn Fn(&ChannelName, Maker, Retention) -> bool,
    pub(super) is_in_use: &'a dyn Fn(&ChannelName) -> bool,
}

/// What a group makes, and counts when it is committed.
pub(super) struct Makings {
    now: u64,
    pub(super) census: Census,
    pub(super) fresh_epoch: String,
}

impl Makings {
    pub(super) fn new(now: u64, census: Census, fresh_epoch: &str) -> Self {
        Self { now, census, fresh_epoch: fresh_epoch.to_owned() }
    }

    /// Makes a channel, or says why there can be none.
    pub(super) fn make(
        &mut self,
        transaction: &Transaction<'_>,
        rows: &mut HashMap<ChannelName, Row>,
        publish: (&ChannelName, Option<Maker>, Retention),
        makes: &Makes<'_>,
    ) -> Result<Result<Row, PublishError>, Fault> {
        let (channel, maker, retention) = publish;
        if !self.census.has_room() {
            let forgotten = self.census.make_room(transaction, self.now, makes.is_in_use)?;
            if forgotten.is_empty() {
                return Ok(Err(PublishError::TooManyChannels));
            }
            for name in &forgotten {
                rows.remove(name);
            }
            self.fresh_epoch = change_fresh_epoch(transaction)?;
        }
        if maker.is_some_and(|maker| !(makes.may_make)(channel, maker, retention)) {
            return Ok(Err(PublishError::TooManyNewChannels));
        }
        self.census.added_one();
        insert_row(transaction, channel, &self.fresh_epoch).map(Ok)
    }
}

/// Begins another epoch for channels that are not known: their names may have been, and must not seem to be the same
/// channels.
pub(super) fn change_fresh_epoch(transaction: &Transaction<'_>) -> Result<String, Fault> {
    let fresh = Epoch::random().as_str().to_owned();
    set_meta(transaction, "fresh_epoch", &fresh)?;
    Ok(fresh)
}
