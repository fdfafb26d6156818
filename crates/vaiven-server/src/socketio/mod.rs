//! Socket.IO on channels: unmodified clients hear and say what plain members and clients of `vaiven.v1.json` do.
//!
//! The namespace `/c/ROOM` is the channel `ROOM`, and `/` is the one that `socketio_room` names. What is said there is
//! an event: see [`event`]. Recovery of a connection is that of the channel: the offset that the client keeps is a place in
//! the channel's history, so that it goes on behind it as long as the history has it, after a restart too.

mod backend;
mod event;
mod member;
mod outlet;
mod wire;

pub(crate) use backend::EventBackend;

use crate::Settings;
use crate::app::App;
use crate::settings::Origins;
use member::{Member, Refused};
use serde::Serialize;
use std::pin::Pin;
use std::sync::Weak;
use vaiven_hub::{ChannelName, Published};
use vaiven_socketio::engine::Cors;
use vaiven_socketio::packet::MAIN_NAMESPACE;
use vaiven_socketio::{
    Ack, Args, ConnectError, DisconnectReason, Event, Io, IoConfig, Namespace, Resume, Resumed, Sessions,
    Socket,
};

/// What the name of a room's namespace begins with.
const ROOM_PREFIX: &str = "/c/";
/// Publications of a member that may be under way at a time. Then it is not read from.
const MAX_PUBLISHING: usize = 32;

/// The Socket.IO server over the channels of `app`.
pub(crate) fn server(settings: &Settings, app: &Weak<App>) -> Io {
    let mut config = IoConfig::default();
    config.max_namespaces = settings.max_channels_per_client;
    config.engine.max_sessions = settings.max_connections;
    config.engine.max_polling_sessions_per_ip = settings.max_connections_per_ip as usize;
    config.engine.outbox_bytes = settings.outbox_bytes;
    config.engine.body_timeout = settings.body_timeout;
    config.engine.cors = match &settings.origins {
        Origins::Any => Some(Cors::any()),
        Origins::SameAnd(origins) if origins.is_empty() => None,
        Origins::SameAnd(origins) => Some(Cors::list(origins.iter().cloned())),
    };
    let is_room = |name: &str| channel_of(name).is_some();
    let main = settings.socketio_room.clone();
    Io::builder()
        .config(config)
        .namespace(MAIN_NAMESPACE, namespace(app, Some(main)))
        .dynamic(is_room, namespace(app, None))
        .build()
}

/// The channel of a room's namespace.
fn channel_of(namespace: &str) -> Option<ChannelName> {
    ChannelName::parse(namespace.strip_prefix(ROOM_PREFIX)?).ok()
}

/// The namespace of a channel.
fn namespace_of(channel: &ChannelName) -> String {
    format!("{ROOM_PREFIX}{}", channel.as_str())
}

fn namespace(app: &Weak<App>, main: Option<ChannelName>) -> Namespace {
    let is_main = main.is_some();
    Namespace::new()
        .sessions(Rooms { app: app.clone(), main })
        .concurrency(MAX_PUBLISHING)
        .on_connect(async |socket: Socket| {
            if let Some(member) = socket.get::<Member>() {
                member.enter(&socket).await;
            }
        })
        .on_any(move |socket: Socket, Event(name): Event, args: Args, ack: Ack| async move {
            if let Some(member) = socket.get::<Member>() {
                said(&member, &socket, &name, &args, ack, is_main).await;
            }
        })
        .on_disconnect(async |socket: Socket, reason: DisconnectReason| {
            if let Some(member) = socket.get::<Member>() {
                member.leave(reason);
            }
        })
}

/// Who comes, and where it goes on.
struct Rooms {
    app: Weak<App>,
    /// The channel of the main namespace.
    main: Option<ChannelName>,
}

impl Sessions for Rooms {
    fn resume(
        &self,
        request: Resume,
    ) -> Pin<Box<dyn Future<Output = Result<Resumed, ConnectError>> + Send + '_>> {
        Box::pin(async move {
            let app = self.app.upgrade().ok_or_else(|| ConnectError::new("the server stops"))?;
            let (channel, wire) = match &self.main {
                Some(main) => (Some(main.clone()), &wire::IN_MAIN),
                None => (channel_of(request.socket.namespace()), &wire::IN_ROOM),
            };
            let channel = channel.ok_or_else(|| ConnectError::new("Invalid namespace"))?;
            member::resume(&app, channel, wire, request).await
        })
    }
}

/// A member says something.
async fn said(member: &Member, socket: &Socket, name: &str, args: &Args, ack: Ack, is_main: bool) {
    if socket.disconnect_reason().is_some_and(is_the_servers) {
        // What was still to be done for a client that was sent away is not.
        return;
    }
    if !member.may_speak() {
        socket.outlet().end(DisconnectReason::ForcedServerClose);
        return;
    }
    let outcome = if is_main && member.has_backend() {
        match member.ask(name, args, ack.is_expected()).await {
            Ok(answer) => {
                for (name, args) in answer.events() {
                    // A connection that takes no more ends by that.
                    let _ = socket.emit(&name, args.without_text_at_end());
                }
                member.publish_all(answer.publications()).await.map(|()| answer.ack())
            }
            Err(refused) => Err(refused),
        }
    } else {
        member.publish(name, args).await.map(|published| kept(&published))
    };
    let answer = outcome.unwrap_or_else(|refused| failure(&refused));
    // Nobody waits for it, or the connection is over.
    let _ = ack.send(answer);
}

/// Whether the server ended it, and not the client or the network.
fn is_the_servers(reason: DisconnectReason) -> bool {
    use DisconnectReason::{ForcedServerClose, HandlerPanicked, OutboxFull, ServerNamespaceDisconnect};
    matches!(reason, ForcedServerClose | HandlerPanicked | OutboxFull | ServerNamespaceDisconnect)
}

/// What an acknowledgement says of an event that was published.
fn kept(published: &Published) -> Args {
    #[derive(Serialize)]
    struct Kept<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        offset: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<&'a str>,
    }
    let position = published.position.as_ref();
    let kept = Kept {
        offset: position.map(|position| position.offset),
        epoch: position.map(|position| position.epoch.as_str()),
    };
    Args::new(kept).unwrap_or_default()
}

/// What it says of one that was not.
fn failure(refused: &Refused) -> Args {
    let error = serde_json::json!({ "code": refused.code.name(), "message": refused.message });
    Args::new(serde_json::json!({ "error": error })).unwrap_or_default()
}
