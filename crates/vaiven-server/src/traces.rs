//! Traces: spans of `tracing` to a collector of OpenTelemetry, over OTLP (HTTP, protobuf).
//!
//! A span is there for a request, a handshake, a publication over the HTTP API, a commit of the store and a question to
//! the backend. None has payloads, tokens or names of channels. Nothing is traced per message of a WebSocket. Where no
//! layer is installed, a span costs a look at a flag.

use crate::Settings;
use crate::app::App;
use crate::fetch::Fetcher;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HeaderExtractor, HeaderInjector, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing::{Span, Subscriber, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use vaiven_hub::TRACE_TARGET;

/// How long the collector may take for a batch.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer of a collector.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Sends spans to the collector of the settings, in batches and from a thread of its own. What does not fit into a queue
/// of 2,048 spans is dropped.
#[derive(Clone, Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// `None` where the settings name no collector.
    ///
    /// # Errors
    /// A sentence that says why spans cannot be sent.
    ///
    /// # Panics
    /// Outside of a tokio runtime, on which the requests are made.
    pub fn new(settings: &Settings) -> Result<Option<Self>, String> {
        let Some(endpoint) = &settings.otlp_endpoint else { return Ok(None) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(EXPORT_TIMEOUT)
            .with_endpoint(format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/')))
            .build()
            .map_err(|error| format!("otlp_endpoint: {error}"))?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("vaiven");
        }
        let ratio = f64::from(settings.trace_one_in).recip();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
            .with_batch_exporter(exporter)
            .build();
        Ok(Some(Self { provider }))
    }

    /// What passes the server's spans on, and nothing else.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let ours = filter_fn(|metadata| metadata.target() == TRACE_TARGET);
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("vaiven"))
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(ours.with_max_level_hint(LevelFilter::INFO))
    }

    /// Sends what waits. It blocks, and needs the runtime meanwhile.
    pub fn flush(&self) {
        if let Err(error) = self.provider.force_flush() {
            tracing::debug!(%error, "spans were not sent");
        }
    }
}

/// The way to the collector: the client that the server has already, on the server's runtime.
struct Collector {
    fetcher: Arc<Fetcher>,
    runtime: Handle,
    /// Whether the last batch did not arrive: that is told once.
    fails: AtomicBool,
}

impl Collector {
    fn new() -> Self {
        let fetcher = Arc::new(Fetcher::new(EXPORT_TIMEOUT, MAX_ANSWER_BYTES));
        Self { fetcher, runtime: Handle::current(), fails: AtomicBool::new(false) }
    }

    fn tell(&self, problem: Option<&str>) {
        let failed = self.fails.swap(problem.is_some(), Ordering::Relaxed);
        match problem {
            Some(error) if !failed => tracing::warn!(error, "spans cannot be sent to otlp_endpoint"),
            None if failed => tracing::info!("spans are sent to otlp_endpoint again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let fetcher = Arc::clone(&self.fetcher);
        // The thread of the exporter is none of the runtime's.
        let sent = self.runtime.spawn(async move { fetcher.send(request).await }).await?;
        match sent {
            Ok(response) if response.status().is_success() => {
                self.tell(None);
                Ok(response)
            }
            Ok(response) => {
                self.tell(Some(&format!("the collector answers with {}", response.status())));
                Ok(response)
            }
            Err(error) => {
                self.tell(Some(&error.to_string()));
                Err(error.into())
            }
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

/// A request that hyper has read. One with a key of the HTTP API continues the trace that it names; a stranger's word
/// about that counts for nothing, or strangers could have every request traced.
pub(crate) fn request<B>(app: &App, request: &Request<B>, route: &'static str) -> Span {
    let span = info_span!(
        target: TRACE_TARGET,
        "request",
        otel.kind = "server",
        http.request.method = request.method().as_str(),
        http.route = route,
        http.response.status_code = tracing::field::Empty,
    );
    if !span.is_disabled() && app.keys.check(request.headers()).is_ok() {
        // It has not begun yet.
        let _ = span.set_parent(parent(request.headers()));
    }
    span
}

/// The opening handshake of a WebSocket, from its request to its answer.
pub(crate) fn handshake(route: &'static str) -> Span {
    info_span!(
        target: TRACE_TARGET,
        "handshake",
        otel.kind = "server",
        http.route = route,
        http.response.status_code = tracing::field::Empty,
    )
}

/// Notes how a request or a handshake was answered.
pub(crate) fn answered(span: &Span, status: u16) {
    // As a number, which unsigned ones are not to the layer.
    span.record("http.response.status_code", i64::from(status));
}

/// Publications over the HTTP API, until the broker has kept them.
pub(crate) fn publish(count: usize) -> Span {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    info_span!(target: TRACE_TARGET, "publish", publications = count)
}

/// A question to the operator's backend.
pub(crate) fn ask_backend() -> Span {
    info_span!(target: TRACE_TARGET, "backend", otel.kind = "client")
}

/// Names the span of the moment to whom a request goes (W3C Trace Context).
pub(crate) fn inject(headers: &mut HeaderMap) {
    let span = Span::current();
    if !span.is_disabled() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut HeaderInjector(headers));
    }
}

fn parent(headers: &HeaderMap) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers))
}
