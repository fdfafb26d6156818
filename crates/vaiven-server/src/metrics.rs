//! What the server counts, and the text that Prometheus reads. Labels come from fixed sets only.

use crate::memory::{MemoryGuard, resident_bytes};
use crate::protocol::code::ErrorCode;
use crate::store::Store;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use vaiven::CloseCode;
use vaiven::server::ServerHandle;
use vaiven_hub::{Hub, StoreFigures};

/// What `/metrics` answers with.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct RouteLabel {
    pub(crate) route: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) route: &'static str,
    pub(crate) status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CodeLabel {
    code: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ErrorLabel {
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusalLabels {
    status: u16,
    code: &'static str,
}

/// The server's counters. They are exact: nothing is sampled.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) connections_open: Family<RouteLabel, Gauge>,
    pub(crate) connections: Family<RouteLabel, Counter>,
    handshakes_refused: Family<RefusalLabels, Counter>,
    /// The same, in all.
    refusals: Counter,
    store: Store,
    closes: Family<CodeLabel, Counter>,
    pub(crate) requests: Family<RequestLabels, Counter>,
    pub(crate) messages_in: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) echoed: Counter,
    pub(crate) echoed_bytes: Counter,
    pub(crate) rate_limited: Counter,
    pub(crate) reload_failures: Counter,
    /// Streams of events that a fault ended. Faults of WebSockets are counted where the listener is.
    pub(crate) stream_faults: Counter,
    errors: Family<ErrorLabel, Counter>,
}

impl Metrics {
    pub(crate) fn new(handle: ServerHandle, hub: Hub, store: Store, memory: Arc<MemoryGuard>) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("vaiven"),
            connections_open: Family::default(),
            connections: Family::default(),
            handshakes_refused: Family::default(),
            refusals: Counter::default(),
            store: store.clone(),
            closes: Family::default(),
            requests: Family::default(),
            messages_in: Counter::default(),
            bytes_in: Counter::default(),
            echoed: Counter::default(),
            echoed_bytes: Counter::default(),
            rate_limited: Counter::default(),
            reload_failures: Counter::default(),
            stream_faults: Counter::default(),
            errors: Family::default(),
        };
        metrics.register();
        let (echoed, echoed_bytes) = (metrics.echoed.clone(), metrics.echoed_bytes.clone());
        metrics
            .registry
            .register_collector(Box::new(Listening { handle, stream_faults: metrics.stream_faults.clone() }));
        metrics.registry.register_collector(Box::new(Memory(memory)));
        metrics.registry.register_collector(Box::new(Channels { hub, store, echoed, echoed_bytes }));
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "connections_open",
            "WebSocket connections and streams of events that are open",
            self.connections_open.clone(),
        );
        registry.register(
            "connections",
            "WebSocket connections and streams of events accepted",
            self.connections.clone(),
        );
        registry.register(
            "handshakes_refused",
            "Requests that were refused, by HTTP status and rule",
            self.handshakes_refused.clone(),
        );
        let help = "WebSocket connections and streams of events ended, by close code; 1006 is an end without a last word";
        registry.register("closes", help, self.closes.clone());
        registry.register("http_requests", "Requests for pages, health and metrics", self.requests.clone());
        registry.register("messages_in", "Messages received", self.messages_in.clone());
        registry.register("bytes_in", "Payload bytes received", self.bytes_in.clone());
        let help = "Connections closed with 1008 since they sent too fast";
        registry.register("rate_limited", help, self.rate_limited.clone());
        let help = "Commands of clients that were answered with an error, by its code";
        registry.register("errors", help, self.errors.clone());
        let help = "Times at which a renewed certificate could not be used, and the old one stayed";
        registry.register("reload_failures", help, self.reload_failures.clone());
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", build);
    }

    /// Counts a refused handshake under its status and rule.
    pub(crate) fn refused(&self, status: u16, code: &'static str) {
        self.handshakes_refused.get_or_create(&RefusalLabels { status, code }).inc();
        self.refusals.inc();
    }

    /// How many handshakes were refused.
    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.get()
    }

    /// What the store on disk counts, where there is one.
    pub(crate) fn store(&self) -> Option<StoreFigures> {
        self.store.figures()
    }

    /// Counts an error that a client was told.
    pub(crate) fn error(&self, code: ErrorCode) {
        self.errors.get_or_create(&ErrorLabel { code: code.name() }).inc();
    }

    /// Counts the end of a connection. The ranges that belong to applications count as one each.
    pub(crate) fn closed(&self, code: CloseCode) {
        let code = match code.value() {
            code @ 1000..=1015 => code.to_string(),
            3000..=3999 => "3xxx".to_owned(),
            4000..=4999 => "4xxx".to_owned(),
            _ => "other".to_owned(),
        };
        self.closes.get_or_create(&CodeLabel { code }).inc();
    }

    /// All figures as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes all that is written");
        text
    }
}

