//! What is measured: the kinds of work, and the cells of their matrices.

use crate::payload::Payload;

/// Bytes that may be in flight on all connections together: both sides buffer them several times.
const MAX_IN_FLIGHT_BYTES: usize = 256 << 20;

const ECHO_PAYLOADS: [Payload; 6] = [
    Payload::Binary(20),
    Payload::Binary(1 << 10),
    Payload::MixedText(1 << 10),
    Payload::Binary(16 << 10),
    Payload::Binary(256 << 10),
    Payload::Binary(1 << 20),
];

/// A kind of work, with a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Echo,
    Deflate,
    Fanout,
    Accept,
    Idle,
    SocketIoRoom,
    SocketIoAcks,
    SocketIoOpen,
    SocketIoIdle,
}

impl Work {
    /// What servers of bare WebSockets do.
    pub(crate) const WEBSOCKET: &'static [Self] =
        &[Self::Echo, Self::Deflate, Self::Fanout, Self::Accept, Self::Idle];
    /// What servers of Socket.IO do.
    pub(crate) const SOCKETIO: &'static [Self] =
        &[Self::SocketIoRoom, Self::SocketIoAcks, Self::SocketIoOpen, Self::SocketIoIdle];

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::WEBSOCKET.iter().chain(Self::SOCKETIO).copied()
    }

    /// Its name on the command line and in the markers of the document.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Deflate => "deflate",
            Self::Fanout => "fanout",
            Self::Accept => "accept",
            Self::Idle => "idle",
            Self::SocketIoRoom => "socketio-room",
            Self::SocketIoAcks => "socketio-acks",
            Self::SocketIoOpen => "socketio-open",
            Self::SocketIoIdle => "socketio-idle",
        }
    }

    /// What the numbers are.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Echo | Self::Deflate => "server CPU seconds per million messages",
            Self::Fanout | Self::SocketIoRoom => "server CPU seconds per million deliveries",
            Self::SocketIoAcks => "server CPU seconds per million acknowledgements",
            Self::Accept => "server CPU microseconds per connection: connect, upgrade, Close, end",
            Self::SocketIoOpen => {
                "server CPU microseconds per connection: connect, upgrade, CONNECT, Close, end"
            }
            Self::Idle | Self::SocketIoIdle => {
                "KiB of the server's private memory per open connection after one message"
            }
        }
    }

    /// All its cells, in the order of the table.
    pub(crate) fn cells(self) -> Vec<Cell> {
        let cell = |payload, connections, in_flight| Cell {
            work: self,
            payload,
            connections,
            in_flight,
            deflate: Deflate::Off,
        };
        match self {
            Self::Echo => ECHO_PAYLOADS
                .into_iter()
                .flat_map(|payload| [1, 16].map(|in_flight| (payload, in_flight)))
                .flat_map(|(payload, in_flight)| [10, 200, 1000].map(|n| cell(payload, n, in_flight)))
                .filter(|cell| cell.payload.len() * cell.in_flight * cell.connections <= MAX_IN_FLIGHT_BYTES)
                .collect(),
            Self::Deflate => [Deflate::NoTakeover, Deflate::Takeover]
                .into_iter()
                .flat_map(|deflate| {
                    [1, 16].map(|in_flight| Cell { deflate, ..cell(Payload::Json(1024), 50, in_flight) })
                })
                .collect(),
            Self::Fanout => [64, 1024]
                .into_iter()
                .flat_map(|length| [1, 16].map(|window| cell(Payload::Binary(length), 1000, window)))
                .collect(),
            Self::SocketIoRoom => [1, 16].map(|window| cell(Payload::MixedText(64), 1000, window)).to_vec(),
            Self::SocketIoAcks => [1, 16].map(|in_flight| cell(Payload::Binary(0), 200, in_flight)).to_vec(),
            Self::Accept | Self::SocketIoOpen => vec![cell(Payload::Binary(0), 32, 1)],
            Self::Idle | Self::SocketIoIdle => vec![cell(Payload::Binary(20), 10_000, 1)],
        }
    }
}

/// Whether to offer permessage-deflate. The client's messages never depend on one another, so that one
/// frame can be sent many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deflate {
    Off,
    /// The server forgets after each message.
    NoTakeover,
    /// The server may refer to earlier messages. As they are all alike, this is the best that
    /// context takeover can be.
    Takeover,
}

/// One measurement's settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) work: Work,
    pub(crate) payload: Payload,
    pub(crate) connections: usize,
    /// Messages in flight on each connection, or broadcasts in flight in the room.
    pub(crate) in_flight: usize,
    pub(crate) deflate: Deflate,
}

impl Cell {
    /// How tables and `--cells` name it.
    pub(crate) fn name(&self) -> String {
        let Self { payload, connections, in_flight, .. } = self;
        let takeover = if self.deflate == Deflate::Takeover { ", takeover" } else { "" };
        match self.work {
            Work::Echo | Work::Deflate => {
                format!("{}{takeover}, N {connections}, P {in_flight}", payload.name())
            }
            Work::Fanout | Work::SocketIoRoom => {
                format!("{}, N {connections}, w {in_flight}", payload.name())
            }
            Work::SocketIoAcks => format!("N {connections}, P {in_flight}"),
            Work::Accept | Work::SocketIoOpen => format!("{connections} at a time"),
            Work::Idle | Work::SocketIoIdle => format!("N {connections}"),
        }
    }

    /// Whether a quick look includes it.
    pub(crate) fn is_quick(&self) -> bool {
        self.work != Work::Echo || (self.connections == 200 && self.payload.len() <= 16 << 10)
    }
}
