//! The client as a state machine: what happened goes in with its time, what is to be done comes out. It opens no socket,
//! reads no clock, and draws its random numbers from what it was given.

use crate::channel::{Channel, Outcome, State, Wanted};
use crate::pacer::Pacer;
use crate::publishing::{Publishing, Reply};
use crate::retry::{self, Verdict};
use crate::wire::{self, Command, Incoming, Parsed};
use crate::{
    Contract, Data, Error, Event, History, NewPublication, Position, Presence, Publication, Published,
};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use vaiven::Message;

/// Requests that wait for their answers.
const MAX_REQUESTS: usize = 256;
/// Beyond the server's own interval, before a silent connection is taken for dead.
const GRACE: Duration = Duration::from_secs(10);
/// A connection that lasted so long was a good one: the next try counts as the first.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);
/// Until the server has said it.
const DEFAULT_PING: Duration = Duration::from_secs(25);
/// Until the server has said it.
const DEFAULT_WINDOW: Duration = Duration::from_mins(5);

/// Where the client stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// A connection is being made.
    Connecting,
    /// The server has welcomed the client.
    Connected {
        /// The name under which others know it.
        client: String,
    },
    /// The connection is away, and the next try is made after this time from when it was lost.
    Waiting {
        /// How long.
        delay: Duration,
        /// Why the connection ended or did not come about.
        reason: String,
    },
    /// The client has ended.
    Closed {
        /// Why.
        reason: String,
    },
}

/// What the driver of a machine is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Get a token if there is a source of them, connect, and say `opened` or `ended`.
    Connect,
    /// Wait until then, or for a call.
    Wait(Option<Instant>),
    /// Keep the connection, until then.
    Pump(Instant),
    /// End the connection if there is one, and say `ended`.
    Disconnect,
    /// Nothing any more.
    Stop,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Waiting {
        until: Instant,
    },
    Connecting,
    /// Connected, and `connect` is sent.
    Joining {
        id: u64,
    },
    Live {
        since: Instant,
    },
    /// The connection is to be given up, with this code.
    Leaving {
        code: u16,
        reason: String,
    },
    Closed,
}

#[derive(Debug)]
enum Request {
    History {
        since: Option<Position>,
        limit: u32,
        reverse: bool,
        reply: oneshot::Sender<Result<History, Error>>,
    },
    Presence {
        reply: oneshot::Sender<Result<Presence, Error>>,
    },
}

#[derive(Debug)]
struct Asked {
    channel: String,
    request: Request,
    sent_as: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Machine {
    random: SmallRng,
    session: String,
    phase: Phase,
    status: Status,
    attempt: u32,
    ids: u64,
    ping: Duration,
    window: Duration,
    heard: Instant,
    token: Option<String>,
    /// The server has refused `refused_token`, which may be that there was none.
    was_refused: bool,
    refused_token: Option<String>,
    wants_token: bool,
    /// What the server said of the end before it came.
    farewell: Option<(u16, String, Option<Duration>)>,
    channels: BTreeMap<String, Channel>,
    publishing: Publishing,
    requests: Vec<Asked>,
    pacer: Pacer,
    /// When the message may leave that was held back at the last look.
    held_until: Option<Instant>,
    /// Control messages, which go first.
    urgent: VecDeque<Message>,
}

impl Machine {
    pub(crate) fn new(now: Instant, session: String, seed: u64) -> Self {
        Self {
            random: SmallRng::seed_from_u64(seed),
            session,
            phase: Phase::Waiting { until: now },
            status: Status::Connecting,
            attempt: 0,
            ids: 0,
            ping: DEFAULT_PING,
            window: DEFAULT_WINDOW,
            heard: now,
            token: None,
            was_refused: false,
            refused_token: None,
            wants_token: false,
            farewell: None,
            channels: BTreeMap::new(),
            publishing: Publishing::default(),
            requests: Vec::new(),
            pacer: Pacer::default(),
            held_until: None,
            urgent: VecDeque::new(),
        }
    }

    pub(crate) fn status(&self) -> &Status {
        &self.status
    }

