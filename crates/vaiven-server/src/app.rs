//! What all connections of a server share.

use crate::Settings;
use crate::connections::Connections;
use crate::metrics::Metrics;
use crate::rate::Rate;
use crate::room::{RoomLimits, Rooms};
use std::sync::Arc;
use vaiven::server::ServerConfig;

/// The most bytes that a room gives to its members at once. A quarter of the outbox at most, so that a member that
/// merely fell behind by a batch is not taken for a slow one.
const MAX_BATCH_BYTES: usize = 256 << 10;

/// Settings and state of a server.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) handshake: Arc<ServerConfig>,
    pub(crate) rate: Rate,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) connections: Arc<Connections>,
}

impl App {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        let metrics = Arc::new(Metrics::new());
        let limits = RoomLimits {
            max_rooms: settings.max_rooms,
            max_members: settings.max_room_members,
            batch_bytes: MAX_BATCH_BYTES.min(settings.outbox_bytes / 4),
        };
        Arc::new(Self {
            handshake: Arc::new(settings.server_config()),
            rate: Rate { per_second: settings.message_rate, burst: settings.message_burst },
            rooms: Rooms::new(limits, Arc::clone(&metrics)),
            metrics,
            connections: Arc::default(),
            settings,
        })
    }
}
