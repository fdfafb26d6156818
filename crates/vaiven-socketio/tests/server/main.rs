//! Socket.IO as clients meet it. Where time matters it is virtual, and connections are pairs in memory; what breaks a rule
//! is sent over real sockets.

mod acknowledgements;
mod bad_input;
mod client;
mod events;
mod lifecycle;
mod messagepack;
mod namespaces;
mod recovery;
mod rooms;
