//! Histories in SQLite: groups of publications -> offsets, in one transaction each.
//!
//! The write-ahead log is why SQLite: what was committed survives the death of the process whether it was fsynced or
//! not, a commit that fails on a full disk leaves nothing behind, and the newest state is found again without a scan.

use super::census::{Census, Makes, Makings, change_fresh_epoch};
use super::record;
use super::witness::Witness;
use super::{DiskConfig, OpenError};
use crate::clock::as_ms;
use crate::{
    ChannelName, Epoch, History, HistoryQuery, Position, Publication, Publish, PublishError, Published,
    Retention,
};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The layout of the tables. A store of a newer one is not touched.
const SCHEMA: i64 = 1;
const TABLES: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE channels (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, epoch TEXT NOT NULL, head INTEGER NOT NULL,
        first INTEGER NOT NULL, bytes INTEGER NOT NULL, expires INTEGER NOT NULL, used INTEGER NOT NULL
    );
    CREATE INDEX channels_by_expiry ON channels (expires) WHERE first <= head;
    CREATE TABLE publications (
        channel INTEGER, offset INTEGER, time INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (channel, offset)
    ) WITHOUT ROWID;
    CREATE TABLE keys (
        channel INTEGER, key TEXT, fingerprint INTEGER NOT NULL, offset INTEGER NOT NULL, expires INTEGER NOT NULL,
        PRIMARY KEY (channel, key)
    ) WITHOUT ROWID;
    CREATE INDEX keys_by_expiry ON keys (expires);
    PRAGMA user_version = 1;
";
/// Channels whose state is held in memory between two groups.
const MAX_CACHED: usize = 50_000;
/// Rows that one sweep removes, so that it does not hold up publications for long.
const SWEEP: usize = 256;

/// What a failure of the store means.
#[derive(Debug)]
pub(super) enum Fault {
    /// The disk is full. Nothing was written, and the store is as it was.
    Full,
    /// Nobody knows what was written. The store must be opened anew.
    Unknown(rusqlite::Error),
    /// The file is no store any more.
    Damaged(rusqlite::Error),
    /// A record of this channel is not what was written; those before it are.
    Record(ChannelName, u64),
}

/// What became of each publication of a group, in its order, and what is to be delivered.
pub(super) type Outcome = (Result<Published, PublishError>, Option<Arc<Publication>>);

#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    witness: Witness,
    /// Part of every epoch: another one says that nobody vouches for what clients know.
    incarnation: String,
    /// The epoch of channels that were never published to.
    fresh_epoch: String,
    groups: u64,
    pub(super) bytes: u64,
    pub(super) newest_ms: u64,
    max_bytes: u64,
    census: Census,
    channels: HashMap<ChannelName, Row>,
}

/// One channel's row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    id: i64,
    epoch: Epoch,
    head: u64,
    first: u64,
    bytes: u64,
}

impl Store {
    /// Opens the store of a folder, or makes it. A file that is no store any more is set aside under another name.
    pub(super) fn open(folder: &Path, config: &DiskConfig) -> Result<Self, OpenError> {
        let path = folder.join("history.sqlite");
        match Self::open_file(folder, &path, config) {
            Err(OpenError::Store(error)) if is_damage(&error.0) => {
                set_aside(&path).map_err(OpenError::Folder)?;
                tracing::error!(
                    "the history in {} is damaged; it was set aside, and a new one begun",
                    path.display()
                );
                Self::open_file(folder, &path, config)
            }
            outcome => outcome,
        }
    }

