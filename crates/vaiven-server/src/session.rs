//! One WebSocket connection from its handshake to its end: an echo, or a member of a room.

use crate::app::App;
use crate::metrics::{Metrics, RouteLabel};
use crate::rate::Bucket;
use crate::room::{Full, Seat};
use crate::route::Route;
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use vaiven::server::Refusal;
use vaiven::{CloseCode, Error, Message, WebSocket};

/// How long a client that broke a limit may take to read that it did.
const TOLD_TIMEOUT: Duration = Duration::from_millis(900);

/// What a connection is to do, decided before it is accepted.
#[derive(Debug)]
pub(crate) struct Plan {
    app: Arc<App>,
    label: RouteLabel,
    seat: Option<Seat>,
}

impl Plan {
    /// What to do with a connection to this route, or why there can be none.
    pub(crate) fn new(app: &Arc<App>, route: &Route) -> Result<Self, Refusal> {
        let seat = match route {
            Route::Room(name) => Some(app.rooms.reserve(name).map_err(refuse_full)?),
            _ => None,
        };
        Ok(Self { app: Arc::clone(app), label: RouteLabel { route: route.pattern() }, seat })
    }

    /// Serves the connection until its end. It is borrowed, since an async function keeps its arguments twice, in a
    /// task that mostly waits.
    pub(crate) async fn run(&mut self, socket: &mut WebSocket) {
        let app = &*self.app;
        let mut counted = Counted::new(&app.metrics, &self.label);
        let ended = talk(app, &mut self.seat, socket).await;
        counted.code = match ended {
            Ok(()) => socket.close_frame().map_or(CloseCode::NORMAL, |frame| frame.code),
            Err(End::Error(Error::Violation(violation))) => violation.close_code(),
            Err(End::Error(_)) => socket.close_frame().map_or(CloseCode::ABNORMAL, |frame| frame.code),
            Err(End::TooFast) => {
                app.metrics.rate_limited.inc();
                Box::pin(tell_too_fast(socket)).await;
                CloseCode::POLICY
            }
        };
    }
}

/// Closes with 1008.
async fn tell_too_fast(socket: &mut WebSocket) {
    let told = socket.close(CloseCode::POLICY, "too many messages: slow down and reconnect");
    // Whether it was read or not, the connection is over.
    let _ = tokio::time::timeout(TOLD_TIMEOUT, told).await;
}

/// Counts a connection while it is open, and how it ended: with 1011 where its task was ended by a fault.
struct Counted<'a> {
    metrics: &'a Metrics,
    label: &'a RouteLabel,
    code: CloseCode,
}

impl<'a> Counted<'a> {
    fn new(metrics: &'a Metrics, label: &'a RouteLabel) -> Self {
        metrics.connections.get_or_create(label).inc();
        metrics.connections_open.get_or_create(label).inc();
        Self { metrics, label, code: CloseCode::INTERNAL }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.metrics.connections_open.get_or_create(self.label).dec();
        self.metrics.closed(self.code);
    }
}

fn refuse_full(full: Full) -> Refusal {
    let (code, message) = match full {
        Full::Rooms => ("room_cap", "The server has as many rooms as it is configured for. Try again later."),
        Full::Room => {
            ("member_cap", "The room has as many members as it is configured for. Try again later.")
        }
    };
    Refusal::new(503, code, message).with_field("Retry-After", "5").expect("it is a valid field")
}

/// Why a session ended other than by a closing handshake.
#[derive(Debug)]
enum End {
    Error(Error),
    TooFast,
}

/// Talks in the room of the seat, or echoes. What has to wait for room does so on the heap, so that a task that merely
/// may have to keeps no place for it.
async fn talk(app: &App, seat: &mut Option<Seat>, socket: &mut WebSocket) -> Result<(), End> {
    let mut inbox = Inbox::new(app);
    let Some(seat) = seat.take() else { return echo(socket, &mut inbox).await };
    let membership = seat.take(socket.sender());
    loop {
        let published = match inbox.next(socket).await? {
            Some(message) => membership.try_publish(message),
            None => return Ok(()),
        };
        if let Err(prepared) = published {
            inbox.hold(Box::pin(membership.publish_when_room(prepared))).await;
        }
    }
}

