//! A connection: packets in, handlers run, all in the one task that the connection has.
//!
//! Handlers run beside the reading of packets, so that one may await an acknowledgement. What arrives while they are busy
//! waits for them, up to a limit; then nothing more is read.

use super::adapter::Adapter;
use super::extract::{EventContext, Kind};
use super::frames::Parsers;
use super::io::Shared;
use super::recovery::Resume;
use super::turns::{Progress, Turns};
use super::{ConnectError, DisconnectReason, EmitError, Socket, lock};
use crate::engine::{Connection, EngineSender, PreparedMessages, SendError};
use crate::packet::{Decoder, Encoded, Packet, PacketError, PacketLimits, Parser};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use tokio::time::{Sleep, sleep, timeout};
use vaiven::{Compress, Message, Text};

/// What the sockets of a connection share: the way out, and how to end it.
pub(super) struct Client {
    sender: EngineSender,
    end: OnceLock<DisconnectReason>,
    /// The connection's task, to be told that something ended.
    task: Mutex<Option<Waker>>,
}

impl Client {
    pub(super) fn sender(&self) -> &EngineSender {
        &self.sender
    }

    /// Sends the messages of a packet. A client that reads too slowly is ended.
    pub(super) fn send(&self, messages: &[Message], compress: Compress) -> Result<(), EmitError> {
        self.judge(self.sender.try_send_compressed(messages, compress))
    }

    /// As [`send`](Self::send), for a packet that was framed for many.
    pub(super) fn send_prepared(
        &self,
        frames: &PreparedMessages,
        compress: Compress,
    ) -> Result<(), EmitError> {
        self.judge(self.sender.try_send_prepared_compressed(frames, compress))
    }

    fn judge(&self, sent: Result<(), SendError>) -> Result<(), EmitError> {
        sent.map_err(|error| match error {
            SendError::Full => {
                self.end(DisconnectReason::OutboxFull);
                EmitError::OutboxFull
            }
            SendError::Closed => EmitError::Disconnected,
        })
    }

    /// Ends the connection; the first reason counts.
    pub(super) fn end(&self, reason: DisconnectReason) {
        if self.end.set(reason).is_ok() {
            self.sender.close();
            self.wake();
        }
    }

    /// Lets the task look for sockets that have left.
    pub(super) fn wake(&self) {
        let task = lock(&self.task).take();
        if let Some(task) = task {
            task.wake();
        }
    }

    fn keep(&self, cx: &Context<'_>) {
        let mut task = lock(&self.task);
        if !task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            *task = Some(cx.waker().clone());
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("sender", &self.sender).finish_non_exhaustive()
    }
}

/// Serves a connection until it ends, and its handlers with it.
pub(super) async fn serve(io: Arc<Shared>, connection: Connection) {
    let mut task = Task::new(io, &connection);
    let reason = task.run(connection).await;
    task.finish(reason).await;
}

/// The connection's task.
struct Task {
    io: Arc<Shared>,
    client: Arc<Client>,
    decoder: Option<Decoder>,
    members: Vec<Member>,
    /// Namespaces that the server has sent the client away from, which it may not know yet.
    sent_away: Vec<Text>,
    /// Until the first namespace is joined.
    connect_timeout: Option<Pin<Box<Sleep>>>,
}

/// A namespace of the connection's.
struct Member {
    socket: Socket,
    stage: Stage,
    turns: Turns,
}

enum Stage {
    /// The namespace decides.
    Joining(Pin<Box<dyn Future<Output = Result<Vec<PreparedMessages>, ConnectError>> + Send>>),
    Joined,
    /// It has left; its handlers still run.
    Left,
}

/// What woke the task.
enum Woken {
    /// A handler ended, so there may be room for more.
    Progress,
    /// The connection is to end, or has.
    End,
    Message(Option<Message>),
}

impl Task {
    fn new(io: Arc<Shared>, connection: &Connection) -> Self {
        let client = Client { sender: connection.sender(), end: OnceLock::new(), task: Mutex::default() };
        let connect_timeout = Some(Box::pin(sleep(io.config().connect_timeout)));
        Self {
            io,
            client: Arc::new(client),
            decoder: None,
            members: Vec::new(),
            sent_away: Vec::new(),
            connect_timeout,
        }
    }

