//! What the processes of a run tell each other, a line of JSON each.

use super::ledger::{Sent, Tally};
use super::proxy::Fault;
use super::times::Times;
use serde::{Deserialize, Serialize};

/// What a run is about, for every process the same but for its share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) url: String,
    pub(super) channel: String,
    pub(super) protocol: Protocol,
    pub(super) token: Option<String>,
    pub(super) subscribers: usize,
    pub(super) publishers: usize,
    pub(super) faults: Vec<Fault>,
    /// The mean time between two faults of a connection, in seconds.
    pub(super) fault_every: f64,
    pub(super) seed: u64,
}

/// How clients talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Protocol {
    /// `vaiven.v1.json`: what was missed is asked for.
    V1,
    /// A bare WebSocket of a room: it comes back, and what was said meanwhile is lost to it.
    Plain,
    /// Socket.IO over a WebSocket: a channel is a namespace, and sessions that were lost are recovered.
    #[serde(rename = "socketio")]
    #[value(name = "socketio")]
    SocketIo,
}

/// What the first process says to the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Make the subscribers.
    Begin(Job),
    /// Faults may happen from now on.
    Disturb,
    /// Cut all connections.
    Avalanche,
    /// Nothing happens any more; this was sent, and has to arrive within so many milliseconds.
    Finish { sent: Vec<Sent>, within: u64 },
}

/// What they say to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    /// So many subscribers are there.
    Ready(usize),
    /// What came of it.
    Done(Box<Findings>),
    /// It cannot go on, and why.
    Failed(String),
}

/// What a process has found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Findings {
    pub(super) tally: Tally,
    /// Subscribers that got all.
    pub(super) complete: u64,
    /// Times that a connection was lost and came back.
    pub(super) reconnects: u64,
    /// Times that a subscriber was told that something is lost to it.
    pub(super) unrecovered: u64,
    pub(super) faults: u64,
    /// Microseconds from a publication to its arrival,.
    pub(super) latency: Times,
    /// Microseconds from the beginning of the connection that came about to the last message that was missed.
    pub(super) replay: Times,
    /// Microseconds from the loss of a connection until the subscription stood again.
    pub(super) away: Times,
}