    fn new_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    // What is asked for.

    pub(crate) fn publish(&mut self, channel: &str, publication: NewPublication, reply: Reply) {
        if let Some(reason) = self.closed_for() {
            let _ = reply.send(Err(Error::Closed { reason }));
            return;
        }
        self.publishing.add(channel, publication, reply);
    }

    pub(crate) fn subscribe(
        &mut self,
        channel: &str,
        wanted: Wanted,
        first: oneshot::Sender<Result<(), Error>>,
    ) -> bool {
        let refusal = match self.closed_for() {
            Some(reason) => Error::Closed { reason },
            None if self.channels.contains_key(channel) => Error::AlreadySubscribed,
            None => {
                self.channels.insert(channel.to_owned(), Channel::new(wanted, first));
                return true;
            }
        };
        let _ = first.send(Err(refusal));
        false
    }

    pub(crate) fn unsubscribe(&mut self, channel: &str) {
        let known = self.channels.remove(channel);
        if known.is_some_and(|channel| matches!(channel.state, State::Live | State::Asked(_))) {
            self.urgent.push_back(Command::Unsubscribe { id: None, channel }.message());
        }
    }

    pub(crate) fn channel(&mut self, name: &str) -> Option<&mut Channel> {
        self.channels.get_mut(name)
    }

    pub(crate) fn history(
        &mut self,
        channel: &str,
        since: Option<Position>,
        limit: u32,
        reverse: bool,
        reply: oneshot::Sender<Result<History, Error>>,
    ) {
        self.request(channel, Request::History { since, limit, reverse, reply });
    }

    pub(crate) fn presence(&mut self, channel: &str, reply: oneshot::Sender<Result<Presence, Error>>) {
        self.request(channel, Request::Presence { reply });
    }

    fn request(&mut self, channel: &str, request: Request) {
        match self.closed_for() {
            Some(reason) => request.fail(Error::Closed { reason }),
            None if self.requests.len() >= MAX_REQUESTS => request.fail(Error::QueueFull),
            None => self.requests.push(Asked { channel: channel.to_owned(), request, sent_as: None }),
        }
    }

    /// Ends the client.
    pub(crate) fn close(&mut self, reason: &str) {
        match self.phase {
            Phase::Joining { .. } | Phase::Live { .. } => {
                self.phase = Phase::Leaving { code: 1000, reason: reason.to_owned() };
                self.farewell = Some((1000, reason.to_owned(), None));
            }
            Phase::Leaving { .. } | Phase::Closed => {}
            Phase::Waiting { .. } | Phase::Connecting => self.stop(reason),
        }
    }

    fn closed_for(&self) -> Option<String> {
        match &self.status {
            Status::Closed { reason } => Some(reason.clone()),
            _ => None,
        }
    }

    fn stop(&mut self, reason: &str) {
        self.phase = Phase::Closed;
        self.status = Status::Closed { reason: reason.to_owned() };
        self.publishing.closed(reason);
        for channel in self.channels.values_mut() {
            channel.closed(reason);
        }
        for asked in self.requests.drain(..) {
            asked.request.fail(Error::Closed { reason: reason.to_owned() });
        }
    }

    // What the driver asks and tells.

    /// What is to be done now.
    pub(crate) fn task(&mut self, now: Instant) -> Task {
        match &self.phase {
            Phase::Waiting { until } if *until <= now => {
                self.phase = Phase::Connecting;
                self.status = Status::Connecting;
                Task::Connect
            }
            Phase::Waiting { until } => Task::Wait(Some(*until)),
            Phase::Connecting => Task::Wait(None),
            Phase::Joining { .. } | Phase::Live { .. } => {
                let dead = self.heard + self.ping + GRACE;
                if dead <= now {
                    let reason = "the server has been silent for too long".to_owned();
                    self.phase = Phase::Leaving { code: 1006, reason: reason.clone() };
                    self.farewell = Some((1006, reason, None));
                    return Task::Disconnect;
                }
                // What is due already waits for room on the connection, and not for time.
                let times = self.retries().chain(self.held_until);
                Task::Pump(times.filter(|time| *time > now).fold(dead, Instant::min))
            }
            Phase::Leaving { .. } => Task::Disconnect,
            Phase::Closed => Task::Stop,
        }
    }