    async fn run(&mut self, mut connection: Connection) -> DisconnectReason {
        loop {
            let has_room = self.has_room();
            let woken = tokio::select! {
                biased;
                woken = poll_fn(|cx| self.poll(has_room, cx)) => woken,
                message = connection.recv(), if has_room => Woken::Message(message),
            };
            match woken {
                Woken::Progress => {}
                Woken::Message(Some(message)) => {
                    if let Err(error) = self.receive(message) {
                        tracing::debug!(%error, "a client broke a rule");
                        self.client.end(DisconnectReason::ParseError);
                    }
                }
                Woken::End | Woken::Message(None) => break,
            }
        }
        let ended_here = self.client.end.get().copied();
        let ended_below = connection.end_reason().map(DisconnectReason::from);
        match ended_here.or(ended_below) {
            Some(DisconnectReason::ForcedServerClose) if self.io.is_closing() => {
                DisconnectReason::ServerShuttingDown
            }
            reason => reason.unwrap_or(DisconnectReason::TransportClose),
        }
    }

    /// Whether more may be read.
    fn has_room(&self) -> bool {
        let (mut waiting, mut bytes) = (0, 0);
        for member in &self.members {
            waiting += member.turns.waiting();
            bytes += member.turns.waiting_bytes();
        }
        let config = self.io.config();
        waiting < config.max_waiting_events && bytes < config.max_waiting_bytes
    }

    /// Lets everything go on but the reading.
    fn poll(&mut self, had_room: bool, cx: &mut Context<'_>) -> Poll<Woken> {
        self.client.keep(cx);
        if let Some(timeout) = &mut self.connect_timeout
            && timeout.as_mut().poll(cx).is_ready()
        {
            self.connect_timeout = None;
            self.client.end(DisconnectReason::ForcedServerClose);
        }
        self.poll_members(cx);
        if self.client.end.get().is_some() {
            Poll::Ready(Woken::End)
        } else if !had_room && self.has_room() {
            Poll::Ready(Woken::Progress)
        } else {
            Poll::Pending
        }
    }

    fn poll_members(&mut self, cx: &mut Context<'_>) {
        let mut index = 0;
        while let Some(member) = self.members.get_mut(index) {
            let is_over = member.poll(&self.client, cx);
            if matches!(member.stage, Stage::Joined) {
                self.connect_timeout = None;
            }
            if is_over {
                let member = self.members.swap_remove(index);
                self.release(member);
            } else {
                index += 1;
            }
        }
    }

    fn release(&mut self, member: Member) {
        if member.socket.disconnect_reason() == Some(DisconnectReason::ServerNamespaceDisconnect)
            && self.sent_away.len() < self.io.config().max_namespaces
        {
            self.sent_away.push(member.socket.namespace().clone());
        }
        let adapter = Arc::clone(member.socket.adapter());
        drop(member);
        self.io.release(adapter);
    }

    /// Ends all sockets, and lets their handlers go on to their end.
    async fn finish(mut self, reason: DisconnectReason) {
        self.client.end(reason);
        for member in &self.members {
            if let Some(restored) = member.socket.take_restored() {
                // The client was gone again before it had joined, and may come back once more.
                member.socket.adapter().put_back(restored);
            }
            member.socket.end(reason);
        }
        if !self.leave().await {
            tracing::warn!(
                handlers = self.members.len(),
                "handlers were dropped, as they went on for too long"
            );
            // That of the end is not one of them: who cleans up behind a socket counts on it.
            for member in &mut self.members {
                member.turns.keep_last();
            }
            self.leave().await;
        }
        for member in std::mem::take(&mut self.members) {
            self.release(member);
        }
    }

    /// Whether all members have left in time.
    async fn leave(&mut self) -> bool {
        let limit = self.io.config().handler_timeout;
        let done = poll_fn(|cx| {
            self.client.keep(cx);
            self.poll_members(cx);
            if self.members.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        });
        timeout(limit, done).await.is_ok()
    }

    // Packets.

