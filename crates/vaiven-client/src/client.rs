//! The handles that applications hold: a client, its subscriptions, and how a client is made.

use crate::channel::Wanted;
use crate::driver::{Connector, Driver, Shared, TokenSource};
use crate::machine::{Machine, Status};
use crate::{Error, Event, History, NewPublication, Position, Presence, Published};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;
use vaiven::WebSocket;

/// The subprotocol that it speaks.
const SUBPROTOCOL: &str = "vaiven.v1.json";

/// A client of a Vaivén server: it connects by itself, comes back when the connection is lost, and loses and doubles
/// nothing on `reliable` channels. Handles are cheap to clone; the client ends with [`close`](Self::close) or when the
/// last handle and subscription are dropped.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), vaiven_client::Error> {
/// use vaiven_client::{Client, Event, Subscribe};
///
/// let client = Client::connect("ws://127.0.0.1:8080/v1");
/// let mut sala = client.subscribe("sala", Subscribe::new().last(10)).await?;
/// client.publish("sala", "hola").await?;
/// while let Some(event) = sala.recv().await {
///     if let Event::Publication(publication) = event {
///         println!("{}", publication.data.parse::<String>()?);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    owner: Arc<Owner>,
}

/// Ends the client when the last handle is gone.
#[derive(Debug)]
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.ask(|machine| machine.close("the last handle was dropped"));
    }
}

/// How a client connects.
pub struct Builder {
    connect: Connector,
    token: Option<TokenSource>,
    session: Option<String>,
    seed: Option<u64>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

impl Builder {
    /// A client of this URL, as `wss://chat.example/v1`.
    pub fn new(url: impl Into<String>) -> Self {
        Self::with(vaiven::Client::new(), url)
    }

    /// A client of this URL that connects with the options of `client`: proxies, TLS, headers.
    pub fn with(client: vaiven::Client, url: impl Into<String>) -> Self {
        let (client, url) = (client.subprotocol(SUBPROTOCOL), url.into());
        Self::over(move || {
            let (client, url) = (client.clone(), url.clone());
            async move { client.connect(&url).await.map(|(socket, _)| socket) }
        })
    }

    /// A client over connections that `connect` makes: tunnels, Unix sockets, tests.
    pub fn over<F>(connect: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<WebSocket, vaiven::Error>> + Send + 'static,
    {
        Self { connect: Box::new(move || Box::pin(connect())), token: None, session: None, seed: None }
    }

    /// Shows this token. A server that refuses it ends the client.
    pub fn token(self, token: impl Into<String>) -> Self {
        let token = token.into();
        self.token_from(move || {
            let token = token.clone();
            async move { Ok(token) }
        })
    }

    /// Asks for a token before each try, and when the server wants a newer one. An error is its own reason, and the try
    /// is made again later.
    pub fn token_from<F>(mut self, source: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, String>> + Send + 'static,
    {
        self.token = Some(Box::new(move || Box::pin(source())));
        self
    }

    /// The session's secret, 16 to 64 characters `A-Z a-z 0-9 - _`: for tests that are the same each time they run.
    /// Default: drawn at random. It must be new: a client counts its publications from 1, and those of a client that
    /// has the session of an earlier one would be taken for repetitions, acknowledged and not kept.
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    /// Where the random delays come from, for tests that are the same each time they run.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts the client; it connects in the background.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn build(self) -> Client {
        let session = self.session.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
        let seed = self.seed.unwrap_or_else(rand::random);
        let shared = Shared::new(Machine::new(Instant::now().into_std(), session, seed));
        tokio::spawn(Driver { shared: Arc::clone(&shared), connect: self.connect, token: self.token }.run());
        Client { owner: Arc::new(Owner(shared)) }
    }
}

/// What a subscriber wants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subscribe(Wanted);

impl Subscribe {
    /// What is published from now on.
    pub fn new() -> Self {
        Self::default()
    }

    /// The latest publications as well, as many as this: at most 300.
    pub fn last(mut self, count: u32) -> Self {
        self.0.last = count;
        self
    }

    /// Who comes and who goes, too.
    pub fn presence(mut self) -> Self {
        self.0.presence = true;
        self
    }
}

/// Which part of a history is wanted.
#[derive(Clone, Debug)]
pub struct HistoryQuery {
    since: Option<Position>,
    limit: u32,
    reverse: bool,
}

impl HistoryQuery {
    /// The oldest publications that are kept, as many as this: at most 300.
    pub fn oldest(limit: u32) -> Self {
        Self { since: None, limit, reverse: false }
    }

    /// The latest publications, newest first.
    pub fn newest(limit: u32) -> Self {
        Self { since: None, limit, reverse: true }
    }

    /// Those after this position; with [`newest`](Self::newest) those before it.
    pub fn since(mut self, position: Position) -> Self {
        self.since = Some(position);
        self
    }
}

impl Client {
    /// A client of this URL with the defaults of [`Builder`]. It connects in the background, and goes on trying.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect(url: impl Into<String>) -> Self {
        Builder::new(url).build()
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.owner.0
    }

