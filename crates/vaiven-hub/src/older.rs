//! Parts of a history that were read lately: when thousands come back at once, the first one reads for all.

use crate::figures::Counters;
use crate::outlet::Event;
use crate::recent::Entry;
use crate::{Broker, BrokerError, ChannelName, HistoryQuery, Position, Publication};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;

/// Publications of one block.
const BLOCK: u64 = 128;
/// Blocks of one channel that are kept.
const MAX_BLOCKS: usize = 16;

/// Publications whose offsets have the same quotient by [`BLOCK`], as far as there were any.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) entries: Vec<Arc<Entry>>,
    cost: u64,
    counters: Arc<Counters>,
}

type Slot = Arc<OnceCell<Arc<Block>>>;

/// Blocks by number.
#[derive(Debug, Default)]
pub(crate) struct Older(Mutex<HashMap<u64, Slot>>);

impl Older {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block that has the publication after `after`, as it is or was when somebody read it. Its entries may begin
    /// later, where the history does, and end earlier.
    pub(crate) async fn after(
        &self,
        broker: &dyn Broker,
        channel: &ChannelName,
        after: &Position,
        counters: &Arc<Counters>,
    ) -> Result<Arc<Block>, BrokerError> {
        let number = after.offset / BLOCK;
        loop {
            let slot = self.slot(number);
            let was_there = slot.initialized();
            let load = || load(broker, channel, after.at(number * BLOCK), counters);
            let block = Arc::clone(slot.get_or_try_init(load).await?);
            let reaches = block.entries.last().and_then(|entry| entry.offset()) > Some(after.offset);
            if reaches || !was_there {
                return Ok(block);
            }
            // It was read when the channel ended earlier, or in another epoch.
            self.forget(number, &slot);
        }
    }

    fn slot(&self, number: u64) -> Slot {
        let mut blocks = self.lock();
        if blocks.len() >= MAX_BLOCKS && !blocks.contains_key(&number) {
            let oldest = *blocks.keys().min().expect("there are some");
            blocks.remove(&oldest);
        }
        Arc::clone(blocks.entry(number).or_default())
    }

    fn forget(&self, number: u64, slot: &Slot) {
        let mut blocks = self.lock();
        if blocks.get(&number).is_some_and(|found| Arc::ptr_eq(found, slot)) {
            blocks.remove(&number);
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }
}

async fn load(
    broker: &dyn Broker,
    channel: &ChannelName,
    since: Position,
    counters: &Arc<Counters>,
) -> Result<Arc<Block>, BrokerError> {
    counters.history_reads.add(1);
    let limit = usize::try_from(BLOCK).expect("it is small");
    let end = since.offset + BLOCK;
    let epoch = since.epoch.clone();
    let history = broker.history(channel, HistoryQuery { since: Some(since), limit, reverse: false }).await?;
    let is_wanted = |publication: &Arc<Publication>| {
        publication.position.as_ref().is_some_and(|at| at.epoch == epoch && at.offset <= end)
    };
    let publications = history.publications.into_iter().filter(is_wanted);
    let entries: Vec<_> = publications.map(|found| Entry::new(Event::Publication(found))).collect();
    let cost = entries.iter().map(|entry| entry.cost() as u64).sum();
    counters.recent_bytes.add(cost);
    Ok(Arc::new(Block { entries, cost, counters: Arc::clone(counters) }))
}

impl Drop for Block {
    fn drop(&mut self) {
        self.counters.recent_bytes.sub(self.cost);
    }
}