    fn receive(&mut self, message: Message) -> Result<(), PacketError> {
        let decoder = self.decoder.get_or_insert_with(|| {
            let parser = match self.io.config().parsers {
                Parsers::Json => Parser::Json,
                Parsers::Either if message.is_text() => Parser::Json,
                Parsers::Either | Parsers::MsgPack => Parser::MsgPack,
            };
            let limits = PacketLimits {
                max_attachments: self.io.config().max_attachments,
                max_packet_bytes: self.io.config().engine.max_payload,
            };
            Decoder::new(parser, limits)
        });
        let parser = decoder.parser();
        match decoder.decode(message)? {
            Some(packet) => self.dispatch(packet, parser),
            None => Ok(()),
        }
    }

    fn dispatch(&mut self, packet: Packet, parser: Parser) -> Result<(), PacketError> {
        let is_meant = |member: &Member| {
            member.socket.namespace() == packet.namespace() && !matches!(member.stage, Stage::Left)
        };
        let index = self.members.iter().position(is_meant);
        let is_excused = index.is_none() && self.has_been_sent_away(packet.namespace());
        let member = index.and_then(|index| self.members.get_mut(index));
        match (packet, member) {
            (Packet::Connect { namespace, auth }, None) => self.connect(&namespace, auth, parser),
            (Packet::Disconnect { .. }, Some(member)) => {
                member.socket.end(DisconnectReason::ClientNamespaceDisconnect);
            }
            (packet @ (Packet::Event { .. } | Packet::Ack { .. }), Some(member)) if member.has_joined() => {
                member.receive(packet);
            }
            (_, None) if is_excused => {}
            _ => return Err(PacketError::State),
        }
        Ok(())
    }

    /// Whether the client may take itself for a member of a namespace that the server has sent it away from.
    fn has_been_sent_away(&self, namespace: &Text) -> bool {
        let is_leaving = |member: &Member| {
            member.socket.namespace() == namespace
                && member.socket.disconnect_reason() == Some(DisconnectReason::ServerNamespaceDisconnect)
        };
        self.sent_away.contains(namespace) || self.members.iter().any(is_leaving)
    }

    fn connect(&mut self, name: &Text, auth: Option<Text>, parser: Parser) {
        self.sent_away.retain(|left| left != name);
        let config = self.io.config();
        let adapter = if self.members.len() >= config.max_namespaces {
            Err("Too many namespaces")
        } else if auth.as_ref().is_some_and(|auth| auth.len() > config.max_auth_bytes) {
            Err("The auth payload is too long")
        } else {
            self.io.adapter(name).ok_or("Invalid namespace")
        };
        let adapter = match adapter {
            Ok(adapter) => adapter,
            Err(message) => {
                let refusal = ConnectError::new(message).payload();
                // A failure has ended the connection already.
                let _ = self
                    .client
                    .send(Encoded::connect_error(parser, name, &refusal).messages(), Compress::Auto);
                return;
            }
        };
        let claim = Claim::of(auth.as_ref(), &adapter);
        let restored = match &claim.pid {
            Some(pid) if adapter.keeps_past() => adapter.restore(pid, claim.offset.as_deref()),
            _ => None,
        };
        let socket = Socket::new(adapter, Arc::clone(&self.client), parser, auth, restored);
        let joining = Box::pin(decide(socket.clone(), claim));
        self.members.push(Member { socket, stage: Stage::Joining(joining), turns: Turns::default() });
    }
}

/// What a client says about the session that it had.
#[derive(Default)]
struct Claim {
    pid: Option<Text>,
    offset: Option<Text>,
}

impl Claim {
    fn of(auth: Option<&Text>, adapter: &Adapter) -> Self {
        #[derive(Deserialize)]
        struct Auth {
            pid: Option<Value>,
            offset: Option<Value>,
        }
        let is_asked = adapter.keeps_past() || adapter.namespace().store().is_some();
        let Some(auth) = auth.filter(|_| is_asked) else { return Self::default() };
        // What is no text belongs to the application.
        let text = |value: Option<Value>| value.as_ref().and_then(Value::as_str).map(Text::from);
        serde_json::from_str(auth).map_or_else(
            |_| Self::default(),
            |Auth { pid, offset }| Self { pid: text(pid), offset: text(offset) },
        )
    }
}

