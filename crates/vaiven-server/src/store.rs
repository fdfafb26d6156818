//! Where publications are kept: the broker of the hub, as the settings ask for it.

use crate::Settings;
use crate::server::StartError;
use std::sync::Arc;
use vaiven_hub::{Broker, MemoryBroker};

/// Opens it.
///
/// # Errors
/// [`StartError`]: the directory cannot be used.
pub(crate) fn open(settings: &Settings) -> Result<Arc<dyn Broker>, StartError> {
    Ok(Arc::new(MemoryBroker::with_max_bytes(settings.history_total_bytes)))
}
