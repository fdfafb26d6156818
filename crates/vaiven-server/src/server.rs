//! A listening socket to served connections, until the server is told to stop.

use crate::app::App;
use crate::drain::{Drained, drain};
use crate::opening::{Opening, accept};
use crate::reload::Reload;
use crate::route::Route;
use crate::service::Service;
use crate::session::Plan;
use crate::throttle::Verdict;
use crate::{Settings, http, traces};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use std::{fmt, io};
use tracing::Instrument;
use vaiven::server::{
    AcceptError, Acceptance, Handshake, Refusal, Scheme, Server as Listener, ServerEvent, TlsError, Upgrade,
};
use vaiven::{CloseCode, WebSocket};
use vaiven_hub::OpenError;
use vaiven_socketio::engine::Head;

/// A server that listens. [`run`](Self::run) serves.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    local: SocketAddr,
    app: Arc<App>,
    reload: Reload,
}

/// Why a server did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// The certificate cannot be shown.
    Tls(TlsError),
    /// A key for tokens cannot be read.
    Keys(String),
    /// The directory of the history cannot be used.
    Store(PathBuf, OpenError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) => match error.kind() {
                io::ErrorKind::AddrInUse => write!(
                    f,
                    "cannot listen on {address}: another program does already; stop it, or choose another address \
                     with --listen"
                ),
                io::ErrorKind::PermissionDenied => write!(
                    f,
                    "cannot listen on {address}: the system does not allow this user to; ports below 1024 are \
                     often reserved"
                ),
                _ => write!(f, "cannot listen on {address}: {error}"),
            },
            Self::Tls(error) => error.fmt(f),
            Self::Keys(why) => f.write_str(why),
            Self::Store(folder, error) => write!(
                f,
                "data_dir: {}: {error}; choose another directory with --data-dir, or keep the history in memory \
                 with --history memory",
                folder.display()
            ),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen(_, error) => Some(error),
            Self::Tls(error) => Some(error),
            Self::Keys(_) => None,
            Self::Store(_, error) => Some(error),
        }
    }
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// The client's address, which a trusted proxy may have named.
    pub(crate) ip: IpAddr,
    /// How the client reached the server.
    pub(crate) scheme: Scheme,
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// [`StartError`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn bind(settings: Settings) -> Result<Self, StartError> {
        let tls = settings.tls().map_err(StartError::Tls)?;
        for warning in settings.warnings() {
            tracing::warn!("{warning}");
        }
        let files = settings.tls_cert.clone().zip(settings.tls_key.clone()).map(<[_; 2]>::from);
        let config = Arc::new(settings.server_config(tls.clone()));
        let address = settings.listen;
        let refused = |error| StartError::Listen(address, error);
        let listener = Listener::bind(address, Arc::clone(&config)).await.map_err(refused)?;
        let local = listener.local_addr().map_err(refused)?;
        let app = App::new(settings, config, listener.handle())?;
        let reload = Reload::new(tls, files, &app.metrics);
        let observer = Arc::clone(&app);
        let listener = listener.observe(move |event| observe(&observer, &event));
        Ok(Self { listener, local, app, reload })
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The connections that it takes: `max_connections`, or what the process may open.
    pub fn max_connections(&self) -> usize {
        self.app.handle.max_connections()
    }

    /// What reads the certificate again.
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// What serves connections that come by other ways than this listener.
    pub fn service(&self) -> Service {
        Service::of(&self.app)
    }

    /// The address of the chat page, as a browser on this machine opens it.
    pub fn url(&self) -> String {
        let mut shown = self.local;
        if shown.ip().is_unspecified() {
            let v4 = shown.is_ipv4();
            shown.set_ip(if v4 { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        let scheme = if self.app.config.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{shown}/")
    }

    /// Serves until `stop` is ready, then closes every connection with the code that it gave and waits for them,
    /// for `drain_timeout` at most.
    pub async fn run(self, stop: impl Future<Output = CloseCode>) -> Drained {
        let Self { listener, app, reload, .. } = self;
        let watching = tokio::spawn(reload.watch());
        let preparing = Arc::clone(&app);
        tokio::spawn(async move { preparing.auth.prepare().await });
        let game = tokio::spawn(vaiven_demos::bay::run(app.hub.clone()));
        let serving_app = Arc::clone(&app);
        let serving =
            tokio::spawn(listener.serve(move |handshake| serve(Arc::clone(&serving_app), handshake)));
        let drained = drain(&app, stop.await).await;
        serving.abort();
        watching.abort();
        game.abort();
        drained
    }
}

/// Counts and logs what happened before there was a request.
fn observe(app: &App, event: &ServerEvent<'_>) {
    match event {
        ServerEvent::Refused(peer, refusal) => {
            app.metrics.refused(refusal.status(), refusal.code());
            log_refusal(app, refusal, peer.ip(), "none");
        }
        ServerEvent::Dropped(peer, refusal) => {
            log_refusal(app, refusal, peer.ip(), "none");
        }
        ServerEvent::TlsFailed(peer, error) => tracing::debug!(%peer, %error, "the TLS handshake failed"),
        ServerEvent::AcceptFailed(error) => tracing::error!(%error, "no connection can be accepted for now"),
        _ => {}
    }
}

/// Serves a connection. Its beginning is boxed, so that it takes no room while the WebSocket lives, and the WebSocket,
/// since a future holds what it moves twice.
fn serve(app: Arc<App>, handshake: Handshake) -> impl Future<Output = ()> + Send {
    let opening = Box::pin(open(app, handshake));
    async move {
        if let Some(mut opened) = opening.await {
            let (plan, socket) = &mut *opened;
            plan.run(socket).await;
        }
    }
}

/// Accepts a WebSocket; everything else is hyper's, until its end.
async fn open(app: Arc<App>, handshake: Handshake) -> Option<Box<(Plan, WebSocket)>> {
    let ip = handshake.client_ip().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let peer = Peer { ip, scheme: handshake.scheme() };
    let (error, pattern) = match Route::of(handshake.request().path()) {
        Some(route) if route.is_websocket() => {
            let span = traces::handshake(route.pattern());
            let shaken = shake_hands(&app, handshake, &route, peer).instrument(span.clone()).await;
            match &shaken {
                Ok(_) => traces::answered(&span, 101),
                Err(AcceptError::Refused(refusal)) => traces::answered(&span, refusal.status()),
                // The client was gone before it could be answered.
                Err(_) => {}
            }
            match shaken {
                Ok(opened) => return Some(opened),
                Err(error) => (error, route.pattern()),
            }
        }
        Some(route @ Route::SocketIo) if handshake.request().wants_websocket() => {
            match open_socketio(&app, handshake, peer).await {
                Ok(()) => return None,
                Err(error) => (error, route.pattern()),
            }
        }
        None if handshake.request().wants_websocket() => {
            (handshake.refuse(Refusal::not_found()).await, "none")
        }
        _ => {
            Box::pin(http::serve(app, handshake.into_parts(), peer)).await;
            return None;
        }
    };
    if let AcceptError::Refused(refusal) = error {
        app.metrics.refused(refusal.status(), refusal.code());
        log_refusal(&app, &refusal, peer.ip, pattern);
    }
    None
}

/// Answers the opening handshake of a WebSocket.
async fn shake_hands(
    app: &Arc<App>,
    handshake: Handshake,
    route: &Route,
    peer: Peer,
) -> Result<Box<(Plan, WebSocket)>, AcceptError> {
    match opening(&handshake).plan(app, route, peer).await {
        Ok(plan) => {
            let decide = |upgrade: &Upgrade<'_>, acceptance: &mut Acceptance<'_>| {
                accept(route, upgrade, acceptance);
                Ok(())
            };
            Ok(Box::new((plan, handshake.accept_with(decide).await?)))
        }
        Err(refusal) => Err(handshake.refuse(refusal).await),
    }
}

/// Accepts a WebSocket of Socket.IO's, which is served in a task of its own: this one is as large as the others need it.
/// What is wrong stands in the answer to the request, which is hyper's.
async fn open_socketio(app: &Arc<App>, mut handshake: Handshake, peer: Peer) -> Result<(), AcceptError> {
    let judged = opening(&handshake).check_page(app, peer);
    let head = Head::of_handshake(&handshake);
    let opened = match judged {
        Ok(()) => app.socketio.engine().open_websocket(&head).await.ok(),
        Err(_) => None,
    };
    let Some(opened) = opened else {
        Box::pin(http::serve(Arc::clone(app), handshake.into_parts(), peer)).await;
        return Ok(());
    };
    handshake.set_config(Arc::clone(&app.socketio_config));
    let decide = |_: &Upgrade<'_>, acceptance: &mut Acceptance<'_>| {
        opened.accept(acceptance);
        Ok(())
    };
    let socket = handshake.accept_with(decide).await?;
    tokio::spawn(opened.run(socket));
    Ok(())
}

fn opening(handshake: &Handshake) -> Opening<'_> {
    let request = handshake.request();
    Opening {
        method: request.method(),
        version: request.version(),
        fields: request.fields().iter().collect(),
    }
}

/// One line for whoever runs the server. A refused origin or host is what people search for, and a cap that is reached may be
/// too low; what else is refused is the client's fault.
pub(crate) fn log_refusal(app: &App, refusal: &Refusal, peer: IpAddr, route: &str) {
    let (status, code, now) = (refusal.status(), refusal.code(), Instant::now());
    if matches!(code, "origin" | "host_not_allowed") {
        let more = match app.refusal_log.judge_page(now) {
            Verdict::Log => "",
            Verdict::LogLast => " Further refusals of this minute are counted and not logged.",
            Verdict::Leave => return,
        };
        tracing::warn!(%peer, route, status, "{}{more}", refusal.message());
        return;
    }
    if let Some((Verdict::Log | Verdict::LogLast, setting)) = app.refusal_log.judge_cap(code, now) {
        tracing::warn!(
            %peer, route, status, code,
            "refused: {} If such clients are welcome, raise {setting}. Further refusals of this kind are counted, and \
             logged no more than once a minute.",
            refusal.message()
        );
    } else {
        tracing::debug!(%peer, route, status, code, "refused: {}", refusal.message());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;
    use std::sync::Mutex;
    use tracing::field::{Field, Visit};
    use tracing::{Event, Level, Metadata, Subscriber, span};

    /// Keeps what is logged at `warn` and above.
    #[derive(Clone, Default)]
    struct Warnings(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() <= Level::WARN
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, event: &Event<'_>) {
            let mut line = Line::default();
            event.record(&mut line);
            self.0.lock().expect("no test panics with it").push(line.0);
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[derive(Default)]
    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            write!(self.0, "{field}={value:?} ").expect("a String takes all that is written");
        }
    }

    #[test]
    fn a_cap_that_is_reached_is_told_once_a_minute_with_the_setting_to_raise() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let _within = runtime.enter();
        let app = App::for_test(Settings::default());
        let warnings = Warnings::default();
        tracing::subscriber::with_default(warnings.clone(), || {
            for (code, setting) in [
                ("connection_cap", "max_connections"),
                ("connections_per_ip", "max_connections_per_ip"),
                ("handshake_rate_total", "handshake_rate"),
                ("handshake_rate", "handshake_rate_per_ip"),
                ("room_cap", "max_rooms"),
                ("member_cap", "max_room_members"),
                ("memory", "max_memory_bytes"),
            ] {
                assert!(crate::settings::SETTINGS.iter().any(|known| known.key == setting), "{setting}");
                for _ in 0..3 {
                    log_refusal(&app, &Refusal::new(503, code, "No."), Ipv4Addr::LOCALHOST.into(), "/echo");
                }
                let lines = std::mem::take(&mut *warnings.0.lock().expect("no test panics with it"));
                assert_eq!(lines.len(), 1, "{code}: {lines:?}");
                let raise = lines[0].split_once(" raise ").expect("it says what to raise").1;
                assert_eq!(raise.split([' ', ',', '.']).next(), Some(setting), "{lines:?}");
            }
            log_refusal(&app, &Refusal::not_found(), Ipv4Addr::LOCALHOST.into(), "none");
        });
        assert!(warnings.0.lock().expect("no test panics with it").is_empty());
    }

    #[test]
    fn the_task_of_a_waiting_connection_stays_small() {
        fn size<F>(_: impl Fn(Arc<App>, Handshake) -> F) -> usize {
            size_of::<F>()
        }
        // With tokio's header, a multiple of the 128 bytes in which it allocates.
        assert!(size(serve) <= 352, "{} bytes", size(serve));
    }
}