async fn echo(socket: &mut WebSocket, inbox: &mut Inbox<'_>) -> Result<(), End> {
    inbox.echoes = true;
    loop {
        let refused = match inbox.next(socket).await? {
            Some(message) => socket.try_send(message).err(),
            None => return Ok(()),
        };
        if let Some(refused) = refused
            && inbox.hold(Box::pin(socket.send(refused.into_message()))).await.is_err()
        {
            // It is closing; what still arrives is not answered.
            inbox.count();
            inbox.echoes = false;
        }
    }
}

/// What arrives, counted and held to the rate. Counts are added up here and handed on once per wake-up.
#[derive(Debug)]
struct Inbox<'a> {
    metrics: &'a Metrics,
    bucket: Bucket,
    /// Nothing had arrived: time has passed since.
    waited: bool,
    /// What arrives is sent back.
    echoes: bool,
    messages: u32,
    bytes: u64,
}

impl<'a> Inbox<'a> {
    fn new(app: &'a App) -> Self {
        Self {
            metrics: &app.metrics,
            bucket: Bucket::new(app.rate, Instant::now()),
            waited: false,
            echoes: false,
            messages: 0,
            bytes: 0,
        }
    }

    async fn next(&mut self, socket: &mut WebSocket) -> Result<Option<Message>, End> {
        poll_fn(|cx| self.poll_next(Pin::new(socket), cx)).await
    }

    #[inline]
    fn poll_next(
        &mut self,
        socket: Pin<&mut WebSocket>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, End>> {
        let polled = socket.poll_next(cx);
        if polled.is_pending() {
            self.waited = true;
            self.count();
        }
        let Some(message) = ready!(polled).transpose().map_err(End::Error)? else {
            return Poll::Ready(Ok(None));
        };
        self.messages += 1;
        self.bytes += message.len() as u64;
        if std::mem::take(&mut self.waited) {
            self.bucket.refill(Instant::now());
        }
        if !self.bucket.take() {
            return Poll::Ready(Err(End::TooFast));
        }
        Poll::Ready(Ok(Some(message)))
    }

    /// Waits for what is done with a message. Where that takes time the client does not pay for it: what it sends
    /// meanwhile, within its rate, is read in one go.
    fn hold<F: Future + Unpin>(&mut self, mut handled: F) -> impl Future<Output = F::Output> {
        let mut since = None;
        poll_fn(move |cx| {
            let polled = Pin::new(&mut handled).poll(cx);
            if polled.is_pending() {
                since.get_or_insert_with(Instant::now);
            } else if let Some(since) = since {
                self.bucket.credit(since, Instant::now());
            }
            polled
        })
    }

    /// Hands the counts on.
    fn count(&mut self) {
        let metrics = self.metrics;
        let (messages, bytes) =
            (u64::from(std::mem::take(&mut self.messages)), std::mem::take(&mut self.bytes));
        if messages == 0 {
            return;
        }
        metrics.messages_in.inc_by(messages);
        metrics.bytes_in.inc_by(bytes);
        if self.echoes {
            metrics.messages_out.inc_by(messages);
            metrics.bytes_out.inc_by(bytes);
        }
    }
}

impl Drop for Inbox<'_> {
    fn drop(&mut self) {
        self.count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use vaiven::server::{ServerConfig, ServerHandle};

    #[tokio::test]
    async fn what_arrives_while_the_server_cannot_answer_is_not_too_fast() {
        let mut settings = Settings::default();
        (settings.message_rate, settings.message_burst) = (200, 4);
        let app = App::new(settings, Arc::new(ServerConfig::default()), ServerHandle::detached());
        let (client, mut server) = vaiven::pair();
        let serving = tokio::spawn(async move { echo(&mut server, &mut Inbox::new(&app)).await.is_ok() });
        let (sender, mut receiver) = client.split();
        // As much as the server takes without being read from, and half of that again.
        let sending = tokio::spawn(async move {
            for _ in 0..48 {
                sender.send(Message::binary(vec![0; 32 << 10])).await.unwrap();
                // Half the rate.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            sender.close(None);
        });
        tokio::time::sleep(Duration::from_millis(600)).await;
        let mut echoed = 0;
        while let Ok(Some(_)) = receiver.recv().await {
            echoed += 1;
        }
        sending.await.unwrap();
        assert_eq!(echoed, 48);
        assert!(serving.await.unwrap());
    }
}
