//! What all connections of a server share.

use crate::Settings;
use crate::api::key::ApiKeys;
use crate::auth::Auth;
use crate::environment::{Chance, Environment, WallClock};
use crate::metrics::Metrics;
use crate::rate::Rate;
use crate::server::StartError;
use crate::session::Sessions;
use crate::settings::{Contract, DEFAULT_NAMESPACE, Namespace};
use crate::store::Store;
use crate::stream::Streams;
use crate::throttle::RefusalLog;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use vaiven::server::{ServerConfig, ServerHandle};
use vaiven_hub::{ChannelName, Hub, HubConfig};

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
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) streams: Arc<Streams>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) refusal_log: RefusalLog,
    pub(crate) clock: WallClock,
    pub(crate) chance: Arc<Chance>,
    /// How long a publication that is sent again is known to be the same.
    pub(crate) window: Duration,
    /// The server is about to stop: nobody else should be sent to it.
    pub(crate) is_stopping: AtomicBool,
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
        let metrics = Arc::new(Metrics::new(handle.clone(), hub.clone(), store));
        let keys = ApiKeys::new(&settings.api_keys);
        let rate = Rate { per_second: settings.message_rate, burst: settings.message_burst };
        Ok(Arc::new(Self {
            settings,
            config,
            handle,
            rate,
            hub,
            auth: Arc::new(auth),
            keys,
            sessions: Arc::default(),
            streams: Arc::default(),
            metrics,
            refusal_log: RefusalLog::new(Instant::now()),
            clock,
            chance: Arc::new(chance),
            window,
            is_stopping: AtomicBool::new(false),
        }))
    }

    /// One for a test, without listener and disk.
    #[cfg(test)]
    pub(crate) fn for_test(mut settings: Settings) -> Arc<Self> {
        settings.history = crate::settings::HistoryIn::Memory;
        Self::new(settings, Arc::default(), ServerHandle::detached()).expect("nothing is read from disk")
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
    config.max_subscribers = settings.max_room_members;
    config
}
