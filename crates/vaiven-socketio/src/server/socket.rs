//! One client in one namespace: what a handler holds.

use super::ack::{AwaitAck, Pending, Waiter};
use super::adapter::{Adapter, Delivery, Target, check_name};
use super::broadcast::Broadcast;
use super::client::Client;
use super::extensions::Extensions;
use super::frames::Frames;
use super::recovery::Restored;
use super::{AckError, DisconnectReason, EmitError, Io, Outlet, lock};
use crate::engine::{Handshake, Transport};
use crate::packet::{Arguments, Encoded, Parser};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use std::borrow::Borrow;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::sync::oneshot;
use vaiven::{Compress, Text};

/// The id of a socket: it differs from that of the connection, which is a secret between the client and the server.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(Arc<str>);

impl SocketId {
    pub(super) fn random() -> Self {
        Self(random_text(15).as_str().into())
    }

    /// The id as clients see it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for SocketId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Text that nobody can guess, of this many random bytes.
pub(super) fn random_text(bytes: usize) -> Text {
    let mut random = vec![0; bytes];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut random);
    Text::from(URL_SAFE_NO_PAD.encode(random))
}

/// One client in one namespace. Clones are the same socket; none of them keeps the connection.
///
/// ```
/// use vaiven_socketio::{Data, Namespace, Socket};
/// let namespace = Namespace::new().on("join", async |socket: Socket, Data(room): Data<String>| {
///     socket.join(&room);
///     socket.to(&room).emit("joined", socket.id().as_str())
/// });
/// # let _ = namespace;
/// ```
#[derive(Clone)]
pub struct Socket(Arc<Inner>);

struct Inner {
    id: SocketId,
    adapter: Arc<Adapter>,
    client: Arc<Client>,
    parser: Parser,
    auth: Option<Text>,
    recovered: AtomicBool,
    /// The private id of the session, and the position at which it joined: set when it joins, where anything is kept.
    session: OnceLock<(Text, u64)>,
    /// The session that it goes on with, until it joins.
    restored: Mutex<Option<Box<Restored>>>,
    joined: AtomicBool,
    end: OnceLock<DisconnectReason>,
    pending: Pending,
    extensions: Extensions,
}

impl Socket {
    /// A socket that has not joined yet.
    pub(super) fn new(
        adapter: Arc<Adapter>,
        client: Arc<Client>,
        parser: Parser,
        auth: Option<Text>,
        restored: Option<Restored>,
    ) -> Self {
        let id = restored.as_ref().map_or_else(SocketId::random, |restored| restored.saved.id.clone());
        Self(Arc::new(Inner {
            id,
            adapter,
            client,
            parser,
            auth,
            recovered: AtomicBool::new(restored.is_some()),
            session: OnceLock::new(),
            restored: Mutex::new(restored.map(Box::new)),
            joined: AtomicBool::new(false),
            end: OnceLock::new(),
            pending: Pending::default(),
            extensions: Extensions::default(),
        }))
    }

    /// The id.
    pub fn id(&self) -> &SocketId {
        &self.0.id
    }

    /// The namespace's name.
    pub fn namespace(&self) -> &Text {
        self.0.adapter.name()
    }

    /// The request that the connection began with: its query, header fields, and address.
    pub fn handshake(&self) -> &Arc<Handshake> {
        self.0.client.sender().handshake()
    }