/// Whether a socket may join; gives what is to be sent to it first.
async fn decide(socket: Socket, claim: Claim) -> Result<Vec<PreparedMessages>, ConnectError> {
    let namespace = Arc::clone(socket.adapter().namespace());
    let skips = namespace.recovery_config().is_some_and(|recovery| recovery.skip_middleware);
    if !(skips && socket.recovered()) {
        namespace.admit(EventContext::connect(socket.clone())).await?;
    }
    let Some(store) = namespace.store() else { return Ok(Vec::new()) };
    let Claim { pid, offset } = claim;
    let resumed = store.resume(Resume { socket: socket.clone(), pid, offset }).await?;
    socket.set_recovered(resumed.recovered);
    socket.set_session(resumed.pid, 0);
    Ok(resumed.replay)
}

impl Member {
    fn has_joined(&self) -> bool {
        matches!(self.stage, Stage::Joined)
    }

    fn receive(&mut self, packet: Packet) {
        match packet {
            Packet::Event { id, name, args, .. } => {
                let socket = self.socket.clone();
                self.turns.push(EventContext { socket, kind: Kind::Event, name, args, ack: id });
            }
            Packet::Ack { id, args, .. } => {
                // An acknowledgement for which nobody waits, or not any more, is passed over.
                if let Some(waiter) = self.socket.pending().take(id) {
                    waiter.answer(self.socket.id(), args);
                }
            }
            Packet::Connect { .. } | Packet::Disconnect { .. } => {}
        }
    }

    /// Lets it join, and its handlers go on; whether all is over.
    fn poll(&mut self, client: &Client, cx: &mut Context<'_>) -> bool {
        if let Stage::Joining(deciding) = &mut self.stage {
            if self.socket.disconnect_reason().is_some() {
                return true;
            }
            match catch_unwind(AssertUnwindSafe(|| deciding.as_mut().poll(cx))) {
                Ok(Poll::Pending) => return false,
                Ok(Poll::Ready(Ok(replay))) => self.join(&replay),
                Ok(Poll::Ready(Err(error))) => {
                    self.refuse(client, &error);
                    return true;
                }
                Err(_panic) => {
                    client.end(DisconnectReason::HandlerPanicked);
                    return true;
                }
            }
        }
        loop {
            if let (Stage::Joined, Some(reason)) = (&self.stage, self.socket.disconnect_reason()) {
                self.turns.push(EventContext::disconnect(self.socket.clone(), reason));
                self.stage = Stage::Left;
            }
            let progress = self.turns.poll(self.socket.adapter().namespace(), cx);
            if progress == Progress::Panicked {
                client.end(DisconnectReason::HandlerPanicked);
            }
            // A handler may have sent its own socket away.
            if !(self.has_joined() && self.socket.disconnect_reason().is_some()) {
                return matches!(self.stage, Stage::Left) && self.turns.is_idle();
            }
        }
    }

    fn join(&mut self, replay: &[PreparedMessages]) {
        self.stage = Stage::Joined;
        self.socket.set_joined();
        let restored = self.socket.take_restored();
        self.socket.adapter().admit(&self.socket, restored, replay, |socket| {
            let session = socket.session().map(|(pid, _)| pid.as_str()).filter(|pid| !pid.is_empty());
            let payload = Joined { sid: socket.id().as_str(), pid: session };
            let payload = serde_json::to_string(&payload).expect("text is written as JSON");
            Encoded::connect(socket.parser(), socket.namespace(), &payload)
        });
        self.turns.push(EventContext::connect(self.socket.clone()));
    }

    fn refuse(&self, client: &Client, error: &ConnectError) {
        let refusal = Encoded::connect_error(self.socket.parser(), self.socket.namespace(), &error.payload());
        // A failure has ended the connection already.
        let _ = client.send(refusal.messages(), Compress::Auto);
    }
}

/// The payload that tells a client that it has joined.
#[derive(Serialize)]
struct Joined<'a> {
    sid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<&'a str>,
}
