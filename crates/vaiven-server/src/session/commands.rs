//! What each command of `vaiven.v1.json` does.

use super::End;
use super::outlet::ClientOutlet;
use super::v1::{Joined, Known, MAX_PUBLISHING, Session};
use crate::auth::{Action, AuthError, Decision, Identity, decide};
use crate::environment::WallClock;
use crate::identity::{client_name, maker, random_secret};
use crate::protocol::code::ErrorCode;
use crate::protocol::command::{
    Command, Connect, History, MAX_HISTORY, Named, Payload, Publish, Request, Since, Subscribe,
};
use crate::protocol::reply::{
    ClientLimits, Done as Okay, Numbered, Page, Person, Present, Reply, Said, Subscribed, Welcome,
};
use crate::protocol::wire::V1;
use crate::settings::Access;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use vaiven::{CloseCode, Message};
use vaiven_hub::{
    ChannelName, Contract, Data, Epoch, HistoryError, HistoryQuery, Hub, IdempotencyKey, Member,
    NewPublication, Position, PublishError, Published, Publisher, SubscribeError, SubscribeOptions,
};

/// How long to wait about when a store or a broker does not answer.
const RETRY: Duration = Duration::from_secs(1);
/// How long before its end a token is asked to be renewed.
const REFRESH_AHEAD: Duration = Duration::from_secs(20);

/// A command that is not finished yet.
pub(super) type Pending = Pin<Box<dyn Future<Output = Done> + Send>>;

/// The word of others about whether a client may do something.
type Admission = Pin<Box<dyn Future<Output = Result<(), AuthError>> + Send>>;

/// What became of a command.
pub(super) enum Done {
    /// Somebody is known, or not; and what it said besides.
    Identified {
        id: Option<u64>,
        session: Option<String>,
        identity: Result<Identity, AuthError>,
        then: Option<Request>,
    },
    Refreshed {
        id: Option<u64>,
        identity: Result<Identity, AuthError>,
    },
    Joined {
        id: Option<u64>,
        joined: Result<Box<Joined>, Refused>,
    },
    /// It may be published, or not.
    Admitted {
        id: Option<u64>,
        publish: Publish,
        channel: ChannelName,
        admitted: Result<(), AuthError>,
    },
    Answered(Message),
    Refused(Option<u64>, Refused),
    /// The client is gone.
    Gone,
}

/// Why a command was not done.
#[derive(Debug)]
pub(super) struct Refused {
    code: ErrorCode,
    message: String,
    retry: Option<Duration>,
}

impl Refused {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry: None }
    }

    fn for_now(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry: Some(RETRY) }
    }
}

