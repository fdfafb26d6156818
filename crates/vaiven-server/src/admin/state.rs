//! The server as the admin page shows it: what the hub, the listener, the store and the sessions know, bounded in length.
//! What grows is told as it is; how fast it grows the page reckons from two of these.

use crate::app::App;
use crate::session::SessionInfo;
use serde::Serialize;
use std::cmp::Reverse;
use vaiven_hub::ChannelInfo;

/// Channels that are looked at, of which those with most subscribers are listed.
const MAX_FOUND: usize = 1_000;
/// Channels that are listed.
const MAX_CHANNELS: usize = 100;
/// Connections that are listed.
const MAX_CONNECTIONS: usize = 100;
/// Channels of a connection that are listed.
const MAX_NAMES: usize = 5;

#[derive(Serialize)]
pub(super) struct State {
    version: &'static str,
    uptime_ms: u64,
    is_stopping: bool,
    figures: Figures,
    store: Store,
    channel_count: u64,
    channels: Vec<ListedChannel>,
    clients: Vec<ListedConnection>,
}

#[derive(Serialize)]
struct Figures {
    connections: usize,
    max_connections: usize,
    sessions: usize,
    messages_in: u64,
    messages_out: u64,
    deliveries: u64,
    publications: u64,
    slow_consumers: u64,
    refusals: u64,
}

#[derive(Serialize)]
struct Store {
    kind: &'static str,
    is_open: bool,
    bytes: u64,
    errors: u64,
}

#[derive(Serialize)]
struct ListedChannel {
    channel: String,
    subscribers: usize,
    members: usize,
}

#[derive(Serialize)]
struct ListedConnection {
    connection: u64,
    route: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    seconds: u64,
    channels: Vec<String>,
    channel_count: usize,
    waiting: usize,
}

impl State {
    /// What it is now. With `find` only the connections are listed that have this text in their names or address.
    pub(super) fn of(app: &App, find: Option<&str>) -> Self {
        let hub = app.hub.figures();
        let mut channels = app.hub.channels("*", MAX_FOUND);
        channels.sort_unstable_by(|a, b| {
            (Reverse(a.subscribers), &a.name).cmp(&(Reverse(b.subscribers), &b.name))
        });
        channels.truncate(MAX_CHANNELS);
        let connections = match find {
            None | Some("") => app.sessions.list(MAX_CONNECTIONS),
            Some(text) => app.sessions.find(text, MAX_CONNECTIONS),
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            uptime_ms: u64::try_from(app.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            is_stopping: app.is_stopping(),
            figures: Figures {
                connections: app.handle.counts().connections,
                max_connections: app.handle.max_connections(),
                sessions: app.sessions.len(),
                messages_in: app.metrics.messages_in.get(),
                messages_out: hub.deliveries + app.metrics.echoed.get(),
                deliveries: hub.deliveries,
                publications: hub.publications,
                slow_consumers: hub.slow_consumers,
                refusals: app.metrics.refusals(),
            },
            store: Store::of(app),
            channel_count: hub.channels,
            channels: channels.into_iter().map(ListedChannel::of).collect(),
            clients: connections.into_iter().map(ListedConnection::of).collect(),
        }
    }
}

impl Store {
    fn of(app: &App) -> Self {
        match app.metrics.store() {
            Some(figures) => {
                Self { kind: "disk", is_open: figures.is_open, bytes: figures.bytes, errors: figures.errors }
            }
            None => Self { kind: "memory", is_open: true, bytes: 0, errors: 0 },
        }
    }
}

impl ListedChannel {
    fn of(info: ChannelInfo) -> Self {
        let ChannelInfo { name, subscribers, members } = info;
        Self { channel: name.as_str().to_owned(), subscribers, members }
    }
}

impl ListedConnection {
    fn of(info: SessionInfo) -> Self {
        let SessionInfo { number, route, address, client, user, channels, since, waiting } = info;
        Self {
            connection: number,
            route,
            client: client.map(|client| client.as_ref().to_owned()),
            user: user.map(|user| user.as_ref().to_owned()),
            address: address.map(|address| address.to_string()),
            seconds: since.elapsed().as_secs(),
            channel_count: channels.len(),
            channels: channels.iter().take(MAX_NAMES).map(|name| name.as_str().to_owned()).collect(),
            waiting,
        }
    }
}