/// What the listener itself counts.
#[derive(Debug)]
struct Listening {
    handle: ServerHandle,
    stream_faults: Counter,
}

impl Collector for Listening {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.handle.counts();
        let gauges = [
            ("tcp_connections_open", "Connections that are open, of every kind", counts.connections),
            ("tcp_connections_max", "Connections that the server takes", self.handle.max_connections()),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let counters = [
            ("tcp_connections", "Connections let in", counts.accepted),
            ("tcp_connections_dropped", "Connections dropped without an answer", counts.dropped),
            ("tls_failures", "TLS handshakes that failed or took too long", counts.tls_failures),
            ("accept_errors", "Times at which no connection could be accepted", counts.accept_errors),
            (
                "panics",
                "Connections ended by a fault of the server",
                counts.panics + self.stream_faults.get(),
            ),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}

/// What the process has in memory, where that is known.
#[derive(Debug)]
struct Memory(Arc<MemoryGuard>);

impl Collector for Memory {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let gauges = [
            ("memory_bytes", "Memory of the process", resident_bytes()),
            ("memory_max_bytes", "Memory that the process may have", self.0.max_bytes()),
        ];
        for (name, help, value) in gauges {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// What the hub counts. What it delivers and what is echoed is sent, both.
#[derive(Debug)]
struct Channels {
    hub: Hub,
    store: Store,
    echoed: Counter,
    echoed_bytes: Counter,
}

impl Collector for Channels {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let figures = self.hub.figures();
        let gauges = [
            ("rooms", "Channels that are known: in use, or left within the last minute", figures.channels),
            ("members", "Subscriptions to channels, of plain members and of clients", figures.subscribers),
            ("present", "Clients that channels with presence show", figures.members),
            ("recent_bytes", "Bytes of recent publications in memory", figures.recent_bytes),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let store = self.store.figures();
        if let Some(store) = store {
            let gauge = ConstGauge::new(i64::from(store.is_open));
            let help = "Whether the store on disk is of use";
            gauge.encode(encoder.encode_descriptor("store_open", help, None, gauge.metric_type())?)?;
            let gauge = ConstGauge::new(i64::try_from(store.bytes).unwrap_or(i64::MAX));
            let help = "Bytes of all histories on disk";
            gauge.encode(encoder.encode_descriptor("store_bytes", help, None, gauge.metric_type())?)?;
        }
        let store = store.unwrap_or_default();
        let sent = figures.deliveries + self.echoed.get();
        let sent_bytes = figures.delivered_bytes + self.echoed_bytes.get();
        let help = "Publications that were refused since the store or the broker could not keep them";
        let counters = [
            ("messages_out", "Messages sent, counted once for each receiver", sent),
            ("bytes_out", "Bytes of frames sent, before compression", sent_bytes),
            ("publications", "Publications that were taken", figures.publications),
            ("duplicates", "Publications that had been taken before", figures.duplicates),
            ("store_errors", help, figures.unavailable),
            ("busy", "Publications that were refused since too much waited", figures.busy),
            (
                "slow_consumers",
                "Subscribers closed with 1013 since they read too slowly",
                figures.slow_consumers,
            ),
            ("replayed", "Publications replayed to who came back", figures.replayed),
            ("recovered", "Subscribers that came back and missed nothing", figures.recovered),
            ("unrecoverable", "Subscribers that came back to a gap", figures.unrecoverable),
            ("history_reads", "Parts of histories read from the store", figures.history_reads),
            ("epoch_changes", "Channels that had to begin a new epoch", figures.epoch_changes),
            ("channel_faults", "Turns of channels ended by a fault of the server", figures.faults),
            ("store_failures", "Times that the store on disk failed", store.errors),
            ("store_bad_records", "Records on disk that were not what had been written", store.bad_records),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}
