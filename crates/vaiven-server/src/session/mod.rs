//! One WebSocket connection from its handshake to its end: an echo, a plain member of a room, or a client of
//! `vaiven.v1.json`.

mod commands;
mod counted;
mod echo;
mod inbox;
mod outlet;
mod registry;
mod room;
mod v1;

pub(crate) use commands::publish_code;
pub(crate) use outlet::{ClientOutlet, Farewell};
pub(crate) use registry::{EndFrom, Registered, SessionInfo, Sessions, Which};
pub(crate) use room::Seat;
use v1::converse;

use crate::app::App;
use crate::auth::{AuthError, Identity};
use crate::events::EventQueue;
use crate::metrics::RouteLabel;
use crate::route::Route;
use counted::{Counted, Way};
use futures_core::Stream;
use inbox::Inbox;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use vaiven::server::Refusal;
use vaiven::{CloseCode, Error, Message, WebSocket};

/// How long a client that is sent away may take to read why.
const TOLD_TIMEOUT: Duration = Duration::from_millis(900);

/// What a connection is to do, decided before it is accepted.
#[derive(Debug)]
pub(crate) struct Plan {
    app: Arc<App>,
    label: &'static RouteLabel,
    address: Option<IpAddr>,
    role: Option<Role>,
}

#[derive(Debug)]
enum Role {
    Echo,
    Member(Box<Seat>),
    /// A client of `vaiven.v1.json`, and who it is where the handshake said so already.
    Client(Option<Box<Identity>>),
}

impl Plan {
    /// What to do with a connection to this route, or why there can be none. `identity` is whom the handshake shows, and
    /// `address` where it came from, as far as that is known.
    pub(crate) async fn new(
        app: &Arc<App>,
        route: &Route,
        identity: Option<Identity>,
        address: Option<IpAddr>,
    ) -> Result<Self, Refusal> {
        let role = match route {
            Route::Room(name) => {
                let identity = match identity {
                    Some(identity) => identity,
                    None => app.auth.identify(None).await.map_err(|error| refuse(&error))?,
                };
                Role::Member(Box::new(Seat::reserve(app, name, identity, address).await?))
            }
            Route::V1 => Role::Client(identity.map(Box::new)),
            _ => Role::Echo,
        };
        Ok(Self { app: Arc::clone(app), label: route.label(), address, role: Some(role) })
    }

    /// Serves the connection until its end. It is borrowed, since an async function keeps its arguments twice, in a
    /// task that mostly waits.
    pub(crate) async fn run(&mut self, socket: &mut WebSocket) {
        let app = &*self.app;
        let mut counted = Counted::new(&app.metrics, self.label, Way::Socket(socket.sender()));
        let ended = match self.role.take() {
            Some(Role::Client(identity)) => {
                let outlet = ClientOutlet::socket(socket.sender(), &app.chance);
                Box::pin(converse(app, socket, outlet, identity, self.address)).await
            }
            Some(Role::Member(seat)) => {
                let known =
                    app.sessions.enter(EndFrom::Sender(socket.sender()), self.label.route, self.address);
                seat.introduce(&known);
                let ended = Box::pin(seat.take(app, socket)).await;
                drop(known);
                ended
            }
            _ => {
                let known =
                    app.sessions.enter(EndFrom::Sender(socket.sender()), self.label.route, self.address);
                let ended = echo::echo(socket, &mut Inbox::new(app)).await;
                drop(known);
                ended
            }
        };
        counted.code = match ended {
            Ok(()) => socket.close_frame().map_or(CloseCode::NORMAL, |frame| frame.code),
            Err(End::Error(Error::Violation(violation))) => violation.close_code(),
            Err(End::Error(_)) => socket.close_frame().map_or(CloseCode::ABNORMAL, |frame| frame.code),
            Err(end) => Box::pin(say_farewell(app, socket, &end)).await,
        };
    }
}

/// Waits until a client that is sent away has read why.
async fn say_farewell(app: &App, socket: &mut WebSocket, end: &End) -> CloseCode {
    let End::Close(farewell) = end else { return CloseCode::ABNORMAL };
    if *farewell == END_TOO_FAST {
        app.metrics.rate_limited.inc();
    }
    // Nothing happens where a client of the protocol was told already.
    let told = socket.close(farewell.code, farewell.reason);
    // Whether it was read or not, the connection is over.
    let _ = tokio::time::timeout(TOLD_TIMEOUT, told).await;
    farewell.code
}

/// Serves a client of `vaiven.v1.json` over Server-Sent Events, until its stream ends.
pub(crate) async fn run_stream<S: Stream<Item = Result<Message, Error>> + Unpin>(
    app: &App,
    source: &mut S,
    queue: Arc<EventQueue>,
    identity: Identity,
    address: IpAddr,
) {
    let outlet = ClientOutlet::stream(Arc::clone(&queue), &app.chance);
    let mut counted = Counted::new(&app.metrics, Route::Events.label(), Way::Stream(Arc::clone(&outlet)));
    let ended = converse(app, source, outlet, Some(Box::new(identity)), Some(address)).await;
    if matches!(&ended, Err(End::Close(farewell)) if *farewell == END_TOO_FAST) {
        app.metrics.rate_limited.inc();
    }
    // A client that breaks off says no more than one whose network does.
    counted.code = queue.close_code().unwrap_or(CloseCode::ABNORMAL);
}