    fn open_file(folder: &Path, path: &Path, config: &DiskConfig) -> Result<Self, OpenError> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "locking_mode", "exclusive")?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", config.fsync.synchronous())?;
        connection.set_prepared_statement_cache_capacity(32);
        // What a failed fsync left in the log must not be built upon: all of it is written to its place, or opening fails.
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        debug_assert_eq!(busy, 0, "nobody else has it open");
        match connection.query_row("PRAGMA user_version", [], |row| row.get(0))? {
            0 => {
                let transaction = connection.transaction()?;
                transaction.execute_batch(TABLES)?;
                transaction.commit()?;
            }
            SCHEMA => {}
            version => return Err(OpenError::Newer(version)),
        }
        let census = Census::take(&connection, config.max_channels)?;
        let number = |sql: &str| -> rusqlite::Result<i64> { connection.query_row(sql, [], |row| row.get(0)) };
        let groups = meta(&connection, "groups")?.and_then(|groups| groups.parse().ok()).unwrap_or(0);
        let bytes = unsigned(number("SELECT coalesce(sum(bytes), 0) FROM channels")?);
        let newest_ms = unsigned(number("SELECT coalesce(max(used), 0) FROM channels")?);
        let (witness, vouches) = Witness::open(folder, config.fsync, groups).map_err(OpenError::Folder)?;
        let known = meta(&connection, "incarnation")?.filter(|_| vouches);
        let incarnation = if let Some(known) = known {
            known
        } else {
            let new = Epoch::random().as_str().to_owned();
            set_meta(&connection, "incarnation", &new)?;
            if groups > 0 {
                tracing::warn!(
                    "the history in {} is not complete; its channels begin new epochs",
                    path.display()
                );
            }
            new
        };
        let fresh_epoch = meta(&connection, "fresh_epoch")?.unwrap_or_else(|| "0".to_owned());
        Ok(Self {
            connection,
            witness,
            incarnation,
            fresh_epoch,
            groups,
            bytes,
            newest_ms,
            max_bytes: config.max_bytes,
            census,
            channels: HashMap::new(),
        })
    }

    /// The place behind the newest publication of a channel.
    pub(super) fn position(&mut self, channel: &ChannelName) -> Result<Position, Fault> {
        let row = self.row(channel)?;
        let (epoch, head) =
            row.map_or((Epoch::new(&self.fresh_epoch), 0), |row| (row.epoch.clone(), row.head));
        Ok(self.outside(&epoch, head))
    }

    /// A position as clients know it.
    fn outside(&self, epoch: &Epoch, offset: u64) -> Position {
        Position { epoch: Epoch::new(&format!("{}-{}", self.incarnation, epoch.as_str())), offset }
    }

    fn row(&mut self, channel: &ChannelName) -> Result<Option<Row>, Fault> {
        if let Some(row) = self.channels.get(channel) {
            return Ok(Some(row.clone()));
        }
        let sql = "SELECT id, epoch, head, first, bytes FROM channels WHERE name = ?1";
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Row {
                id: row.get(0)?,
                epoch: Epoch::new(row.get_ref(1)?.as_str()?),
                head: unsigned(row.get(2)?),
                first: unsigned(row.get(3)?),
                bytes: unsigned(row.get(4)?),
            })
        };
        let row = self.connection.prepare_cached(sql)?.query_row([channel.as_str()], read).optional()?;
        if let Some(row) = &row {
            if self.channels.len() >= MAX_CACHED {
                self.channels.clear();
            }
            self.channels.insert(channel.clone(), row.clone());
        }
        Ok(row)
    }

    /// Keeps a group of publications: all of them, or none, but for those to which it says why not.
    pub(super) fn append(
        &mut self,
        group: Vec<Publish>,
        now: u64,
        makes: &Makes<'_>,
    ) -> Result<Vec<Outcome>, Fault> {
        // Rows are looked up before the transaction, which borrows the connection.
        for publish in &group {
            self.row(&publish.channel)?;
        }
        let outcome = self.append_all(group, now, makes);
        if outcome.is_err() {
            // What the cache says was not written.
            self.channels.clear();
        }
        outcome
    }

    fn append_all(
        &mut self,
        group: Vec<Publish>,
        now: u64,
        makes: &Makes<'_>,
    ) -> Result<Vec<Outcome>, Fault> {
        let max_bytes = self.max_bytes;
        let mut makings = Makings::new(now, self.census, &self.fresh_epoch);
        let transaction = self.connection.unchecked_transaction()?;
        let mut outcomes = Vec::with_capacity(group.len());
        let mut touched: HashMap<ChannelName, Retention> = HashMap::new();
        let mut bytes = self.bytes;
        for publish in group {
            let Publish { channel, publication, retention } = publish;
            let Some(retention) = retention else {
                let published = Published { position: None, duplicate: false };
                outcomes.push((Ok(published), Some(Arc::new(publication.publish(None, now)))));
                continue;
            };
            if !self.channels.contains_key(&channel) {
                match makings.make(
                    &transaction,
                    &mut self.channels,
                    (&channel, publication.maker, retention),
                    makes,
                )? {
                    Ok(row) => drop(self.channels.insert(channel.clone(), row)),
                    Err(refused) => {
                        outcomes.push((Err(refused), None));
                        continue;
                    }
                }
            }
            let row = self.channels.get_mut(&channel).expect("it was made where it was not there");
            let place = Place { channel: &channel, incarnation: &self.incarnation, now };
            let (outcome, added) = append_one(&transaction, row, &place, publication, retention)?;
            bytes += added;
            touched.insert(channel, retention);
            outcomes.push(outcome);
        }
        for (channel, retention) in &touched {
            let row = self.channels.get_mut(channel).expect("it was touched");
            bytes -= prune(&transaction, row, Some(*retention), now)?;
            update_row(&transaction, row, *retention, now)?;
        }
        // Well below the bound, so that it is not reached again at once.
        let enough = if bytes > max_bytes { max_bytes - max_bytes / 16 } else { max_bytes };
        while bytes > enough {
            let freed = drop_oldest(&transaction, &mut self.channels)?;
            if freed == 0 {
                break;
            }
            bytes -= freed;
        }
        set_meta(&transaction, "groups", &(self.groups + 1).to_string())?;
        transaction.commit()?;
        self.groups += 1;
        self.bytes = bytes;
        self.newest_ms = now;
        self.census = makings.census;
        self.fresh_epoch = makings.fresh_epoch;
        if let Err(error) = self.witness.write(self.groups) {
            // It is behind then, and vouches for as much as it knows.
            tracing::warn!("the witness of the history cannot be written: {error}");
        }
        Ok(outcomes)
    }

    /// Reads a part of a channel's history.
    pub(super) fn history(&mut self, channel: &ChannelName, query: &HistoryQuery) -> Result<History, Fault> {
        let position = self.position(channel)?;
        let Some(row) = self.row(channel)? else {
            return Ok(History { position, publications: Vec::new(), more: false });
        };
        let since =
            query.since.as_ref().filter(|since| since.epoch == position.epoch).map(|since| since.offset);
        let (sql, bound) = if query.reverse {
            let sql = "SELECT offset, record FROM publications WHERE channel = ?1 AND offset < ?2
                       ORDER BY offset DESC LIMIT ?3";
            (sql, since.unwrap_or(u64::MAX))
        } else {
            let sql = "SELECT offset, record FROM publications WHERE channel = ?1 AND offset > ?2
                       ORDER BY offset LIMIT ?3";
            (sql, since.unwrap_or(0))
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        let limit = query.limit as u64;
        let mut rows = statement.query((row.id, signed(bound), signed(limit)))?;
        let mut publications = Vec::new();
        while let Some(found) = rows.next()? {
            let offset = unsigned(found.get(0)?);
            let record = found.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let publication = record::decode(channel, position.at(offset), &row.epoch, record)
                .ok_or_else(|| Fault::Record(channel.clone(), offset))?;
            publications.push(Arc::new(publication));
        }
        let more = match publications.last().and_then(|last| last.position.as_ref()) {
            Some(last) if query.reverse => last.offset > row.first,
            Some(last) => last.offset < row.head,
            None => limit == 0 && row.first <= row.head,
        };
        Ok(History { position, publications, more })
    }

    /// Ends a channel's history behind an offset and begins another epoch there. What is kept is checked again, so that
    /// the history may end even earlier.
    pub(super) fn cut(&mut self, channel: &ChannelName, last: u64) -> Result<Position, Fault> {
        let Some(mut row) = self.row(channel)? else { return self.position(channel) };
        self.channels.remove(channel);
        let transaction = self.connection.unchecked_transaction()?;
        let (epoch, outside) = (Epoch::random(), self.outside(&row.epoch, 0));
        let mut kept = Vec::new();
        {
            let sql =
                "SELECT offset, record FROM publications WHERE channel = ?1 AND offset <= ?2 ORDER BY offset";
            let mut statement = transaction.prepare_cached(sql)?;
            let mut rows = statement.query((row.id, signed(last)))?;
            while let Some(found) = rows.next()? {
                let offset = unsigned(found.get(0)?);
                let record = found.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
                let Some(publication) = record::decode(channel, outside.at(offset), &row.epoch, record)
                else {
                    break;
                };
                kept.push((offset, record::encode(channel, &epoch, offset, &publication)));
            }
        }
        transaction.execute("DELETE FROM publications WHERE channel = ?1", [row.id])?;
        transaction.execute("DELETE FROM keys WHERE channel = ?1", [row.id])?;
        let freed = row.bytes;
        row.bytes = 0;
        row.head = kept.last().map_or(last.min(row.head), |(offset, _)| *offset);
        row.first = kept.first().map_or(row.head + 1, |(offset, _)| *offset);
        for (offset, record) in kept {
            let sql = "INSERT INTO publications VALUES (?1, ?2, ?3, ?4)";
            row.bytes += record.len() as u64;
            transaction.execute(sql, (row.id, signed(offset), signed(self.newest_ms), record))?;
        }
        let sql = "UPDATE channels SET epoch = ?2, head = ?3, first = ?4, bytes = ?5 WHERE id = ?1";
        let columns = (row.id, epoch.as_str(), signed(row.head), signed(row.first), signed(row.bytes));
        transaction.execute(sql, columns)?;
        transaction.commit()?;
        self.bytes = self.bytes + row.bytes - freed;
        self.position(channel)
    }

    /// Lets go of what is too old. Says whether there may be more of it.
    pub(super) fn sweep(&mut self, now: u64, forget_before: u64) -> Result<bool, Fault> {
        let transaction = self.connection.unchecked_transaction()?;
        let sql = "SELECT name FROM channels WHERE first <= head AND expires <= ?1 ORDER BY expires LIMIT ?2";
        let old: Vec<String> = {
            let mut statement = transaction.prepare_cached(sql)?;
            let rows = statement.query_map((signed(now), signed(SWEEP as u64)), |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        // All of a channel is old when its newest publication is: `expires` is counted from there.
        let mut bytes = self.bytes;
        for name in &old {
            let sql = "SELECT id, bytes FROM channels WHERE name = ?1";
            let (id, freed): (i64, i64) =
                transaction.query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?)))?;
            transaction.execute("DELETE FROM publications WHERE channel = ?1", [id])?;
            transaction.execute("UPDATE channels SET first = head + 1, bytes = 0 WHERE id = ?1", [id])?;
            bytes -= unsigned(freed);
        }
        let sql = "DELETE FROM keys WHERE (channel, key) IN (SELECT channel, key FROM keys WHERE expires <= ?1 LIMIT ?2)";
        let keys = transaction.execute(sql, (signed(now), signed(SWEEP as u64)))?;
        let sql = "DELETE FROM channels WHERE first > head AND used < ?1";
        let forgotten = transaction.execute(sql, [signed(forget_before)])?;
        let fresh = if forgotten > 0 { Some(change_fresh_epoch(&transaction)?) } else { None };
        transaction.commit()?;
        if let Some(fresh) = fresh {
            self.fresh_epoch = fresh;
        }
        self.census.removed(forgotten);
        self.bytes = bytes;
        self.channels.clear();
        Ok(old.len() >= SWEEP || keys >= SWEEP)
    }

    /// Brings to the disk what was committed.
    pub(super) fn sync(&mut self) -> Result<(), Fault> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Ends the store in order.
    pub(super) fn close(mut self) -> Result<(), Fault> {
        self.connection.pragma_update(None, "synchronous", "full")?;
        self.sync()?;
        let Self { connection, witness, groups, .. } = self;
        connection.close().map_err(|(_, error)| error)?;
        witness.close(groups).map_err(|_| Fault::Full)
    }
}

