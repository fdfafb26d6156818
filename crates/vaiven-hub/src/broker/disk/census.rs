//! How many channels the store knows, and which of them make room for others.
//!
//! A channel whose history is over is known for a while, so that its count of offsets goes on. Where there is no room,
//! those go first that were published to longest ago. What is kept never goes.

use super::store::{Fault, signed, unsigned};
use crate::ChannelName;
use rusqlite::{Connection, Transaction};

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

    pub(super) fn has_room(&self) -> bool {
        self.known < self.max
    }

    pub(super) fn added_one(&mut self) {
        self.known += 1;
    }

    pub(super) fn removed(&mut self, count: usize) {
        self.known = self.known.saturating_sub(count as u64);
    }

    /// Forgets channels that have no history, that nobody is subscribed to, and of which no idempotency key is known any
    /// more; gives their names.
    pub(super) fn make_room(
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
