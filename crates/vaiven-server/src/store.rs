//! Where publications are kept: the broker of the hub, as the settings ask for it.

use crate::Settings;
use crate::server::StartError;
use crate::settings::{Fsync, HistoryIn};
use std::sync::Arc;
use std::time::Duration;
use vaiven_hub::{Broker, DiskBroker, DiskConfig, MemoryBroker, StoreFigures};

/// How often `interval` forces what was published to the disk.
const FSYNC_INTERVAL: Duration = Duration::from_secs(1);

/// The broker, and what counts it where it is on disk.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    broker: Arc<dyn Broker>,
    disk: Option<Arc<DiskBroker>>,
}

impl Store {
    /// Opens it, where blocking for a moment is allowed.
    ///
    /// # Errors
    /// [`StartError`]: the directory cannot be used.
    pub(crate) fn open(settings: &Settings) -> Result<Self, StartError> {
        if settings.history == HistoryIn::Memory {
            let broker = Arc::new(MemoryBroker::with_max_bytes(settings.history_total_bytes));
            return Ok(Self { broker, disk: None });
        }
        let mut config = DiskConfig::default();
        config.max_bytes = settings.history_total_bytes as u64;
        config.max_channels = settings.max_kept_channels;
        config.fsync = match settings.fsync {
            Fsync::Always => vaiven_hub::Fsync::Always,
            Fsync::Interval => vaiven_hub::Fsync::Interval(FSYNC_INTERVAL),
            Fsync::Never => vaiven_hub::Fsync::Never,
        };
        let folder = &settings.data_dir;
        let opened = DiskBroker::open(folder, config);
        let disk = Arc::new(opened.map_err(|error| StartError::Store(folder.clone(), error))?);
        if let Some(warning) = disk.warning() {
            tracing::warn!("{warning}");
        }
        Ok(Self { broker: Arc::clone(&disk) as _, disk: Some(disk) })
    }

    /// A broker of the caller's.
    pub(crate) fn of(broker: Arc<dyn Broker>) -> Self {
        Self { broker, disk: None }
    }

    pub(crate) fn broker(&self) -> Arc<dyn Broker> {
        Arc::clone(&self.broker)
    }

    /// What the store on disk counts.
    pub(crate) fn figures(&self) -> Option<StoreFigures> {
        self.disk.as_ref().map(|disk| disk.figures())
    }
}