    /// The code and reason with which the driver closes.
    pub(crate) fn leaving(&self) -> Option<(u16, &str)> {
        match &self.phase {
            Phase::Leaving { code, reason } => Some((*code, reason)),
            _ => None,
        }
    }

    fn retries(&self) -> impl Iterator<Item = Instant> {
        self.channels.values().filter_map(|channel| match channel.state {
            State::RetryAt(time) => Some(time),
            _ => None,
        })
    }

    /// The connection stands; `token` is what was got for it.
    pub(crate) fn opened(&mut self, now: Instant, token: Option<String>) {
        if self.phase != Phase::Connecting {
            return;
        }
        self.heard = now;
        self.token = token;
        self.farewell = None;
        self.wants_token = false;
        if self.was_refused && self.refused_token == self.token {
            self.stop("the server does not accept the token, and there is no other one");
            return;
        }
        let id = self.new_id();
        self.phase = Phase::Joining { id };
        self.urgent.clear();
        self.urgent.push_back(
            Command::Connect { id, token: self.token.as_deref(), session: &self.session }.message(),
        );
    }

    /// A new token, asked for by `wants_token`.
    pub(crate) fn refreshed(&mut self, token: String) {
        let id = self.new_id();
        self.urgent.push_back(Command::Refresh { id, token: &token }.message());
        self.token = Some(token);
    }

    /// Whether the server has asked for a new token; asks once.
    pub(crate) fn take_wants_token(&mut self) -> bool {
        std::mem::take(&mut self.wants_token)
    }

    /// The connection has ended, or did not come about.
    pub(crate) fn ended(&mut self, now: Instant, code: u16, reason: &str, retry_after: Option<Duration>) {
        let (code, reason, retry) = match self.farewell.take() {
            Some((said, why, retry)) => (said, why, retry.or(retry_after)),
            None => (code, reason.to_owned(), retry_after),
        };
        let lasted = matches!(self.phase, Phase::Live { since } if now >= since + HEALTHY_AFTER);
        if lasted {
            self.attempt = 0;
        }
        self.urgent.clear();
        for channel in self.channels.values_mut() {
            channel.disconnected();
        }
        let channels = &self.channels;
        self.publishing.disconnected(|name| {
            let contract = channels.get(name).and_then(|channel| channel.contract);
            contract.is_none_or(|contract| contract == Contract::Reliable)
        });
        for asked in &mut self.requests {
            asked.sent_as = None;
        }
        match retry::verdict(code) {
            _ if self.phase == Phase::Closed => return,
            Verdict::Stop => return self.stop(&reason),
            Verdict::RetryWithNewToken => {
                self.was_refused = true;
                self.refused_token = self.token.take();
            }
            Verdict::Retry => {}
        }
        self.attempt = self.attempt.saturating_add(1);
        let delay = retry::delay(self.attempt, code, retry, self.random.random());
        self.phase = Phase::Waiting { until: now + delay };
        self.status = Status::Waiting { delay, reason };
    }

    /// The connection did not come about and never will.
    pub(crate) fn impossible(&mut self, reason: &str) {
        self.stop(reason);
    }

    /// The next message to be sent on this connection.
    pub(crate) fn next_message(&mut self, now: Instant) -> Option<Message> {
        if !matches!(self.phase, Phase::Joining { .. } | Phase::Live { .. }) {
            return None;
        }
        if let Some(message) = self.urgent.pop_front() {
            return Some(message);
        }
        if !matches!(self.phase, Phase::Live { .. }) {
            return None;
        }
        self.held_until = self.pacer.held_until(now);
        if self.held_until.is_some() {
            return None;
        }
        let message = self.paced_message(now)?;
        self.pacer.take();
        Some(message)
    }

