//! A member of a channel over Socket.IO: who it is, where it goes on, what it says.

use super::backend::Answer;
use super::event::to_data;
use super::outlet::EventOutlet;
use super::wire::{self, Events};
use crate::app::App;
use crate::auth::{Action, AuthError, Identity, MAX_TOKEN_BYTES};
use crate::identity::{client_name, maker, random_name, random_secret};
use crate::opening::Opening;
use crate::protocol::code::ErrorCode;
use crate::protocol::command::MAX_HISTORY;
use crate::rate::Bucket;
use crate::route::Route;
use crate::session::{EndFrom, Registered, publish_code};
use crate::settings::Access;
use serde::Deserialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use vaiven::server::HttpVersion;
use vaiven_hub::{
    ChannelName, Maker, Member as Person, NewPublication, Position, PublishError, Published, Publisher,
    SubscribeError, SubscribeOptions, Subscription,
};
use vaiven_socketio::{Args, ConnectError, DisconnectReason, Resume, Resumed, Socket};

/// What a client says when it joins, besides what the protocol itself puts there.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    token: Option<String>,
    /// How many of the latest publications it wants to hear.
    last: u32,
    /// Whether it wants to be told who comes and goes.
    presence: bool,
}

/// A member, as long as its socket is in the namespace.
pub(super) struct Member {
    app: Arc<App>,
    pub(super) channel: ChannelName,
    pub(super) publisher: Publisher,
    identity: Identity,
    maker: Maker,
    publish: Access,
    /// Of all memberships of a connection together.
    bucket: Arc<Mutex<Bucket>>,
    /// One event is begun after the other, whoever has to be asked about it.
    turn: tokio::sync::Mutex<()>,
    part: Mutex<Part>,
}

/// What ends with the membership.
#[derive(Default)]
struct Part {
    subscription: Option<Subscription>,
    outlet: Option<Arc<EventOutlet>>,
    registered: Option<Registered>,
    expiry: Option<AbortHandle>,
}

/// Why something that a member said was not done, as its acknowledgement tells.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

/// The private id of a session: a secret, from which the member's name follows; what tells this session from others with
/// the same secret; and where it began.
struct Pid<'a> {
    secret: &'a str,
    start: Option<&'a str>,
}

impl<'a> Pid<'a> {
    /// Reads one that a client shows; none where it is not of this server's making.
    fn read(pid: &'a str) -> Option<Self> {
        let mut parts = pid.splitn(3, '.');
        let (secret, _, start) = (parts.next()?, parts.next()?, parts.next()?);
        let is_secret = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_one = (16..=64).contains(&secret.len()) && secret.bytes().all(is_secret);
        is_one.then_some(Self { secret, start: Some(start).filter(|start| !start.is_empty()) })
    }

    /// One that never was.
    fn new_with(secret: &str, start: Option<&str>) -> String {
        format!("{secret}.{}.{}", random_name(), start.unwrap_or_default())
    }
}

/// Lets a client into its channel, or says why not. The subscription becomes live later, in [`Member::enter`].
pub(super) async fn resume(
    app: &Arc<App>,
    channel: ChannelName,
    wire: &'static Events,
    resume: Resume,
) -> Result<Resumed, ConnectError> {
    let Resume { socket, pid, offset } = resume;
    let make = || Mutex::new(Bucket::new(app.rate, Instant::now()));
    let bucket = socket.handshake().note(make).ok_or_else(|| ConnectError::new("a fault of the server"))?;
    if app.check_room().is_err() || !take(&bucket) {
        return Err(passing(&socket));
    }
    let auth: Auth = socket.auth().map_err(|error| refused("bad_request", &error.to_string()))?;
    let identity = identify(app, &socket, auth.token.as_deref()).await?;
    let namespace =
        app.namespace(&channel).ok_or_else(|| refused("unknown_namespace", "no such room is configured"))?;

    let known = pid.as_deref().and_then(Pid::read);
    let secret = known.as_ref().map_or_else(random_secret, |pid| pid.secret.to_owned());
    let client: Arc<str> = client_name(&secret, identity.user.as_deref()).into();
    let may =
        app.auth.authorize(namespace.subscribe, Action::Subscribe, channel.as_str(), &identity, &client);
    may.await.map_err(|error| not_let_in(&socket, &error))?;

    // An offset of another epoch than the one that the session began in is not of this session.
    let start = known.as_ref().and_then(|pid| pid.start).and_then(wire::position);
    let claimed = offset.as_deref().and_then(wire::position);
    let is_of_session = |at: &Position| start.as_ref().is_none_or(|start| start.epoch == at.epoch);
    let since = claimed.filter(is_of_session).or(start.clone());
    let options = SubscribeOptions {
        since,
        last: auth.last.min(MAX_HISTORY) as usize,
        member: Some(Person {
            client: Arc::clone(&client),
            user: identity.user.clone(),
            info: identity.info_json(),
        }),
        watch_presence: auth.presence,
    };
    let outlet = Arc::new(EventOutlet(socket.outlet()));
    let subscribed = app.hub.subscribe(&channel, options, Arc::clone(&outlet) as _, wire).await;
    let subscription = subscribed.map_err(|error| not_subscribed(&socket, &error))?;
    let recovered = subscription.recovered() == Some(true);
    let start = subscription.position().map(wire::offset);
    // A session that does not go on is another one: by that the client sees that it has missed something.
    let pid = match &pid {
        Some(pid) if recovered => pid.clone(),
        _ => Pid::new_with(&secret, start.as_deref()).into(),
    };
    let address = socket.handshake().client_ip();
    let maker = maker(identity.user.as_deref(), address);
    socket.insert(Member {
        app: Arc::clone(app),
        publisher: Publisher { client, user: identity.user.clone() },
        maker,
        publish: namespace.publish,
        bucket,
        turn: tokio::sync::Mutex::default(),
        part: Mutex::new(Part { subscription: Some(subscription), outlet: Some(outlet), ..Part::default() }),
        channel,
        identity,
    });
    Ok(Resumed { pid, recovered, replay: Vec::new() })
}