/// Where a publication goes.
struct Place<'a> {
    channel: &'a ChannelName,
    incarnation: &'a str,
    now: u64,
}

fn append_one(
    transaction: &Transaction<'_>,
    row: &mut Row,
    place: &Place<'_>,
    mut publication: crate::NewPublication,
    retention: Retention,
) -> Result<(Outcome, u64), Fault> {
    let key = publication.idempotency.take();
    let fingerprint = publication.fingerprint().cast_signed();
    let outside = Epoch::new(&format!("{}-{}", place.incarnation, row.epoch.as_str()));
    if let Some(key) = &key {
        let sql = "SELECT fingerprint, offset FROM keys WHERE channel = ?1 AND key = ?2 AND expires > ?3";
        let mut statement = transaction.prepare_cached(sql)?;
        let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let known: Option<(i64, i64)> =
            statement.query_row((row.id, key.as_str(), signed(place.now)), columns).optional()?;
        if let Some((known, offset)) = known {
            let position = Some(Position { epoch: outside, offset: unsigned(offset) });
            let published = Published { position, duplicate: true };
            let outcome = if known == fingerprint { Ok(published) } else { Err(PublishError::Conflict) };
            return Ok(((outcome, None), 0));
        }
    }
    row.head += 1;
    let position = Position { epoch: outside, offset: row.head };
    let publication = publication.publish(Some(position.clone()), place.now);
    let record = record::encode(place.channel, &row.epoch, row.head, &publication);
    let added = record.len() as u64;
    row.bytes += added;
    let sql = "INSERT INTO publications VALUES (?1, ?2, ?3, ?4)";
    transaction.prepare_cached(sql)?.execute((row.id, signed(row.head), signed(place.now), record))?;
    if let Some(key) = key {
        let sql = "INSERT OR REPLACE INTO keys VALUES (?1, ?2, ?3, ?4, ?5)";
        let expires = place.now.saturating_add(as_ms(retention.idempotency_window));
        let columns = (row.id, key.as_str(), fingerprint, signed(row.head), signed(expires));
        transaction.prepare_cached(sql)?.execute(columns)?;
    }
    let published = Published { position: Some(position), duplicate: false };
    Ok(((Ok(published), Some(Arc::new(publication))), added))
}

