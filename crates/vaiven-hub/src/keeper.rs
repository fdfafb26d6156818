//! What a hub does by itself, four times a second: tells who came and left, and lets go of what is old.

use crate::clock::as_ms;
use crate::config::Contract;
use crate::hub::{Shared, lock};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Changes of presence are told no more often than this.
const TICK: Duration = Duration::from_millis(250);
/// How long a channel is known after its last subscriber has left: they may all come back.
const KEPT_EMPTY: Duration = Duration::from_mins(1);

/// Begins to keep the hub, until nobody has it any more.
pub(crate) fn start(shared: &Arc<Shared>) {
    let shared = Arc::downgrade(shared);
    tokio::spawn(keep(shared));
}

async fn keep(shared: Weak<Shared>) {
    let mut shard = 0;
    loop {
        tokio::time::sleep(TICK).await;
        let Some(shared) = shared.upgrade() else { return };
        tell_presence(&shared);
        // One shard at a time, so that no tick takes long.
        sweep(&shared, shard);
        shard += 1;
    }
}

fn tell_presence(shared: &Shared) {
    let rosters = &shared.common.rosters;
    let changed = std::mem::take(&mut *lock(rosters));
    for channel in changed.iter().filter_map(Weak::upgrade) {
        if channel.tell_presence() {
            lock(rosters).push(Arc::downgrade(&channel));
        }
    }
}

fn sweep(shared: &Shared, shard: usize) {
    let now = shared.clock.now_ms();
    let mut shard = shared.shard_number(shard);
    shard.retain(|name, channel| {
        let mut state = channel.lock();
        let before = now.saturating_sub(as_ms(channel.namespace.history_age));
        state.latest.forget(before);
        let counters = channel.counters();
        while let Some(bytes) = state.recent.drop_oldest_if(|publication| publication.time < before) {
            counters.recent_bytes.sub(bytes as u64);
        }
        let is_used = state.seats > 0
            || state.empty_since.elapsed() < KEPT_EMPTY
            || state.in_turn
            || !state.roster.is_empty()
            || !state.latest.is_empty();
        if !is_used {
            channel.let_go(&mut state);
            counters.channels.sub(1);
            if channel.contract() == Contract::Reliable {
                shared.broker.unsubscribe(name);
            }
        }
        is_used
    });
}
