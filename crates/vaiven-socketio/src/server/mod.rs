//! Sessions of Engine.IO to sockets of Socket.IO: namespaces, handlers, rooms, acknowledgements, recovery.
//!
//! ```text
//!   connection -> client          a connection's one task: packets in, handlers run in turn
//!                   -> namespace  what an application says about a namespace
//!                   -> socket     what a handler holds
//!                        -> adapter, broadcast   rooms, and packets for many that are framed once
//!                        -> ack, recovery        what is still to come, and what was missed
//! ```

mod ack;
mod adapter;
mod broadcast;
mod client;
mod error;
mod extensions;
mod extract;
mod frames;
mod handler;
mod io;
mod namespace;
mod outlet;
mod reason;
mod recovery;
mod socket;
mod turns;

pub use ack::{Acks, AwaitAck};
pub use broadcast::Broadcast;
pub use error::{AckError, ConnectError, EmitError};
pub use extract::{Ack, Bin, Data, Event, EventContext, FromEvent, Rejection, State};
pub use frames::Parsers;
pub use handler::{Handler, Outcome};
pub use io::{Io, IoBuilder, IoConfig};
pub use namespace::Namespace;
pub use outlet::Outlet;
pub use reason::DisconnectReason;
pub use recovery::{Recovery, Resume, Resumed, Sessions};
pub use socket::{Emitter, Socket, SocketId};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. What is behind these locks is whole between any two statements, so a panic elsewhere is no reason to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