    /// The `auth` payload as a value; an empty object where the client gave none.
    ///
    /// # Errors
    /// What serde reports where it is of another kind.
    pub fn auth<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.auth_text().map_or("{}", |auth| auth))
    }

    pub(super) fn auth_text(&self) -> Option<&Text> {
        self.0.auth.as_ref()
    }

    /// Whether the client goes on where it was before it lost its connection: with its id, its rooms, its data, and what
    /// it missed.
    pub fn recovered(&self) -> bool {
        self.0.recovered.load(Ordering::Acquire)
    }

    /// Whether it is in its namespace.
    pub fn is_connected(&self) -> bool {
        self.0.joined.load(Ordering::Acquire) && self.0.end.get().is_none()
    }

    /// How the client is connected at the moment.
    pub fn transport(&self) -> Transport {
        self.0.client.sender().transport()
    }

    /// How packets for it are written.
    pub fn parser(&self) -> Parser {
        self.0.parser
    }

    /// The server, unless it is gone.
    pub fn io(&self) -> Option<Io> {
        self.0.adapter.io().and_then(Io::of_shared)
    }

    // Data of the application's.

    /// Keeps a value with the socket, in the place of the one of the same type. It outlives a lost connection where the
    /// client recovers.
    pub fn insert<T: Send + Sync + 'static>(&self, value: T) {
        self.0.extensions.insert(value);
    }

    /// The value of this type that was kept with the socket.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.extensions.get()
    }

    /// A value that the server was given.
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.adapter.io()?.state()
    }

    // Rooms.

    /// Joins a room. A room is there as long as somebody is in it. Has no effect before the socket has joined its
    /// namespace, as in middleware, and after it has left.
    pub fn join(&self, room: impl AsRef<str>) {
        self.0.adapter.join(self, room.as_ref());
    }

    /// Leaves a room.
    pub fn leave(&self, room: impl AsRef<str>) {
        self.0.adapter.leave(self, room.as_ref());
    }

    /// The rooms that it is in, besides the one of its own id.
    pub fn rooms(&self) -> Vec<Arc<str>> {
        self.0.adapter.rooms(self)
    }

    /// Everybody in a room, without this socket.
    pub fn to(&self, room: impl AsRef<str>) -> Broadcast {
        self.broadcast().to(room)
    }

    /// Everybody in the namespace, without this socket.
    pub fn broadcast(&self) -> Broadcast {
        Broadcast::new(Arc::clone(&self.0.adapter)).except(self.id().as_str())
    }

    /// Everybody in the namespace, with this socket.
    pub fn everybody(&self) -> Broadcast {
        Broadcast::new(Arc::clone(&self.0.adapter))
    }

    // Sending.

    /// Sends an event. It is queued, and written at the end of the wake-up.
    ///
    /// # Errors
    /// [`EmitError`]: it was not sent. Where the outbox is full the connection is ended.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a tuple that is written on the spot needs no `&` before it"
    )]
    pub fn emit(&self, event: &str, arguments: impl Arguments) -> Result<(), EmitError> {
        self.emitter().emit_ref(event, &arguments)
    }

    /// Sends an event that the client is to acknowledge. It is sent at once, awaited or not.
    pub fn emit_with_ack(&self, event: &str, arguments: impl Arguments) -> AwaitAck {
        self.emitter().emit_with_ack(event, arguments)
    }

    fn emitter(&self) -> Emitter<'_> {
        Emitter { socket: self, delivery: Delivery::default(), timeout: None }
    }

    /// For events that are better lost than late: they are not sent while the client does not take what was sent before.
    pub fn volatile(&self) -> Emitter<'_> {
        self.emitter().volatile()
    }

    /// For events whose acknowledgement is awaited for another time than [`ack_timeout`](super::IoConfig::ack_timeout).
    pub fn timeout(&self, timeout: Duration) -> Emitter<'_> {
        self.emitter().timeout(timeout)
    }

    /// For events that are compressed, or not, whatever the settings say. Without permessage-deflate it changes nothing.
    pub fn compress(&self, compress: Compress) -> Emitter<'_> {
        self.emitter().compress(compress)
    }

    /// Sends packets that were framed before.
    pub fn outlet(&self) -> Outlet {
        Outlet::new(self.clone())
    }

    // Leaving.

    /// Sends the client away from this namespace. Its connection stays, with its other namespaces.
    pub fn disconnect(&self) {
        if self.0.end.get().is_none() {
            let farewell = Encoded::disconnect(self.parser(), self.namespace());
            let _ = self.0.client.send(farewell.messages(), Compress::Auto);
            self.end(DisconnectReason::ServerNamespaceDisconnect);
            self.0.client.wake();
        }
    }

    /// Sends the client away from all of its namespaces, and ends its connection.
    pub fn disconnect_client(&self) {
        self.disconnect();
        self.0.client.end(DisconnectReason::ServerNamespaceDisconnect);
    }

    /// Why it has left, if it has.
    pub fn disconnect_reason(&self) -> Option<DisconnectReason> {
        self.0.end.get().copied()
    }

    // For the modules beside this one.

    pub(super) fn client(&self) -> &Arc<Client> {
        &self.0.client
    }

    pub(super) fn adapter(&self) -> &Arc<Adapter> {
        &self.0.adapter
    }

    pub(super) fn pending(&self) -> &Pending {
        &self.0.pending
    }

    pub(super) fn extensions(&self) -> &Extensions {
        &self.0.extensions
    }

    pub(super) fn session(&self) -> Option<(&Text, u64)> {
        self.0.session.get().map(|(pid, joined_at)| (pid, *joined_at))
    }

    /// Its session, which is given to it once.
    pub(super) fn set_session(&self, pid: Text, joined_at: u64) {
        let set = self.0.session.set((pid, joined_at));
        debug_assert!(set.is_ok(), "a socket joins once");
    }

    pub(super) fn set_recovered(&self, recovered: bool) {
        self.0.recovered.store(recovered, Ordering::Release);
    }

    /// The session that it goes on with, which is given out once.
    pub(super) fn take_restored(&self) -> Option<Restored> {
        lock(&self.0.restored).take().map(|restored| *restored)
    }

    /// It is in its namespace from now on.
    pub(super) fn set_joined(&self) {
        self.0.joined.store(true, Ordering::Release);
    }

    /// What tells it from every other socket, also from one with its id.
    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Sends packets that were framed for many.
    pub(super) fn deliver(&self, frames: &Frames, delivery: Delivery) {
        if delivery.is_volatile && !self.0.client.sender().is_writable() {
            return;
        }
        if let Some(frames) = frames.of(self.parser()) {
            // Who cannot take it has been ended for it.
            let _ = self.0.client.send_prepared(frames, delivery.compress);
        }
    }

    pub(super) fn send_ack(&self, id: u64, arguments: &impl Arguments) -> Result<(), EmitError> {
        if !self.is_connected() {
            return Err(EmitError::Disconnected);
        }
        let encoded = Encoded::ack(self.parser(), self.namespace(), id, arguments)?;
        self.0.client.send(encoded.messages(), Compress::Auto)
    }

    /// It leaves its namespace; the first reason counts. Whoever waits for an acknowledgement learns that there is none.
    pub(super) fn end(&self, reason: DisconnectReason) {
        if self.0.end.set(reason).is_ok() {
            self.0.adapter.remove(self, reason);
            self.0.pending.clear();
        }
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Socket {}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", self.id())
            .field("namespace", self.namespace())
            .finish_non_exhaustive()
    }
}

