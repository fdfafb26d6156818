//! What all connections of a server share.

use crate::Settings;
use crate::admin::Tails;
use crate::api::key::ApiKeys;
use crate::auth::Auth;
use crate::drain::Stage;
use crate::environment::{Chance, Environment, WallClock};
use crate::memory::MemoryGuard;
use crate::metrics::Metrics;
use crate::rate::Rate;
use crate::server::StartError;
use crate::session::Sessions;
use crate::settings::{Contract, DEFAULT_NAMESPACE, Namespace};
use crate::socketio::{self, EventBackend};
use crate::store::Store;
use crate::stream::Streams;
use crate::throttle::RefusalLog;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use vaiven::server::{Refusal, ServerConfig, ServerHandle};
use vaiven_hub::{ChannelName, Hub, HubConfig};
use vaiven_socketio::Io;

/// Settings and state of a server.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) handle: ServerHandle,
    pub(crate) rate: Rate,
    pub(crate) hub: Hub,
    pub(crate) auth: Arc<Auth>,
    pub(crate) keys: ApiKeys,
    pub(crate) admin_key: ApiKeys,
    pub(crate) admin_tails: Tails,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) streams: Arc<Streams>,
    pub(crate) socketio: Io,
    /// The settings of its WebSockets.
    pub(crate) socketio_config: Arc<ServerConfig>,
    pub(crate) socketio_backend: Option<EventBackend>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) memory: Arc<MemoryGuard>,
    pub(crate) refusal_log: RefusalLog,
    pub(crate) clock: WallClock,
    pub(crate) chance: Arc<Chance>,
    /// How long a publication that is sent again is known to be the same.
    pub(crate) window: Duration,
    /// How far its end has come.
    pub(crate) stage: watch::Sender<Stage>,
    pub(crate) started: Instant,
}

impl App {
    /// What the settings ask for.
    ///
    /// # Errors
    /// [`StartError`]: a key or the store cannot be read.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn new(
        settings: Settings,
        config: Arc<ServerConfig>,
        handle: ServerHandle,
    ) -> Result<Arc<Self>, StartError> {
        let store = Store::open(&settings)?;
        Self::over(settings, config, handle, store, None)
    }

    /// The same in an environment of the caller's.
    ///
    /// # Errors
    /// [`StartError`]: a key cannot be read.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn within(
        settings: Settings,
        config: Arc<ServerConfig>,
        handle: ServerHandle,
        environment: &Environment,
    ) -> Result<Arc<Self>, StartError> {
        let store = Store::of(Arc::clone(&environment.broker));
        Self::over(settings, config, handle, store, Some(environment))
    }

    fn over(
        settings: Settings,
        config: Arc<ServerConfig>,
        handle: ServerHandle,
        store: Store,
        environment: Option<&Environment>,
    ) -> Result<Arc<Self>, StartError> {
        let clock = environment.map_or_else(WallClock::default, |environment| environment.clock);
        let chance = environment.map_or_else(Chance::default, |environment| Chance::seeded(environment.seed));
        let auth = Auth::new(&settings, clock).map_err(StartError::Keys)?;
        let mut hub_config = hub_config(&settings);
        hub_config.seed = environment.map(|environment| environment.seed);
        let window = hub_config.idempotency_window;
        let hub = Hub::new(hub_config, store.broker());
        let memory = Arc::new(MemoryGuard::new(&settings));
        let metrics = Arc::new(Metrics::new(handle.clone(), hub.clone(), store, Arc::clone(&memory)));
        let keys = ApiKeys::new(&settings.api_keys);
        let admin_key = ApiKeys::new(settings.admin_key.as_slice());
        let rate = Rate { per_second: settings.message_rate, burst: settings.message_burst };
        let socketio_backend =
            settings.socketio_url.clone().map(|url| EventBackend::new(url, settings.auth_timeout));
        Ok(Arc::new_cyclic(|app| {
            let socketio = socketio::server(&settings, app);
            Self {
                socketio_config: Arc::new(socketio.engine().server_config(&config)),
                socketio,
                socketio_backend,
                settings,
                config,
                handle,
                rate,
                hub,
                auth: Arc::new(auth),
                keys,
                admin_key,
                admin_tails: Tails::default(),
                sessions: Arc::default(),
                streams: Arc::default(),
                metrics,
                memory,
                refusal_log: RefusalLog::new(Instant::now()),
                clock,
                chance: Arc::new(chance),
                window,
                stage: watch::Sender::new(Stage::Running),
                started: Instant::now(),
            }
        }))
    }

    /// One for a test, without listener and disk.
    #[cfg(test)]
    pub(crate) fn for_test(mut settings: Settings) -> Arc<Self> {
        settings.history = crate::settings::HistoryIn::Memory;
        Self::new(settings, Arc::default(), ServerHandle::detached()).expect("nothing is read from disk")
    }

    /// Whether it is about to stop: nobody else should be sent to it.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stage.borrow() != Stage::Running
    }

    /// Waits until the end has come so far.
    pub(crate) async fn reached(&self, stage: Stage) {
        // The sender is there for as long as this is.
        let _ = self.stage.subscribe().wait_for(|reached| *reached >= stage).await;
    }

    /// Lets nobody begin a session who would be told to go at once, or for whom there is no memory.
    pub(crate) fn check_room(&self) -> Result<(), Refusal> {
        if !self.is_stopping() {
            return self.memory.check();
        }
        let refusal = Refusal::new(503, "stopping", "The server stops. Try again in a moment.");
        Err(refusal.with_field("Retry-After", "1").expect("it is a valid field"))
    }

    /// What a channel of this name promises.
    pub(crate) fn namespace(&self, channel: &ChannelName) -> Option<&Namespace> {
        match channel.namespace() {
            "" => self.settings.channels.get(DEFAULT_NAMESPACE),
            // It has no name in a channel's name.
            DEFAULT_NAMESPACE => None,
            name => self.settings.channels.get(name),
        }
    }
}

fn hub_config(settings: &Settings) -> HubConfig {
    let mut config = HubConfig::default();
    config.namespaces.clear();
    for (name, given) in &settings.channels {
        let mut namespace = vaiven_hub::Namespace::new(match given.contract {
            Contract::Reliable => vaiven_hub::Contract::Reliable,
            Contract::Latest => vaiven_hub::Contract::Latest,
            Contract::Volatile => vaiven_hub::Contract::Volatile,
        });
        namespace.history_size = given.history_count;
        namespace.history_age = given.history_age;
        namespace.history_bytes = given.history_bytes;
        namespace.presence = given.presence;
        namespace.max_data_bytes = given.max_data_bytes;
        namespace.max_keys = given.max_keys;
        let name = if name == DEFAULT_NAMESPACE { String::new() } else { name.clone() };
        config = config.with_namespace(name, namespace);
    }
    config.max_channels = settings.max_rooms;
    config.max_channels_per_maker = settings.max_new_channels;
    config.max_subscribers = settings.max_room_members;
    config
}