impl Session<'_> {
    /// Begins what a client asks. A first message that is no `connect` connects by the way.
    pub(super) fn begin(&mut self, request: Request) -> Result<(), End> {
        let Request { id, command } = request;
        let command = match (command, &self.known) {
            (Command::Connect(connect), None) => return self.connect(id, connect, None),
            (command, None) => return self.connect(None, Connect::default(), Some(Request { id, command })),
            (command, Some(_)) => command,
        };
        let refused = match command {
            Command::Connect(_) => {
                Some(Refused::new(ErrorCode::BadRequest, "this client is connected already"))
            }
            Command::Subscribe(subscribe) => self.subscribe(id, subscribe).err(),
            Command::Unsubscribe(named) => return self.unsubscribe(id, &named),
            Command::Publish(publish) => self.publish(id, publish).err(),
            Command::History(history) => self.history(id, history).err(),
            Command::Presence(named) => self.presence(id, &named).err(),
            Command::Refresh(refresh) => {
                let auth = Arc::clone(&self.app.auth);
                self.wait(async move {
                    Done::Refreshed { id, identity: auth.identify(Some(&refresh.token)).await }
                });
                None
            }
            Command::Ping => return self.say(Reply::Pong(Numbered { id }).to_message()),
            Command::Pong => None,
        };
        match refused {
            Some(Refused { code, message, retry }) => self.fail(id, code, &message, retry),
            None => Ok(()),
        }
    }

    fn wait(&mut self, pending: impl Future<Output = Done> + Send + 'static) {
        debug_assert!(self.pending.is_none(), "nothing is read before a command is finished");
        self.pending = Some((Box::pin(pending), Instant::now()));
    }

    fn connect(&mut self, id: Option<u64>, connect: Connect, then: Option<Request>) -> Result<(), End> {
        let Connect { token, session } = connect;
        if token.as_ref().is_some_and(|token| token.len() > crate::auth::MAX_TOKEN_BYTES) {
            return Err(self.farewell(CloseCode::POLICY, "a token of more than 8 KiB", None));
        }
        let shown = if token.is_none() { self.shown.take() } else { None };
        let auth = Arc::clone(&self.app.auth);
        self.wait(async move {
            let identity = match shown {
                Some(shown) => Ok(*shown),
                None => auth.identify(token.as_deref()).await,
            };
            Done::Identified { id, session, identity, then }
        });
        Ok(())
    }

    /// Acts on what became of a command.
    pub(super) fn finish(&mut self, done: Done) -> Result<(), End> {
        match done {
            Done::Identified { id, session, identity, then } => {
                let identity = identity.map_err(|error| self.turned_away(&error))?;
                self.welcome(id, session, identity)?;
                match then {
                    Some(request) => self.begin(request),
                    None => Ok(()),
                }
            }
            Done::Refreshed { id, identity } => self.refreshed(id, identity),
            Done::Joined { id, joined } => match joined {
                Ok(joined) => {
                    self.registered.joined(&joined.channel);
                    self.joined.push(*joined);
                    Ok(())
                }
                Err(Refused { code, message, retry }) => self.fail(id, code, &message, retry),
            },
            Done::Admitted { id, publish, channel, admitted } => match admitted {
                Ok(()) => {
                    self.hand_over(id, &channel, publish);
                    Ok(())
                }
                Err(error) => {
                    let Refused { code, message, retry } = not_allowed(&error);
                    self.fail(id, code, &message, retry)
                }
            },
            Done::Answered(message) => self.say(message),
            Done::Refused(id, Refused { code, message, retry }) => self.fail(id, code, &message, retry),
            Done::Gone => Err(End::Error(vaiven::Error::Closing)),
        }
    }

    /// Why a client may not connect.
    fn turned_away(&self, error: &AuthError) -> End {
        let (code, reason, retry) = match error {
            AuthError::Unauthorized(why) => (CloseCode::new(3000), *why, None),
            AuthError::Forbidden => (CloseCode::new(3003), "this user may not connect", None),
            AuthError::Unavailable => {
                (CloseCode::TRY_AGAIN, "tokens cannot be checked for now", Some(5 * RETRY))
            }
        };
        self.farewell(code, reason, retry)
    }

    fn welcome(&mut self, id: Option<u64>, session: Option<String>, identity: Identity) -> Result<(), End> {
        let session = session.unwrap_or_else(random_secret);
        let client: Arc<str> = client_name(&session, identity.user.as_deref()).into();
        self.registered.introduce(&client, identity.user.as_ref(), identity.token_id.as_ref());
        let publisher = Publisher { client, user: identity.user.clone() };
        let settings = &self.app.settings;
        let welcome = Reply::Welcome(Welcome {
            id,
            client: &publisher.client,
            session: &session,
            user: identity.user.as_deref(),
            ping: settings.ping_interval,
            window: self.app.window,
            expires: identity.remaining(self.app.clock),
            limits: ClientLimits {
                message_bytes: settings.max_message_bytes,
                channels: settings.max_channels_per_client,
                message_rate: settings.message_rate,
                message_burst: settings.message_burst,
                publishing: MAX_PUBLISHING,
            },
            stream: self.outlet.stream_secret(),
        });
        let message = welcome.to_message();
        let maker = maker(identity.user.as_deref(), self.registered.address());
        let mut known = Box::new(Known { identity, publisher, maker, refresh_at: None, expires_at: None });
        known.set_times(self.app.clock);
        self.known = Some(known);
        self.set_timer();
        self.say(message)
    }

    fn refreshed(&mut self, id: Option<u64>, identity: Result<Identity, AuthError>) -> Result<(), End> {
        let known = self.known.as_mut().expect("a command is begun when the client is known");
        let refused = match identity {
            Ok(identity) if identity.user == known.identity.user => {
                known.identity = identity;
                known.set_times(self.app.clock);
                let expires = known.identity.remaining(self.app.clock);
                let token_id = known.identity.token_id.as_ref();
                self.registered.introduce(&known.publisher.client, known.publisher.user.as_ref(), token_id);
                self.set_timer();
                return self.say(Reply::Ok(Okay { id, expires, ..Okay::default() }).to_message());
            }
            Ok(_) => Refused::new(ErrorCode::Forbidden, "the token is of another user"),
            Err(error) => not_allowed(&error),
        };
        // The old token holds until its end.
        self.fail(id, refused.code, &refused.message, refused.retry)
    }

    fn subscribe(&mut self, id: Option<u64>, subscribe: Subscribe) -> Result<(), Refused> {
        let Subscribe { channel, since, last, presence } = subscribe;
        let (channel, access) = self.find(&channel, |namespace| namespace.subscribe)?;
        if self.joined.iter().any(|joined| joined.channel == channel) {
            return Err(Refused::new(ErrorCode::AlreadySubscribed, "this client is subscribed already"));
        }
        if self.joined.len() >= self.app.settings.max_channels_per_client {
            let message = format!("a client may be subscribed to {} channels", self.joined.len());
            return Err(Refused::new(ErrorCode::TooManyChannels, message));
        }
        let known = self.known();
        let member = Member {
            client: Arc::clone(&known.publisher.client),
            user: known.publisher.user.clone(),
            info: known.identity.info_json(),
        };
        let options = SubscribeOptions {
            since: since.as_ref().map(position),
            last: last.unwrap_or(0) as usize,
            member: Some(member),
            watch_presence: presence,
        };
        let admitted = self.admit(access, Action::Subscribe, &channel)?;
        let (hub, outlet) = (self.app.hub.clone(), Arc::clone(&self.outlet));
        self.wait(async move {
            if let Some(admitted) = admitted
                && let Err(error) = admitted.await
            {
                return Done::Refused(id, not_allowed(&error));
            }
            join(hub, outlet, id, channel, options).await
        });
        Ok(())
    }

    fn unsubscribe(&mut self, id: Option<u64>, named: &Named) -> Result<(), End> {
        let at = self.joined.iter().position(|joined| joined.channel.as_str() == named.channel);
        let Some(at) = at else {
            let message = "this client is not subscribed";
            return self.fail(id, ErrorCode::NotSubscribed, message, None);
        };
        let joined = self.joined.swap_remove(at);
        self.registered.left(&joined.channel);
        joined.subscription.leave();
        self.okay(id, Okay { id, ..Okay::default() })
    }

    fn publish(&mut self, id: Option<u64>, mut publish: Publish) -> Result<(), Refused> {
        let name = std::mem::take(&mut publish.channel);
        let (channel, access) = self.find(&name, |namespace| namespace.publish)?;
        match self.admit(access, Action::Publish, &channel)? {
            None => self.hand_over(id, &channel, publish),
            Some(admitted) => self.wait(async move {
                let admitted = admitted.await;
                Done::Admitted { id, publish, channel, admitted }
            }),
        }
        Ok(())
    }

    /// Begins a publication, whose place in the order is fixed from here on.
    fn hand_over(&mut self, id: Option<u64>, channel: &ChannelName, publish: Publish) {
        let Publish { data, key, remove, ephemeral, seq, .. } = publish;
        let Known { publisher, maker, .. } = self.known();
        let (publisher, maker) = (publisher.clone(), *maker);
        let idempotency = seq.and_then(|seq| IdempotencyKey::new(&format!("{}/{seq}", publisher.client)));
        let data = match data {
            Payload::Json(json) => Data::Json(json),
            Payload::Binary(bytes) => Data::Binary(bytes),
        };
        let publication = NewPublication {
            key: key.map(Arc::from),
            remove,
            ephemeral,
            publisher: Some(publisher),
            maker: Some(maker),
            idempotency,
            ..NewPublication::new(data)
        };
        let publishing = self.app.hub.publish(channel, publication);
        self.await_published(id, publishing);
    }

    pub(super) fn tell_published(
        &mut self,
        id: Option<u64>,
        outcome: Result<Published, PublishError>,
    ) -> Result<(), End> {
        match outcome {
            Ok(Published { position, duplicate, .. }) => {
                let epoch = position.as_ref().map(|position| position.epoch.as_str());
                let offset = position.as_ref().map(|position| position.offset);
                self.okay(id, Okay { id, epoch, offset, duplicate, expires: None })
            }
            Err(error) => {
                let Refused { code, message, retry } = not_published(&error);
                self.fail(id, code, &message, retry)
            }
        }
    }

    /// Says `ok` where a number asks for it.
    fn okay(&mut self, id: Option<u64>, okay: Okay<'_>) -> Result<(), End> {
        if id.is_none() { Ok(()) } else { self.say(Reply::Ok(okay).to_message()) }
    }

    fn history(&mut self, id: Option<u64>, history: History) -> Result<(), Refused> {
        let History { channel, since, limit, reverse } = history;
        let (channel, access) = self.find(&channel, |namespace| namespace.subscribe)?;
        let admitted = self.admit(access, Action::Subscribe, &channel)?;
        let limit = limit.unwrap_or(MAX_HISTORY) as usize;
        let query = HistoryQuery { since: since.as_ref().map(position), limit, reverse };
        let hub = self.app.hub.clone();
        self.wait(async move {
            if let Some(admitted) = admitted
                && let Err(error) = admitted.await
            {
                return Done::Refused(id, not_allowed(&error));
            }
            match hub.history(&channel, query).await {
                Ok(history) => {
                    let page = Page {
                        id,
                        channel: channel.as_str(),
                        epoch: history.position.epoch.as_str(),
                        offset: history.position.offset,
                        publications: history.publications.iter().map(|one| Said::in_history(one)).collect(),
                        more: history.more,
                    };
                    Done::Answered(Reply::History(page).to_message())
                }
                Err(error) => Done::Refused(id, no_history(error)),
            }
        });
        Ok(())
    }

    fn presence(&mut self, id: Option<u64>, named: &Named) -> Result<(), Refused> {
        let (channel, access) = self.find(&named.channel, |namespace| namespace.subscribe)?;
        let admitted = self.admit(access, Action::Subscribe, &channel)?;
        let hub = self.app.hub.clone();
        self.wait(async move {
            if let Some(admitted) = admitted
                && let Err(error) = admitted.await
            {
                return Done::Refused(id, not_allowed(&error));
            }
            match hub.presence(&channel) {
                Ok(presence) => {
                    let clients = presence.members.iter().map(Person::of).collect();
                    let present = Present { id, channel: channel.as_str(), count: presence.count, clients };
                    Done::Answered(Reply::Presence(present).to_message())
                }
                Err(error) => Done::Refused(id, no_history(error)),
            }
        });
        Ok(())
    }

    /// The channel of a name, and a rule of its namespace.
    fn find(
        &self,
        name: &str,
        rule: impl Fn(&crate::settings::Namespace) -> Access,
    ) -> Result<(ChannelName, Access), Refused> {
        let channel = ChannelName::parse(name)
            .map_err(|error| Refused::new(ErrorCode::ChannelName, error.to_string()))?;
        let namespace = self.app.namespace(&channel).ok_or_else(unknown_namespace)?;
        let access = rule(namespace);
        Ok((channel, access))
    }

    /// Whether the client may: known at once, or what says so.
    fn admit(
        &self,
        access: Access,
        action: Action,
        channel: &ChannelName,
    ) -> Result<Option<Admission>, Refused> {
        let known = self.known();
        match decide(access, action, channel.as_str(), &known.identity) {
            Decision::Yes => Ok(None),
            Decision::No(error) => Err(not_allowed(&error)),
            Decision::AskBackend => {
                let (auth, channel) = (Arc::clone(&self.app.auth), channel.clone());
                let (identity, client) = (known.identity.clone(), Arc::clone(&known.publisher.client));
                Ok(Some(Box::pin(async move {
                    auth.authorize(access, action, channel.as_str(), &identity, &client).await
                })))
            }
        }
    }

    fn known(&self) -> &Known {
        self.known.as_ref().expect("a command is begun when the client is known")
    }
}

