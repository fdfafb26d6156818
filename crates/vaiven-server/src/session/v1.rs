//! A client of `vaiven.v1.json` from its first message to its last: commands in, answers and publications out.
//!
//! One task per client, which owns all of its state. Publications are begun in the order in which they were read, a
//! bounded number of them at a time, and answered in the order in which they are done. Every other command is finished
//! before the next one is read, so that what a client says is done in the order in which it said so. A task that waits
//! for room says nothing and reads nothing: that is the backpressure.
//!
//! It knows no transport: messages come from a stream and go to a [`ClientOutlet`].

use super::End;
use super::commands::{Done, Pending};
use super::inbox::Inbox;
use super::outlet::{ClientOutlet, Farewell, Gone};
use super::registry::{EndFrom, Registered};
use crate::app::App;
use crate::auth::Identity;
use crate::protocol::code::ErrorCode;
use crate::protocol::command::{Rejection, Request};
use crate::protocol::reply::{Failure, Reply};
use futures_core::Stream;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};
use vaiven::{CloseCode, Error, Message};
use vaiven_hub::{ChannelName, Maker, PublishError, Published, Publisher, Publishing, Subscription};

/// Publications of one client that may be under way at a time. Then it is not read from.
pub(crate) const MAX_PUBLISHING: usize = 32;
/// How long a client may take to say who it is, where that is demanded.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long what is under way may take when the client is sent away.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why reading from the stream of a client failed: only a WebSocket knows how.
type Read = Result<Message, Error>;

/// Serves a client until its end. `identity` is whom the opening handshake showed, `address` where it came from.
///
/// The future stays small: all that a client has is on the heap, and an idle one has little.
pub(crate) async fn converse<S: Stream<Item = Read> + Unpin>(
    app: &App,
    source: &mut S,
    outlet: Arc<ClientOutlet>,
    identity: Option<Box<Identity>>,
    address: Option<IpAddr>,
) -> Result<(), End> {
    let mut session = Box::new(Session::new(app, outlet, identity, address));
    let ended = poll_fn(|cx| session.poll(source, cx)).await;
    session.end(&ended);
    ended
}

/// A client and what it has.
pub(super) struct Session<'a> {
    pub(super) app: &'a App,
    pub(super) outlet: Arc<ClientOutlet>,
    pub(super) registered: Registered,
    inbox: Inbox<'a>,
    /// Whom the handshake showed, until the client has connected.
    pub(super) shown: Option<Box<Identity>>,
    /// Who it is, from then on.
    pub(super) known: Option<Box<Known>>,
    pub(super) joined: Vec<Joined>,
    publishing: Vec<InFlight>,
    /// What waits for room to be said. Nothing else happens until it is.
    unsaid: Option<Box<Unsaid>>,
    /// A command that is not finished yet, and when it began.
    pub(super) pending: Option<(Pending, Instant)>,
    /// The client is to be sent away when what is under way is done.
    leaving: Option<Box<Farewell>>,
    timer: Pin<Box<Sleep>>,
    /// When to say `ping` if nothing else was said.
    tick: Instant,
}

/// Who a client is.
pub(super) struct Known {
    pub(super) identity: Identity,
    pub(super) publisher: Publisher,
    /// With whose channels those count that it makes.
    pub(super) maker: Maker,
    pub(super) refresh_at: Option<Instant>,
    pub(super) expires_at: Option<Instant>,
}

/// A channel that a client is subscribed to.
pub(super) struct Joined {
    pub(super) channel: ChannelName,
    pub(super) subscription: Subscription,
}

/// Messages for which there was no room.
struct Unsaid {
    saying: Pin<Box<dyn Future<Output = Result<(), Gone>> + Send>>,
    further: VecDeque<Message>,
}

/// A publication under way.
struct InFlight {
    id: Option<u64>,
    publishing: Publishing,
}

impl<'a> Session<'a> {
    fn new(
        app: &'a App,
        outlet: Arc<ClientOutlet>,
        identity: Option<Box<Identity>>,
        address: Option<IpAddr>,
    ) -> Self {
        let now = Instant::now();
        let tick = now + app.settings.ping_interval / 2;
        let first =
            if identity.is_none() && !app.auth.allows_anonymous() { now + CONNECT_TIMEOUT } else { tick };
        let registered = app.sessions.enter(EndFrom::session(&outlet), outlet.route(), address);
        Self {
            app,
            outlet,
            registered,
            inbox: Inbox::new(app),
            shown: identity,
            known: None,
            joined: Vec::new(),
            publishing: Vec::new(),
            unsaid: None,
            pending: None,
            leaving: None,
            timer: Box::pin(sleep_until(first.min(tick))),
            tick,
        }
    }

    /// Goes on until there is nothing to do for now, or the client is at its end.
    fn poll<S: Stream<Item = Read> + Unpin>(
        &mut self,
        source: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), End>> {
        loop {
            ready!(self.poll_unsaid(cx))?;
            if let Poll::Ready((id, outcome)) = self.poll_published(cx) {
                self.tell_published(id, outcome)?;
            } else if let Poll::Ready(done) = self.poll_pending(cx) {
                self.finish(done)?;
            } else if let Some(farewell) = ready!(self.poll_leaving(cx)) {
                return Poll::Ready(Err(End::Close(farewell)));
            } else if self.timer.as_mut().poll(cx).is_ready() {
                self.on_timer()?;
            } else if self.pending.is_some() || self.publishing.len() >= MAX_PUBLISHING {
                return Poll::Pending;
            } else {
                match ready!(self.inbox.poll_next(source, cx))? {
                    Some(message) => self.take(&message)?,
                    // By the client, in the way that is meant for it.
                    None => return Poll::Ready(Ok(())),
                }
            }
        }
    }

