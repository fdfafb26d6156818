//! The server: its settings, its namespaces, and what it sends.

use super::adapter::Adapter;
use super::client;
use super::extensions::Extensions;
use super::frames::Parsers;
use super::{Broadcast, EmitError, Namespace, Socket, lock};
use crate::engine::{Engine, EngineConfig, WeakEngine};
use crate::packet::{Arguments, MAIN_NAMESPACE, PacketLimits};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;
use tokio::time::sleep;
use vaiven::Text;

/// Settings of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IoConfig {
    /// The connections below: path, transports, heartbeat, sizes, origins. The path is `/socket.io/`, the rest as
    /// [`EngineConfig`] has it.
    pub engine: EngineConfig,
    /// The parsers that clients may use. The default one.
    pub parsers: Parsers,
    /// How long a connection may be in no namespace before it has joined one. 45 s, as in the official server.
    pub connect_timeout: Duration,
    /// How long an acknowledgement is awaited. 10 s; the official server waits for ever unless told otherwise.
    pub ack_timeout: Duration,
    /// Attachments of a packet. 10, as in the official parser.
    pub max_attachments: usize,
    /// Namespaces of a connection at a time; more are refused. 100.
    pub max_namespaces: usize,
    /// Events of a connection that wait for handlers before nothing more is read from it. 128. A client whose handlers
    /// take long enough then seems to answer no pings.
    pub max_waiting_events: usize,
    /// Their bytes. 1 MiB; one event may always wait.
    pub max_waiting_bytes: usize,
    /// The longest `auth` payload of a client that joins, in bytes; more is refused. 16 KiB: nobody is known yet who sends it,
    /// and it is kept with the socket.
    pub max_auth_bytes: usize,
    /// Acknowledgements that a socket may owe at a time. 1,024.
    pub max_pending_acks: usize,
    /// How long handlers may go on when their connection has ended, before they are dropped. 30 s.
    pub handler_timeout: Duration,
}

impl Default for IoConfig {
    fn default() -> Self {
        let mut engine = EngineConfig::default();
        "/socket.io/".clone_into(&mut engine.path);
        Self {
            engine,
            parsers: Parsers::default(),
            connect_timeout: Duration::from_secs(45),
            ack_timeout: Duration::from_secs(10),
            max_attachments: PacketLimits::default().max_attachments,
            max_namespaces: 100,
            max_waiting_events: 128,
            max_waiting_bytes: 1 << 20,
            max_auth_bytes: 16 << 10,
            max_pending_acks: 1024,
            handler_timeout: Duration::from_secs(30),
        }
    }
}

/// The longest time between two looks at what is kept.
const MAX_SWEEP: Duration = Duration::from_secs(30);

/// Whether a name is that of a dynamic namespace.
type Predicate = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// Builds a server.
#[derive(Default)]
pub struct IoBuilder {
    config: IoConfig,
    namespaces: HashMap<String, Namespace>,
    dynamic: Vec<(Predicate, Arc<Namespace>)>,
    state: Extensions,
}

impl IoBuilder {
    /// Settings other than the defaults.
    pub fn config(mut self, config: IoConfig) -> Self {
        self.config = config;
        self
    }

    /// A namespace. `/` is the one that clients join unless they are told otherwise.
    ///
    /// # Panics
    /// Where the name does not begin with a slash, or has a comma, which ends it in a packet.
    pub fn namespace(mut self, name: impl Into<String>, namespace: Namespace) -> Self {
        let name = name.into();
        assert!(name.starts_with('/') && !name.contains(','), "the name of a namespace begins with a slash");
        self.namespaces.insert(name, namespace);
        self
    }

    /// Namespaces that are there as long as somebody is in them: those whose name `predicate` accepts. The first one that
    /// does counts, behind those that have a name.
    pub fn dynamic(
        mut self,
        predicate: impl Fn(&str) -> bool + Send + Sync + 'static,
        namespace: Namespace,
    ) -> Self {
        self.dynamic.push((Box::new(predicate), Arc::new(namespace)));
        self
    }