    /// The next message of those that the server counts against its limits.
    fn paced_message(&mut self, now: Instant) -> Option<Message> {
        let ids = &mut self.ids;
        let mut new_id = || {
            *ids += 1;
            *ids
        };
        let due = self.channels.iter_mut().find(|(_, channel)| match channel.state {
            State::Due => true,
            State::RetryAt(time) => time <= now,
            _ => false,
        });
        if let Some((name, channel)) = due {
            let id = new_id();
            channel.state = State::Asked(id);
            let Wanted { last, presence } = channel.wanted;
            let since = channel.position.as_ref();
            return Some(Command::Subscribe { id, channel: name, since, last, presence }.message());
        }
        if let Some(asked) = self.requests.iter_mut().find(|asked| asked.sent_as.is_none()) {
            let id = new_id();
            asked.sent_as = Some(id);
            return Some(asked.message(id));
        }
        self.publishing.next_message(now, new_id)
    }

    /// A message that the connection had no room for: it is the next one again.
    pub(crate) fn put_back(&mut self, message: Message) {
        self.urgent.push_front(message);
    }

    /// A message has arrived. What is none of this protocol is passed over.
    pub(crate) fn received(&mut self, now: Instant, message: &Message) {
        self.heard = now;
        if let Some(Parsed { fields, data }) = wire::parse(message) {
            self.take(now, fields, data);
        }
    }

    fn take(&mut self, now: Instant, fields: Incoming<'_>, data: Option<Data>) {
        match &*fields.kind {
            "message" => self.message(fields, data),
            "ok" => self.acknowledged(fields),
            "welcome" => self.welcome(now, fields),
            "subscribed" => self.subscribed(fields),
            "unsubscribed" => {
                let code = fields.code();
                let channel = fields.channel.as_deref().and_then(|name| self.channels.get_mut(name));
                // The end of an old subscription is no answer to the wish for a new one.
                if let Some(channel) = channel.filter(|channel| channel.state == State::Live) {
                    let message = fields.message.unwrap_or_default();
                    channel.refused(now, &code, &message, milliseconds(fields.retry));
                }
            }
            "presence_changed" => {
                if let Some(channel) = fields.channel.as_deref().and_then(|name| self.channels.get_mut(name))
                {
                    let (joined, left) = (fields.joined.unwrap_or_default(), fields.left.unwrap_or_default());
                    channel.push(Event::Presence { count: fields.count.unwrap_or(0), joined, left });
                }
            }
            "history" | "presence" => self.answered(fields),
            "error" => self.failed(now, fields),
            "refresh" => self.wants_token = true,
            "disconnect" => {
                let code = fields.code.and_then(|code| code.get().parse().ok()).unwrap_or(1006);
                self.farewell = Some((code, fields.reason.unwrap_or_default(), milliseconds(fields.retry)));
            }
            _ => {}
        }
    }

    fn welcome(&mut self, now: Instant, fields: Incoming<'_>) {
        if !matches!(self.phase, Phase::Joining { .. }) {
            return;
        }
        self.phase = Phase::Live { since: now };
        self.was_refused = false;
        self.ping = milliseconds(fields.ping).unwrap_or(DEFAULT_PING);
        self.window = milliseconds(fields.window).unwrap_or(DEFAULT_WINDOW);
        let limits = fields.limits.unwrap_or_default();
        self.pacer = Pacer::begin(now, limits.message_rate, limits.message_burst);
        self.held_until = None;
        self.publishing.connected(now, self.window);
        self.status = Status::Connected { client: fields.client.unwrap_or_default() };
    }

    fn message(&mut self, fields: Incoming<'_>, data: Option<Data>) {
        let Some(name) = fields.channel.clone() else { return };
        let Some(channel) = self.channels.get_mut(&*name) else { return };
        match channel.arrived(publication(fields, data)) {
            Outcome::Fine => {}
            // A channel that has a gap is due again; one whose reader is behind is when the reader has caught up.
            Outcome::Gap | Outcome::Full => {
                self.urgent.push_back(Command::Unsubscribe { id: None, channel: &name }.message());
            }
        }
    }

