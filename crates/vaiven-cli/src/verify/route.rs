//! The way of a client to the server: through the proxy, and asking for what it would ask for without it.

use super::job::{Job, Protocol};
use super::proxy::Proxy;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use vaiven::WebSocket;
use vaiven::client::Target;
use vaiven_client::{Builder, Client};

/// What a connection of this protocol asks for.
const SUBPROTOCOL: &str = "vaiven.v1.json";
/// What Engine.IO asks for in the query of its address: its version, and a WebSocket from the beginning.
const ENGINE_QUERY: &str = "EIO=4&transport=websocket";

/// From a client to the server.
#[derive(Clone, Debug)]
pub(super) struct Route {
    proxy: SocketAddr,
    client: vaiven::Client,
    url: Arc<str>,
    token: Option<Arc<str>>,
}

impl Route {
    /// Starts a proxy to the server of a job.
    ///
    /// # Errors
    /// A sentence: the URL is none that can be led through a proxy, or the system has no port left.
    pub(super) fn new(job: &Job) -> Result<(Proxy, Self), String> {
        let target = Target::parse(&job.url).map_err(|error| error.to_string())?;
        if target.is_secure() {
            return Err(format!(
                "{}: faults are made between the client and the server, where TLS lets nobody be; use ws://",
                job.url
            ));
        }
        let server = format!("{}:{}", target.host(), target.port());
        let proxy = Proxy::start(server).map_err(|error| format!("cannot start the proxy: {error}"))?;
        let client = match job.protocol {
            Protocol::V1 => vaiven::Client::new().subprotocol(SUBPROTOCOL),
            Protocol::Plain | Protocol::SocketIo => vaiven::Client::new(),
        };
        let url = match job.protocol {
            Protocol::SocketIo => format!("{}?{ENGINE_QUERY}", job.url),
            Protocol::V1 | Protocol::Plain => job.url.clone(),
        };
        let token = job.token.as_deref().map(Arc::from);
        let route = Self { proxy: proxy.address(), client, url: url.into(), token };
        Ok((proxy, route))
    }

    /// A bare connection.
    ///
    /// # Errors
    /// What went wrong on the way or in the opening handshake.
    pub(super) async fn connect(&self) -> Result<WebSocket, vaiven::Error> {
        let stream = TcpStream::connect(self.proxy).await.map_err(vaiven::Error::Io)?;
        // Small messages are not held back.
        let _ = stream.set_nodelay(true);
        self.client.connect_over(stream, &self.url).await.map(|(socket, _)| socket)
    }

    /// The token to be shown.
    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// A client that comes back.
    pub(super) fn client(&self) -> Client {
        let route = self.clone();
        let builder = Builder::over(move || {
            let route = route.clone();
            async move { route.connect().await }
        });
        match &self.token {
            Some(token) => builder.token(&**token).build(),
            None => builder.build(),
        }
    }
}
