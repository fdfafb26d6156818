//! A plain member of a room: what it sends is published, what is published it gets, its own messages too.
//!
//! The room is a channel of the hub, so that its members and clients of `vaiven.v1.json` hear each other.

use super::End;
use super::inbox::Inbox;
use super::outlet::PlainOutlet;
use super::registry::Registered;
use crate::app::App;
use crate::auth::{Action, Identity};
use crate::protocol::command::Payload;
use crate::protocol::wire::Plain;
use crate::settings::{Access, Namespace};
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use vaiven::server::Refusal;
use vaiven::{CloseCode, Message, WebSocket};
use vaiven_hub::{
    ChannelName, Data, Maker, Member, NewPublication, PublishError, Publisher, Publishing, SubscribeError,
    SubscribeOptions, Subscription,
};

/// Publications of a member that may be under way at a time. Then it is not read from.
const MAX_PUBLISHING: usize = 32;

/// A place in a room, kept while a handshake is under way. Dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Seat {
    channel: ChannelName,
    subscription: Subscription,
    outlet: Arc<PlainOutlet>,
    publisher: Publisher,
    maker: Maker,
    identity: Identity,
    publish: Access,
}

impl Seat {
    /// Keeps a place in a room.
    pub(crate) async fn reserve(
        app: &App,
        name: &str,
        identity: Identity,
        address: Option<IpAddr>,
    ) -> Result<Self, Refusal> {
        let not_found = |_| Refusal::not_found();
        let channel = ChannelName::parse(name).map_err(not_found)?;
        let namespace: &Namespace = app.namespace(&channel).ok_or_else(Refusal::not_found)?;
        let client: Arc<str> = crate::identity::random_name().into();
        app.auth
            .authorize(namespace.subscribe, Action::Subscribe, name, &identity, &client)
            .await
            .map_err(|error| super::refuse(&error))?;
        let member =
            Member { client: Arc::clone(&client), user: identity.user.clone(), info: identity.info_json() };
        let options = SubscribeOptions { member: Some(member), ..SubscribeOptions::default() };
        let outlet = Arc::new(PlainOutlet::default());
        let subscription = app
            .hub
            .subscribe(&channel, options, Arc::clone(&outlet) as _, &Plain)
            .await
            .map_err(|error| refuse_full(&error))?;
        let publisher = Publisher { client, user: identity.user.clone() };
        let maker = crate::identity::maker(identity.user.as_deref(), address);
        let publish = namespace.publish;
        Ok(Self { channel, subscription, outlet, publisher, maker, identity, publish })
    }

    /// Says who takes the place, and where.
    pub(super) fn introduce(&self, known: &Registered) {
        known.introduce(&self.publisher.client, self.publisher.user.as_ref(), None);
        known.joined(&self.channel);
    }

    /// Takes the place, until the connection ends. Says whether it was closed on purpose.
    pub(super) async fn take(mut self: Box<Self>, app: &App, socket: &mut WebSocket) -> Result<(), End> {
        self.outlet.open(socket.sender());
        // Only a `latest` channel has something for who comes. On the heap, as it happens once.
        let joined = Box::pin(self.join()).await;
        let talked = match joined {
            Ok(()) => self.talk(app, socket).await,
            Err(end) => Err(end),
        };
        if talked.is_ok() {
            self.subscription.leave();
        }
        talked
    }

    async fn join(&mut self) -> Result<(), End> {
        let unavailable = |_| End::close(CloseCode::TRY_AGAIN, "the room cannot be entered for now");
        while let Some(batch) = self.subscription.replay().await.map_err(unavailable)? {
            if self.outlet.say_batch(batch.frames()).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn talk(&self, app: &App, socket: &mut WebSocket) -> Result<(), End> {
        let mut inbox = Inbox::new(app);
        let mut publishing = Vec::new();
        loop {
            let next = poll_fn(|cx| poll_next(&mut inbox, &mut publishing, socket, cx)).await?;
            let Some(message) = next else { return Ok(()) };
            match self.publish {
                Access::Anyone => {}
                access => {
                    let (channel, client) = (self.channel.as_str(), &self.publisher.client);
                    let may = app.auth.authorize(access, Action::Publish, channel, &self.identity, client);
                    let forbidden = |_| End::close(CloseCode::new(3003), "nothing may be published here");
                    inbox.hold(Box::pin(may)).await.map_err(forbidden)?;
                }
            }
            publishing.push(app.hub.publish(&self.channel, self.publication(message)));
        }
    }

    fn publication(&self, message: Message) -> NewPublication {
        let data = match Payload::from_plain(message) {
            Payload::Json(json) => Data::Json(json),
            Payload::Binary(bytes) => Data::Binary(bytes),
        };
        NewPublication {
            publisher: Some(self.publisher.clone()),
            maker: Some(self.maker),
            ..NewPublication::new(data)
        }
    }
}

/// The next message, when few enough publications are under way.
#[inline]
fn poll_next(
    inbox: &mut Inbox<'_>,
    publishing: &mut Vec<Publishing>,
    socket: &mut WebSocket,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Message>, End>> {
    let mut at = 0;
    while at < publishing.len() {
        match Pin::new(&mut publishing[at]).poll(cx) {
            Poll::Pending => at += 1,
            Poll::Ready(outcome) => {
                // Their order does not matter: nobody is told of them.
                drop(publishing.swap_remove(at));
                if let Err(error) = outcome {
                    return Poll::Ready(Err(failed(&error)));
                }
            }
        }
    }
    if publishing.len() >= MAX_PUBLISHING {
        return Poll::Pending;
    }
    inbox.poll_next(socket, cx)
}

/// A plain member hears of what was not published only by the end of its connection.
fn failed(error: &PublishError) -> End {
    match error {
        PublishError::TooLarge(_) => End::close(CloseCode::TOO_BIG, "longer than the room allows"),
        _ => End::close(CloseCode::TRY_AGAIN, "the message could not be published; reconnect and repeat"),
    }
}

fn refuse_full(error: &SubscribeError) -> Refusal {
    let (code, message) = match error {
        SubscribeError::UnknownNamespace => return Refusal::not_found(),
        SubscribeError::TooManyChannels => {
            ("room_cap", "The server has as many rooms as it is configured for. Try again later.")
        }
        SubscribeError::TooManySubscribers => {
            ("member_cap", "The room has as many members as it is configured for. Try again later.")
        }
        _ => ("store", "The store does not answer. Try again later."),
    };
    Refusal::new(503, code, message).with_field("Retry-After", "5").expect("it is a valid field")
}
