//! Requests of the server to others, over HTTP and HTTPS: the keys of an issuer, the word of a backend. Each is bounded
//! in time and in bytes.

use crate::traces;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;
use url::Url;

/// How long a connection is kept for the next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections to one server that are kept.
const MAX_IDLE: usize = 16;

type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Asks other servers. The client is made when it is first needed: to read the system's roots takes a while.
pub(crate) struct Fetcher {
    client: OnceLock<Result<Https, String>>,
    timeout: Duration,
    max_bytes: usize,
}

/// An answer.
pub(crate) struct Fetched {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct FetchError(String);

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for FetchError {}

impl Fetcher {
    pub(crate) fn new(timeout: Duration, max_bytes: usize) -> Self {
        Self { client: OnceLock::new(), timeout, max_bytes }
    }

    /// GET.
    ///
    /// # Errors
    /// [`FetchError`].
    pub(crate) async fn get(&self, url: &Url) -> Result<Fetched, FetchError> {
        self.ask(Method::GET, url, Bytes::new()).await
    }

    /// POST of JSON, which names the span of the moment.
    ///
    /// # Errors
    /// [`FetchError`].
    pub(crate) async fn post(&self, url: &Url, json: String) -> Result<Fetched, FetchError> {
        self.ask(Method::POST, url, json.into()).await
    }

    async fn ask(&self, method: Method, url: &Url, body: Bytes) -> Result<Fetched, FetchError> {
        let mut request = Request::new(body);
        // Whoever gives out keys is no part of what is traced.
        if method == Method::POST {
            traces::inject(request.headers_mut());
        }
        *request.method_mut() = method;
        *request.uri_mut() = url.as_str().parse().map_err(|error| FetchError(format!("{error}")))?;
        let fields = [
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (ACCEPT, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static("vaiven")),
        ];
        request.headers_mut().extend(fields);
        let response = self.send(request).await?;
        Ok(Fetched { status: response.status().as_u16(), body: response.into_body() })
    }

    /// Any request.
    ///
    /// # Errors
    /// [`FetchError`].
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, FetchError> {
        let client = self.client.get_or_init(client).as_ref().map_err(|error| FetchError(error.clone()))?;
        let answered = async {
            let response =
                client.request(request.map(Full::new)).await.map_err(|error| with_causes(&error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, self.max_bytes).collect().await;
            let body = body.map_err(|error| FetchError(error.to_string()))?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        let late = || FetchError(format!("no answer in {} s", self.timeout.as_secs_f32()));
        tokio::time::timeout(self.timeout, answered).await.map_err(|_| late())?
    }
}

fn client() -> Result<Https, String> {
    // The roots of the system; ring, as everywhere else.
    let provider = rustls::crypto::ring::default_provider();
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)
        .map_err(|error| format!("the system's root certificates cannot be read: {error}"))?
        .https_or_http()
        .enable_http1()
        .build();
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIMEOUT).pool_max_idle_per_host(MAX_IDLE);
    Ok(builder.build(connector))
}

/// An error and what led to it, as one line.
fn with_causes(error: &dyn Error) -> FetchError {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    FetchError(line)
}