    /// Subscribes to a channel; ready when the server has agreed. A client has one subscription of each channel at a
    /// time; dropping it unsubscribes.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::AlreadySubscribed`], [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing is subscribed.
    pub async fn subscribe(&self, channel: &str, wanted: Subscribe) -> Result<Subscription, Error> {
        let (first, answer) = oneshot::channel();
        let readable = self.shared().ask(|machine| {
            machine.subscribe(channel, wanted.0, first);
            machine.channel(channel).map(|channel| Arc::clone(&channel.readable))
        });
        // Where it is refused at once the handle must not end the subscription that is there.
        let mut answer = answer;
        if let Ok(refused) = answer.try_recv() {
            refused?;
        }
        let subscription = Subscription {
            client: self.clone(),
            channel: channel.to_owned(),
            readable: readable.unwrap_or_default(),
        };
        answer.await.unwrap_or_else(|_| Err(Error::Closed { reason: "the client ended".to_owned() }))?;
        Ok(subscription)
    }

    /// Publishes. The order among the publications of this client is that of the calls, whether or not they are
    /// awaited one after the other. While the connection is away the publication waits and is sent when it is back; one
    /// whose acknowledgement was lost is sent again under the same number, and kept once.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Uncertain`], [`Error::QueueFull`], [`Error::Closed`].
    ///
    /// # Cancel safety
    /// It is queued by the call itself; dropping the future leaves it queued and drops its answer.
    ///
    /// # Limits
    /// 1,024 publications and 4 MiB may wait.
    pub fn publish(&self, channel: &str, publication: impl Into<NewPublication>) -> Publishing {
        let (reply, answer) = oneshot::channel();
        let publication = publication.into();
        self.shared().ask(|machine| machine.publish(channel, publication, reply));
        Publishing(answer)
    }

    /// Part of a channel's history.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::QueueFull`], [`Error::Closed`].
    pub async fn history(&self, channel: &str, query: HistoryQuery) -> Result<History, Error> {
        let (reply, answer) = oneshot::channel();
        let HistoryQuery { since, limit, reverse } = query;
        self.shared().ask(|machine| machine.history(channel, since, limit, reverse, reply));
        answer.await.unwrap_or_else(|_| Err(Error::Closed { reason: "the client ended".to_owned() }))
    }

    /// Who is in a channel.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::QueueFull`], [`Error::Closed`].
    pub async fn presence(&self, channel: &str) -> Result<Presence, Error> {
        let (reply, answer) = oneshot::channel();
        self.shared().ask(|machine| machine.presence(channel, reply));
        answer.await.unwrap_or_else(|_| Err(Error::Closed { reason: "the client ended".to_owned() }))
    }

    /// Where the client stands, and when that changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.shared().status.subscribe()
    }

    /// Ends the client: what waits to be sent fails, subscriptions end, the connection is closed.
    pub async fn close(&self) {
        self.shared().ask(|machine| machine.close("closed by the application"));
        let mut status = self.status();
        // The sender lives as long as this handle.
        let _ = status.wait_for(|status| matches!(status, Status::Closed { .. })).await;
    }
}

/// A publication on its way; ready when it is acknowledged.
#[derive(Debug)]
#[must_use = "whether the publication was kept is in the answer"]
pub struct Publishing(oneshot::Receiver<Result<Published, Error>>);

impl Future for Publishing {
    type Output = Result<Published, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(answer.unwrap_or_else(|_| Err(Error::Closed { reason: "the client ended".to_owned() })))
    }
}

/// A subscription. Dropped, the channel is unsubscribed from.
#[derive(Debug)]
pub struct Subscription {
    client: Client,
    channel: String,
    readable: Arc<Notify>,
}

impl Subscription {
    /// The channel's name.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// The next event; `None` when the subscription has ended, after an [`Event::Unsubscribed`] where the server ended
    /// it.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    ///
    /// # Limits
    /// 1,024 events or 4 MiB wait for a reader that is slow. Then the server is asked to stop, and to go on from there
    /// when they are read: on a `reliable` channel nothing is lost by that.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            let readable = self.readable.notified();
            {
                let mut machine = self.client.shared().machine();
                let channel = machine.channel(&self.channel)?;
                if let Some((event, resumes)) = channel.pop() {
                    if resumes {
                        self.client.shared().wake.notify_one();
                    }
                    return Some(event);
                }
                if channel.has_ended {
                    return None;
                }
            }
            readable.await;
        }
    }

    /// Where the subscriber stands: what [`recv`](Self::recv) gave and what waits for it are up to here.
    pub fn position(&self) -> Option<Position> {
        self.client.shared().machine().channel(&self.channel)?.position.clone()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.client.shared().ask(|machine| machine.unsubscribe(&self.channel));
    }
}