impl Known {
    /// Derives from the token when a new one is asked for and when it ends.
    fn set_times(&mut self, clock: WallClock) {
        self.expires_at =
            self.identity.remaining(clock).and_then(|remaining| Instant::now().checked_add(remaining));
        self.refresh_at = self.expires_at.map(|at| at.checked_sub(REFRESH_AHEAD).unwrap_or(at));
    }
}

/// Subscribes, says so, and gives what is to be replayed at the pace of the client.
async fn join(
    hub: Hub,
    outlet: Arc<ClientOutlet>,
    id: Option<u64>,
    channel: ChannelName,
    options: SubscribeOptions,
) -> Done {
    let mut subscription = match hub.subscribe(&channel, options, Arc::clone(&outlet) as _, &V1).await {
        Ok(subscription) => subscription,
        Err(error) => return Done::Joined { id, joined: Err(not_subscribed(&error)) },
    };
    let position = subscription.position();
    let subscribed = Reply::Subscribed(Subscribed {
        id,
        channel: channel.as_str(),
        contract: match subscription.contract() {
            Contract::Reliable => "reliable",
            Contract::Latest => "latest",
            Contract::Volatile => "volatile",
        },
        epoch: position.map(|position| position.epoch.as_str()),
        offset: position.map(|position| position.offset),
        recovered: subscription.recovered(),
        missed: subscription.recovered().map(|_| subscription.missed()),
    });
    if Arc::clone(&outlet).say(subscribed.to_message()).await.is_err() {
        return Done::Gone;
    }
    loop {
        match subscription.replay().await {
            Ok(None) => break,
            Ok(Some(batch)) => {
                if outlet.say_batch(batch.frames()).await.is_err() {
                    return Done::Gone;
                }
            }
            Err(error) => {
                // `subscribed` was said, so this is said as its end.
                let message = error.to_string();
                let code = ErrorCode::Unavailable;
                let channel = channel.as_str();
                return Done::Answered(Reply::Unsubscribed { channel, code, message: &message }.to_message());
            }
        }
    }
    Done::Joined { id, joined: Ok(Box::new(Joined { channel, subscription })) }
}