/// Who a client is: by the token of its `auth` payload, or by what its first request shows.
async fn identify(app: &App, socket: &Socket, token: Option<&str>) -> Result<Identity, ConnectError> {
    let handshake = socket.handshake();
    if let Some(token) = token {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(refused("unauthorized", "a token of more than 8 KiB"));
        }
        return app.auth.identify(Some(token)).await.map_err(|error| not_let_in(socket, &error));
    }
    let opening =
        Opening { method: "GET", version: HttpVersion::Http11, fields: handshake.headers().iter().collect() };
    let shown = opening.identify(app, handshake.headers().text("origin")).await;
    match shown.map_err(|refusal| refused(refusal.code(), refusal.message()))? {
        Some(identity) => Ok(identity),
        None => app.auth.identify(None).await.map_err(|error| not_let_in(socket, &error)),
    }
}

impl Member {
    /// Gives the client what it has missed, and makes it hear what is said from then on.
    pub(super) async fn enter(&self, socket: &Socket) {
        let (subscription, outlet) = {
            let mut part = self.part();
            (part.subscription.take(), part.outlet.clone())
        };
        let Some((mut subscription, outlet)) = subscription.zip(outlet) else { return };
        self.introduce(socket);
        loop {
            match subscription.replay().await {
                Ok(None) => break,
                Ok(Some(batch)) => {
                    if !outlet.say_batch(&batch).await {
                        return;
                    }
                }
                Err(error) => {
                    tracing::debug!(channel = %self.channel, %error, "a replay was interrupted");
                    return socket.outlet().end(DisconnectReason::ForcedServerClose);
                }
            }
        }
        let mut part = self.part();
        // It may have left meanwhile.
        if part.registered.is_some() {
            part.subscription = Some(subscription);
        }
    }

    /// Lets the operator see it, and its token end it.
    fn introduce(&self, socket: &Socket) {
        let label = Route::SocketIo.label();
        self.app.metrics.connections.get_or_create(label).inc();
        self.app.metrics.connections_open.get_or_create(label).inc();
        let address = socket.handshake().client_ip();
        let registered = EndFrom::socket_io(socket).map(|end| {
            let registered = self.app.sessions.enter(end, label.route, address);
            let Publisher { client, user } = &self.publisher;
            registered.introduce(client, user.as_ref(), self.identity.token_id.as_ref());
            registered.joined(&self.channel);
            registered
        });
        let outlet = socket.outlet();
        let expiry = self.identity.remaining(self.app.clock).map(|remaining| {
            let expiring = tokio::spawn(async move {
                tokio::time::sleep(remaining).await;
                // The client comes back with a token that its `auth` function fetches anew, and misses nothing.
                outlet.end(DisconnectReason::ForcedServerClose);
            });
            expiring.abort_handle()
        });
        let mut part = self.part();
        (part.registered, part.expiry) = (registered, expiry);
    }

    /// It has left; on purpose, or it may come back.
    pub(super) fn leave(&self, reason: DisconnectReason) {
        let Part { subscription, outlet, registered, expiry } = std::mem::take(&mut *self.part());
        if let Some(expiry) = expiry {
            expiry.abort();
        }
        if registered.is_some() {
            self.app.metrics.connections_open.get_or_create(Route::SocketIo.label()).dec();
            self.app.metrics.closed(close_code(reason));
        }
        if let Some(subscription) = subscription
            && reason == DisconnectReason::ClientNamespaceDisconnect
        {
            subscription.leave();
        }
        drop((outlet, registered));
    }

