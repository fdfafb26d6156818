//! Engine.IO as clients meet it. Where time matters it is virtual, and requests are handed to the engine without a
//! socket; what is refused is asked for over real ones.

mod bad_input;
mod client;
mod heartbeat;
mod options;
mod polling;
mod upgrade;
mod websocket;
