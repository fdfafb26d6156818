//! The server over real sockets.

mod http;
mod origin;
mod rooms;
mod stop;
mod support;