    /// Publishes an event. The order of a member's events is that in which this is called.
    ///
    /// # Errors
    /// [`Refused`].
    pub(super) async fn publish(&self, name: &str, args: &Args) -> Result<Published, Refused> {
        let publishing = {
            let _turn = self.turn.lock().await;
            let data =
                to_data(name, args).map_err(|error| Refused::new(ErrorCode::BadRequest, error.reason()))?;
            let (channel, client) = (self.channel.as_str(), &self.publisher.client);
            let access = self.publish;
            let may = self.app.auth.authorize(access, Action::Publish, channel, &self.identity, client);
            may.await.map_err(|error| Refused::not_allowed(&error))?;
            let publication = NewPublication {
                publisher: Some(self.publisher.clone()),
                maker: Some(self.maker),
                ..NewPublication::new(data)
            };
            self.app.hub.publish(&self.channel, publication)
        };
        publishing.await.map_err(|error| Refused::not_published(&error))
    }

    /// Publishes what the operator's backend says, in its order.
    ///
    /// # Errors
    /// [`Refused`]: of one of them; those before it are published.
    pub(super) async fn publish_all(
        &self,
        publications: impl Iterator<Item = (ChannelName, NewPublication)>,
    ) -> Result<(), Refused> {
        let begun: Vec<_> =
            publications.map(|(channel, publication)| self.app.hub.publish(&channel, publication)).collect();
        for publishing in begun {
            publishing.await.map_err(|error| Refused::not_published(&error))?;
        }
        Ok(())
    }

    /// Asks the operator's backend what an event leads to.
    ///
    /// # Errors
    /// [`Refused`]: it gives no answer.
    pub(super) async fn ask(&self, name: &str, args: &Args, wants_ack: bool) -> Result<Answer, Refused> {
        let _turn = self.turn.lock().await;
        let backend = self.app.socketio_backend.as_ref().expect("it is asked where there is one");
        backend.ask(&self.publisher, name, args, wants_ack).await
    }

    /// Whether the operator has a backend for events of the main namespace.
    pub(super) fn has_backend(&self) -> bool {
        self.app.socketio_backend.is_some()
    }

    /// Counts an event; false where the client says more than it may.
    pub(super) fn may_speak(&self) -> bool {
        self.app.metrics.messages_in.inc();
        let may = take(&self.bucket);
        if !may {
            self.app.metrics.rate_limited.inc();
        }
        may
    }

    fn part(&self) -> MutexGuard<'_, Part> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refused {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    fn not_allowed(error: &AuthError) -> Self {
        let code = match error {
            AuthError::Unauthorized(_) => ErrorCode::Unauthorized,
            AuthError::Forbidden => ErrorCode::Forbidden,
            AuthError::Unavailable => ErrorCode::Unavailable,
        };
        Self::new(code, error.to_string())
    }

    fn not_published(error: &PublishError) -> Self {
        Self::new(publish_code(error).0, error.to_string())
    }
}

/// A refusal as clients get it with `connect_error`: the code is in `data`.
fn refused(code: &str, message: &str) -> ConnectError {
    ConnectError::new(message).with_data(&serde_json::json!({ "code": code }))
}

/// Ends the connection of a client that may come back, which it does by itself: one that is told an error does not.
fn passing(socket: &Socket) -> ConnectError {
    socket.outlet().end(DisconnectReason::ForcedServerClose);
    ConnectError::new("try again")
}

fn take(bucket: &Mutex<Bucket>) -> bool {
    let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
    bucket.refill(Instant::now());
    bucket.take()
}

fn not_let_in(socket: &Socket, error: &AuthError) -> ConnectError {
    let code = match error {
        AuthError::Unauthorized(_) => "unauthorized",
        AuthError::Forbidden => "forbidden",
        AuthError::Unavailable => return passing(socket),
    };
    refused(code, &error.to_string())
}

fn not_subscribed(socket: &Socket, error: &SubscribeError) -> ConnectError {
    match error {
        SubscribeError::UnknownNamespace => refused("unknown_namespace", &error.to_string()),
        _ => passing(socket),
    }
}

/// How metrics count an end.
fn close_code(reason: DisconnectReason) -> vaiven::CloseCode {
    use vaiven::CloseCode;
    match reason {
        DisconnectReason::ClientNamespaceDisconnect | DisconnectReason::ServerNamespaceDisconnect => {
            CloseCode::NORMAL
        }
        DisconnectReason::ServerShuttingDown => CloseCode::RESTART,
        DisconnectReason::OutboxFull => CloseCode::TRY_AGAIN,
        DisconnectReason::ParseError => CloseCode::PROTOCOL,
        DisconnectReason::HandlerPanicked => CloseCode::INTERNAL,
        _ => CloseCode::ABNORMAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_id_says_the_secret_and_the_beginning() {
        let secret = random_secret();
        let pid = Pid::new_with(&secret, Some("ab:7"));
        let read = Pid::read(&pid).unwrap();
        assert_eq!((read.secret, read.start), (&*secret, Some("ab:7")));
        assert_ne!(pid, Pid::new_with(&secret, Some("ab:7")));
        assert_eq!(Pid::read(&Pid::new_with(&secret, None)).unwrap().start, None);
        for bad in
            ["", "a.b.c", "0123456789abcdef", "0123456789abcd\0f.x.y", &format!("{}.x.y", "a".repeat(65))]
        {
            assert!(Pid::read(bad).is_none(), "{bad}");
        }
    }
}
