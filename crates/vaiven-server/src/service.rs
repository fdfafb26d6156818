//! The server without its listener: for connections that come by other ways, in another program or in a simulation.

use crate::Settings;
use crate::app::App;
use crate::environment::Environment;
use crate::route::Route;
use crate::server::StartError;
use crate::session::Plan;
use std::fmt;
use std::sync::Arc;
use vaiven::WebSocket;
use vaiven::server::{Refusal, ServerHandle};
use vaiven_hub::Hub;

/// Serves WebSockets whose opening handshake was done elsewhere, over any transport. A clone is the same server.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use vaiven_server::settings::HistoryIn;
/// use vaiven_server::{Service, Settings};
/// let mut settings = Settings::default();
/// settings.history = HistoryIn::Memory;
/// let service = Service::new(settings)?;
/// let (mut client, server) = vaiven::pair();
/// tokio::spawn(async move { service.serve(server, "/v1").await });
/// client.send(r#"{"type":"ping","id":1}"#).await?;
/// let welcome = client.recv().await?.expect("the server greets");
/// assert!(welcome.as_text().is_some_and(|text| text.contains("welcome")));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Service {
    app: Arc<App>,
}

impl Service {
    /// A server of these settings, without listener and TLS.
    ///
    /// # Errors
    /// [`StartError`]: a key or the store cannot be read.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(settings: Settings) -> Result<Self, StartError> {
        let config = Arc::new(settings.server_config(None));
        Ok(Self { app: App::new(settings, config, ServerHandle::detached())? })
    }

    /// The same in an environment of the caller's, for simulations.
    ///
    /// # Errors
    /// [`StartError`]: a key cannot be read.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn within(settings: Settings, environment: &Environment) -> Result<Self, StartError> {
        let config = Arc::new(settings.server_config(None));
        Ok(Self { app: App::within(settings, config, ServerHandle::detached(), environment)? })
    }

    pub(crate) fn of(app: &Arc<App>) -> Self {
        Self { app: Arc::clone(app) }
    }

    /// Serves a connection to this path until its end. Whether it may connect is the caller's to know: only what
    /// `connect` says is judged.
    ///
    /// # Errors
    /// [`Refusal`]: no WebSockets are served there, or there is no room.
    pub async fn serve(&self, mut socket: WebSocket, path: &str) -> Result<(), Refusal> {
        let route = Route::of(path).filter(Route::is_websocket).ok_or_else(Refusal::not_found)?;
        let mut plan = Plan::new(&self.app, &route, None, None).await?;
        plan.run(&mut socket).await;
        Ok(())
    }

    /// The channels, for a program that publishes and subscribes by itself.
    pub fn hub(&self) -> &Hub {
        &self.app.hub
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("hub", &self.app.hub).finish_non_exhaustive()
    }
}