    /// A value for handlers, which take it as [`State`](super::State): one of each type.
    pub fn state<T: Send + Sync + 'static>(self, value: T) -> Self {
        self.state.insert(value);
        self
    }

    /// The server.
    ///
    /// # Panics
    /// Where a namespace has both [`recovery`](Namespace::recovery) and [`sessions`](Namespace::sessions): only one can say who
    /// goes on where.
    pub fn build(self) -> Io {
        let Self { config, namespaces, dynamic, state } = self;
        for namespace in namespaces.values().chain(dynamic.iter().map(|(_, namespace)| &**namespace)) {
            let has_both = namespace.recovery_config().is_some() && namespace.store().is_some();
            assert!(!has_both, "a namespace has either recovery or sessions of the application's");
        }
        let config = Arc::new(config);
        let recovers =
            |namespace: &Namespace| namespace.recovery_config().map(|config| config.max_disconnection);
        let shortest = namespaces.values().chain(dynamic.iter().map(|(_, namespace)| &**namespace));
        let sweep_every = shortest.filter_map(recovers).min().map(|longest| longest / 4);
        // A dynamic namespace that was still held when its last socket left is let go by this.
        let sweep_every = sweep_every.or((!dynamic.is_empty()).then_some(MAX_SWEEP));
        let shared = Arc::new_cyclic(|io: &Weak<Shared>| {
            let adapter = |(name, namespace): (String, Namespace)| {
                let name = Text::from(name);
                let namespace = Arc::new(namespace);
                (name.clone(), Adapter::new(name, namespace, io.clone(), Arc::clone(&config)))
            };
            Shared {
                adapters: Mutex::new(namespaces.into_iter().map(adapter).collect()),
                dynamic,
                state,
                sweep_every: sweep_every.map(|every| every.clamp(Duration::from_millis(50), MAX_SWEEP)),
                is_swept: AtomicBool::new(false),
                is_closing: AtomicBool::new(false),
                engine: OnceLock::new(),
                io: io.clone(),
                config: Arc::clone(&config),
            }
        });
        let serving = Arc::clone(&shared);
        let engine = Engine::new(config.engine.clone(), move |connection| {
            serving.sweep_from_now_on();
            client::serve(Arc::clone(&serving), connection)
        });
        let set = shared.engine.set(engine.downgrade());
        debug_assert!(set.is_ok(), "a server is built once");
        Io { shared, engine }
    }
}

impl fmt::Debug for IoBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoBuilder")
            .field("config", &self.config)
            .field("namespaces", &self.namespaces.keys())
            .finish_non_exhaustive()
    }
}

/// A Socket.IO server. Clones are the same server.
///
/// ```no_run
/// use vaiven::server::{Server, ServerConfig};
/// use vaiven_socketio::engine::serve;
/// use vaiven_socketio::{Data, Io, Namespace, Socket};
///
/// # async fn run() -> std::io::Result<()> {
/// let chat = Namespace::new().on("message", async |socket: Socket, Data(text): Data<String>| {
///     socket.everybody().emit("message", &text)
/// });
/// let io = Io::builder().namespace("/", chat).build();
/// let listener = Server::bind("127.0.0.1:3000", ServerConfig::default()).await?;
/// serve(listener, io.engine().clone()).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Io {
    shared: Arc<Shared>,
    engine: Engine,
}

/// What all connections share.
pub(super) struct Shared {
    adapters: Mutex<HashMap<Text, Arc<Adapter>>>,
    dynamic: Vec<(Predicate, Arc<Namespace>)>,
    state: Extensions,
    /// How often what is kept for clients is looked through, where anything is.
    sweep_every: Option<Duration>,
    is_swept: AtomicBool,
    is_closing: AtomicBool,
    engine: OnceLock<WeakEngine>,
    io: Weak<Self>,
    config: Arc<IoConfig>,
}

impl Io {
    /// Begins a server without namespaces.
    pub fn builder() -> IoBuilder {
        IoBuilder::default()
    }

    /// The connections below: what answers requests.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The settings.
    pub fn config(&self) -> &IoConfig {
        &self.shared.config
    }

