//! The same few operations on each store, as each is meant to be used.

use crate::Failure;
use redb::ReadableDatabase;
use std::path::Path;

/// Which store.
#[derive(Clone, Copy)]
pub(crate) enum Engine {
    Redb,
    Fjall,
    Sqlite,
}

/// What a history asks of a store. Publications are (channel, offset, content).
pub(crate) trait Store: Sized {
    fn open(folder: &Path, fsync: bool) -> Result<Self, Failure>;
    fn append(&mut self, group: &[(u64, u64, Vec<u8>)]) -> Result<(), Failure>;
    /// How many there are after an offset.
    fn read(&self, channel: u64, after: u64) -> Result<usize, Failure>;
    /// Removes those up to an offset.
    fn prune(&mut self, channel: u64, to: u64) -> Result<(), Failure>;
}

impl Engine {
    pub(crate) const ALL: [Self; 3] = [Self::Redb, Self::Fjall, Self::Sqlite];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::Fjall => "fjall",
            Self::Sqlite => "sqlite",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.name() == name)
    }
}

pub(crate) struct Redb {
    database: redb::Database,
    durability: redb::Durability,
}

const TABLE: redb::TableDefinition<'_, (u64, u64), &[u8]> = redb::TableDefinition::new("publications");

impl Redb {
    fn begin(&self) -> Result<redb::WriteTransaction, Failure> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(self.durability)?;
        Ok(transaction)
    }
}

impl Store for Redb {
    fn open(folder: &Path, fsync: bool) -> Result<Self, Failure> {
        let durability = if fsync { redb::Durability::Immediate } else { redb::Durability::None };
        let database = redb::Database::create(folder.join("history.redb"))?;
        let transaction = database.begin_write()?;
        transaction.open_table(TABLE)?;
        transaction.commit()?;
        Ok(Self { database, durability })
    }

    fn append(&mut self, group: &[(u64, u64, Vec<u8>)]) -> Result<(), Failure> {
        let transaction = self.begin()?;
        let mut table = transaction.open_table(TABLE)?;
        for (channel, offset, content) in group {
            table.insert((*channel, *offset), &content[..])?;
        }
        drop(table);
        Ok(transaction.commit()?)
    }

    fn read(&self, channel: u64, after: u64) -> Result<usize, Failure> {
        let table = self.database.begin_read()?.open_table(TABLE)?;
        let range = table.range((channel, after + 1)..=(channel, u64::MAX))?;
        let contents: Result<Vec<_>, _> =
            range.map(|row| row.map(|(_, value)| value.value().to_vec())).collect();
        Ok(contents?.len())
    }

    fn prune(&mut self, channel: u64, to: u64) -> Result<(), Failure> {
        let transaction = self.begin()?;
        transaction.open_table(TABLE)?.retain_in((channel, 0)..=(channel, to), |_, _| false)?;
        Ok(transaction.commit()?)
    }
}

pub(crate) struct Fjall {
    database: fjall::Database,
    publications: fjall::Keyspace,
    persist: fjall::PersistMode,
}

fn key(channel: u64, offset: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&channel.to_be_bytes());
    key[8..].copy_from_slice(&offset.to_be_bytes());
    key
}

impl Store for Fjall {
    fn open(folder: &Path, fsync: bool) -> Result<Self, Failure> {
        let database = fjall::Database::builder(folder.join("fjall")).open()?;
        let publications = database.keyspace("publications", fjall::KeyspaceCreateOptions::default)?;
        let persist = if fsync { fjall::PersistMode::SyncData } else { fjall::PersistMode::Buffer };
        Ok(Self { database, publications, persist })
    }

    fn append(&mut self, group: &[(u64, u64, Vec<u8>)]) -> Result<(), Failure> {
        let mut batch = self.database.batch().durability(Some(self.persist));
        for (channel, offset, content) in group {
            batch.insert(&self.publications, key(*channel, *offset), &content[..]);
        }
        Ok(batch.commit()?)
    }

    fn read(&self, channel: u64, after: u64) -> Result<usize, Failure> {
        let range = self.publications.range(key(channel, after + 1)..=key(channel, u64::MAX));
        let contents: Result<Vec<_>, _> = range.map(|row| row.value().map(|value| value.to_vec())).collect();
        Ok(contents?.len())
    }

    fn prune(&mut self, channel: u64, to: u64) -> Result<(), Failure> {
        let keys: Result<Vec<_>, _> =
            self.publications.range(key(channel, 0)..=key(channel, to)).map(fjall::Guard::key).collect();
        let mut batch = self.database.batch().durability(Some(self.persist));
        for key in keys? {
            batch.remove(&self.publications, key);
        }
        Ok(batch.commit()?)
    }
}

pub(crate) struct Sqlite(rusqlite::Connection);

impl Store for Sqlite {
    fn open(folder: &Path, fsync: bool) -> Result<Self, Failure> {
        let connection = rusqlite::Connection::open(folder.join("history.sqlite"))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", if fsync { "full" } else { "normal" })?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS publications (channel INTEGER, offset INTEGER, content BLOB,
             PRIMARY KEY (channel, offset)) WITHOUT ROWID",
        )?;
        Ok(Self(connection))
    }

    fn append(&mut self, group: &[(u64, u64, Vec<u8>)]) -> Result<(), Failure> {
        let transaction = self.0.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO publications VALUES (?1, ?2, ?3)")?;
            for (channel, offset, content) in group {
                insert.execute((channel.cast_signed(), offset.cast_signed(), content))?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn read(&self, channel: u64, after: u64) -> Result<usize, Failure> {
        let mut select = self.0.prepare_cached(
            "SELECT content FROM publications WHERE channel = ?1 AND offset > ?2 ORDER BY offset",
        )?;
        let rows =
            select.query_map((channel.cast_signed(), after.cast_signed()), |row| row.get::<_, Vec<u8>>(0))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?.len())
    }

    fn prune(&mut self, channel: u64, to: u64) -> Result<(), Failure> {
        let mut delete =
            self.0.prepare_cached("DELETE FROM publications WHERE channel = ?1 AND offset <= ?2")?;
        delete.execute((channel.cast_signed(), to.cast_signed()))?;
        Ok(())
    }
}