pub(super) fn insert_row(
    transaction: &Transaction<'_>,
    channel: &ChannelName,
    epoch: &str,
) -> Result<Row, Fault> {
    let sql = "INSERT INTO channels (name, epoch, head, first, bytes, expires, used) VALUES (?1, ?2, 0, 1, 0, 0, 0)";
    transaction.prepare_cached(sql)?.execute((channel.as_str(), epoch))?;
    Ok(Row { id: transaction.last_insert_rowid(), epoch: Epoch::new(epoch), head: 0, first: 1, bytes: 0 })
}

fn update_row(transaction: &Transaction<'_>, row: &Row, retention: Retention, now: u64) -> Result<(), Fault> {
    let sql = "UPDATE channels SET head = ?2, first = ?3, bytes = ?4, expires = ?5, used = ?6 WHERE id = ?1";
    let expires = now.saturating_add(as_ms(retention.age));
    let columns =
        (row.id, signed(row.head), signed(row.first), signed(row.bytes), signed(expires), signed(now));
    transaction.prepare_cached(sql)?.execute(columns)?;
    Ok(())
}

/// Drops a channel's oldest publications until it is within its bounds; without bounds, one. Says how many bytes are
/// free.
fn prune(
    transaction: &Transaction<'_>,
    row: &mut Row,
    bounds: Option<Retention>,
    now: u64,
) -> Result<u64, Fault> {
    let mut freed = 0;
    let sql = "SELECT time, length(record) FROM publications WHERE channel = ?1 AND offset = ?2";
    let mut oldest = transaction.prepare_cached(sql)?;
    let mut delete =
        transaction.prepare_cached("DELETE FROM publications WHERE channel = ?1 AND offset = ?2")?;
    while row.first <= row.head {
        let place = (row.id, signed(row.first));
        let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let (time, len): (i64, i64) = oldest.query_row(place, columns).optional()?.unwrap_or((0, 0));
        if let Some(bounds) = bounds {
            let kept = row.head - row.first + 1;
            let is_old = unsigned(time) < now.saturating_sub(as_ms(bounds.age));
            if kept <= bounds.size as u64 && row.bytes <= bounds.bytes as u64 && !is_old {
                break;
            }
        }
        delete.execute(place)?;
        row.first += 1;
        row.bytes = row.bytes.saturating_sub(unsigned(len));
        freed += unsigned(len);
        if bounds.is_none() {
            break;
        }
    }
    Ok(freed)
}