    /// Everybody in a namespace; `None` where there is none of this name, or nobody in a dynamic one.
    pub fn of(&self, namespace: &str) -> Option<Broadcast> {
        lock(&self.shared.adapters).get(namespace).cloned().map(Broadcast::new)
    }

    /// Everybody in this room of the main namespace.
    ///
    /// # Panics
    /// Where the server has no namespace `/`.
    pub fn to(&self, room: impl AsRef<str>) -> Broadcast {
        self.main().to(room)
    }

    /// Sends an event to everybody in the main namespace.
    ///
    /// # Errors
    /// As [`Broadcast::emit`].
    ///
    /// # Panics
    /// Where the server has no namespace `/`.
    pub fn emit(&self, event: &str, arguments: impl Arguments) -> Result<(), EmitError> {
        self.main().emit(event, arguments)
    }

    fn main(&self) -> Broadcast {
        self.of(MAIN_NAMESPACE).expect("the server was built with a namespace `/`")
    }

    /// The socket with this id, in a namespace.
    pub fn socket(&self, namespace: &str, id: &str) -> Option<Socket> {
        let adapter = lock(&self.shared.adapters).get(namespace).cloned()?;
        adapter.find(id)
    }

    /// Sockets in all namespaces.
    pub fn socket_count(&self) -> usize {
        let adapters: Vec<_> = lock(&self.shared.adapters).values().cloned().collect();
        adapters.iter().map(|adapter| adapter.count()).sum()
    }

    /// Ends all connections; their sockets leave with
    /// [`ServerShuttingDown`](super::DisconnectReason::ServerShuttingDown). Stop the listener first.
    pub fn close(&self) {
        self.shared.is_closing.store(true, Ordering::Release);
        self.engine.close();
    }

    pub(super) fn of_shared(shared: Arc<Shared>) -> Option<Self> {
        let engine = shared.engine.get()?.upgrade()?;
        Some(Self { shared, engine })
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn config(&self) -> &IoConfig {
        &self.config
    }

    pub(super) fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.state.get()
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    /// The namespace of this name, which begins to live where it is a dynamic one.
    pub(super) fn adapter(&self, name: &Text) -> Option<Arc<Adapter>> {
        if let Some(adapter) = lock(&self.adapters).get(name) {
            return Some(Arc::clone(adapter));
        }
        let (_, namespace) = self.dynamic.iter().find(|(predicate, _)| predicate(name))?;
        let adapter =
            Adapter::new(name.clone(), Arc::clone(namespace), self.io.clone(), Arc::clone(&self.config));
        Some(Arc::clone(lock(&self.adapters).entry(name.clone()).or_insert(adapter)))
    }

    /// Lets a dynamic namespace go that nobody is in, or on the way to, or could come back to.
    pub(super) fn release(&self, adapter: Arc<Adapter>) {
        if !self.dynamic.iter().any(|(_, namespace)| Arc::ptr_eq(namespace, adapter.namespace())) {
            return;
        }
        let name = adapter.name().clone();
        drop(adapter);
        let mut adapters = lock(&self.adapters);
        // Whoever is on the way to it holds it too, and got it under this lock.
        let is_let_go = adapters
            .get(&name)
            .is_some_and(|adapter| Arc::strong_count(adapter) == 1 && adapter.is_deserted());
        let gone = if is_let_go { adapters.remove(&name) } else { None };
        drop(adapters);
        drop(gone);
    }

    /// Begins to look through what is kept for clients that come back, where anything is.
    fn sweep_from_now_on(&self) {
        let Some(every) = self.sweep_every else { return };
        if self.is_swept.swap(true, Ordering::AcqRel) {
            return;
        }
        let io = self.io.clone();
        tokio::spawn(async move {
            loop {
                sleep(every).await;
                let Some(io) = io.upgrade() else { return };
                let adapters: Vec<_> = lock(&io.adapters).values().cloned().collect();
                for adapter in adapters {
                    adapter.sweep();
                    io.release(adapter);
                }
            }
        });
    }
}
