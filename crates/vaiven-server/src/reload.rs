//! A renewed certificate: seen when its files change, or when the program is told.

use crate::metrics::Metrics;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::sleep;
use vaiven::server::TlsConfig;

/// How often the files are looked at: what is renewed counts within a second.
const INTERVAL: Duration = Duration::from_millis(400);

/// Reads the certificate of a server again. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reload {
    certificate: Option<Arc<Certificate>>,
}

#[derive(Debug)]
struct Certificate {
    tls: TlsConfig,
    files: [PathBuf; 2],
    metrics: Arc<Metrics>,
}

impl Reload {
    pub(crate) fn new(tls: Option<TlsConfig>, files: Option<[PathBuf; 2]>, metrics: &Arc<Metrics>) -> Self {
        let certificate = tls
            .zip(files)
            .map(|(tls, files)| Arc::new(Certificate { tls, files, metrics: Arc::clone(metrics) }));
        Self { certificate }
    }

    /// Reads the files of the certificate. Connections from here on are shown what is in them; one that cannot be used
    /// is told in the log and counted, and the old one stays.
    pub fn now(&self) {
        let Some(certificate) = &self.certificate else { return };
        match certificate.tls.reload() {
            Ok(()) => tracing::info!("the certificate was read again"),
            Err(error) => {
                certificate.metrics.reload_failures.inc();
                tracing::error!("the certificate stays as it was: {error}");
            }
        }
    }

    /// Watches the files for as long as it is polled. It reads them where blocking is allowed.
    pub(crate) async fn watch(self) {
        let Some(certificate) = &self.certificate else { return std::future::pending().await };
        let mut seen = certificate.state();
        let mut settled = seen.clone();
        loop {
            sleep(INTERVAL).await;
            let state = certificate.state();
            // Both files have to be there, and to have stayed as they are for a moment: they are written one by one.
            if state == seen && state != settled {
                settled.clone_from(&state);
                let reload = self.clone();
                let _ = tokio::task::spawn_blocking(move || reload.now()).await;
            }
            seen = state;
        }
    }
}

/// When a file was written, and how long it is.
type FileState = Option<(SystemTime, u64)>;

impl Certificate {
    fn state(&self) -> Vec<FileState> {
        let state = |path: &PathBuf| {
            let data = std::fs::metadata(path).ok()?;
            Some((data.modified().ok()?, data.len()))
        };
        self.files.iter().map(state).collect()
    }
}
