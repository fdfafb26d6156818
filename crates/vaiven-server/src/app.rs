//! What all connections of a server share.

use crate::Settings;
use crate::metrics::Metrics;
use crate::rate::Rate;
use crate::room::{RoomLimits, Rooms};
use crate::throttle::RefusalLog;
use std::sync::Arc;
use std::time::Instant;
use vaiven::server::{ServerConfig, ServerHandle};

/// The most bytes that a room gives to its members at once. A quarter of the outbox at most, so that a member that
/// merely fell behind by a batch is not taken for a slow one.
const MAX_BATCH_BYTES: usize = 256 << 10;
/// The most messages that a room gives to its members at once: some for each member of a busy room, and with little
/// memory besides their bytes.
const MAX_BATCH_MESSAGES: usize = 1024;

/// Settings and state of a server.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) handle: ServerHandle,
    pub(crate) rate: Rate,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) refusal_log: RefusalLog,
}

impl App {
    pub(crate) fn new(settings: Settings, config: Arc<ServerConfig>, handle: ServerHandle) -> Arc<Self> {
        let metrics = Arc::new(Metrics::new(handle.clone()));
        let limits = RoomLimits {
            max_rooms: settings.max_rooms,
            max_members: settings.max_room_members,
            batch_bytes: MAX_BATCH_BYTES.min(settings.outbox_bytes / 4),
            batch_messages: MAX_BATCH_MESSAGES,
        };
        let rate = Rate { per_second: settings.message_rate, burst: settings.message_burst };
        Arc::new(Self {
            settings,
            config,
            handle,
            rate,
            rooms: Rooms::new(limits, Arc::clone(&metrics)),
            metrics,
            refusal_log: RefusalLog::new(Instant::now()),
        })
    }
}