/// How an event is to be sent to one socket.
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is sent until `emit` is called"]
pub struct Emitter<'a> {
    socket: &'a Socket,
    delivery: Delivery,
    timeout: Option<Duration>,
}

impl Emitter<'_> {
    /// See [`Socket::volatile`].
    pub fn volatile(self) -> Self {
        Self { delivery: Delivery { is_volatile: true, ..self.delivery }, ..self }
    }

    /// See [`Socket::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// See [`Socket::compress`].
    pub fn compress(self, compress: Compress) -> Self {
        Self { delivery: Delivery { compress, ..self.delivery }, ..self }
    }

    /// Sends an event.
    ///
    /// # Errors
    /// As [`Socket::emit`].
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a tuple that is written on the spot needs no `&` before it"
    )]
    pub fn emit(self, event: &str, arguments: impl Arguments) -> Result<(), EmitError> {
        self.emit_ref(event, &arguments)
    }

    fn emit_ref(self, event: &str, arguments: &impl Arguments) -> Result<(), EmitError> {
        let Inner { adapter, end, .. } = &*self.socket.0;
        if end.get().is_some() {
            return Err(EmitError::Disconnected);
        }
        if adapter.keeps_past() {
            return adapter.emit(Target::one(self.socket.id()), self.delivery, event, arguments);
        }
        check_name(event)?;
        self.send(event, None, arguments)
    }

    /// Sends an event that the client is to acknowledge.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a tuple that is written on the spot needs no `&` before it"
    )]
    pub fn emit_with_ack(self, event: &str, arguments: impl Arguments) -> AwaitAck {
        self.begin_ack(event, &arguments).unwrap_or_else(|error| AwaitAck::failed(AckError::Emit(error)))
    }

    fn begin_ack(self, event: &str, arguments: &impl Arguments) -> Result<AwaitAck, EmitError> {
        let Inner { adapter, pending, .. } = &*self.socket.0;
        check_name(event)?;
        if !self.socket.is_connected() {
            return Err(EmitError::Disconnected);
        }
        let (waiter, answer) = oneshot::channel();
        let id = adapter.next_ack_id();
        if !pending.add(id, Waiter::One(waiter), adapter.config().max_pending_acks) {
            return Err(EmitError::TooManyPending);
        }
        let timeout = self.timeout.unwrap_or(adapter.config().ack_timeout);
        let ack = AwaitAck::new(id, self.socket.clone(), answer, timeout);
        if !self.socket.is_connected() {
            return Err(EmitError::Disconnected);
        }
        self.send(event, Some(id), arguments)?;
        Ok(ack)
    }

    fn send(self, event: &str, id: Option<u64>, arguments: &impl Arguments) -> Result<(), EmitError> {
        let client = &self.socket.0.client;
        if self.delivery.is_volatile && !client.sender().is_writable() {
            return Ok(());
        }
        let encoded =
            Encoded::event(self.socket.parser(), self.socket.namespace(), id, event, arguments, None)?;
        client.send(encoded.messages(), self.delivery.compress)
    }
}