/// Drops the oldest publication of all. Says how many bytes are free.
fn drop_oldest(
    transaction: &Transaction<'_>,
    channels: &mut HashMap<ChannelName, Row>,
) -> Result<u64, Fault> {
    let sql = "SELECT c.id, c.name, c.epoch, c.head, c.first, c.bytes FROM channels c
               JOIN publications p ON p.channel = c.id AND p.offset = c.first
               WHERE c.first <= c.head ORDER BY p.time LIMIT 1";
    let read = |row: &rusqlite::Row<'_>| {
        let found = Row {
            id: row.get(0)?,
            epoch: Epoch::new(row.get_ref(2)?.as_str()?),
            head: unsigned(row.get(3)?),
            first: unsigned(row.get(4)?),
            bytes: unsigned(row.get(5)?),
        };
        Ok((row.get::<_, String>(1)?, found))
    };
    let Some((name, mut row)) = transaction.prepare_cached(sql)?.query_row([], read).optional()? else {
        return Ok(0);
    };
    // Several at once, since finding the oldest looks at every channel.
    let mut freed = 0;
    for _ in 0..64 {
        freed += prune(transaction, &mut row, None, 0)?;
    }
    let sql = "UPDATE channels SET first = ?2, bytes = ?3 WHERE id = ?1";
    transaction.prepare_cached(sql)?.execute((row.id, signed(row.first), signed(row.bytes)))?;
    if let Ok(name) = ChannelName::parse(&name) {
        channels.insert(name, row);
    }
    Ok(freed)
}

fn meta(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    statement.query_row([name], |row| row.get(0)).optional()
}

pub(super) fn set_meta(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?.execute((name, value))?;
    Ok(())
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Gives the files of the store in a folder another name.
pub(super) fn set_aside_in(folder: &Path) {
    if let Err(error) = set_aside(&folder.join("history.sqlite")) {
        tracing::error!("the damaged history cannot be set aside: {error}");
    }
}

/// Gives the files of a store another name. Of several the last one stays.
fn set_aside(path: &Path) -> std::io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let name = |ending: &str| PathBuf::from(format!("{}{ending}{suffix}", path.display()));
        if name("").exists() {
            std::fs::rename(name(""), name(".damaged"))?;
        }
    }
    Ok(())
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            _ if is_damage(&error) => Self::Damaged(error),
            _ => Self::Unknown(error),
        }
    }
}

/// SQLite's integers have a sign; ours are counts that never come near it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