fn position(since: &Since) -> Position {
    Position { epoch: Epoch::new(&since.epoch), offset: since.offset }
}

fn unknown_namespace() -> Refused {
    Refused::new(ErrorCode::UnknownNamespace, "no namespace of this name is configured")
}

fn not_allowed(error: &AuthError) -> Refused {
    match error {
        AuthError::Unauthorized(why) => Refused::new(ErrorCode::Unauthorized, *why),
        AuthError::Forbidden => {
            Refused::new(ErrorCode::Forbidden, "this client may not do so in this channel")
        }
        AuthError::Unavailable => {
            Refused::for_now(ErrorCode::Unavailable, "whether it may be is not known for now")
        }
    }
}

fn not_subscribed(error: &SubscribeError) -> Refused {
    match error {
        SubscribeError::UnknownNamespace => unknown_namespace(),
        error => Refused::for_now(ErrorCode::Unavailable, error.to_string()),
    }
}

pub(crate) fn publish_code(error: &PublishError) -> (ErrorCode, bool) {
    match error {
        PublishError::UnknownNamespace => (ErrorCode::UnknownNamespace, false),
        PublishError::TooLarge(_) => (ErrorCode::TooLarge, false),
        PublishError::Conflict => (ErrorCode::Conflict, false),
        PublishError::TooManyKeys | PublishError::TooManyNewChannels | PublishError::Busy => {
            (ErrorCode::Rate, true)
        }
        PublishError::TooManyChannels | PublishError::Unavailable => (ErrorCode::Unavailable, true),
        // A reason that this server has no word for.
        _ => (ErrorCode::Internal, true),
    }
}

fn not_published(error: &PublishError) -> Refused {
    match publish_code(error) {
        (code, true) => Refused::for_now(code, error.to_string()),
        (code, false) => Refused::new(code, error.to_string()),
    }
}

fn no_history(error: HistoryError) -> Refused {
    match error {
        HistoryError::UnknownNamespace => unknown_namespace(),
        HistoryError::NotKept => Refused::new(ErrorCode::NotKept, error.to_string()),
        _ => Refused::for_now(ErrorCode::Unavailable, error.to_string()),
    }
}
