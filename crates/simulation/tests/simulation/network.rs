//! The servers of a world, one after the other, and the ways to them: slow, hesitant, cut or stalled at some byte.

use crate::store::Store;
use crate::trace::Trace;
use bytes::BytesMut;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use testkit::{Ending, LinkConfig, Script, link};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use vaiven::{Config, Error, Role, Transport, WebSocket};
use vaiven_server::settings::{Contract, HistoryIn, Namespace};
use vaiven_server::{Environment, Service, Settings};

/// What tokens are signed with.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Where the wall clock stands when a world begins, since 1970.
const BEGINNING: Duration = Duration::from_hours(500_000);

/// The server and the ways to it.
#[derive(Debug)]
pub(crate) struct Network {
    state: Mutex<State>,
    store: Arc<Store>,
    settings: Settings,
    server: Config,
    began: Instant,
    trace: Arc<Trace>,
}

#[derive(Debug)]
struct State {
    random: SmallRng,
    service: Option<Service>,
    /// The connections of the server that runs.
    sessions: Vec<AbortHandle>,
    /// Connections of a hundred that end or stall before their time.
    faults: u32,
    connected: u64,
    /// Of the servers that have ended.
    slow_consumers: u64,
}

/// The settings of a world's servers.
pub(crate) fn settings(needs_token: bool) -> Settings {
    let mut settings = Settings::default();
    settings.history = HistoryIn::Memory;
    settings.token_secret = needs_token.then(|| SECRET.to_owned().into());
    let mut short = Namespace::default();
    short.history_count = 20;
    settings.channels.insert("short".to_owned(), short);
    debug_assert_eq!(settings.channels["latest"].contract, Contract::Latest);
    settings
}

impl Network {
    pub(crate) fn new(seed: u64, store: &Arc<Store>, settings: Settings, trace: &Arc<Trace>) -> Arc<Self> {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut server = Config::new(Role::Server);
        server.limits.max_message_bytes = settings.max_message_bytes;
        server.outbox_bytes = [8 << 10, 64 << 10, 1 << 20][random.random_range(0..3)];
        let state =
            State { random, service: None, sessions: Vec::new(), faults: 0, connected: 0, slow_consumers: 0 };
        let (store, trace) = (Arc::clone(store), Arc::clone(trace));
        let network =
            Self { state: Mutex::new(state), store, settings, server, began: Instant::now(), trace };
        network.start();
        Arc::new(network)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The wall clock's time, since 1970.
    pub(crate) fn wall_clock(&self) -> Duration {
        BEGINNING + self.began.elapsed()
    }

    /// From now on so many of a hundred new connections end or stall before their time.
    pub(crate) fn fail(&self, faults: u32) {
        self.lock().faults = faults;
    }

    /// A server starts.
    pub(crate) fn start(&self) {
        let seed = self.lock().random.random();
        let environment = Environment::new(Arc::clone(&self.store) as _, self.wall_clock(), seed);
        let service = Service::within(self.settings.clone(), &environment).expect("the settings are right");
        self.lock().service = Some(service);
        self.trace.say(format_args!("the server starts"));
    }

    /// The server is killed.
    pub(crate) async fn kill(&self) {
        self.trace.say(format_args!("the server is killed"));
        let service = self.lock().service.take();
        let slow_consumers = service.map_or(0, |service| service.hub().figures().slow_consumers);
        self.lock().slow_consumers += slow_consumers;
        self.cut_all();
        // The tasks that were ended let go of what they had.
        tokio::task::yield_now().await;
        self.store.crash().await;
    }

    /// All connections are lost at once.
    pub(crate) fn cut_all(&self) {
        let sessions = std::mem::take(&mut self.lock().sessions);
        self.trace.say(format_args!("{} connections are cut", sessions.len()));
        for session in sessions {
            session.abort();
        }
    }

    /// How many connections there were, and how often the server ended one that read too slowly.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        let running = state.service.as_ref().map_or(0, |service| service.hub().figures().slow_consumers);
        (state.connected, state.slow_consumers + running)
    }

    /// A connection for a client.
    pub(crate) async fn connect(self: Arc<Self>) -> Result<WebSocket, Error> {
        let pause = self.lock().random.random_range(0..200);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let mut state = self.lock();
        let Some(service) = state.service.clone() else {
            return Err(Error::Io(io::ErrorKind::ConnectionRefused.into()));
        };
        state.connected += 1;
        let config = state.way();
        let (client, server) = link(Script::seed(state.random.random()), &config);
        let connect = |stream, role, config: &Config| {
            WebSocket::from_transport(Transport::other(stream), role, BytesMut::new(), None, config)
        };
        let client = connect(client, Role::Client, &Config::new(Role::Client));
        let server = connect(server, Role::Server, &self.server);
        let session = tokio::spawn(async move {
            service.serve(server, "/v1").await.expect("there is room at /v1");
        });
        state.sessions.retain(|session| !session.is_finished());
        state.sessions.push(session.abort_handle());
        Ok(client)
    }
}

impl State {
    /// How the next connection behaves.
    fn way(&mut self) -> LinkConfig {
        let random = &mut self.random;
        let mut config = match random.random_range(0..10) {
            0 => LinkConfig::hesitant(random.random_range(200..2_000)),
            1..4 => LinkConfig {
                hesitation: 40,
                hesitation_time: Duration::from_millis(20),
                ..LinkConfig::default()
            },
            _ => LinkConfig::default(),
        };
        config.latency = Duration::from_millis(random.random_range(0..60));
        let mut ending = |longest: u64| {
            if !random.random_ratio(self.faults, 100) {
                return None;
            }
            let byte = random.random_range(0..longest);
            Some((
                byte,
                match random.random_range(0..5) {
                    0..2 => Ending::Eof,
                    2..4 => Ending::Error(io::ErrorKind::ConnectionReset),
                    _ => Ending::Stall,
                },
            ))
        };
        config.client_to_server = ending(6_000);
        config.server_to_client = ending(20_000);
        config
    }
}
