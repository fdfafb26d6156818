//! A connection that is counted while it is open, and whose client hears of it when a fault ends its task.

use super::outlet::{ClientOutlet, Farewell};
use crate::metrics::{Metrics, RouteLabel};
use std::sync::Arc;
use vaiven::{CloseCode, CloseFrame, Sender};

/// What a client is told whose task was ended by a fault.
const FAULT: Farewell = Farewell { code: CloseCode::INTERNAL, reason: "a fault of the server", retry: None };

/// Counts a connection while it is open, and how it ended: with 1011 where its task was ended by a fault.
pub(super) struct Counted<'a> {
    metrics: &'a Metrics,
    label: &'static RouteLabel,
    way: Way,
    pub(super) code: CloseCode,
}

/// The way to a client whose task is at its end.
pub(super) enum Way {
    Socket(Sender),
    Stream(Arc<ClientOutlet>),
}

impl<'a> Counted<'a> {
    pub(super) fn new(metrics: &'a Metrics, label: &'static RouteLabel, way: Way) -> Self {
        metrics.connections.get_or_create(label).inc();
        metrics.connections_open.get_or_create(label).inc();
        Self { metrics, label, way, code: FAULT.code }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            match &self.way {
                Way::Socket(sender) => sender.close(Some(&CloseFrame::new(FAULT.code, FAULT.reason))),
                Way::Stream(outlet) => {
                    outlet.close(&FAULT);
                    self.metrics.stream_faults.inc();
                }
            }
        }
        self.metrics.connections_open.get_or_create(self.label).dec();
        self.metrics.closed(self.code);
    }
}