/// Why a session ended other than by a closing handshake of the client's.
#[derive(Debug)]
pub(crate) enum End {
    Error(Error),
    /// The server sends the client away.
    Close(Farewell),
}

/// What a client is told that the operator sends away for good.
pub(crate) const SENT_AWAY: Farewell =
    Farewell { code: CloseCode::new(3003), reason: "sent away", retry: None };

/// What a client is told that sends faster than it may.
const END_TOO_FAST: Farewell = Farewell {
    code: CloseCode::POLICY,
    reason: "too many messages: slow down and reconnect",
    retry: Some(Duration::from_secs(5)),
};

impl End {
    const TOO_FAST: Self = Self::Close(END_TOO_FAST);

    fn close(code: CloseCode, reason: &'static str) -> Self {
        Self::Close(Farewell { code, reason, retry: None })
    }
}

/// The answer to a handshake of somebody who may not come in.
pub(crate) fn refuse(error: &AuthError) -> Refusal {
    match error {
        AuthError::Unauthorized(_) => {
            let message = "A token is needed: in the header Authorization, or in `connect` at /v1.";
            let field = ("WWW-Authenticate", "Bearer");
            Refusal::new(401, "token", message).with_field(field.0, field.1).expect("it is a valid field")
        }
        AuthError::Forbidden => Refusal::new(403, "forbidden", "This user may not."),
        AuthError::Unavailable => {
            let refusal = Refusal::new(503, "auth", "Tokens cannot be checked for now. Try again later.");
            refusal.with_field("Retry-After", "5").expect("it is a valid field")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use vaiven_hub::{ChannelName, NewPublication};

    /// A fault in the task of one client ends that client with 1011, which can come back; the others hear on, and after
    /// the grace nobody is shown who is not there.
    #[tokio::test]
    async fn a_fault_ends_one_connection_with_1011_and_leaves_no_trace() {
        let app = App::for_test(Settings::default());
        let sala = ChannelName::parse("sala").unwrap();
        let (mut other, mut server) = vaiven::pair();
        let mut plan = Plan::new(&app, &Route::Room("sala".to_owned()), None, None).await.unwrap();
        let staying = tokio::spawn(async move { plan.run(&mut server).await });
        let (mut client, mut server) = vaiven::pair();
        let faulty = Arc::clone(&app);
        let ended = tokio::spawn(async move {
            let label = Route::Room(String::new()).label();
            let _counted = Counted::new(&faulty.metrics, label, Way::Socket(server.sender()));
            let seat = Seat::reserve(&faulty, "sala", Identity::default(), None).await.unwrap();
            let _known = faulty.sessions.enter(EndFrom::Sender(server.sender()), "/c/{room}", None);
            let _seat = seat;
            server.recv().await.unwrap();
            panic!("a fault");
        });
        client.send("hola").await.unwrap();
        assert!(ended.await.is_err());
        assert!(client.recv().await.unwrap().is_none());
        assert_eq!(client.close_frame().map(|frame| frame.code), Some(CloseCode::INTERNAL));
        app.hub.publish(&sala, NewPublication::json("\"still here\"")).await.unwrap();
        assert_eq!(other.recv().await.unwrap(), Some("still here".into()));
        assert_eq!((app.hub.figures().subscribers, app.sessions.len()), (1, 1));
        let text = app.metrics.text();
        assert!(text.contains("vaiven_closes_total{code=\"1011\"} 1"), "{text}");
        drop(other);
        staying.await.unwrap();
    }
    /// The same of a client over Server-Sent Events: its stream says so and ends.
    #[tokio::test(start_paused = true)]
    async fn a_fault_ends_a_stream_of_events_with_1011_and_leaves_no_trace() {
        let app = App::for_test(Settings::default());
        let queue = EventQueue::new("secret".to_owned(), 1 << 20, false);
        let (faulty, filled) = (Arc::clone(&app), Arc::clone(&queue));
        let ended = tokio::spawn(async move {
            let mut said = [r#"{"type":"connect"}"#, r#"{"type":"subscribe","channel":"sala"}"#].into_iter();
            let mut source = futures_util::stream::poll_fn(move |_| match said.next() {
                Some(text) => std::task::Poll::Ready(Some(Ok(Message::text(text)))),
                None => panic!("a fault"),
            });
            let address = std::net::Ipv4Addr::LOCALHOST.into();
            run_stream(&faulty, &mut source, filled, Identity::default(), address).await;
        });
        assert!(ended.await.is_err());
        let text = String::from_utf8(queue.take_all().to_vec()).unwrap();
        assert!(text.contains("\"subscribed\""), "{text}");
        let last = text.trim_end().lines().last().unwrap();
        assert!(last.contains("{\"type\":\"disconnect\",\"code\":1011,"), "{text}");
        assert_eq!(queue.close_code(), Some(CloseCode::INTERNAL));
        assert_eq!((app.hub.figures().subscribers, app.sessions.len()), (0, 0));
        let sala = ChannelName::parse("sala").unwrap();
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(app.hub.presence(&sala).unwrap().count, 0);
        let metrics = app.metrics.text();
        for line in [
            "vaiven_closes_total{code=\"1011\"} 1",
            "vaiven_panics_total 1",
            "vaiven_connections_total{route=\"/v1/events\"} 1",
            "vaiven_connections_open{route=\"/v1/events\"} 0",
        ] {
            assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
        }
    }
}