    /// Says what waits for room.
    fn poll_unsaid(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        while let Some(unsaid) = &mut self.unsaid {
            ready!(unsaid.saying.as_mut().poll(cx)).map_err(|Gone| End::Error(Error::Closing))?;
            match unsaid.further.pop_front() {
                Some(message) => unsaid.saying = Arc::clone(&self.outlet).say(message),
                None => self.unsaid = None,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// What was begun first is asked first, so that answers are in order wherever they can be.
    fn poll_published(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<(Option<u64>, Result<Published, PublishError>)> {
        for at in 0..self.publishing.len() {
            if let Poll::Ready(outcome) = Pin::new(&mut self.publishing[at].publishing).poll(cx) {
                return Poll::Ready((self.publishing.remove(at).id, outcome));
            }
        }
        Poll::Pending
    }

    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<Done> {
        let Some((pending, since)) = &mut self.pending else { return Poll::Pending };
        let done = ready!(pending.as_mut().poll(cx));
        self.inbox.credit(*since);
        self.pending = None;
        Poll::Ready(done)
    }

    /// Whether the client is sent away; then it waits until what is under way is done.
    fn poll_leaving(&mut self, cx: &mut Context<'_>) -> Poll<Option<Farewell>> {
        if self.leaving.is_none() {
            let Some(farewell) = self.registered.poll_farewell(cx) else { return Poll::Ready(None) };
            self.timer.as_mut().reset(Instant::now() + LEAVE_TIMEOUT);
            self.leaving = Some(Box::new(farewell));
        }
        let is_over = self.publishing.is_empty() || self.timer.as_mut().poll(cx).is_ready();
        if is_over { Poll::Ready(self.leaving.as_deref().cloned()) } else { Poll::Pending }
    }

    /// Reads a message and begins what it asks.
    fn take(&mut self, message: &Message) -> Result<(), End> {
        match Request::parse(message) {
            Ok(request) => self.begin(request),
            Err(Rejection::TooDeep) => {
                let retry = Some(Duration::from_secs(10));
                Err(self.farewell(CloseCode::POLICY, "JSON that nests deeper than 64", retry))
            }
            Err(Rejection::NotJson) => {
                let reason = "a binary message begins with a line of JSON";
                Err(self.farewell(CloseCode::UNSUPPORTED, reason, None))
            }
            Err(Rejection::Error { id, code, message }) => self.fail(id, code, &message, None),
        }
    }

    /// Remembers a publication that was begun.
    pub(super) fn await_published(&mut self, id: Option<u64>, publishing: Publishing) {
        self.publishing.push(InFlight { id, publishing });
    }

    /// Says something: at once, or before anything else happens.
    pub(super) fn say(&mut self, message: Message) -> Result<(), End> {
        if let Some(unsaid) = &mut self.unsaid {
            unsaid.further.push_back(message);
            return Ok(());
        }
        match self.outlet.try_say(message) {
            Ok(()) => Ok(()),
            Err(Some(message)) => {
                let saying = Arc::clone(&self.outlet).say(message);
                self.unsaid = Some(Box::new(Unsaid { saying, further: VecDeque::new() }));
                Ok(())
            }
            Err(None) => Err(End::Error(Error::Closing)),
        }
    }

    /// Answers with an error. It is told also where the command has no number.
    pub(super) fn fail(
        &mut self,
        id: Option<u64>,
        code: ErrorCode,
        message: &str,
        retry: Option<Duration>,
    ) -> Result<(), End> {
        self.app.metrics.error(code);
        let retry = retry.map(|about| self.app.chance.about(about));
        self.say(Reply::Error(Failure { id, code, message, retry }).to_message())
    }

    /// The end of a client that is sent away, to come back about then if at all.
    pub(super) fn farewell(&self, code: CloseCode, reason: &'static str, retry: Option<Duration>) -> End {
        End::Close(Farewell { code, reason, retry: retry.map(|about| self.app.chance.about(about)) })
    }

    /// What time brings: a ping, a request for a new token, the end of the old one.
    fn on_timer(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.known.is_none()
            && self.shown.is_none()
            && !self.app.auth.allows_anonymous()
            && self.pending.is_none()
        {
            let reason = "no `connect` with a token in 10 s";
            return Err(self.farewell(CloseCode::new(3008), reason, Some(Duration::from_secs(1))));
        }
        let mut refreshes = false;
        if let Some(known) = &mut self.known {
            if known.expires_at.is_some_and(|at| at <= now) {
                return Err(self.farewell(CloseCode::new(3000), "the token has ended", None));
            }
            refreshes = known.refresh_at.take_if(|at| *at <= now).is_some();
        }
        if refreshes {
            self.say(Reply::Refresh.to_message())?;
        }
        if self.tick <= now {
            self.tick = now + self.app.settings.ping_interval / 2;
            // Silent for one half of the interval: by the end of the other half it would be over.
            if !self.outlet.spoke() && self.known.is_some() {
                self.say(Reply::Ping.to_message())?;
            }
        }
        self.set_timer();
        Ok(())
    }

    /// Sets the timer to what comes next.
    pub(super) fn set_timer(&mut self) {
        let times = self.known.as_ref().map_or([None, None], |known| [known.refresh_at, known.expires_at]);
        let next = times.into_iter().flatten().fold(self.tick, Instant::min);
        self.timer.as_mut().reset(next);
    }

    /// The end: the last word where the server ends it, and no grace where the client did.
    fn end(&mut self, ended: &Result<(), End>) {
        match ended {
            Ok(()) => {
                for joined in std::mem::take(&mut self.joined) {
                    joined.subscription.leave();
                }
            }
            Err(End::Close(farewell)) => self.outlet.close(farewell),
            Err(End::Error(_)) => {}
        }
    }
}