    fn subscribed(&mut self, fields: Incoming<'_>) {
        let Some(channel) = fields.channel.as_deref().and_then(|name| self.channels.get_mut(name)) else {
            return;
        };
        if !matches!(channel.state, State::Asked(id) if Some(id) == fields.id) {
            return;
        }
        let contract = match fields.contract.as_deref() {
            Some("reliable") => Contract::Reliable,
            Some("latest") => Contract::Latest,
            _ => Contract::Volatile,
        };
        let position = fields.epoch.zip(fields.offset).map(|(epoch, offset)| Position { epoch, offset });
        channel.subscribed(contract, position, fields.recovered, fields.missed.unwrap_or(0));
    }

    fn acknowledged(&mut self, fields: Incoming<'_>) {
        let Some(id) = fields.id else { return };
        let position = fields.epoch.zip(fields.offset).map(|(epoch, offset)| Position { epoch, offset });
        // An answer to nothing that is waited for, as to `refresh`, is no news.
        let _ = self.publishing.answered(id, Ok(Published { position, duplicate: fields.duplicate }));
    }

    fn answered(&mut self, fields: Incoming<'_>) {
        let Some(index) = self.requests.iter().position(|asked| asked.sent_as == fields.id) else { return };
        match self.requests.remove(index).request {
            Request::History { reply, .. } => {
                let position =
                    Position { epoch: fields.epoch.unwrap_or_default(), offset: fields.offset.unwrap_or(0) };
                let publications = fields.publications.unwrap_or_default();
                let publications = publications.into_iter().filter_map(wire::publication);
                let publications =
                    publications.map(|(fields, data)| publication(fields, Some(data))).collect();
                let _ = reply.send(Ok(History { position, publications, more: fields.more }));
            }
            Request::Presence { reply } => {
                let (count, clients) = (fields.count.unwrap_or(0), fields.clients.unwrap_or_default());
                let _ = reply.send(Ok(Presence { count, clients }));
            }
        }
    }

    fn failed(&mut self, now: Instant, fields: Incoming<'_>) {
        let (code, retry) = (fields.code(), milliseconds(fields.retry));
        let message = fields.message.unwrap_or_default();
        let Some(id) = fields.id else { return };
        if matches!(self.phase, Phase::Joining { id: connecting } if connecting == id) {
            // The Close frame that follows says whether to come back.
            self.farewell = Some((3000, message, retry));
            return;
        }
        if let Some(channel) = self.channels.values_mut().find(|channel| channel.state == State::Asked(id)) {
            channel.refused(now, &code, &message, retry);
            return;
        }
        let error = Error::Refused { code, message, retry };
        let Err(error) = self.publishing.answered(id, Err(error)) else { return };
        if let Some(index) = self.requests.iter().position(|asked| asked.sent_as == Some(id)) {
            self.requests.remove(index).request.fail(error);
        }
    }
}

impl Request {
    fn fail(self, error: Error) {
        // Whoever asked may have dropped its future.
        match self {
            Self::History { reply, .. } => drop(reply.send(Err(error))),
            Self::Presence { reply } => drop(reply.send(Err(error))),
        }
    }
}

impl Asked {
    fn message(&self, id: u64) -> Message {
        let channel = &*self.channel;
        match &self.request {
            Request::History { since, limit, reverse, .. } => {
                let (since, limit, reverse) = (since.as_ref(), *limit, *reverse);
                Command::History { id, channel, since, limit, reverse }.message()
            }
            Request::Presence { .. } => Command::Presence { id, channel }.message(),
        }
    }
}

fn milliseconds(number: Option<u64>) -> Option<Duration> {
    number.map(Duration::from_millis)
}

fn publication(fields: Incoming<'_>, data: Option<Data>) -> Publication {
    Publication {
        data: data.unwrap_or_else(Data::null),
        offset: fields.offset,
        key: fields.key,
        removed: fields.removed,
        client: fields.client,
        user: fields.user,
        time: fields.time.unwrap_or(0),
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
